//! What this machine and this start of the launcher offer to every launch.

use crate::cgroup::{Cgroups, Control, InstanceCgroup, Io};
use crate::credentials::Credentials;
use crate::launch::failure::{At, Failure};
use crate::state::StateDirectories;
use only1mcp_wire::enforced::Walls;
use only1mcp_wire::plan::{Bind, BindKind};
use only1mcp_wire::{Enforced, Mode, ServerPlan, Step, Wall};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where `only1mcp-init` stands inside.
pub const INIT_INSIDE: &str = "/opt/only1mcp/init";

/// What stands between a server and the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Namespaces of its own, and everything else behind them.
    Namespaces,
    /// Landlock, the filters and resource limits alone: minimal mode.
    LandlockOnly,
}

/// The lowest Landlock ABI of minimal mode: from it on signals and abstract sockets are governed.
pub const MINIMAL_LANDLOCK_ABI: u8 = 6;

/// What every launch needs of this machine.
#[derive(Debug)]
pub struct Machine {
    /// How the launcher runs.
    pub mode: Mode,
    /// What can be put around a server; nothing at all where namespaces are blocked and that was not
    /// accepted at the start.
    pub isolation: Option<Isolation>,
    /// The kernel's Landlock ABI; 0 without.
    pub landlock_abi: u8,
    /// A pidfd of the launcher itself.
    pub own_process: OwnedFd,
    /// Where `only1mcp-init` is.
    pub program_directory: PathBuf,
    /// The servers' writable directories.
    pub state: StateDirectories,
    /// The servers' secrets.
    pub credentials: Credentials,
    /// The subtree for the servers' cgroups.
    pub cgroups: Option<Cgroups>,
}

impl Machine {
    /// `only1mcp-init`, as it is bound into a sandbox.
    pub fn init(&self) -> Result<Bind, Failure> {
        init(&self.program_directory).at_subject(Step::Prepare, "only1mcp-init")
    }

    /// Whether memory, process and cpu limits can be set.
    #[must_use]
    pub fn cgroup_limits(&self) -> bool {
        self.cgroups.as_ref().is_some_and(|cgroups| cgroups.control == Control::Limits)
    }

    /// A cgroup for one server, if there can be one.
    pub fn cgroup(&mut self, plan: &ServerPlan, state: &Bind) -> Result<Option<InstanceCgroup>, Failure> {
        self.cgroups.as_mut().map(|cgroups| cgroups.instance(plan, state)).transpose()
    }

    /// What is enforced around a server that was started.
    #[must_use]
    pub fn enforced(&self, io: Io) -> Enforced {
        let mut walls = vec![Wall::Landlock, Wall::Seccomp, Wall::NoNewPrivileges, Wall::ResourceLimits];
        if self.isolation == Some(Isolation::Namespaces) {
            // Only inside a namespace of its own has a launch the right to empty the bounding set.
            walls.extend([
                Wall::NoCapabilities,
                Wall::UserNamespace,
                Wall::MountNamespace,
                Wall::PidNamespace,
            ]);
            walls.extend([
                Wall::NetworkNamespace,
                Wall::IpcNamespace,
                Wall::UtsNamespace,
                Wall::CgroupNamespace,
            ]);
        }
        if self.cgroup_limits() {
            walls.extend([Wall::MemoryLimit, Wall::ProcessLimit, Wall::CpuLimit]);
        }
        if self.cgroups.is_some() {
            walls.push(Wall::CgroupKill);
        }
        if io == Io::Limited {
            walls.push(Wall::IoLimit);
        }
        if matches!(self.mode, Mode::Root | Mode::System) {
            walls.push(Wall::OwnUid);
        }
        let unasked = if io == Io::Unasked { Walls::default().with(Wall::IoLimit) } else { Walls::default() };
        let walls = walls.into_iter().collect();
        Enforced { mode: self.mode, walls, unasked, landlock_abi: self.landlock_abi }
    }
}

/// `only1mcp-init` of this program directory, as a bind of every sandbox. Looked up anew for each launch:
/// the directory is trusted as this program is, and an upgrade may replace both.
fn init(program_directory: &Path) -> std::io::Result<Bind> {
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
