//! Asks the kernel which uid made the socket at the other end of a loopback connection
//! (`NETLINK_SOCK_DIAG`, one exact look-up per connection). The messages are laid out by hand.

use nix::errno::Errno;
use nix::libc::uid_t;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
/// Only a socket in this state certainly still has its owner: the kernel answers uid 0 for one in
/// TIME_WAIT, and a listener of somebody else's if there is no connection.
const TCP_ESTABLISHED: u8 = 1;
const HEADER_BYTES: usize = 16;
const REQUEST_BYTES: usize = HEADER_BYTES + 56;
/// Replies that belong to nobody are skipped, but not for ever.
const REPLIES_MAX: usize = 8;

/// A netlink socket, opened before the proxy locks itself.
#[derive(Debug)]
pub struct SockDiag(Mutex<Asking>);

#[derive(Debug)]
struct Asking {
    socket: OwnedFd,
    sequence: u32,
}

impl SockDiag {
    /// Opens the socket.
    ///
    /// # Errors
    /// If the kernel has no such sockets or they are forbidden.
    pub fn open() -> nix::Result<Self> {
        // The kernel answers before the request's system call returns, so an empty queue means no answer.
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let protocol = SockProtocol::NetlinkSockDiag;
        let socket = socket(AddressFamily::Netlink, SockType::Datagram, flags, protocol)?;
        Ok(Self(Mutex::new(Asking { socket, sequence: 0 })))
    }

    /// The uid of the socket at `remote` that is connected to `local`, if there is one.
    ///
    /// # Errors
    /// If the kernel cannot be asked.
    pub fn uid_of(&self, remote: SocketAddr, local: SocketAddr) -> nix::Result<Option<uid_t>> {
        let mut asking = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        asking.sequence = asking.sequence.wrapping_add(1);
        let sequence = asking.sequence;
        let Some(request) = request(sequence, remote, local) else { return Ok(None) };
        let socket = asking.socket.as_raw_fd();
        sendto(socket, &request, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
        for _ in 0..REPLIES_MAX {
            let mut reply = [0; 512];
            let length = recv(socket, &mut reply, MsgFlags::empty())?;
            if let Some(answer) = reply.get(..length).and_then(|reply| read(reply, sequence)) {
                return answer;
            }
        }
        Err(Errno::EPROTO)
    }
}

/// `struct nlmsghdr` and `struct inet_diag_req_v2`: which socket has `remote` as its own address?
fn request(sequence: u32, remote: SocketAddr, local: SocketAddr) -> Option<Vec<u8>> {
    let (family, source, target) = match (remote.ip().to_canonical(), local.ip().to_canonical()) {
        (IpAddr::V4(source), IpAddr::V4(target)) => {
            (AF_INET, padded(&source.octets()), padded(&target.octets()))
        }
        (IpAddr::V6(source), IpAddr::V6(target)) => {
            (AF_INET6, padded(&source.octets()), padded(&target.octets()))
        }
        _ => return None,
    };
    let mut out = Vec::with_capacity(REQUEST_BYTES);
    out.extend_from_slice(&u32::try_from(REQUEST_BYTES).ok()?.to_ne_bytes());
    out.extend_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    out.extend_from_slice(&NLM_F_REQUEST.to_ne_bytes());
    out.extend_from_slice(&sequence.to_ne_bytes());
    out.extend_from_slice(&0_u32.to_ne_bytes());
    out.extend_from_slice(&[family, IPPROTO_TCP, 0, 0]);
    out.extend_from_slice(&u32::MAX.to_ne_bytes());
    out.extend_from_slice(&remote.port().to_be_bytes());
    out.extend_from_slice(&local.port().to_be_bytes());
    out.extend_from_slice(&source);
    out.extend_from_slice(&target);
    // Any interface; any cookie.
    out.extend_from_slice(&0_u32.to_ne_bytes());
    out.extend_from_slice(&[0xff; 8]);
    Some(out)
}

fn padded(octets: &[u8]) -> [u8; 16] {
    let mut out = [0; 16];
    out.iter_mut().zip(octets).for_each(|(to, from)| *to = *from);
    out
}

/// What a reply says; nothing if it answers another request.
fn read(reply: &[u8], sequence: u32) -> Option<nix::Result<Option<uid_t>>> {
    let kind = u16::from_ne_bytes(field(reply, 4)?);
    if u32::from_ne_bytes(field(reply, 8)?) != sequence {
        return None;
    }
    match kind {
        SOCK_DIAG_BY_FAMILY => {
            // `struct inet_diag_msg`: the state is its second byte, the uid comes after 64 bytes.
            let [state] = field(reply, HEADER_BYTES + 1)?;
            let uid = u32::from_ne_bytes(field(reply, HEADER_BYTES + 64)?);
            Some(Ok((state == TCP_ESTABLISHED).then_some(uid)))
        }
        NLMSG_ERROR => {
            match Errno::from_raw(i32::from_ne_bytes(field(reply, HEADER_BYTES)?).wrapping_neg()) {
                Errno::ENOENT => Some(Ok(None)),
                errno => Some(Err(errno)),
            }
        }
        _ => None,
    }
}

fn field<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    fn own_uid_over(address: &str) {
        let listener = TcpListener::bind(address).unwrap();
        let local = listener.local_addr().unwrap();
        let client = TcpStream::connect(local).unwrap();
        let (_server, remote) = listener.accept().unwrap();
        let diag = SockDiag::open().unwrap();
        let own = nix::unistd::geteuid().as_raw();
        assert_eq!(diag.uid_of(remote, local), Ok(Some(own)));
        drop(client);
        assert_eq!(diag.uid_of(remote, local), Ok(None), "its owner is gone");
    }

    #[test]
    fn knows_the_uid_at_the_other_end_of_a_connection() {
        own_uid_over("127.0.0.1:0");
        own_uid_over("[::1]:0");
    }

    #[test]
    fn knows_nobody_where_there_is_no_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listener.local_addr().unwrap();
        let nowhere = SocketAddr::new(here.ip(), 1);
        let diag = SockDiag::open().unwrap();
        assert_eq!(diag.uid_of(nowhere, here), Ok(None));
        assert_eq!(diag.uid_of(here, nowhere), Ok(None), "a listener is no connection");
    }
}
