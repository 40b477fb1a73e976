//! What names a process, and whose it is.

use crate::codec::{Decode, DecodeError, Encode, Reader};

/// Who shares one process and one state directory: zero for all, else derived by the proxy.
///
/// The proxy asserts it; the launcher only uses it to choose `state/NAME/PARTITION` and a uid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition(pub [u8; 16]);

impl Partition {
    /// The partition shared by all clients.
    pub const SHARED: Self = Self([0; 16]);
}

impl std::fmt::Display for Partition {
    /// `shared`, or 32 hexadecimal digits: also the name of the state directory.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if *self == Self::SHARED {
            return f.write_str("shared");
        }
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// One running server; random, never reused while the launcher lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceId(pub u64);

impl std::fmt::Display for InstanceId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Encode for Partition {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Decode for Partition {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Decode::decode(reader).map(Self)
    }
}

impl Encode for InstanceId {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Decode for InstanceId {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Decode::decode(reader).map(Self)
    }
}
