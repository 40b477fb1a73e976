//! The cgroup of one server: its limits, what it ran into, its end.

use super::counters::{keyed, usage};
use super::throttle::{Throttle, throttle};
use super::{Control, read, write};
use crate::launch::failure::{At, Failure};
use crate::limits::LIMIT_REPORT_INTERVAL;
use crate::log;
use nix::errno::Errno;
use only1mcp_wire::plan::{Bind, Limits};
use only1mcp_wire::{ServerPlan, Step, Usage};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Instant;

/// `cpu.max` counts in periods of this many microseconds.
const CPU_PERIOD_US: u64 = 100_000;
/// Bytes of `pids.events`, which holds one or two short lines.
const EVENTS_BYTES_MAX: usize = 256;

/// The cgroup of one server.
#[derive(Debug)]
pub struct InstanceCgroup {
    path: PathBuf,
    directory: OwnedFd,
    memory_bytes: u64,
    /// What is enforced by it.
    pub control: Control,
    /// Whether reading and writing disks is limited.
    pub io: Io,
    processes: Option<ProcessEvents>,
}

/// Whether reading and writing disks is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Io {
    /// The policy does not ask for it.
    Unasked,
    /// It is.
    Limited,
    /// It should be and cannot.
    Unlimited,
}

impl Io {
    /// Where there is no cgroup at all.
    pub fn without_cgroup(plan: &ServerPlan) -> Self {
        if !plan.limits.ask_for_io() {
            return Self::Unasked;
        }
        missing(plan, "there is no cgroup v2 tree that can be written");
        Self::Unlimited
    }
}

fn missing(plan: &ServerPlan, why: &str) {
    log::warn(format_args!("the io limit of server \"{}\" is not in force: {why}", plan.name));
}

/// `pids.events`, which the kernel reports as exceptional whenever it changes.
#[derive(Debug)]
struct ProcessEvents {
    file: File,
    /// How often the limit was reached when we last looked.
    times: u64,
    /// Not looked at before this: a fork bomb changes it a hundred times a second.
    quiet_until: Option<Instant>,
}

impl AsFd for InstanceCgroup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

impl InstanceCgroup {
    /// Makes it, limits in force.
    pub fn make(path: PathBuf, control: Control, plan: &ServerPlan, state: &Bind) -> Result<Self, Failure> {
        std::fs::create_dir(&path).at_subject(Step::Cgroup, "cgroup")?;
        let directory = File::open(&path).at_subject(Step::Cgroup, "cgroup")?.into();
        let memory_bytes = plan.limits.memory_bytes;
        let mut cgroup = Self { path, directory, memory_bytes, control, io: Io::Unasked, processes: None };
        cgroup.fill(plan, state).inspect_err(|_| {
            cgroup.remove();
        })?;
        Ok(cgroup)
    }

    fn fill(&mut self, plan: &ServerPlan, state: &Bind) -> Result<(), Failure> {
        self.limit(&plan.limits)?;
        self.io = self.slow_down(plan, throttle(&plan.limits, plan.binds.iter().chain([state])))?;
        if self.control == Control::Limits {
            self.processes = Some(ProcessEvents::open(self).at_subject(Step::Cgroup, "pids.events")?);
        }
        Ok(())
    }

