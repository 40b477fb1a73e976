//! The proxy's connection: who it is, one packet in, packets out without ever waiting for it.

use crate::kernel::network;
use crate::limits::OUTBOX_MESSAGES_MAX;
use nix::errno::Errno;
use nix::sys::socket::sockopt::{PeerCredentials, PeerPidfd};
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, getsockopt, recvmsg, sendmsg};
use nix::unistd::getuid;
use only1mcp_wire::limits::MESSAGE_BYTES_MAX;
use only1mcp_wire::message::FromLauncher;
use only1mcp_wire::{DecodeError, Mode, Request};
use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use thiserror::Error;

/// How a uid reads that the launcher's user namespace does not map: the proxy's, in root mode.
const UNMAPPED_UID: u32 = 65534;

/// Why a connection ends.
#[derive(Debug, Error)]
pub enum PeerError {
    /// The proxy closed it, or ended.
    #[error("the proxy closed its connection")]
    Closed,
    /// Somebody else connected.
    #[error("a process of uid {0} connected")]
    Stranger(u32),
    /// It sent something that is no request.
    #[error("the proxy sent no request: {0}")]
    Malformed(#[from] DecodeError),
    /// It sent descriptors.
    #[error("the proxy sent descriptors")]
    Descriptors,
    /// It asked out of order.
    #[error("the proxy asked {0}")]
    Order(&'static str),
    /// It does not read its answers.
    #[error("the proxy does not read its answers")]
    Deaf,
    /// The kernel's.
    #[error("the connection to the proxy: {0}")]
    Kernel(#[from] Errno),
}

/// A message on its way out.
#[derive(Debug)]
struct Outgoing {
    packet: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

/// The one connection.
#[derive(Debug)]
pub struct Peer {
    socket: OwnedFd,
    process: Option<OwnedFd>,
    outbox: VecDeque<Outgoing>,
    /// Whether HELLO came.
    pub greeted: bool,
}

impl Peer {
    /// Accepts a connection, if it is the proxy's.
    ///
    /// # Errors
    /// [`PeerError::Stranger`] or the kernel's; then nothing is left of it.
    pub fn accept(listener: BorrowedFd<'_>, mode: Mode) -> Result<Self, PeerError> {
        let socket = network::accept(listener)?;
        let uid = getsockopt(&socket, PeerCredentials)?.uid();
        // Who may connect at all is decided by the socket's mode; this only looks again.
        let expected = uid == getuid().as_raw() || (mode != Mode::User && uid == UNMAPPED_UID);
        if !expected {
            return Err(PeerError::Stranger(uid));
        }
        // Older kernels let descriptors through; `receive` takes none in any case.
        let _: nix::Result<()> = network::refuse_descriptors(socket.as_fd());
        // Since Linux 6.5. Without it the end of the connection tells the end of the proxy.
        let process = getsockopt(&socket, PeerPidfd).ok();
        Ok(Self { socket, process, outbox: VecDeque::new(), greeted: false })
    }

    /// What to poll for requests.
    #[must_use]
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// What to poll for the end of the process that connected.
    #[must_use]
    pub fn process(&self) -> Option<BorrowedFd<'_>> {
        self.process.as_ref().map(AsFd::as_fd)
    }

    /// Whether messages wait for the proxy to read.
    #[must_use]
    pub fn has_unsent(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// One request, if there is one.
    ///
    /// # Errors
    /// [`PeerError`]: the connection must be closed.
    pub fn receive(&self) -> Result<Option<(u32, Request)>, PeerError> {
        // One byte more than allowed, so that a longer message is not taken for a full one.
        let mut buffer = [0; MESSAGE_BYTES_MAX + 1];
        let (count, flags) = {
            let mut slices = [IoSliceMut::new(&mut buffer)];
            // No room for descriptors: the kernel installs none and says that something was cut off.
            let received = recvmsg::<SockaddrStorage>(
                self.socket.as_raw_fd(),
                &mut slices,
                None,
                MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT,
            );
            match received {
                Ok(message) => (message.bytes, message.flags),
                Err(Errno::EAGAIN | Errno::EINTR) => return Ok(None),
                Err(Errno::ECONNRESET) => return Err(PeerError::Closed),
                Err(errno) => return Err(errno.into()),
            }
        };
        if flags.contains(MsgFlags::MSG_CTRUNC) {
            return Err(PeerError::Descriptors);
        }
        if count == 0 {
            return Err(PeerError::Closed);
        }
        if flags.contains(MsgFlags::MSG_TRUNC) {
            return Err(DecodeError::TooLong("message").into());
        }
        Ok(Some(Request::from_packet(buffer.get(..count).unwrap_or_default())?))
    }

    /// Queues a message and sends what can be sent.
    ///
    /// # Errors
    /// [`PeerError`]: the connection must be closed.
    pub fn send(&mut self, message: &FromLauncher, descriptors: Vec<OwnedFd>) -> Result<(), PeerError> {
        if self.outbox.len() >= OUTBOX_MESSAGES_MAX {
            return Err(PeerError::Deaf);
        }
        self.outbox.push_back(Outgoing { packet: message.to_packet(), descriptors });
        self.flush()
    }

    /// Sends what can be sent.
    ///
    /// # Errors
    /// [`PeerError`]: the connection must be closed.
    pub fn flush(&mut self) -> Result<(), PeerError> {
        while let Some(outgoing) = self.outbox.front() {
            let numbers: Vec<RawFd> = outgoing.descriptors.iter().map(AsRawFd::as_raw_fd).collect();
            let rights = [ControlMessage::ScmRights(&numbers)];
            let control = if numbers.is_empty() { &[][..] } else { &rights };
            let packet = [IoSlice::new(&outgoing.packet)];
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
            match sendmsg::<()>(self.socket.as_raw_fd(), &packet, control, flags, None) {
                Ok(_) => drop(self.outbox.pop_front()),
                Err(Errno::EAGAIN | Errno::EINTR) => return Ok(()),
                Err(Errno::EPIPE | Errno::ECONNRESET) => return Err(PeerError::Closed),
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

    /// What a kernel lets through that cannot refuse descriptors: as many as one message carries.
    #[test]
    fn i07_descriptors_that_the_kernel_carries_end_the_connection_and_are_not_taken() {
        let (own, proxy) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap();
        let peer = Peer { socket: own, process: None, outbox: VecDeque::new(), greeted: false };
        // A file that nothing else here has open: its links in /proc count it.
        let (end, _other) = nix::unistd::pipe().unwrap();
        let name = std::fs::read_link(format!("/proc/self/fd/{}", end.as_raw_fd())).unwrap();
        let held = || {
            let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
            open.filter(|entry| std::fs::read_link(entry.path()).is_ok_and(|link| link == name)).count()
        };
        let packet = Request::Hello.to_packet(1);
        for count in [1, 16, 17, 253] {
            let before = held();
            let numbers = vec![end.as_raw_fd(); count];
            let control = [ControlMessage::ScmRights(&numbers)];
            let slices = [IoSlice::new(&packet)];
            sendmsg::<()>(proxy.as_raw_fd(), &slices, &control, MsgFlags::empty(), None).unwrap();
            assert!(matches!(peer.receive(), Err(PeerError::Descriptors)), "{count}");
            assert_eq!(held(), before, "{count}");
        }
    }
}
