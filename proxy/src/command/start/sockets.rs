//! All listening sockets of the daemon. The supervisor alone binds: launcher and proxy get descriptors.

use crate::command::directories::{self, Directories};
use crate::command::exit_code::Exit;
use crate::command::failure::Failure;
use crate::command::limits::{LISTEN_ADDRESSES_MAX, SOCKET_BACKLOG, SOCKET_PATH_BYTES_MAX};
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
use nix::sys::stat::{Mode, fchmod};
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The sockets of one instance.
#[derive(Debug)]
pub struct Sockets {
    /// The launcher's.
    pub launch: OwnedFd,
    /// The proxy's, with their names.
    pub proxy: Vec<(OwnedFd, &'static str)>,
}

/// Binds all of them: TCP on `address`, the others in the runtime directory, owned by `owner`.
///
/// # Errors
/// Names the address or path that is taken or cannot be used.
pub fn bind_all(directories: &Directories, address: &str, owner: u32) -> Result<Sockets, Failure> {
    let mut proxy: Vec<(OwnedFd, &'static str)> =
        bind_tcp(address)?.into_iter().map(|listener| (listener.into(), "mcp")).collect();
    let owner = (directories.mode == directories::Mode::Root).then_some(owner);
    proxy.push((bind_unix(&directories.relay_socket(), SockType::Stream, owner)?, "relay"));
    proxy.push((bind_unix(&directories.admin_socket(), SockType::Stream, owner)?, "admin"));
    let launch = bind_unix(&directories.launch_socket(), SockType::SeqPacket, owner)?;
    Ok(Sockets { launch, proxy })
}

/// Removes what lies in the runtime directory, so that a look at it tells whether a daemon runs. The pid file
/// stays: it is the lock, and one that is removed could be held twice.
pub fn remove(directories: &Directories) {
    for path in [directories.relay_socket(), directories.admin_socket(), directories.launch_socket()] {
        // The next start replaces one that is left.
        let _ = std::fs::remove_file(path);
    }
}

fn bind_tcp(wanted: &str) -> Result<Vec<TcpListener>, Failure> {
    let mut addresses = resolve(wanted)?;
    addresses.truncate(LISTEN_ADDRESSES_MAX);
    if addresses.iter().all(|address| address.port() == 0) {
        // Each would get a port of its own.
        addresses.truncate(1);
    }
    let mut bound = Vec::new();
    for address in addresses {
        match TcpListener::bind(address) {
            Ok(listener) => {
                // Again, with more room for clients that wait; a refusal leaves the room there was.
                let _ = Backlog::new(SOCKET_BACKLOG).and_then(|backlog| listen(&listener, backlog));
                bound.push(listener);
            }
            // A machine without IPv6 still resolves localhost to ::1.
            Err(cause) if cause.kind() == io::ErrorKind::AddrNotAvailable && !bound.is_empty() => {}
            Err(cause) => return Err(not_bound(address, &cause)),
        }
    }
    Ok(bound)
}

fn resolve(listen: &str) -> Result<Vec<SocketAddr>, Failure> {
    let text = match listen.parse::<u16>() {
        Ok(port) => format!("127.0.0.1:{port}"),
        Err(_) => listen.to_owned(),
    };
    let found = text.to_socket_addrs().map(Iterator::collect::<Vec<_>>);
    match found {
        Ok(mut addresses) if !addresses.is_empty() => {
            addresses.sort_by_key(|address| !address.is_ipv4());
            addresses.dedup();
            Ok(addresses)
        }
        _ => Err(Failure::new(Exit::Usage, format!("{listen:?} is not an address to listen on"))
            .help("want HOST:PORT or a port, such as --listen 127.0.0.1:8080")),
    }
}

fn not_bound(address: SocketAddr, cause: &io::Error) -> Failure {
    match cause.kind() {
        io::ErrorKind::AddrInUse => {
            Failure::new(Exit::TemporaryFailure, format!("{address} is in use by another program"))
                .help(format!("choose another port, such as --listen {}", another(address)))
        }
        io::ErrorKind::PermissionDenied => {
            Failure::new(Exit::Permission, format!("cannot listen on {address}: {cause}"))
                .help("ports below 1024 need root; choose another with --listen ADDR")
        }
        _ => Failure::new(Exit::CannotCreate, format!("cannot listen on {address}: {cause}"))
            .help("choose an address of this machine with --listen ADDR"),
    }
}

fn another(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port().checked_add(1).unwrap_or(8080))
}

fn bind_unix(path: &Path, kind: SockType, owner: Option<u32>) -> Result<OwnedFd, Failure> {
    let length = path.as_os_str().as_bytes().len();
    if length > SOCKET_PATH_BYTES_MAX {
        let text =
            format!("{} has {length} bytes, a socket's path at most {SOCKET_PATH_BYTES_MAX}", path.display());
        return Err(
            Failure::new(Exit::Config, text).help("choose a shorter directory with --runtime-dir DIR")
        );
    }
    listening(path, kind, owner).map_err(|cause| {
        Failure::new(Exit::CannotCreate, format!("cannot create socket {}: {cause}", path.display()))
    })
}

fn listening(path: &Path, kind: SockType, owner: Option<u32>) -> io::Result<OwnedFd> {
    // We hold the directory's lock, so what lies there is a former instance's.
    match std::fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
        _ => {}
    }
    let made = socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC, None)?;
    // The file takes the mode of the unbound socket: never, not for an instant, is it open to others.
    fchmod(&made, Mode::from_bits_truncate(0o600))?;
    bind(made.as_raw_fd(), &UnixAddr::new(path)?)?;
    if let Some(uid) = owner {
        std::os::unix::fs::lchown(path, Some(uid), Some(uid))?;
    }
    listen(&made, Backlog::new(SOCKET_BACKLOG)?)?;
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn a_port_alone_means_loopback() {
        assert_eq!(resolve("8080").unwrap(), ["127.0.0.1:8080".parse().unwrap()]);
        assert_eq!(resolve("[::1]:1").unwrap(), ["[::1]:1".parse().unwrap()]);
        assert_eq!(resolve("nonsense").unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn a_port_in_use_is_named_with_the_mend() {
        let taken = bind_tcp("127.0.0.1:0").unwrap().remove(0).local_addr().unwrap();
        let holder = TcpListener::bind(taken).unwrap();
        let failure = bind_tcp(&taken.to_string()).unwrap_err();
        drop(holder);
        assert_eq!(failure.exit, Exit::TemporaryFailure);
        let text = failure.to_string();
        assert!(text.contains(&taken.to_string()) && text.contains("--listen 127.0.0.1:"), "{text}");
    }

    #[test]
    fn sockets_are_for_their_owner_alone_and_a_stale_one_is_replaced() {
        let path = std::env::temp_dir().join(format!("only1mcp-socket-{}", std::process::id()));
        std::fs::write(&path, "stale").unwrap();
        let socket = bind_unix(&path, SockType::SeqPacket, None).unwrap();
        let mode = std::fs::metadata(&path).unwrap().mode() & 0o777;
        drop(socket);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(mode, 0o600);
    }

    #[test]
    fn a_path_too_long_for_a_socket_is_explained() {
        let path = Path::new("/tmp").join("d".repeat(120)).join("relay.sock");
        let text = bind_unix(&path, SockType::Stream, None).unwrap_err().to_string();
        assert!(text.contains("--runtime-dir"), "{text}");
    }
}