    fn limit(&self, limits: &Limits) -> Result<(), Failure> {
        // A server may not make cgroups of its own, should it ever reach the files.
        self.set("cgroup.max.depth", "0")?;
        self.set("cgroup.max.descendants", "0")?;
        if self.control == Control::KillOnly {
            return Ok(());
        }
        // No `memory.high`: without swap there is nothing to reclaim from a server that leaks, so that it would
        // be slowed down for ever where it should be stopped with a reason. The page cache yields at the maximum.
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

    /// Sets a limit of reading and writing disks, or says that there is none.
    ///
    /// # Errors
    /// ENODEV if there is none and the policy requires it.
    fn slow_down(&self, plan: &ServerPlan, throttle: Throttle) -> Result<Io, Failure> {
        let why = match throttle {
            Throttle::Unasked => return Ok(Io::Unasked),
            Throttle::Impossible(why) => why,
            Throttle::Lines(lines) => match lines.iter().try_for_each(|line| self.set("io.max", line)) {
                Ok(()) => return Ok(Io::Limited),
                Err(Failure { errno: Errno::ENOENT, .. }) => {
                    "the io controller is not delegated to the launcher".to_owned()
                }
                Err(failure) => failure.to_string(),
            },
        };
        if plan.requires.cgroup {
            return Err(Failure {
                step: Step::Cgroup,
                errno: Errno::ENODEV,
                subject: format!("io.max: {why}"),
            });
        }
        missing(plan, &why);
        Ok(Io::Unlimited)
    }

    fn set(&self, file: &str, value: &str) -> Result<(), Failure> {
        write(&self.path, file, value).at_subject(Step::Cgroup, file)
    }

    /// Kills everything in it at once. False if this kernel cannot (before 5.14).
    pub fn kill(&self) -> bool {
        write(&self.path, "cgroup.kill", "1").is_ok()
    }

    /// The memory limit, if the kernel killed something in it for being over it.
    pub fn was_out_of_memory(&self) -> Option<u64> {
        let events = read(&self.path.join("memory.events")).unwrap_or_default();
        (keyed(&events, "oom_kill") > 0).then_some(self.memory_bytes)
    }

    /// What it uses; nothing where that is not counted.
    pub fn usage(&self) -> Option<Usage> {
        (self.control == Control::Limits).then(|| usage(&self.path))
    }

    /// What to poll for exceptional conditions: a limit that is reached. Nothing while it was looked at lately.
    pub fn polled(&self) -> Option<BorrowedFd<'_>> {
        let events = self.processes.as_ref().filter(|events| events.quiet_until.is_none())?;
        Some(events.file.as_fd())
    }

    /// When it is to be looked at again.
    pub fn quiet_until(&self) -> Option<Instant> {
        self.processes.as_ref()?.quiet_until
    }

    /// Ends the quiet time if it is over.
    pub fn listen_if_due(&mut self, now: Instant) {
        if let Some(events) = &mut self.processes
            && events.quiet_until.is_some_and(|until| until <= now)
        {
            events.quiet_until = None;
        }
    }

    /// How often a process was refused since the start, if that has changed. Quiet for a while after that.
    pub fn refused_processes(&mut self, now: Instant) -> Option<u64> {
        self.processes.as_mut()?.look(now)
    }

    /// Removes it. False as long as something is left in it.
    pub fn remove(&self) -> bool {
        match std::fs::remove_dir(&self.path) {
            Ok(()) => true,
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        }
    }
}

impl ProcessEvents {
    fn open(cgroup: &InstanceCgroup) -> std::io::Result<Self> {
        let file = File::open(cgroup.path.join("pids.events"))?;
        let mut events = Self { file, times: 0, quiet_until: None };
        // A file that was never read counts as changed.
        events.times = events.read()?;
        Ok(events)
    }

    fn read(&self) -> std::io::Result<u64> {
        let mut bytes = [0; EVENTS_BYTES_MAX];
        let count = self.file.read_at(&mut bytes, 0)?;
        let text = String::from_utf8_lossy(bytes.get(..count).unwrap_or_default());
        Ok(keyed(&text, "max"))
    }

