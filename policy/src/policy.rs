//! A checked policy: a profile and what an operator changed about it, with nothing left open.

use crate::document::policy::{LimitsDocument, PolicyDocument};
use crate::files::Status;
use crate::finding::Place;
use crate::floor::Access;
use crate::limits::{SCRATCH_BYTES_PER_INODE, SCRATCH_INODES};
use crate::profile::Profile;
use crate::view::ToolRules;
use only1mcp_wire::plan::{Limits, Requires};

/// What a server may touch. Only [`crate::check`] makes one.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Its name, as the configuration calls it.
    pub name: String,
    /// The profile it starts from.
    pub profile: Profile,
    /// Files of the host, checked against the floor.
    pub grants: Vec<Grant>,
    /// Whether memory may be written and executed.
    pub jit: bool,
    /// The limits.
    pub limits: Limits,
    /// Bytes of each tmpfs.
    pub scratch_bytes: u64,
    /// What must stand.
    pub requires: Requires,
    /// Which tools may be called.
    pub tools: ToolRules,
}

/// A path of the host that a policy grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The path, without symbolic links.
    pub path: String,
    /// How it may be used.
    pub access: Access,
    /// What it is.
    pub status: Status,
    /// Where the policy says so.
    pub place: Place,
}

impl Policy {
    /// `profile`, with what `document` changes about it. An absent key means what the profile says;
    /// an empty list means nothing.
    #[must_use]
    pub fn merge(
        name: &str,
        profile: Profile,
        document: Option<&PolicyDocument>,
        grants: Vec<Grant>,
    ) -> Self {
        let own = document.map(|document| document.limits.clone()).unwrap_or_default();
        let tools = document.map(|document| document.tools.clone()).unwrap_or_default();
        let requires = document.map(|document| document.requires.clone()).unwrap_or_default();
        let base = &profile.limits;
        Self {
            name: name.to_owned(),
            grants,
            jit: document.and_then(|document| document.jit.as_ref()).map_or(profile.jit, |jit| jit.value),
            limits: limits(&own, base),
            scratch_bytes: own.scratch.or(base.scratch).unwrap_or_default(),
            requires: Requires {
                cgroup: requires.cgroup.or(profile.requires.cgroup).unwrap_or_default(),
                landlock_abi: small(requires.landlock.or(profile.requires.landlock)),
            },
            tools: ToolRules {
                allow: tools.allow.or_else(|| profile.tools.allow.clone()).unwrap_or_default(),
                deny: tools.deny.or_else(|| profile.tools.deny.clone()).unwrap_or_default(),
            },
            profile,
        }
    }

    /// How many files each tmpfs may hold.
    #[must_use]
    pub fn scratch_inodes(&self) -> u64 {
        (self.scratch_bytes / SCRATCH_BYTES_PER_INODE).clamp(*SCRATCH_INODES.start(), *SCRATCH_INODES.end())
    }
}

/// A number that the reader has bounded already.
fn small<T: TryFrom<u64> + Default>(number: Option<u64>) -> T {
    number.and_then(|number| T::try_from(number).ok()).unwrap_or_default()
}

fn limits(own: &LimitsDocument, base: &LimitsDocument) -> Limits {
    Limits {
        memory_bytes: own.memory.or(base.memory).unwrap_or_default(),
        processes: small(own.processes.or(base.processes)),
        cpu_percent: small(own.cpu.or(base.cpu)),
        open_files: small(own.open_files.or(base.open_files)),
        file_bytes: own.file_size.or(base.file_size).unwrap_or_default(),
        io_read_bytes: own.io_read.or(base.io_read),
        io_write_bytes: own.io_write.or(base.io_write),
    }
}
