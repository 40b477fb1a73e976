//! The independent reader: what the crate `cgroups-rs` finds in a server's cgroup.

use cgroups_rs::fs::blkio::BlkIoController;
use cgroups_rs::fs::cpu::CpuController;
use cgroups_rs::fs::hierarchies;
use cgroups_rs::fs::memory::{MemController, Memory};
use cgroups_rs::fs::pid::PidController;
use cgroups_rs::fs::{Cgroup, MaxValue};
use std::fs;
use std::path::PathBuf;

/// The cgroup of one server.
pub struct Reader {
    cgroup: Cgroup,
    /// Its directory.
    pub directory: PathBuf,
}

impl Reader {
    /// Of the server with this PID 1.
    pub fn of(pid: u64) -> Self {
        assert!(
            hierarchies::is_cgroup2_unified_mode(),
            "this machine has no cgroup v2 of its own: use tests/vm/run"
        );
        let path = path_of(pid);
        let directory = PathBuf::from(hierarchies::UNIFIED_MOUNTPOINT).join(&path);
        Self { cgroup: Cgroup::load(hierarchies::auto(), path), directory }
    }

    /// Memory: the limit, what is used, what was used at most.
    pub fn memory(&self) -> Memory {
        self.cgroup.controller_of::<MemController>().unwrap().memory_stat()
    }

    /// Bytes of swap that may be used, and that are.
    pub fn swap(&self) -> (i64, u64) {
        let swap = self.cgroup.controller_of::<MemController>().unwrap().memswap();
        (swap.limit_in_bytes, swap.usage_in_bytes)
    }

    /// The limit of processes and how many there are.
    pub fn processes(&self) -> (MaxValue, u64) {
        let pids = self.pids();
        (pids.get_pid_max().unwrap(), pids.get_pid_current().unwrap())
    }

    /// How many processes were refused.
    pub fn refused_processes(&self) -> u64 {
        self.pids().get_pid_events().unwrap()
    }

    /// Microseconds of processor time in how many.
    pub fn cpu_quota(&self) -> (i64, u64) {
        let cpu = self.cgroup.controller_of::<CpuController>().unwrap();
        (cpu.cfs_quota().unwrap(), cpu.cfs_period().unwrap())
    }

    /// A counter of `cpu.stat`.
    pub fn cpu(&self, key: &str) -> u64 {
        let stat = self.cgroup.controller_of::<CpuController>().unwrap().cpu().stat;
        let line = stat.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {key} in {stat}")).parse().unwrap()
    }

    /// Bytes written to all disks. The library (0.5.1) finds the disks, but takes `wbytes=1` for 0: it looks for a
    /// colon. So the lines are its own, and the numbers are read here.
    pub fn written_bytes(&self) -> u64 {
        let disks = self.cgroup.controller_of::<BlkIoController>().unwrap().blkio().io_stat;
        let text = self.file("io.stat");
        let written = |line: &str| -> u64 {
            line.split_once("wbytes=").unwrap().1.split_once(' ').unwrap().0.parse().unwrap()
        };
        let line = |number: String| text.lines().find(|line| line.starts_with(&number)).unwrap().to_owned();
        disks.iter().map(|disk| written(&line(format!("{}:{} ", disk.major, disk.minor)))).sum()
    }

    /// What the library has no word for.
    pub fn file(&self, name: &str) -> String {
        fs::read_to_string(self.directory.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn pids(&self) -> &PidController {
        self.cgroup.controller_of().unwrap()
    }
}

/// The cgroup of a process, below the mount.
pub fn path_of(pid: u64) -> String {
    let line = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    line.trim().strip_prefix("0::/").unwrap_or_else(|| panic!("not cgroup v2 alone: {line}")).to_owned()
}