    fn look(&mut self, now: Instant) -> Option<u64> {
        self.quiet_until = Some(now + LIMIT_REPORT_INTERVAL);
        let times = self.read().ok()?;
        (std::mem::replace(&mut self.times, times) != times).then_some(times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        memory_bytes: 1 << 20,
        processes: 7,
        cpu_percent: 150,
        open_files: 1,
        file_bytes: 1,
        io_read_bytes: None,
        io_write_bytes: Some(9),
    };

    /// A directory with the control files of an instance, all empty.
    fn fake(name: &str, control: Control) -> InstanceCgroup {
        let path = std::env::temp_dir().join(format!("only1mcp-cgroup-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        let files =
            ["cgroup.max.depth", "cgroup.max.descendants", "memory.max", "memory.oom.group", "pids.max"];
        for file in
            files.into_iter().chain(["cpu.max", "cgroup.kill", "memory.events", "io.max", "pids.events"])
        {
            std::fs::write(path.join(file), "").unwrap();
        }
        let directory = File::open(&path).unwrap().into();
        let memory_bytes = LIMITS.memory_bytes;
        InstanceCgroup { path, directory, memory_bytes, control, io: Io::Unasked, processes: None }
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
        assert_eq!(cgroup.was_out_of_memory(), None);
        std::fs::write(cgroup.path.join("memory.events"), "low 0\noom 3\noom_kill 1\n").unwrap();
        assert_eq!(cgroup.was_out_of_memory(), Some(1 << 20));
        std::fs::remove_dir_all(&cgroup.path).unwrap();
    }

    fn plan(requires_cgroup: bool) -> ServerPlan {
        let mut plan = ServerPlan {
            name: only1mcp_wire::ServerName::new("x").unwrap(),
            digest: [0; 32],
            program: String::new(),
            arguments: Vec::new(),
            environment: Vec::new(),
            working_directory: String::new(),
            binds: Vec::new(),
            links: Vec::new(),
            files: Vec::new(),
            scratch: Vec::new(),
            state_executable: false,
            rules: Vec::new(),
            system_calls: Vec::new(),
            jit: false,
            limits: LIMITS,
            requires: only1mcp_wire::plan::Requires { cgroup: requires_cgroup, landlock_abi: 1 },
            spawn: only1mcp_wire::plan::SpawnLimits { instances: 1, burst: 1, per_minute: 1 },
        };
        plan.limits.io_write_bytes = Some(9);
        plan
    }

    #[test]
    fn a_limit_of_io_that_cannot_be_set_is_missing_or_refused() {
        let cgroup = fake("io", Control::Limits);
        let lines = || Throttle::Lines(vec!["8:0 wbps=9".into()]);
        assert_eq!(cgroup.slow_down(&plan(true), lines()), Ok(Io::Limited));
        assert_eq!(value(&cgroup, "io.max"), "8:0 wbps=9");
        assert_eq!(cgroup.slow_down(&plan(true), Throttle::Unasked), Ok(Io::Unasked));
        let impossible = || Throttle::Impossible("/x is on a file system without a disk".into());
        assert_eq!(cgroup.slow_down(&plan(false), impossible()), Ok(Io::Unlimited));
        assert_eq!(cgroup.slow_down(&plan(true), impossible()).unwrap_err().errno, Errno::ENODEV);
        // Without the controller there is no such file.
        std::fs::remove_file(cgroup.path.join("io.max")).unwrap();
        assert_eq!(cgroup.slow_down(&plan(false), lines()), Ok(Io::Unlimited));
        assert_eq!(cgroup.slow_down(&plan(true), lines()).unwrap_err().errno, Errno::ENODEV);
        std::fs::remove_dir_all(&cgroup.path).unwrap();
    }

    #[test]
    fn a_limit_that_is_reached_again_and_again_is_told_once_an_interval() {
        let mut cgroup = fake("refused", Control::Limits);
        let events = |cgroup: &InstanceCgroup, text: &str| {
            std::fs::write(cgroup.path.join("pids.events"), text).unwrap()
        };
        events(&cgroup, "max 0\n");
        cgroup.processes = Some(ProcessEvents::open(&cgroup).unwrap());
        let now = Instant::now();
        assert!(cgroup.polled().is_some());
        events(&cgroup, "max 5\n");
        assert_eq!(cgroup.refused_processes(now), Some(5));
        assert!(cgroup.polled().is_none() && cgroup.quiet_until() == Some(now + LIMIT_REPORT_INTERVAL));
        cgroup.listen_if_due(now);
        assert!(cgroup.polled().is_none(), "not before its time");
        cgroup.listen_if_due(now + LIMIT_REPORT_INTERVAL);
        assert!(cgroup.polled().is_some());
        assert_eq!(cgroup.refused_processes(now), None, "nothing has changed");
        std::fs::remove_dir_all(&cgroup.path).unwrap();
    }
}
