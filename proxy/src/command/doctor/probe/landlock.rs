//! Landlock at the kernel's full level, and the two known ways around its TCP rules.

use landlock::{
    ABI, Access, AccessFs, AccessNet, Erratum, LandlockStatus, RestrictionStatus, Ruleset, RulesetAttr,
    RulesetError, RulesetStatus, Scope,
};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, connect, sendto, socket,
};
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::AsRawFd;

/// Allows ourselves nothing, and opens a file. Says the ABI and the bits of errata that are mended.
pub(super) fn refuse_a_file() -> Result<String, Errno> {
    let status = restrict().map_err(|_| Errno::ENOSYS)?;
    let LandlockStatus::Available { effective_abi, kernel_abi } = status.landlock else {
        return Err(Errno::EOPNOTSUPP);
    };
    if status.ruleset == RulesetStatus::NotEnforced {
        return Err(Errno::EOPNOTSUPP);
    }
    match File::open("/") {
        Err(cause) if cause.kind() == io::ErrorKind::PermissionDenied => {
            let abi = kernel_abi.unwrap_or(effective_abi as i32);
            Ok(format!("{abi} {}", Erratum::current().bits()))
        }
        // In force by its own account, and yet not.
        _ => Err(Errno::ENOSYS),
    }
}

fn restrict() -> Result<RestrictionStatus, RulesetError> {
    Ruleset::default()
        .handle_access(AccessFs::from_all(ABI::V10))?
        .handle_access(AccessNet::from_all(ABI::V4))?
        .scope(Scope::from_all(ABI::V10))?
        .create()?
        .restrict_self()
}

/// Sends data to a forbidden port with the first packet. Success means that Landlock let it.
pub(super) fn connect_by_fast_open() -> Result<String, Errno> {
    let target = forbidden_port()?;
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, SockProtocol::Tcp)?;
    let fast_open = MsgFlags::from_bits_retain(nix::libc::MSG_FASTOPEN);
    sendto(socket.as_raw_fd(), b"x", &SockaddrIn::from(target), fast_open)?;
    Ok(String::new())
}

/// Connects to a forbidden port by multipath TCP. Success means that Landlock let it.
pub(super) fn connect_by_multipath() -> Result<String, Errno> {
    let target = forbidden_port()?;
    let made = rustix::net::socket(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::STREAM,
        Some(rustix::net::ipproto::MPTCP),
    );
    let socket = made.map_err(|errno| Errno::from_raw(errno.raw_os_error()))?;
    connect(socket.as_raw_fd(), &SockaddrIn::from(target))?;
    Ok(String::new())
}

/// A port somebody listens on, and that we may no longer connect to: tried.
fn forbidden_port() -> Result<SocketAddrV4, Errno> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|_| Errno::EADDRNOTAVAIL)?;
    let Ok(SocketAddr::V4(target)) = listener.local_addr() else { return Err(Errno::EADDRNOTAVAIL) };
    // Whoever listens must outlive this function; the process ends soon.
    std::mem::forget(listener);
    restrict().map_err(|_| Errno::ENOSYS)?;
    match TcpStream::connect(target) {
        Err(cause) if cause.kind() == io::ErrorKind::PermissionDenied => Ok(target),
        // Landlock below ABI 4 has no rule to get around.
        _ => Err(Errno::EOPNOTSUPP),
    }
}
