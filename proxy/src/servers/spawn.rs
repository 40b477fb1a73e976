//! The seam to whoever starts servers: the launcher, or a script in tests.

use only1mcp_policy::view::View;
use only1mcp_wire::{Exit, Machine, Partition, ServerName, Spawned, Usage};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionread;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::unix::pipe;
use tokio::sync::{oneshot, watch};

/// The end of a pipe we read.
pub type Reading = Box<dyn AsyncRead + Send + Unpin>;
/// The end of a pipe we write.
pub type Writing = Box<dyn Input>;

/// A server's standard input.
pub trait Input: AsyncWrite + Send + Unpin {
    /// How many bytes written to it nobody has read and nobody can read any more. Nothing while somebody
    /// holds its other end, or if it cannot be told.
    fn unread_for_good(&self) -> Option<u64> {
        None
    }
}

impl Input for pipe::Sender {
    fn unread_for_good(&self) -> Option<u64> {
        // In this order: who holds no reading end reads nothing more, so the count is final.
        let mut ends = [PollFd::new(self, PollFlags::OUT)];
        poll(&mut ends, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).ok()?;
        let [end] = ends;
        // A pipe without readers: POLLERR of pipe(7).
        if !end.revents().contains(PollFlags::ERR) {
            return None;
        }
        ioctl_fionread(self).ok()
    }
}

#[cfg(test)]
impl Input for tokio::io::DuplexStream {}
/// A future without a name.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A configuration in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// Counts configurations that came into force.
    pub generation: u64,
    /// What the proxy may know of it.
    pub view: View,
}

/// A server that was started.
pub struct Process {
    /// Its standard input.
    pub stdin: Writing,
    /// Its standard output.
    pub stdout: Reading,
    /// Its standard error.
    pub stderr: Reading,
    /// What the launcher says of it.
    pub spawned: Spawned,
    /// How it ended. Closed without a word if the launcher went away.
    pub exit: oneshot::Receiver<Exit>,
    /// Ends it.
    pub leash: Box<dyn Leash>,
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("spawned", &self.spawned).finish_non_exhaustive()
    }
}

/// What can be asked of the launcher about one server.
pub trait Leash: Send + Sync {
    /// Asks it to end, and has it killed after `grace`.
    fn stop(&self, grace: Duration);

    /// What it uses of its limits; nothing if that is not counted, or it has ended.
    fn usage(&self) -> Later<'_, Option<Usage>> {
        Box::pin(async { None })
    }
}

/// Why a server was not started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct SpawnError {
    /// In words for a person.
    pub reason: String,
    /// Whether it lies with who starts servers, and will pass: those who wait go on waiting.
    pub is_passing: bool,
}

/// How often a configuration was read again since the proxy began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reloads {
    /// Times it was found to be in order.
    pub accepted: u64,
    /// Times it was refused.
    pub refused: u64,
    /// Errors found the last time; while there are any, an older one is in force.
    pub last_errors: u32,
}

/// Who starts servers.
pub trait Spawner: Send + Sync + 'static {
    /// Starts the server of this name for this partition, as the configuration in force has it.
    fn spawn<'a>(
        &'a self,
        server: &'a ServerName,
        partition: Partition,
    ) -> Later<'a, Result<Process, SpawnError>>;

    /// What it says about this machine.
    fn machine(&self) -> Machine;

    /// The configuration in force, now and later.
    fn in_force(&self) -> watch::Receiver<Arc<InForce>>;

    /// Has the configuration read again: the generation then in force, and how many errors kept a newer one from it.
    fn reload(&self) -> Later<'_, Result<(u64, u32), SpawnError>> {
        Box::pin(async {
            Err(SpawnError { reason: "it reads no configuration".to_owned(), is_passing: false })
        })
    }

    /// How often a configuration was read again.
    fn reloads(&self) -> Reloads {
        Reloads::default()
    }
}
