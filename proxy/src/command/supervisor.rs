//! The supervisor: keeps launcher and proxy running, and ends both when it is told to end.
//!
//! Single-threaded and synchronous, with one place to wait: signals (a child's end is one) or the next
//! start that is due. Should it be killed outright, both workers ask the kernel to die with it.

pub mod worker;

pub use worker::{Surroundings, Worker};

use super::exit_code::Exit;
use super::failure::Failure;
use super::limits::{STOP_AGAIN, STOP_ALL, STOP_PROXY};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use std::io::{self, IsTerminal as _, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Signals that end the daemon.
const STOP_SIGNALS: [i32; 3] = [SIGTERM, SIGINT, SIGQUIT];

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
    /// A signal to read the configuration again.
    Reload,
}

impl Supervisor {
    /// Takes over the signals of this process. The workers are not started yet.
    ///
    /// # Errors
    /// When the kernel refuses a handler or a pipe.
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
        end(&mut self.proxy, &self.signals, begin, STOP_PROXY);
        end(&mut self.launcher, &self.signals, begin, STOP_ALL);
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
            match self.signals.wait(due) {
                Wake::Stop => return Ok(()),
                Wake::Reload => self.launcher.signal(Signal::SIGHUP),
                Wake::Look => {}
            }
        }
    }
}

/// Asks a worker to end; once `patience` since `begin` is over, or at another signal to us, kills it.
fn end(worker: &mut Worker, signals: &Signals, begin: Instant, patience: Duration) {
    worker.signal(Signal::SIGTERM);
    while worker.runs() {
        // Many who signal us signal our group too: what comes at once is the same wish, not another.
        let asked_again = signals.wait(Some(begin + patience)) == Wake::Stop && begin.elapsed() >= STOP_AGAIN;
        worker.reap_last(Instant::now());
        if worker.runs() && (asked_again || begin.elapsed() >= patience) {
            eprintln!("only1mcp: the {} does not end, killing it", worker.name());
            return worker.kill();
        }
    }
}

/// The signals about us and our children, as something to wait for: handlers that write to pipes.
///
/// Not a signalfd: that needs the signals blocked, and `Command` hands its mask down, so that neither the
/// workers nor any server would hear a SIGTERM. Handlers end with exec.
#[derive(Debug)]
struct Signals {
    stop: UnixStream,
    hangup: UnixStream,
    child: UnixStream,
    /// Whether SIGHUP means that the terminal is gone.
    has_terminal: bool,
}

impl Signals {
    fn take() -> Result<Self, Failure> {
        let piped = || {
            Ok(Self {
                stop: pipe_of(&STOP_SIGNALS)?,
                hangup: pipe_of(&[SIGHUP])?,
                child: pipe_of(&[SIGCHLD])?,
                has_terminal: io::stdin().is_terminal()
                    || io::stdout().is_terminal()
                    || io::stderr().is_terminal(),
            })
        };
        piped().map_err(|cause: io::Error| {
            Failure::new(Exit::Internal, format!("cannot take over signals: {cause}"))
        })
    }

    fn wait(&self, until: Option<Instant>) -> Wake {
        let left = |until: Instant| timeout(until.saturating_duration_since(Instant::now()));
        let mut polled = [
            PollFd::new(self.stop.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.hangup.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.child.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut polled, until.map_or(PollTimeout::NONE, left)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => {
                eprintln!("only1mcp: cannot wait for signals: {errno}");
                return Wake::Stop;
            }
        }
        has_arrived(&self.child);
        match (has_arrived(&self.stop), has_arrived(&self.hangup)) {
            (true, _) => Wake::Stop,
            (false, true) if self.has_terminal => Wake::Stop,
            (false, true) => Wake::Reload,
            (false, false) => Wake::Look,
        }
    }
}

/// The end to read of a pipe into which each of the signals puts a byte.
fn pipe_of(signals: &[i32]) -> io::Result<UnixStream> {
    let (read, write) = UnixStream::pair()?;
    read.set_nonblocking(true)?;
    for &signal in signals {
        signal_hook::low_level::pipe::register(signal, write.try_clone()?)?;
    }
    Ok(read)
}

/// Empties a pipe; whether there was anything in it.
fn has_arrived(mut pipe: &UnixStream) -> bool {
    let mut bytes = [0; 64];
    let mut any = false;
    while let Ok(1..) = pipe.read(&mut bytes) {
        any = true;
    }
    any
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
