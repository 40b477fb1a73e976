//! Packets that no encoder of ours would write.

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use only1mcp_wire::message::{MAGIC, VERSION};
use std::io::IoSlice;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// A packet, field by field.
#[derive(Clone, Debug)]
pub struct Forged {
    pub magic: u32,
    pub version: u16,
    pub operation: u16,
    pub id: u32,
    /// The length it claims; its real one if there is none.
    pub length: Option<u32>,
    pub body: Vec<u8>,
}

impl Forged {
    /// A packet that is sound but for what it asks.
    pub fn new(operation: u16, body: Vec<u8>) -> Self {
        Self { magic: MAGIC, version: VERSION, operation, id: 2, length: None, body }
    }

    /// A SPAWN for a name of any bytes, with whatever follows it.
    pub fn spawn(name: &[u8], generation: u64, more: &[u8]) -> Self {
        let mut body = u32::try_from(name.len()).unwrap().to_le_bytes().to_vec();
        body.extend_from_slice(name);
        body.extend_from_slice(&generation.to_le_bytes());
        body.extend_from_slice(&[0; 16]);
        body.extend_from_slice(more);
        Self::new(4, body)
    }

    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let length = self.length.unwrap_or(u32::try_from(self.body.len()).unwrap());
        let mut bytes = self.magic.to_le_bytes().to_vec();
        bytes.extend_from_slice(&self.version.to_le_bytes());
        bytes.extend_from_slice(&self.operation.to_le_bytes());
        bytes.extend_from_slice(&self.id.to_le_bytes());
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// Sends bytes with these descriptors.
pub fn send_with(socket: &OwnedFd, bytes: &[u8], descriptors: &[RawFd]) -> nix::Result<usize> {
    let control = [ControlMessage::ScmRights(descriptors)];
    sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(bytes)], &control, MsgFlags::MSG_NOSIGNAL, None)
}
