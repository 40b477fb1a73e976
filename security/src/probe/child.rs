//! Runs an attempt in a child of its own: it may be killed, hang or ruin itself, and we still report.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, pipe};

use super::kernel;
use super::outcome::{Act, Done};

/// How long one attempt may take, in milliseconds: thousands of files on a busy machine take some seconds.
const ATTEMPT_MS_MAX: u16 = 45_000;
/// Bytes of one attempt's acts, encoded.
const ACTS_BYTES_MAX: u64 = 1024 * 1024;

/// Runs `attempt` in a child and gives back what it did, or the one act of being killed.
pub fn done(attempt: impl FnOnce() -> Done) -> Done {
    try_done(attempt)
        .unwrap_or_else(|errno| vec![Act::failed("run the attempt in a child", errno.to_string())].into())
}

fn try_done(attempt: impl FnOnce() -> Done) -> Result<Done, Errno> {
    let (reading, writing) = pipe()?;
    let Some(child) = kernel::fork()? else {
        drop(reading);
        report(writing, &attempt());
        kernel::exit_now(0);
    };
    drop(writing);
    let encoded = read_until_deadline(reading);
    if encoded.is_none() {
        let _ = kill(child, Signal::SIGKILL);
    }
    Ok(judge(encoded, ended(child)?))
}

fn report(writing: OwnedFd, done: &Done) {
    let encoded = serde_json::to_vec(done).unwrap_or_default();
    let _ = File::from(writing).write_all(&encoded);
}

/// The bytes the child wrote before it ended, or `None` if it did not end in time.
fn read_until_deadline(reading: OwnedFd) -> Option<Vec<u8>> {
    let ready = {
        let mut watched = [PollFd::new(reading.as_fd(), PollFlags::POLLIN)];
        poll(&mut watched, PollTimeout::from(ATTEMPT_MS_MAX))
    };
    if ready != Ok(1) {
        return None;
    }
    let mut encoded = Vec::new();
    File::from(reading).take(ACTS_BYTES_MAX).read_to_end(&mut encoded).ok()?;
    Some(encoded)
}

fn ended(child: Pid) -> Result<WaitStatus, Errno> {
    loop {
        match waitpid(child, None) {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}

fn judge(encoded: Option<Vec<u8>>, status: WaitStatus) -> Done {
    match (encoded, status) {
        (None, _) => vec![Act::failed("end in time", format!("not ended after {ATTEMPT_MS_MAX} ms"))].into(),
        (Some(_), WaitStatus::Signaled(_, signal, _)) => vec![Act::killed("stay alive", signal)].into(),
        (Some(encoded), _) => serde_json::from_slice(&encoded).unwrap_or_else(|error| {
            vec![Act::failed("report", format!("unreadable report: {error}"))].into()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::outcome::Outcome;

    #[test]
    fn acts_come_back_from_the_child() {
        let acts = done(|| vec![Act::of("ask", Err(Errno::EPERM))].into()).acts;
        assert_eq!(acts[0].errno.as_deref(), Some("EPERM"));
    }

    #[test]
    fn a_killed_child_is_reported_with_its_signal() {
        let acts = done(|| {
            let _ = kill(Pid::this(), Signal::SIGSYS);
            Done::default()
        })
        .acts;
        assert_eq!((acts[0].outcome, acts[0].signal.as_deref()), (Outcome::Denied, Some("SIGSYS")));
    }
}
