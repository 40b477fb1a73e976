//! The listening sockets by their names: `mcp` (TCP, one or more), `relay` and `admin` (Unix).

use crate::kernel;
use nix::sys::socket::{AddressFamily, SockaddrLike, SockaddrStorage, getsockname, getsockopt, sockopt};
use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;

/// Why a socket cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SocketsError {
    /// A name nobody knows, or one that came twice.
    #[error("{0:?} is none of mcp, relay, admin, or came twice")]
    Name(String),
    /// The socket behind a name is of another kind.
    #[error("{name} is no listening {wanted} socket")]
    Kind {
        /// Its name.
        name: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// No socket for clients at all.
    #[error("none is named mcp or relay")]
    None,
}

/// What the proxy listens on.
#[derive(Debug, Default)]
pub struct Sockets {
    /// For clients over HTTP.
    pub mcp: Vec<TcpListener>,
    /// For clients over standard input and output.
    pub relay: Option<UnixListener>,
    /// For the operator.
    pub admin: Option<UnixListener>,
}

impl Sockets {
    /// Takes over the sockets that were passed to this process.
    ///
    /// # Errors
    /// If the convention is not kept or a socket is of the wrong kind.
    pub fn receive() -> Result<Self, super::ServeError> {
        Ok(Self::sort(kernel::received()?)?)
    }

    fn sort(received: Vec<(String, OwnedFd)>) -> Result<Self, SocketsError> {
        let mut sockets = Self::default();
        for (name, socket) in received {
            match name.as_str() {
                "mcp" => sockets.mcp.push(tcp(name, socket)?),
                "relay" if sockets.relay.is_none() => sockets.relay = Some(unix(name, socket)?),
                "admin" if sockets.admin.is_none() => sockets.admin = Some(unix(name, socket)?),
                _ => return Err(SocketsError::Name(name)),
            }
        }
        match sockets.mcp.is_empty() && sockets.relay.is_none() {
            true => Err(SocketsError::None),
            false => Ok(sockets),
        }
    }

    /// The addresses clients reach over HTTP.
    pub fn addresses(&self) -> Vec<String> {
        self.mcp.iter().filter_map(|listener| Some(listener.local_addr().ok()?.to_string())).collect()
    }
}

fn tcp(name: String, socket: OwnedFd) -> Result<TcpListener, SocketsError> {
    let listens = listens(&socket, &[AddressFamily::Inet, AddressFamily::Inet6]);
    let listener = TcpListener::from(socket);
    match listens && listener.set_nonblocking(true).is_ok() {
        true => Ok(listener),
        false => Err(SocketsError::Kind { name, wanted: "TCP" }),
    }
}

fn unix(name: String, socket: OwnedFd) -> Result<UnixListener, SocketsError> {
    let listens = listens(&socket, &[AddressFamily::Unix]);
    let listener = UnixListener::from(socket);
    match listens && listener.set_nonblocking(true).is_ok() {
        true => Ok(listener),
        false => Err(SocketsError::Kind { name, wanted: "Unix stream" }),
    }
}

/// Whether this is a listening stream socket of one of these families.
fn listens(socket: &OwnedFd, families: &[AddressFamily]) -> bool {
    let stream =
        getsockopt(socket, sockopt::SockType).is_ok_and(|kind| kind == nix::sys::socket::SockType::Stream);
    let accepts = getsockopt(socket, sockopt::AcceptConn).unwrap_or(false);
    let family = getsockname::<SockaddrStorage>(socket.as_raw_fd()).ok().and_then(|address| address.family());
    stream && accepts && family.is_some_and(|family| families.contains(&family))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inet() -> OwnedFd {
        TcpListener::bind("127.0.0.1:0").unwrap().into()
    }

    fn named(sockets: Vec<(&str, OwnedFd)>) -> Result<Sockets, SocketsError> {
        Sockets::sort(sockets.into_iter().map(|(name, socket)| (name.to_owned(), socket)).collect())
    }

    #[test]
    fn several_addresses_may_serve_clients() {
        let sockets = named(vec![("mcp", inet()), ("mcp", inet())]).unwrap();
        assert_eq!(sockets.addresses().len(), 2);
        assert!(sockets.addresses().iter().all(|address| address.starts_with("127.0.0.1:")));
    }

    #[test]
    fn refuses_sockets_of_the_wrong_kind() {
        let wrong = |name: &str| SocketsError::Kind { name: name.to_owned(), wanted: "Unix stream" };
        assert_eq!(named(vec![("admin", inet())]).unwrap_err(), wrong("admin"));
        let connected = std::os::unix::net::UnixStream::pair().unwrap().0;
        assert_eq!(named(vec![("relay", connected.into())]).unwrap_err(), wrong("relay"));
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(named(vec![("mcp", file.into())]).is_err());
    }

    #[test]
    fn refuses_unknown_names_and_nothing_at_all() {
        assert!(matches!(named(vec![("web", inet())]), Err(SocketsError::Name(_))));
        assert_eq!(named(vec![]).unwrap_err(), SocketsError::None);
    }
}
