//! cgroup v2: limits and the kill of a whole server, by plain files of a subtree that is ours to write.
//!
//! Layout below the cgroup the launcher was started in: `only1mcp-PID/supervisor` holds the launcher,
//! `only1mcp-PID/i-NAME-N` one server each. cgroup v1 is never touched.

mod counters;
mod disks;
mod instance;
mod subtree;
mod throttle;

pub use instance::{InstanceCgroup, Io};
pub use subtree::claim;

use crate::launch::failure::Failure;
use only1mcp_wire::ServerPlan;
use only1mcp_wire::plan::Bind;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// The controllers without which there are no limits.
const CONTROLLERS: [&str; 3] = ["memory", "pids", "cpu"];
/// The controller that only a limit of `io` needs.
const IO_CONTROLLER: &str = "io";
/// No file we read here is longer.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Whether memory, process and cpu limits can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// They can.
    Limits,
    /// The controllers are not here; a cgroup can only be killed as a whole.
    KillOnly,
}

/// The subtree in which servers get a cgroup each.
#[derive(Debug)]
pub struct Cgroups {
    base: PathBuf,
    path: PathBuf,
    /// What can be done in it.
    pub control: Control,
    made: u64,
    /// Of servers that have ended, but not empty yet.
    left: Vec<InstanceCgroup>,
}

impl Cgroups {
    /// Makes the cgroup of one server, limits in force before anything runs in it.
    ///
    /// # Errors
    /// [`Failure`] at [`only1mcp_wire::Step::Cgroup`].
    pub fn instance(&mut self, plan: &ServerPlan, state: &Bind) -> Result<InstanceCgroup, Failure> {
        self.made += 1;
        let path = self.path.join(format!("i-{}-{}", plan.name, self.made));
        InstanceCgroup::make(path, self.control, plan, state)
    }

    /// Removes the cgroup of a server that has ended. What the kernel still holds is removed by [`Cgroups::tidy`].
    pub fn bury(&mut self, cgroup: InstanceCgroup) {
        if !cgroup.remove() {
            self.left.push(cgroup);
        }
    }

    /// Removes what was not empty before.
    pub fn tidy(&mut self) {
        self.left.retain(|cgroup| !cgroup.remove());
    }

    /// Whether the cgroup of a server that has ended is still there.
    #[must_use]
    pub fn has_left(&self) -> bool {
        !self.left.is_empty()
    }

    /// Hands the subtree to the uid the launcher is about to become.
    ///
    /// # Errors
    /// The kernel's.
    pub fn give_to(&self, uid: u32) -> std::io::Result<()> {
        let give = |path: &Path| std::os::unix::fs::chown(path, Some(uid), Some(uid));
        give(&self.path)?;
        for file in ["cgroup.procs", "cgroup.subtree_control", "supervisor", "supervisor/cgroup.procs"] {
            give(&self.path.join(file))?;
        }
        Ok(())
    }

    /// Leaves the subtree and removes it, as far as that is allowed; the next start removes the rest.
    pub fn leave(self) {
        let _: std::io::Result<()> = write(&self.base, "cgroup.procs", "0");
        subtree::remove(&self.path);
    }
}

/// Writes a control file, which must exist: nothing is ever created here by opening.
fn write(directory: &Path, file: &str, value: &str) -> std::io::Result<()> {
    std::fs::OpenOptions::new().write(true).open(directory.join(file))?.write_all(value.as_bytes())
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}
