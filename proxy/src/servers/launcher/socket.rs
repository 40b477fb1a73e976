//! The SEQPACKET socket to the launcher: whole packets, and the descriptors that come with them.

use super::LauncherError;
use crate::limits::VIEW_BYTES_MAX;
use only1mcp_wire::limits::{DESCRIPTORS_MAX, MESSAGE_BYTES_MAX};
use only1mcp_wire::message::FromLauncher;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use tokio_seqpacket::UnixSeqpacket;
use tokio_seqpacket::ancillary::OwnedAncillaryMessage;

/// Room for the control message that carries the descriptors: header, numbers, padding.
const ANCILLARY_BYTES: usize = 64 + DESCRIPTORS_MAX * size_of::<i32>();

/// The socket.
#[derive(Debug)]
pub struct Socket(UnixSeqpacket);

/// One packet of the launcher.
#[derive(Debug)]
pub struct Packet {
    /// What it says.
    pub message: FromLauncher,
    /// What came with it.
    pub descriptors: Vec<OwnedFd>,
}

impl Socket {
    /// Connects to the launcher's socket.
    pub async fn connect(path: &Path) -> io::Result<Self> {
        UnixSeqpacket::connect(path).await.map(Self)
    }

    /// Sends one packet.
    pub async fn send(&self, packet: &[u8]) -> io::Result<()> {
        let sent = self.0.send(packet).await?;
        if sent == packet.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    /// Receives one packet; nothing when the launcher has closed the connection. May be dropped and
    /// called again without losing a packet.
    pub async fn receive(&self) -> Result<Option<Packet>, LauncherError> {
        let mut bytes = [0; MESSAGE_BYTES_MAX];
        let mut control = [0; ANCILLARY_BYTES];
        let (count, descriptors) = {
            let mut slices = [IoSliceMut::new(&mut bytes)];
            let (info, ancillary) = self.0.recv_vectored_with_ancillary(&mut slices, &mut control).await?;
            if info.truncated() || info.ancillary_truncated() {
                return Err(LauncherError::Protocol("a packet is too long".to_owned()));
            }
            let mut descriptors = Vec::new();
            for message in ancillary.into_messages() {
                if let OwnedAncillaryMessage::FileDescriptors(received) = message {
                    descriptors.extend(received);
                }
            }
            (info.bytes_read(), descriptors)
        };
        if count == 0 {
            return Ok(None);
        }
        let message = FromLauncher::from_packet(bytes.get(..count).unwrap_or_default())
            .map_err(|error| LauncherError::Protocol(error.to_string()))?;
        Ok(Some(Packet { message, descriptors }))
    }
}

/// The content of a memfd. Its offset is shared with the launcher and left alone.
pub fn read_memfd(memfd: OwnedFd) -> Result<Vec<u8>, LauncherError> {
    let file = File::from(memfd);
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    if length > VIEW_BYTES_MAX {
        return Err(LauncherError::Protocol("the view is too long".to_owned()));
    }
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}
