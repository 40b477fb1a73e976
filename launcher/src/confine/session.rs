//! What a process inherits without asking: descriptors, session, signals, umask, working directory.

use crate::kernel::{descriptors, process};
use crate::launch::failure::{At, Failure};
use crate::launch::places::SCRATCH;
use crate::weakened::{Weakness, lacks};
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{chdir, getcwd, mkdir, setsid};
use only1mcp_wire::Step;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::path::Path;

/// The descriptors of the child that survive: its streams, and its line to the launcher.
#[derive(Debug)]
pub struct Descriptors<'a> {
    /// Standard input, output and error of the server.
    pub streams: [BorrowedFd<'a>; 3],
    /// Where failures are reported, as descriptor 3 up to the server's `execve`.
    pub line: BorrowedFd<'a>,
    /// A pidfd of the launcher, as descriptor 4 up to the `execve` of `only1mcp-init`.
    pub launcher: BorrowedFd<'a>,
}

/// Puts the descriptors in their places and closes everything else: from here on the child has
/// nothing of the launcher's, neither its socket nor other servers' streams.
pub fn settle(descriptors: &Descriptors<'_>) -> Result<(), Failure> {
    let [stdin, stdout, stderr] = descriptors.streams;
    let sources = [stdin, stdout, stderr, descriptors.line, descriptors.launcher];
    // Copied out of the way first: a source may stand where another one belongs.
    let mut copies = Vec::with_capacity(sources.len());
    for source in sources {
        copies.push(descriptors::copy_above(source, descriptors::FIRST_FREE).at(Step::Descriptors)?);
    }
    for (number, copy) in (0..).zip(&copies) {
        descriptors::place(copy.as_fd(), number).at(Step::Descriptors)?;
    }
    // Closed by the next call, so no longer theirs to close.
    std::mem::forget(copies);
    close_from(descriptors::FIRST_FREE)
}

/// Closes all but the streams and the line to the launcher.
pub fn close_all_else() -> Result<(), Failure> {
    close_from(descriptors::LAUNCHER)
}

fn close_from(first: RawFd) -> Result<(), Failure> {
    if lacks(Weakness::ClosedDescriptors) {
        return Ok(());
    }
    descriptors::close_from(first).at(Step::Descriptors)
}

/// Its own session without a terminal, default signals, nothing blocked, files for nobody else.
pub fn start() -> Result<(), Failure> {
    if !lacks(Weakness::OwnSession) {
        setsid().at(Step::Session)?;
    }
    process::default_signals();
    if !lacks(Weakness::BlockedSignals) {
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None).at(Step::Session)?;
    }
    umask(Mode::from_bits_truncate(if lacks(Weakness::LooseUmask) { 0o022 } else { 0o077 }));
    Ok(())
}

/// Enters the working directory, and looks that it is one of the new root.
pub fn enter(directory: &str) -> Result<(), Failure> {
    chdir(directory).at_subject(Step::WorkingDirectory, directory)?;
    let here = getcwd().at_subject(Step::WorkingDirectory, directory)?;
    // The kernel says "(unreachable)/..." of a directory that the root does not contain.
    if here.is_absolute() { Ok(()) } else { Err(Errno::EXDEV).at_subject(Step::WorkingDirectory, directory) }
}

/// Has orphans of the server become children of `only1mcp-init`, as in a pid namespace.
pub fn keep_orphans() -> Result<(), Failure> {
    prctl::set_child_subreaper(true).at(Step::Session)
}

/// Makes the directory for temporary files in the server's own directory. Whatever else of that name a
/// server left there stays: no rule is made from it.
pub fn make_scratch(state: &str) -> Result<(), Failure> {
    match mkdir(Path::new(state).join(SCRATCH).as_path(), Mode::S_IRWXU) {
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(errno) => Err(errno).at_subject(Step::Scratch, SCRATCH),
    }
}
