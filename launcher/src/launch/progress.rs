//! A launch between the fork and the server's `execve`, as the launcher follows it without waiting.

use super::failure::{At, Failure, REPORT_BYTES_MAX};
use super::identity::Identity;
use super::prepare::Ready;
use crate::confine::namespaces::READY;
use crate::limits::LAUNCH_TIME_MAX;
use crate::machine::Isolation;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{Gid, Uid, fchown, pipe2};
use only1mcp_wire::Step;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Instant;

/// One side of a server's three standard streams.
#[derive(Debug)]
pub struct Streams {
    /// Of its standard input.
    pub stdin: OwnedFd,
    /// Of its standard output.
    pub stdout: OwnedFd,
    /// Of its standard error.
    pub stderr: OwnedFd,
}

/// A launch under way.
#[derive(Debug)]
pub struct Launching {
    /// The proxy's side of the server's streams.
    pub streams: Streams,
    /// When the child must have executed the server.
    pub deadline: Instant,
    child: u32,
    line: UnixStream,
    identity: Identity,
    mapped: bool,
    report: Vec<u8>,
}

/// How far a launch has come.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// Not there yet.
    Pending,
    /// The server's program was executed.
    Running,
    /// A step failed; the child has ended or is about to.
    Failed(Failure),
}

impl Launching {
    pub(super) fn new(child: u32, line: UnixStream, streams: Streams, ready: &Ready<'_>) -> Self {
        let deadline = Instant::now() + LAUNCH_TIME_MAX;
        // Without a user namespace there is nothing to map.
        let mapped = ready.isolation == Isolation::LandlockOnly;
        Self { streams, deadline, child, line, identity: ready.identity, mapped, report: Vec::new() }
    }

    /// What to poll for input.
    pub fn line(&self) -> &UnixStream {
        &self.line
    }

    /// Takes the next step if the child has said something.
    pub fn advance(&mut self) -> Progress {
        let mut buffer = [0; REPORT_BYTES_MAX];
        let read = match self.line.read(&mut buffer) {
            Ok(count) => buffer.get(..count).unwrap_or_default(),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Progress::Pending;
            }
            Err(error) => return Progress::Failed(failed(error)),
        };
        match read {
            [] => self.ended(),
            [READY] if !self.mapped => match self.map() {
                Ok(()) => Progress::Pending,
                Err(failure) => Progress::Failed(failure),
            },
            more if self.report.len() + more.len() <= REPORT_BYTES_MAX => {
                self.report.extend_from_slice(more);
                Progress::Pending
            }
            _ => Progress::Failed(Failure::from_report(&self.report)),
        }
    }

    fn map(&mut self) -> Result<(), Failure> {
        self.identity.map(self.child)?;
        self.mapped = true;
        // One byte into an empty socket buffer: this cannot block.
        self.line.write_all(&[READY]).at(Step::MapIds)
    }

    /// The line was closed: by `execve`, if every step before it went well.
    fn ended(&self) -> Progress {
        if self.mapped && self.report.is_empty() {
            Progress::Running
        } else {
            Progress::Failed(Failure::from_report(&self.report))
        }
    }
}

fn failed(error: std::io::Error) -> Failure {
    Failure {
        step: Step::Prepare,
        errno: Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)),
        subject: String::new(),
    }
}

/// The line between launcher and child: the launcher's end never blocks.
pub(super) fn line() -> Result<(UnixStream, UnixStream), Failure> {
    let (launchers, childs) = UnixStream::pair().at(Step::Prepare)?;
    launchers.set_nonblocking(true).at(Step::Prepare)?;
    Ok((launchers, childs))
}

/// Fresh pipes: the proxy's ends, and the server's.
pub(super) fn streams(identity: Identity) -> Result<(Streams, Streams), Failure> {
    let (stdin, to_server) = pipe2(OFlag::O_CLOEXEC).at(Step::Prepare)?;
    let (from_server, stdout) = pipe2(OFlag::O_CLOEXEC).at(Step::Prepare)?;
    let (errors, stderr) = pipe2(OFlag::O_CLOEXEC).at(Step::Prepare)?;
    let servers = Streams { stdin, stdout, stderr };
    if let Identity::Pool(uid) = identity {
        // So that the server may open /dev/stdout and its like.
        for pipe in [&servers.stdin, &servers.stdout, &servers.stderr] {
            fchown(pipe, Some(Uid::from_raw(uid)), Some(Gid::from_raw(uid))).at(Step::Prepare)?;
        }
    }
    Ok((Streams { stdin: to_server, stdout: from_server, stderr: errors }, servers))
}
