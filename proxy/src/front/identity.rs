//! Who is calling: a process of our own user on this machine, or whoever holds the token.

use super::error::Fault;
use crate::exchange::Principal;
use crate::limits::TOKEN_BYTES_MAX;
use http::{HeaderMap, StatusCode, header};
use nix::libc::uid_t;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use subtle::ConstantTimeEq;

pub mod sock_diag;

use sock_diag::SockDiag;

/// A TCP connection's two ends, and whose process is at the other one if the kernel says so.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Our own address.
    pub local: SocketAddr,
    /// The uid of the client's socket; only looked up on loopback, and only in user mode.
    pub uid: Option<uid_t>,
}

/// Which callers need no token.
#[derive(Debug)]
pub enum Trust {
    /// Processes of our own uid, on loopback (user mode).
    OwnUser(SockDiag),
    /// None (root and system mode).
    Nobody,
}

/// Decides who may come in.
#[derive(Debug)]
pub struct Identity {
    trust: Trust,
    own_uid: uid_t,
    token: Token,
    token_file: PathBuf,
}

/// The token's digest: comparing digests takes the same time whatever was guessed.
#[derive(Clone, Debug)]
pub struct Token([u8; 32]);

impl Token {
    /// The text of the token in this file, without surrounding white space.
    ///
    /// # Errors
    /// If the file cannot be read, or holds less than a token.
    pub fn read(path: &Path) -> io::Result<String> {
        let mut text = String::new();
        File::open(path)?.take(TOKEN_BYTES_MAX).read_to_string(&mut text)?;
        match text.trim() {
            token if token.len() >= 16 => Ok(token.to_owned()),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "it holds fewer than 16 characters")),
        }
    }

    /// The digest of a token.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    fn matches(&self, candidate: &str) -> bool {
        self.0.ct_eq(&Self::of(candidate).0).into()
    }
}

impl Identity {
    /// Lets in who is trusted, and who holds the token of this file.
    pub fn new(trust: Trust, token: Token, token_file: PathBuf) -> Self {
        Self { trust, own_uid: nix::unistd::geteuid().as_raw(), token, token_file }
    }

    /// The same, as if our own uid were this one.
    #[cfg(test)]
    pub fn owned_by(self, own_uid: uid_t) -> Self {
        Self { own_uid, ..self }
    }

    /// What is known of a new connection.
    pub fn peer(&self, remote: SocketAddr, local: SocketAddr) -> Peer {
        let on_loopback = local.ip().to_canonical().is_loopback() && remote.ip().to_canonical().is_loopback();
        let uid = match &self.trust {
            Trust::OwnUser(diag) if on_loopback => diag.uid_of(remote, local).unwrap_or_else(|error| {
                tracing::warn!(%error, "cannot ask the kernel whose connection this is; a token is needed");
                None
            }),
            _ => None,
        };
        Peer { local, uid }
    }

    /// Whether this is a process of our own user that needs no token.
    pub fn is_own(&self, peer: &Peer) -> bool {
        matches!(self.trust, Trust::OwnUser(_)) && peer.uid == Some(self.own_uid)
    }

    /// Who sent a request.
    ///
    /// # Errors
    /// 401 that says where the token is.
    pub fn principal(&self, peer: &Peer, headers: &HeaderMap) -> Result<Principal, Fault> {
        if self.is_own(peer) {
            return Ok(Principal::LocalUser(self.own_uid));
        }
        match bearer(headers) {
            Some(candidate) if self.token.matches(candidate) => Ok(Principal::TokenBearer),
            _ => Err(Fault::transport(
                StatusCode::UNAUTHORIZED,
                format!(
                    "send the header 'Authorization: Bearer TOKEN' with the token in {}",
                    self.token_file.display()
                ),
            )),
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

    fn verdict(identity: &Identity, uid: Option<uid_t>, authorization: &[&'static str]) -> Option<Principal> {
        let values =
            authorization.iter().map(|&value| (header::AUTHORIZATION, HeaderValue::from_static(value)));
        let mut headers = HeaderMap::new();
        values.for_each(|(name, value)| assert!(headers.append(name, value) || headers.len() == 1));
        identity.principal(&Peer { local: LOCAL, uid }, &headers).ok()
    }

    fn token() -> Token {
        Token::of("0123456789abcdef")
    }

    #[test]
    fn without_trust_only_the_token_counts() {
        let identity = Identity::new(Trust::Nobody, token(), PathBuf::new());
        let own = Some(identity.own_uid);
        assert_eq!(verdict(&identity, own, &[]), None);
        assert_eq!(verdict(&identity, own, &["Bearer 0123456789abcdeF"]), None);
        assert_eq!(verdict(&identity, own, &["Basic 0123456789abcdef"]), None);
        assert_eq!(verdict(&identity, None, &["bearer  0123456789abcdef"]), Some(Principal::TokenBearer));
        assert_eq!(verdict(&identity, None, &["Bearer 0123456789abcdef", "Bearer x"]), None);
    }

    #[test]
    fn the_own_user_needs_no_token_and_others_do() {
        let identity = Identity::new(Trust::OwnUser(SockDiag::open().unwrap()), token(), PathBuf::new());
        let own = identity.own_uid;
        assert_eq!(verdict(&identity, Some(own), &[]), Some(Principal::LocalUser(own)));
        assert_eq!(verdict(&identity, Some(own + 1), &[]), None);
        assert_eq!(verdict(&identity, None, &[]), None);
        assert_eq!(verdict(&identity, None, &["Bearer 0123456789abcdef"]), Some(Principal::TokenBearer));
    }

    #[test]
    fn refuses_a_token_file_that_is_as_good_as_empty() {
        assert!(Token::read(Path::new("/dev/null")).is_err());
        assert!(Token::read(Path::new("/nonexistent")).is_err());
    }
}
