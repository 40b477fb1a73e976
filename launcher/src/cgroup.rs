//! cgroup v2: limits and the kill of a whole server, by plain files of a subtree that is ours to write.
//!
//! Layout below the cgroup the launcher was started in: `only1mcp-PID/supervisor` holds the launcher,
//! `only1mcp-PID/i-NAME-N` one server each. cgroup v1 is never touched.

mod subtree;

pub use subtree::claim;

use crate::launch::failure::{At, Failure};
use nix::errno::Errno;
use only1mcp_wire::plan::Limits;
use only1mcp_wire::{ServerName, Step};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The controllers without which there are no limits.
const CONTROLLERS: [&str; 3] = ["memory", "pids", "cpu"];
/// `cpu.max` counts in periods of this many microseconds.
const CPU_PERIOD_US: u64 = 100_000;
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
}

impl Cgroups {
    /// Makes the cgroup of one server, limits in force before anything runs in it.
    pub fn instance(&mut self, name: &ServerName, limits: &Limits) -> Result<InstanceCgroup, Failure> {
        self.made += 1;
        let path = self.path.join(format!("i-{name}-{}", self.made));
        std::fs::create_dir(&path).at_subject(Step::Cgroup, "cgroup")?;
        let directory = File::open(&path).at_subject(Step::Cgroup, "cgroup")?.into();
        let cgroup = InstanceCgroup { path, directory, control: self.control };
        cgroup.limit(limits).inspect_err(|_| {
            cgroup.remove();
        })?;
        Ok(cgroup)
    }

    /// Hands the subtree to the uid the launcher is about to become.
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

/// The cgroup of one server.
#[derive(Debug)]
pub struct InstanceCgroup {
    path: PathBuf,
    directory: OwnedFd,
    /// What is enforced by it.
    pub control: Control,
}

impl AsFd for InstanceCgroup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

impl InstanceCgroup {
    fn limit(&self, limits: &Limits) -> Result<(), Failure> {
        // A server may not make cgroups of its own, should it ever reach the files.
        self.set("cgroup.max.depth", "0")?;
        self.set("cgroup.max.descendants", "0")?;
        if self.control == Control::KillOnly {
            return Ok(());
        }
        self.set("memory.max", &limits.memory_bytes.to_string())?;
        self.set("memory.oom.group", "1")?;
        match self.set("memory.swap.max", "0") {
            // A kernel without swap has no such file.
            Err(failure) if failure.errno == Errno::ENOENT => {}
            other => other?,
        }
        self.set("pids.max", &limits.processes.to_string())?;
        let quota = u64::from(limits.cpu_percent) * CPU_PERIOD_US / 100;
        self.set("cpu.max", &format!("{quota} {CPU_PERIOD_US}"))
    }

    fn set(&self, file: &str, value: &str) -> Result<(), Failure> {
        write(&self.path, file, value).at_subject(Step::Cgroup, file)
    }

    /// Kills everything in it at once. False if this kernel cannot (before 5.14).
    pub fn kill(&self) -> bool {
        write(&self.path, "cgroup.kill", "1").is_ok()
    }

    /// Whether the kernel killed something in it over its memory limit.
    pub fn was_out_of_memory(&self) -> bool {
        let events = read(&self.path.join("memory.events")).unwrap_or_default();
        let kills = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
        kills.is_some_and(|count| count.trim() != "0")
    }

    /// Removes it. False as long as something is left in it.
    pub fn remove(&self) -> bool {
        match std::fs::remove_dir(&self.path) {
            Ok(()) => true,
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits =
        Limits { memory_bytes: 1 << 20, processes: 7, cpu_percent: 150, open_files: 1, file_bytes: 1 };

    /// A directory with the control files of an instance, all empty.
    fn fake(name: &str, control: Control) -> InstanceCgroup {
        let path = std::env::temp_dir().join(format!("only1mcp-cgroup-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        let files =
            ["cgroup.max.depth", "cgroup.max.descendants", "memory.max", "memory.oom.group", "pids.max"];
        for file in files.into_iter().chain(["cpu.max", "cgroup.kill", "memory.events"]) {
            std::fs::write(path.join(file), "").unwrap();
        }
        let directory = File::open(&path).unwrap().into();
        InstanceCgroup { path, directory, control }
    }

    fn value(cgroup: &InstanceCgroup, file: &str) -> String {
        read(&cgroup.path.join(file)).unwrap()
    }

    #[test]
    fn writes_every_limit_in_the_kernels_words() {
        let cgroup = fake("limits", Control::Limits);
        cgroup.limit(&LIMITS).unwrap();
        assert_eq!(value(&cgroup, "memory.max"), "1048576");
        assert_eq!(value(&cgroup, "memory.oom.group"), "1");
        assert_eq!(value(&cgroup, "pids.max"), "7");
        assert_eq!(value(&cgroup, "cpu.max"), "150000 100000");
        assert_eq!(value(&cgroup, "cgroup.max.depth"), "0");
        std::fs::remove_dir_all(&cgroup.path).unwrap();
    }

    #[test]
    fn without_controllers_it_only_closes_the_tree() {
        let cgroup = fake("kill-only", Control::KillOnly);
        cgroup.limit(&LIMITS).unwrap();
        assert_eq!(value(&cgroup, "memory.max"), "");
        assert_eq!(value(&cgroup, "cgroup.max.descendants"), "0");
        assert!(cgroup.kill());
        assert_eq!(value(&cgroup, "cgroup.kill"), "1");
        std::fs::remove_dir_all(&cgroup.path).unwrap();
    }

    #[test]
    fn a_missing_control_file_is_an_error_and_not_made() {
        let cgroup = fake("missing", Control::Limits);
        std::fs::remove_file(cgroup.path.join("pids.max")).unwrap();
        let failure = cgroup.limit(&LIMITS).unwrap_err();
        assert_eq!((failure.step, failure.errno), (Step::Cgroup, Errno::ENOENT));
        assert!(!cgroup.path.join("pids.max").exists());
        std::fs::remove_dir_all(&cgroup.path).unwrap();
    }

    #[test]
    fn tells_an_end_by_memory_from_others() {
        let cgroup = fake("oom", Control::Limits);
        std::fs::write(cgroup.path.join("memory.events"), "low 0\noom 3\noom_kill 0\n").unwrap();
        assert!(!cgroup.was_out_of_memory());
        std::fs::write(cgroup.path.join("memory.events"), "low 0\noom 3\noom_kill 1\n").unwrap();
        assert!(cgroup.was_out_of_memory());
        std::fs::remove_dir_all(&cgroup.path).unwrap();
    }
}
