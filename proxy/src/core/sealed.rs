//! `requestState` as clients get it: what must come back unchanged, from the same principal, for the same request
//! and in time. Encrypted, so that a client learns nothing of a server's own state.

use crate::exchange::Principal;
use crate::limits::REQUEST_STATE_BYTES_MAX;
use crate::mcp::error::RpcError;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// What the sealed bytes are for: no other use of the key can make some.
const PURPOSE: &[u8] = b"only1mcp requestState 1";
const NONCE_BYTES: usize = 24;

/// Seals and opens with a key that nobody else has and that ends with the proxy.
pub struct Seal(XChaCha20Poly1305);

/// What is kept in a `requestState`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kept {
    /// The number of a parked call.
    Parked(u64),
    /// A server's own state.
    Inner {
        /// As it wrote it.
        state: String,
        /// The replica that did.
        replica: u32,
    },
}

/// What it is bound to.
#[derive(Clone, Copy, Debug)]
pub struct Bound<'a> {
    /// Who must bring it back.
    pub principal: &'a Principal,
    /// With which request.
    pub request: [u8; 32],
}

#[derive(Serialize, Deserialize)]
struct Content {
    kept: Kept,
    principal: String,
    request: [u8; 32],
    /// Milliseconds since the start of the proxy.
    expires: u64,
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal")
    }
}

impl Seal {
    /// A seal of a fresh key.
    ///
    /// # Panics
    /// If the kernel has no random numbers: nothing may be guessable then.
    #[must_use]
    #[expect(clippy::expect_used, reason = "without random numbers no request may be answered")]
    pub fn new() -> Self {
        let mut key = [0; 32];
        getrandom::fill(&mut key).expect("the kernel has random numbers");
        Self(XChaCha20Poly1305::new(&key.into()))
    }

    /// Seals until `expires`, counted from the start of the proxy. Nothing if the kernel has no random numbers.
    #[must_use]
    pub fn seal(&self, kept: Kept, bound: Bound<'_>, expires: Duration) -> Option<String> {
        let content = Content {
            kept,
            principal: name(bound.principal),
            request: bound.request,
            expires: u64::try_from(expires.as_millis()).unwrap_or(u64::MAX),
        };
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).ok()?;
        let msg = serde_json::to_vec(&content).ok()?;
        let sealed = self.0.encrypt(&XNonce::from(nonce), Payload { msg: &msg, aad: PURPOSE }).ok()?;
        Some(URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat()))
    }

    /// Opens what a client brings back `now`.
    ///
    /// # Errors
    /// [`RpcError`] if it is none of ours, or not for this principal, this request and this time.
    pub fn open(&self, text: &str, bound: Bound<'_>, now: Duration) -> Result<Kept, RpcError> {
        let refuse = |why: &str| RpcError::invalid_params(format!("params.requestState is refused: {why}"));
        let content = self.decrypt(text).ok_or_else(|| refuse("it was not made here, or was altered"))?;
        if u128::from(content.expires) <= now.as_millis() {
            return Err(refuse("it has expired; help: make the call again without it"));
        }
        // Whose it is says nothing to anybody else.
        if content.principal != name(bound.principal) || content.request != bound.request {
            return Err(refuse("it belongs to another request"));
        }
        Ok(content.kept)
    }

    fn decrypt(&self, text: &str) -> Option<Content> {
        if text.len() > REQUEST_STATE_BYTES_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (nonce, msg) = bytes.split_first_chunk::<NONCE_BYTES>()?;
        let content = self.0.decrypt(&XNonce::from(*nonce), Payload { msg, aad: PURPOSE }).ok()?;
        serde_json::from_slice(&content).ok()
    }
}

impl Default for Seal {
    fn default() -> Self {
        Self::new()
    }
}

fn name(principal: &Principal) -> String {
    match principal {
        Principal::LocalUser(uid) => format!("uid {uid}"),
        Principal::TokenBearer => "token".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: Principal = Principal::LocalUser(7);
    const MINE: Bound<'_> = Bound { principal: &ME, request: [1; 32] };
    const SOON: Duration = Duration::from_secs(5);

    fn refusal(seal: &Seal, text: &str, bound: Bound<'_>, now: Duration) -> String {
        seal.open(text, bound, now).unwrap_err().message
    }

    #[test]
    fn what_was_sealed_comes_back_in_time_for_its_principal_and_request() {
        let seal = Seal::new();
        let kept = || Kept::Inner { state: "s\u{e9}cret".into(), replica: 2 };
        let text = seal.seal(kept(), MINE, SOON).unwrap();
        assert_eq!(seal.open(&text, MINE, Duration::ZERO).unwrap(), kept());
        assert!(refusal(&seal, &text, MINE, SOON).contains("expired"));
        let other = Bound { principal: &Principal::TokenBearer, ..MINE };
        assert!(refusal(&seal, &text, other, Duration::ZERO).contains("another request"));
        let other = Bound { request: [2; 32], ..MINE };
        assert!(refusal(&seal, &text, other, Duration::ZERO).contains("another request"));
    }

    #[test]
    fn no_byte_can_be_changed_and_no_other_key_makes_one() {
        let seal = Seal::new();
        let text = seal.seal(Kept::Parked(3), MINE, SOON).unwrap();
        for at in 0..text.len() {
            let mut altered = text.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            assert!(refusal(&seal, &altered, MINE, Duration::ZERO).contains("altered"), "{at}");
        }
        let forged = Seal::new().seal(Kept::Parked(3), MINE, SOON).unwrap();
        for text in [
            &*forged,
            "",
            "AAAA",
            "not base64!",
            &text[..text.len() - 1],
            &"A".repeat(REQUEST_STATE_BYTES_MAX + 1),
        ] {
            assert!(refusal(&seal, text, MINE, Duration::ZERO).contains("not made here"), "{text}");
        }
    }

    #[test]
    fn the_same_state_is_never_sealed_alike_and_shows_nothing() {
        let seal = Seal::new();
        let kept = || Kept::Inner { state: "secret".into(), replica: 0 };
        let make = || seal.seal(kept(), MINE, SOON).unwrap();
        let (one, two) = (make(), make());
        assert_ne!(one, two);
        let bytes = URL_SAFE_NO_PAD.decode(&one).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"secret"));
    }
}
