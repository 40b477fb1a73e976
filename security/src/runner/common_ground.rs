//! Canaries that are no files: System V memory of the host, and a key that whoever is started by us inherits.

use crate::attempts::common_ground::KEY;
use crate::call;

/// A segment of System V memory. The kernel removes it with this process, at the latest.
pub struct Segment {
    number: i64,
    address: i64,
}

impl Segment {
    /// Makes one that every uid may attach to; `None` where the kernel has none.
    #[must_use]
    pub fn new() -> Option<Self> {
        const BYTES: i32 = 4096;
        let number = call!(libc::SYS_shmget, libc::IPC_PRIVATE, BYTES, libc::IPC_CREAT | 0o666).ok()?;
        let address = call!(libc::SYS_shmat, number, 0, 0);
        // From here on it lives as long as somebody is attached.
        let _ = call!(libc::SYS_shmctl, number, libc::IPC_RMID, 0);
        Some(Self { number, address: address.ok()? })
    }

    /// What the kernel calls it.
    #[must_use]
    pub const fn number(&self) -> i64 {
        self.number
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        let _ = call!(libc::SYS_shmdt, self.address);
    }
}

/// Gives this thread, and whoever it starts, a session keyring with a key in it. Where the kernel has no keyrings
/// the attempt's control fails, and says so.
pub fn plant_key() {
    const JOIN_SESSION_KEYRING: i32 = 1;
    const SESSION: i32 = -3;
    let _ = call!(libc::SYS_keyctl, JOIN_SESSION_KEYRING, 0, 0, 0, 0);
    let _ = call!(libc::SYS_add_key, c"user", KEY, b"canary".as_slice(), 6, SESSION);
}
