//! The servers that run or are about to: who may have how many, and how each comes to its end.

mod bucket;
pub mod descendants;

use crate::cgroup::{InstanceCgroup, Io};
use crate::kernel::clone::Child;
use crate::kernel::process;
use crate::launch::Launching;
use crate::limits::{INSTANCES_MAX, KILL_TIME_MAX};
use crate::machine::Isolation;
use bucket::Bucket;
use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use only1mcp_wire::plan::SpawnLimits;
use only1mcp_wire::{Exit, InstanceId, RefusalCode, ServerName};
use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::time::Instant;

/// One server, from its fork to its burial.
#[derive(Debug)]
pub struct Instance {
    /// Which server.
    pub name: ServerName,
    /// Its program, for the log.
    pub program: String,
    /// The connection that asked for it; only that one may stop it and hears of its end.
    pub owner: u64,
    /// SHA-256 of the plan around it.
    pub digest: [u8; 32],
    /// Its process.
    pub process: Process,
    /// When it has to end because its plan is no longer in force.
    pub expires: Option<Instant>,
    /// What it is doing.
    pub phase: Phase,
}

/// What an instance is doing.
#[derive(Debug)]
pub enum Phase {
    /// Its walls go up; the SPAWN `request` is answered when they stand.
    Launching {
        /// The launch.
        launching: Box<Launching>,
        /// The SPAWN to answer.
        request: u32,
    },
    /// It runs.
    Running,
    /// It was asked to end, and will be killed at this time.
    Stopping(Instant),
    /// It was killed, and should be gone by this time.
    Killed(Instant),
}

impl Instance {
    /// Asks it to end, and kills it at `deadline`.
    pub fn stop(&mut self, deadline: Instant) {
        match self.phase {
            Phase::Running => {
                self.process.signal(Signal::SIGTERM);
                self.phase = Phase::Stopping(deadline);
            }
            Phase::Launching { .. } => self.process.kill(),
            Phase::Stopping(_) | Phase::Killed(_) => {}
        }
    }

    /// Ends it and all of its processes now.
    pub fn kill(&mut self) {
        self.process.kill();
        // A launch notices by its line, and is answered then.
        if !matches!(self.phase, Phase::Launching { .. }) {
            self.phase = Phase::Killed(Instant::now() + KILL_TIME_MAX);
        }
    }

    /// When something has to be done about it, if nothing happens before.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Launching { launching, .. } => Some(launching.deadline),
            Phase::Running => self.expires,
            Phase::Stopping(deadline) | Phase::Killed(deadline) => Some(*deadline),
        }
    }
}

/// The process of a server.
#[derive(Debug)]
pub struct Process {
    /// PID 1 of the sandbox.
    pub child: Child,
    /// The cgroup around it.
    pub cgroup: Option<InstanceCgroup>,
    /// Whether reading and writing disks is limited.
    pub io: Io,
    /// What stands around it.
    pub isolation: Isolation,
}

impl Process {
    /// Kills everything inside at once: the cgroup, and PID 1, with which its whole namespace ends.
    /// Without a namespace its descendants are looked for, which one that forks fast can survive for
    /// a while; what is left of it becomes the launcher's child, and is killed as such.
    pub fn kill(&self) {
        if let Some(cgroup) = &self.cgroup {
            cgroup.kill();
        }
        if self.isolation == Isolation::LandlockOnly {
            descendants::kill_below(self.child.pid);
        }
        self.signal(Signal::SIGKILL);
    }

    /// Sends a signal to PID 1, which hands it on.
    pub fn signal(&self, signal: Signal) {
        // An error means that it has ended, which its pidfd tells.
        let _: nix::Result<()> = process::signal(self.child.pidfd.as_fd(), signal);
    }

    /// How it ended, if it has; with PID 1 gone nothing of its namespace is left.
    pub fn reap(&self) -> Option<Exit> {
        let status = waitid(Id::PIDFd(self.child.pidfd.as_fd()), WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG);
        let exit = match status {
            Ok(WaitStatus::Exited(_, status)) => from_init(status),
            Ok(WaitStatus::Signaled(_, signal, _)) => Exit::Signal(u8::try_from(signal as i32).unwrap_or(0)),
            // Reaped already: cannot be, but it is over then too.
            Err(Errno::ECHILD) => Exit::Status(0),
            _ => return None,
        };
        let limit = self.cgroup.as_ref().and_then(InstanceCgroup::was_out_of_memory);
        Some(limit.map_or(exit, |limit_bytes| Exit::OutOfMemory { limit_bytes }))
    }
}

/// `only1mcp-init` ends with 128 and the number of the signal that ended the server.
fn from_init(status: i32) -> Exit {
    match u8::try_from(status).unwrap_or(u8::MAX) {
        signal @ 129..=192 => Exit::Signal(signal - 128),
        status => Exit::Status(status),
    }
}

