//! One supervised program: how it is started, whether it runs, and when it may be started again.

use crate::command::exit_code::Exit;
use crate::command::failure::Failure;
use crate::command::limits::{BACK_OFF_FIRST, BACK_OFF_MAX, STEADY_AFTER};
use crate::command::program;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Variables that may pass into a bare environment: none of them is anybody's secret.
const BARE_VARIABLES: [&str; 8] =
    ["HOME", "PATH", "LANG", "LC_ALL", "TERM", "NO_COLOR", "RUST_LOG", "RUST_BACKTRACE"];
/// Exit codes that will come again however often the program is started.
const HOPELESS: [i32; 7] = [64, 65, 69, 72, 73, 77, 78];

/// Which environment a worker gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surroundings {
    /// Ours: configurations may refer to variables.
    Inherited,
    /// Next to nothing: the process that faces the network must not hold what our shell exports.
    Bare,
}

/// A program that is started again when it ends.
#[derive(Debug)]
pub struct Worker {
    name: &'static str,
    program: PathBuf,
    surroundings: Surroundings,
    arguments: Vec<OsString>,
    first_arguments: Vec<OsString>,
    descriptors: Vec<(OwnedFd, &'static str)>,
    state: State,
    back_off: Duration,
    /// It ran long enough, once, to show that it can.
    proven: bool,
    /// It has not begun its work yet.
    first: bool,
}

#[derive(Debug)]
enum State {
    New,
    Running { child: Child, since: Instant },
    Waiting { until: Instant },
}

impl Worker {
    /// A worker that has not been started yet.
    #[must_use]
    pub fn new(name: &'static str, program: PathBuf, surroundings: Surroundings) -> Self {
        Self {
            name,
            program,
            surroundings,
            arguments: Vec::new(),
            first_arguments: Vec::new(),
            descriptors: Vec::new(),
            state: State::New,
            back_off: BACK_OFF_FIRST,
            proven: false,
            first: true,
        }
    }

    /// Adds `flag value`.
    pub fn argument(&mut self, flag: &str, value: impl AsRef<OsStr>) {
        self.arguments.push(flag.into());
        self.arguments.push(value.as_ref().to_owned());
    }

    /// Adds a word.
    pub fn flag(&mut self, flag: &str) {
        self.word(flag.into());
    }

    /// Adds a word that may be anything.
    pub fn word(&mut self, word: OsString) {
        self.arguments.push(word);
    }

    /// Adds a word for the first start alone; a start that failed for now does not count.
    pub fn flag_on_first_start(&mut self, flag: &str) {
        self.first_arguments.push(flag.into());
    }

    /// Hands it these descriptors at every start.
    pub fn hand(&mut self, descriptors: Vec<(OwnedFd, &'static str)>) {
        self.descriptors = descriptors;
    }

    /// Starts it if it is due.
    ///
    /// # Errors
    /// When it cannot be executed at all.
    pub fn start_if_due(&mut self, now: Instant) -> Result<(), Failure> {
        match self.state {
            State::New => {}
            State::Waiting { until } if until <= now => {}
            State::Waiting { .. } | State::Running { .. } => return Ok(()),
        }
        let child = self.spawn().map_err(|cause| {
            let text = format!("cannot start the {} {}: {cause}", self.name, self.program.display());
            Failure::new(Exit::Unavailable, text)
        })?;
        self.state = State::Running { child, since: now };
        Ok(())
    }

    fn spawn(&self) -> io::Result<Child> {
        let mut command = program::at(&self.program);
        if self.surroundings == Surroundings::Bare {
            command.env_clear();
            command.envs(BARE_VARIABLES.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        }
        command.args(&self.arguments);
        if self.first {
            command.args(&self.first_arguments);
        }
        program::hand_over(&mut command, &self.descriptors)?;
        // Its own group: a terminal's Ctrl-C reaches only us, and we end the others in order.
        command.stdin(Stdio::null()).current_dir("/").process_group(0);
        command.spawn()
    }

    /// When it wants to be started again.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        match self.state {
            State::Waiting { until } => Some(until),
            State::New | State::Running { .. } => None,
        }
    }

    /// Whether its process exists.
    #[must_use]
    pub fn runs(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }

    /// Looks whether it has ended. If so, it is set to wait for its next start.
    ///
    /// # Errors
    /// When starting it again cannot help.
    pub fn reap(&mut self, now: Instant) -> Result<(), Failure> {
        let Some((status, ran)) = self.ended(now) else { return Ok(()) };
        // One that could not begin for now has not said what it says at its first start.
        self.first &= status.code() == Some(Exit::TemporaryFailure.code().into());
        if ran >= STEADY_AFTER {
            self.proven = true;
            self.back_off = BACK_OFF_FIRST;
        }
        if !self.proven && status.code().is_some_and(|code| HOPELESS.contains(&code)) {
            return Err(self.hopeless(status));
        }
        eprintln!("only1mcp: the {} ended ({status}), starting it again in {:?}", self.name, self.back_off);
        self.state = State::Waiting { until: now + self.back_off };
        self.back_off = (self.back_off * 2).min(BACK_OFF_MAX);
        Ok(())
    }

    /// Looks whether it has ended, while everything is being ended.
    pub fn reap_last(&mut self, now: Instant) {
        if let Some((status, _)) = self.ended(now)
            && !status.success()
            && status.signal() != Some(Signal::SIGTERM as i32)
        {
            eprintln!("only1mcp: the {} ended with {status}", self.name);
        }
    }

    fn ended(&mut self, now: Instant) -> Option<(ExitStatus, Duration)> {
        let State::Running { child, since } = &mut self.state else { return None };
        let since = *since;
        // An error would mean that somebody else reaped it; then too it is gone.
        let status = child.try_wait().unwrap_or_else(|_| Some(ExitStatus::from_raw(0)))?;
        self.state = State::New;
        Some((status, now.saturating_duration_since(since)))
    }

    fn hopeless(&self, status: ExitStatus) -> Failure {
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        let exit = code.map_or(Exit::Unavailable, Exit::Passed);
        Failure::new(exit, format!("the {} cannot run here ({status}); its reason is above", self.name))
            .help("`only1mcp doctor` tries what this machine offers")
    }

    /// Sends it a signal, if it runs.
    pub fn signal(&self, signal: Signal) {
        let State::Running { child, .. } = &self.state else { return };
        let Ok(pid) = i32::try_from(child.id()) else { return };
        // We have not reaped it, so the pid cannot be another's.
        match kill(Pid::from_raw(pid), signal) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(errno) => eprintln!("only1mcp: cannot signal the {}: {errno}", self.name),
        }
    }

    /// Kills it and waits for that.
    pub fn kill(&mut self) {
        if let State::Running { child, .. } = &mut self.state {
            // Both fail only for a process that is gone.
            let _ = child.kill();
            let _ = child.wait();
        }
        self.state = State::New;
    }

    /// How it is called in messages.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Worker {
        let mut worker = Worker::new("worker", "/bin/sh".into(), Surroundings::Bare);
        worker.argument("-c", script);
        worker
    }

    fn run_to_its_end(worker: &mut Worker) -> Result<(), Failure> {
        worker.start_if_due(Instant::now())?;
        while worker.runs() {
            std::thread::sleep(Duration::from_millis(5));
            worker.reap(Instant::now())?;
        }
        Ok(())
    }

    #[test]
    fn each_early_end_doubles_the_wait_up_to_its_bound() {
        let mut worker = shell("exit 1");
        let mut waits = Vec::new();
        for _ in 0..9 {
            worker.state = State::New;
            waits.push(worker.back_off.as_millis());
            run_to_its_end(&mut worker).unwrap();
        }
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
    }

    #[test]
    fn it_is_not_started_before_its_time() {
        let mut worker = shell("exit 1");
        run_to_its_end(&mut worker).unwrap();
        worker.start_if_due(Instant::now()).unwrap();
        assert!(!worker.runs());
        worker.start_if_due(Instant::now() + Duration::from_secs(1)).unwrap();
        assert!(worker.runs());
        worker.signal(Signal::SIGKILL);
    }

    #[test]
    fn an_exit_code_that_will_come_again_ends_the_start() {
        assert_eq!(run_to_its_end(&mut shell("exit 78")).unwrap_err().exit, Exit::Passed(78));
    }

    #[test]
    fn once_proven_even_such_a_code_leads_to_another_start() {
        let mut worker = shell("exit 78");
        worker.proven = true;
        run_to_its_end(&mut worker).unwrap();
        assert!(worker.due().is_some());
    }

    #[test]
    fn a_bare_worker_does_not_see_our_variables() {
        // Cargo exports it to every test.
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        assert_eq!(
            run_to_its_end(&mut shell("test -z \"$CARGO_MANIFEST_DIR\" && exit 78")).unwrap_err().exit,
            Exit::Passed(78)
        );
    }
}
