//! Who a server is outside: the id maps of its user namespace.

use super::failure::{At, Failure};
use crate::confine::namespaces::SupplementaryGroups;
use nix::errno::Errno;
use only1mcp_wire::Step;
use only1mcp_wire::plan::INSIDE_UID;

/// The one uid and gid of a server, as the host sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The launcher's own: a person's servers are the person.
    Own {
        /// The launcher's uid.
        uid: u32,
        /// The launcher's gid.
        gid: u32,
    },
    /// A uid of the pool, and the gid of the same number, which nobody else has.
    Pool(u32),
}

impl Identity {
    /// What becomes of the launcher's supplementary groups.
    #[must_use]
    pub fn groups(self) -> SupplementaryGroups {
        match self {
            Self::Own { .. } => SupplementaryGroups::Keep,
            Self::Pool(_) => SupplementaryGroups::Drop,
        }
    }

    /// Writes the id maps of a child that waits for them.
    pub fn map(self, child: u32) -> Result<(), Failure> {
        let (uid, gid) = match self {
            Self::Own { uid, gid } => {
                // The kernel asks for this of whoever may not change groups at will.
                write(child, "setgroups", "deny")?;
                (uid, gid)
            }
            Self::Pool(uid) => (uid, uid),
        };
        write(child, "uid_map", &format!("{INSIDE_UID} {uid} 1\n"))?;
        write(child, "gid_map", &format!("{INSIDE_UID} {gid} 1\n"))
    }
}

fn write(child: u32, file: &str, text: &str) -> Result<(), Failure> {
    // The child is not reaped yet, so its number cannot mean another process.
    let written = std::fs::write(format!("/proc/{child}/{file}"), text);
    written
        .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
        .at_subject(Step::MapIds, file)
}
