//! What this machine and this start of the launcher offer to every launch.

use crate::cgroup::{Cgroups, Control, InstanceCgroup};
use crate::credentials::Credentials;
use crate::launch::failure::Failure;
use crate::state::StateDirectories;
use only1mcp_wire::enforced::Walls;
use only1mcp_wire::plan::{Bind, BindKind, Limits};
use only1mcp_wire::{Enforced, Mode, ServerName, Wall};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Where `only1mcp-init` stands inside.
pub const INIT_INSIDE: &str = "/opt/only1mcp/init";

/// What every launch needs of this machine.
#[derive(Debug)]
pub struct Machine {
    /// How the launcher runs.
    pub mode: Mode,
    /// The kernel's Landlock ABI; 0 without.
    pub landlock_abi: u8,
    /// A pidfd of the launcher itself.
    pub own_process: OwnedFd,
    /// `only1mcp-init`, as it is bound into every sandbox.
    pub init: Bind,
    /// The servers' writable directories.
    pub state: StateDirectories,
    /// The servers' secrets.
    pub credentials: Credentials,
    /// The subtree for the servers' cgroups.
    pub cgroups: Option<Cgroups>,
}

impl Machine {
    /// Whether memory, process and cpu limits can be set.
    #[must_use]
    pub fn cgroup_limits(&self) -> bool {
        self.cgroups.as_ref().is_some_and(|cgroups| cgroups.control == Control::Limits)
    }

    /// A cgroup for one server, if there can be one.
    pub fn cgroup(&mut self, name: &ServerName, limits: &Limits) -> Result<Option<InstanceCgroup>, Failure> {
        self.cgroups.as_mut().map(|cgroups| cgroups.instance(name, limits)).transpose()
    }

    /// What is enforced around every server that was started.
    #[must_use]
    pub fn enforced(&self) -> Enforced {
        let always = [
            Wall::UserNamespace,
            Wall::MountNamespace,
            Wall::PidNamespace,
            Wall::NetworkNamespace,
            Wall::IpcNamespace,
            Wall::UtsNamespace,
            Wall::CgroupNamespace,
            Wall::Landlock,
            Wall::Seccomp,
            Wall::NoNewPrivileges,
            Wall::NoCapabilities,
            Wall::ResourceLimits,
        ];
        let limits = [Wall::MemoryLimit, Wall::ProcessLimit, Wall::CpuLimit];
        let walls = always
            .into_iter()
            .chain(limits.into_iter().filter(|_| self.cgroup_limits()))
            .chain((self.mode != Mode::User).then_some(Wall::OwnUid))
            .chain(self.cgroups.as_ref().map(|_| Wall::CgroupKill))
            .collect::<Walls>();
        Enforced { mode: self.mode, walls, landlock_abi: self.landlock_abi }
    }
}

/// `only1mcp-init` of this program directory, as a bind of every sandbox.
///
/// # Errors
/// The kernel's, if it is not there.
pub fn init(program_directory: &Path) -> std::io::Result<Bind> {
    let path = program_directory.join("only1mcp-init").canonicalize()?;
    let found = path.metadata()?;
    Ok(Bind {
        source: path.into_os_string().into_string().map_err(|_| std::io::ErrorKind::InvalidFilename)?,
        target: INIT_INSIDE.to_owned(),
        kind: BindKind::File,
        device: found.dev(),
        inode: found.ino(),
        writable: false,
        executable: true,
    })
}
