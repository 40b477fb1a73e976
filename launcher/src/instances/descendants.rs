//! Minimal mode has no pid namespace that ends as a whole: processes are found by their parents.

use crate::kernel::process;
use crate::limits::{KILL_ROUNDS_MAX, ORPHAN_TIME_MAX_MS};
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::os::fd::AsFd;

/// Kills all descendants of a process, but not the process itself.
pub fn kill_below(ancestor: u32) {
    for _ in 0..KILL_ROUNDS_MAX {
        let found = below(ancestor);
        if found.is_empty() {
            return;
        }
        found.into_iter().for_each(kill);
    }
}

/// Kills and reaps children of this process that nobody else reaps: what a server left behind, which
/// came to the launcher when the server's PID 1 ended.
pub fn end_orphans(expected: &BTreeSet<u32>) {
    let mut left = BTreeSet::new();
    for _ in 0..KILL_ROUNDS_MAX {
        let orphans: Vec<u32> = children(std::process::id())
            .into_iter()
            .filter(|pid| !expected.contains(pid) && !left.contains(pid))
            .collect();
        if orphans.is_empty() {
            return;
        }
        for orphan in orphans {
            kill_below(orphan);
            kill(orphan);
            if !reap(orphan) {
                left.insert(orphan);
            }
        }
    }
}

/// Whether a child that was killed could be reaped. One that the kernel holds back is left for the next
/// time: everybody else would wait for it, too.
fn reap(orphan: u32) -> bool {
    if let Ok(pidfd) = process::open(orphan) {
        let mut ended = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
        let _: nix::Result<i32> = poll(&mut ended, ORPHAN_TIME_MAX_MS);
    }
    // By its number and not all at once: other children have somebody who waits for them.
    let status = waitpid(Pid::from_raw(orphan.cast_signed()), Some(WaitPidFlag::WNOHANG));
    !matches!(status, Ok(WaitStatus::StillAlive))
}

fn kill(pid: u32) {
    // It may have ended: then there is nothing to do.
    if let Ok(pidfd) = process::open(pid) {
        let _: nix::Result<()> = process::signal(pidfd.as_fd(), Signal::SIGKILL);
    }
}

fn below(ancestor: u32) -> Vec<u32> {
    let mut found = children(ancestor);
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
        found.extend(children(pid));
        next += 1;
    }
    // Those that have ended stay in the lists until they are reaped.
    found.retain(|&pid| !is_dead(pid));
    found
}

fn children(pid: u32) -> Vec<u32> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists = tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

fn is_dead(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = status.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    !matches!(state, Some(state) if !matches!(state, 'Z' | 'X'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a child that does not end")]
    fn a_child_that_does_not_end_holds_nobody_up() {
        let mut child = std::process::Command::new("/bin/sleep").arg("99").spawn().unwrap();
        assert!(!reap(child.id()));
        child.kill().unwrap();
        assert!(reap(child.id()));
        assert!(child.wait().is_err(), "it was reaped already");
    }
}