/// All of them.
#[derive(Debug, Default)]
pub struct Instances {
    by_id: BTreeMap<InstanceId, Instance>,
    buckets: BTreeMap<ServerName, Bucket>,
}

impl Instances {
    /// Whether one more of this server may start now; if so, that is counted.
    pub fn admit(
        &mut self,
        name: &ServerName,
        limits: &SpawnLimits,
        now: Instant,
    ) -> Result<(), RefusalCode> {
        let same = self.by_id.values().filter(|instance| instance.name == *name).count();
        if self.by_id.len() >= INSTANCES_MAX
            || same >= usize::try_from(limits.instances).unwrap_or(usize::MAX)
        {
            return Err(RefusalCode::TooManyInstances);
        }
        let bucket = self.buckets.entry(name.clone()).or_insert_with(|| Bucket::full(now));
        if bucket.take(limits, now) { Ok(()) } else { Err(RefusalCode::TooManySpawns) }
    }

    /// An id that was never used before.
    ///
    /// # Errors
    /// The kernel's; not once it has booted.
    pub fn fresh_id(&self) -> nix::Result<InstanceId> {
        loop {
            let id = InstanceId(process::random()?);
            if !self.by_id.contains_key(&id) {
                return Ok(id);
            }
        }
    }

    /// Keeps an instance under a fresh id.
    pub fn insert(&mut self, id: InstanceId, instance: Instance) {
        self.by_id.insert(id, instance);
    }

    /// Gives every instance whose plan is no longer in force until `deadline` to end.
    pub fn expire(&mut self, in_force: impl Fn(&Instance) -> bool, deadline: Instant) {
        for instance in self.by_id.values_mut() {
            instance.expires = match instance.expires {
                _ if in_force(instance) => None,
                None => Some(deadline),
                earlier => earlier,
            };
        }
    }

    /// The instance of this id.
    pub fn get_mut(&mut self, id: InstanceId) -> Option<&mut Instance> {
        self.by_id.get_mut(&id)
    }

    /// Forgets an instance.
    pub fn remove(&mut self, id: InstanceId) -> Option<Instance> {
        self.by_id.remove(&id)
    }

    /// All instances, with their ids.
    pub fn iter(&self) -> impl Iterator<Item = (InstanceId, &Instance)> {
        self.by_id.iter().map(|(id, instance)| (*id, instance))
    }

    /// All instances.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Instance> {
        self.by_id.values_mut()
    }

    /// The ids of all instances.
    pub fn ids(&self) -> Vec<InstanceId> {
        self.by_id.keys().copied().collect()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_of_init_is_the_status_or_the_signal_of_the_server() {
        assert_eq!(from_init(0), Exit::Status(0));
        assert_eq!(from_init(127), Exit::Status(127));
        assert_eq!(from_init(137), Exit::Signal(9));
        assert_eq!(from_init(255), Exit::Status(255));
    }

    fn running(name: &str) -> Instance {
        let pid = std::process::id();
        let child = Child { pid, pidfd: process::open(pid).unwrap() };
        Instance {
            name: ServerName::new(name).unwrap(),
            program: String::new(),
            owner: 1,
            digest: [0; 32],
            process: Process { child, cgroup: None, io: Io::Unasked, isolation: Isolation::Namespaces },
            expires: None,
            phase: Phase::Running,
        }
    }

    #[test]
    fn only_what_is_no_longer_in_force_expires_and_only_once() {
        let mut instances = Instances::default();
        let [old, kept] = [InstanceId(1), InstanceId(2)];
        instances.insert(old, running("old"));
        instances.insert(kept, running("kept"));
        let now = Instant::now();
        let in_force = |instance: &Instance| instance.name.as_str() == "kept";
        instances.expire(in_force, now);
        instances.expire(in_force, now + std::time::Duration::from_secs(9));
        assert_eq!(instances.get_mut(old).unwrap().deadline(), Some(now));
        assert_eq!(instances.get_mut(kept).unwrap().deadline(), None);
        instances.expire(|_| true, now);
        assert_eq!(instances.get_mut(old).unwrap().deadline(), None);
    }

    #[test]
    fn a_server_that_starts_too_often_is_refused() {
        let mut instances = Instances::default();
        let name = ServerName::new("a").unwrap();
        let limits = SpawnLimits { instances: 1, burst: 1, per_minute: 1 };
        let now = Instant::now();
        assert_eq!(instances.admit(&name, &limits, now), Ok(()));
        assert_eq!(instances.admit(&name, &limits, now), Err(RefusalCode::TooManySpawns));
        let none = SpawnLimits { instances: 0, burst: 1, per_minute: 1 };
        assert_eq!(instances.admit(&name, &none, now), Err(RefusalCode::TooManyInstances));
    }
}
