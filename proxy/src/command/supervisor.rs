//! The supervisor: keeps launcher and proxy running, and ends both when it is told to end.
//!
//! Single-threaded and synchronous, with one place to wait: signals (a child's end is one) or the next
//! start that is due. Should it be killed outright, both workers ask the kernel to die with it.

pub mod worker;

pub use worker::{Surroundings, Worker};

use super::exit_code::Exit;
use super::failure::Failure;
use super::limits::{STOP_ALL, STOP_PROXY};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// Signals that end the daemon.
const STOP_SIGNALS: [Signal; 4] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT];

/// Both workers and the signals about them.
#[derive(Debug)]
pub struct Supervisor {
    launcher: Worker,
    proxy: Worker,
    signals: Signals,
}

/// What woke the supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wake {
    /// A child ended, or a start is due.
    Look,
    /// A signal to end.
    Stop,
}

impl Supervisor {
    /// Takes over the signals of this process. The workers are not started yet.
    ///
    /// # Errors
    /// When the kernel refuses a signalfd.
    pub fn new([launcher, proxy]: [Worker; 2]) -> Result<Self, Failure> {
        Ok(Self { launcher, proxy, signals: Signals::take()? })
    }

    /// Runs until a signal to end; then ends both workers.
    ///
    /// # Errors
    /// When a worker cannot run on this machine.
    pub fn run(mut self) -> Result<Exit, Failure> {
        let ended = self.keep_running();
        // The proxy first, so that it answers what is under way while its servers still live.
        let begin = Instant::now();
        end(&mut self.proxy, &self.signals, begin + STOP_PROXY);
        end(&mut self.launcher, &self.signals, begin + STOP_ALL);
        ended.map(|()| Exit::Ok)
    }

    fn keep_running(&mut self) -> Result<(), Failure> {
        loop {
            let now = Instant::now();
            // The launcher first: the proxy knocks at its socket at once.
            for worker in [&mut self.launcher, &mut self.proxy] {
                worker.reap(now)?;
                worker.start_if_due(now)?;
            }
            let due = self.launcher.due().into_iter().chain(self.proxy.due()).min();
            if self.signals.wait(due) == Wake::Stop {
                return Ok(());
            }
        }
    }
}

/// Asks a worker to end; past the deadline, or at a second signal to us, kills it.
fn end(worker: &mut Worker, signals: &Signals, deadline: Instant) {
    worker.signal(Signal::SIGTERM);
    while worker.runs() {
        let asked_again = signals.wait(Some(deadline)) == Wake::Stop;
        worker.reap_last(Instant::now());
        if worker.runs() && (asked_again || Instant::now() >= deadline) {
            eprintln!("only1mcp: the {} does not end, killing it", worker.name());
            return worker.kill();
        }
    }
}

/// The signals about us and our children, as something to wait for.
#[derive(Debug)]
struct Signals(SignalFd);

impl Signals {
    fn take() -> Result<Self, Failure> {
        let set: SigSet = STOP_SIGNALS.into_iter().chain([Signal::SIGCHLD]).collect();
        // `Command` gives every child an empty mask again.
        set.thread_block()
            .and_then(|()| SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK))
            .map(Self)
            .map_err(|errno| Failure::new(Exit::Internal, format!("cannot take over signals: {errno}")))
    }

    fn wait(&self, until: Option<Instant>) -> Wake {
        let timeout =
            until.map_or(PollTimeout::NONE, |until| timeout(until.saturating_duration_since(Instant::now())));
        let mut waited = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        match poll(&mut waited, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => {
                eprintln!("only1mcp: cannot wait for signals: {errno}");
                return Wake::Stop;
            }
        }
        let mut wake = Wake::Look;
        while let Ok(Some(info)) = self.0.read_signal() {
            if STOP_SIGNALS.iter().any(|&signal| u32::try_from(signal as i32) == Ok(info.ssi_signo)) {
                wake = Wake::Stop;
            }
        }
        wake
    }
}

/// Rounded up: never awake a moment too early.
fn timeout(duration: Duration) -> PollTimeout {
    let milliseconds = duration.as_millis().saturating_add(1);
    u16::try_from(milliseconds).map_or(PollTimeout::MAX, PollTimeout::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_rounded_up_to_whole_milliseconds() {
        assert_eq!(timeout(Duration::ZERO), PollTimeout::from(1u16));
        assert_eq!(timeout(Duration::from_micros(1500)), PollTimeout::from(2u16));
    }
}
