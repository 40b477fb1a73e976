//! Groups of system calls, with a reason each, from `syscalls/groups.yaml`.

pub mod numbers;

use crate::document::keys::{GROUP, GROUPS};
use crate::document::reader::Fields;
use crate::document::{self, Source};
use crate::finding::Findings;
use numbers::{NEVER, NUMBERS};
use std::sync::LazyLock;

/// A group of system calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Why a server may make these calls.
    pub reason: String,
    /// The calls, by name.
    pub calls: Vec<String>,
}

/// All groups. They ship with the program, and a test sees that they have no findings.
pub fn groups() -> &'static [Group] {
    static GROUPS: LazyLock<Vec<Group>> = LazyLock::new(|| parse(&mut Findings::default()));
    &GROUPS
}

fn parse(findings: &mut Findings) -> Vec<Group> {
    let text = include_str!("../syscalls/groups.yaml").to_owned();
    let source = Source { path: "<system call groups>".to_owned(), text };
    let Some(node) = document::read(&source, findings) else { return Vec::new() };
    let Some(fields) = Fields::open(&node, GROUPS, findings) else { return Vec::new() };
    let groups = fields.mappings("groups", GROUP, findings);
    groups.iter().map(|group| read_group(group, findings)).collect()
}

fn read_group(fields: &Fields<'_>, findings: &mut Findings) -> Group {
    let mut text = |name| fields.text(name, findings).map(|spot| spot.value).unwrap_or_default();
    let (name, reason) = (text("name"), text("reason"));
    let calls = fields.texts("calls", findings).unwrap_or_default();
    for call in &calls {
        if number(&call.value).is_none() || NEVER.contains(&call.value.as_str()) {
            findings.error(
                &call.place,
                format!("a group may not name the system call `{}`", call.value),
                "remove it",
            );
        }
    }
    Group { name, reason, calls: calls.into_iter().map(|call| call.value).collect() }
}

/// The numbers of all calls of these groups, sorted. A profile names no other groups; a test sees to it.
#[must_use]
pub fn numbers_of(names: &[String]) -> Vec<u32> {
    let named = groups().iter().filter(|group| names.contains(&group.name));
    let mut numbers: Vec<u32> =
        named.flat_map(|group| group.calls.iter().filter_map(|call| number(call))).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// The number of a system call.
#[must_use]
pub fn number(name: &str) -> Option<u32> {
    let (_, number) = NUMBERS.iter().find(|(known, _)| *known == name)?;
    u32::try_from(*number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What real servers were seen to call, less clone3, which the launcher answers with ENOSYS.
    const SEEN: &str = "access arch_prctl brk capget clock_getres clock_nanosleep close connect dup dup2 \
        epoll_create1 epoll_ctl epoll_pwait epoll_wait eventfd2 execve exit exit_group faccessat2 fchdir \
        fcntl flock fstat ftruncate futex getcwd getdents64 getegid geteuid getgid getpid getppid getrandom \
        getrusage getsockname getsockopt gettid getuid ioctl lseek madvise mkdir mmap mprotect munmap \
        newfstatat openat pipe2 pkey_alloc poll prctl pread64 prlimit64 read readlink recvfrom rename rseq \
        rt_sigaction rt_sigprocmask rt_sigreturn sched_getaffinity sched_yield sendto set_robust_list \
        set_tid_address setsockopt socket socketpair statx sysinfo uname unlink wait4 write \
        clone rt_tgsigqueueinfo nanosleep tgkill";

    fn all() -> Vec<Group> {
        let mut findings = Findings::default();
        let groups = parse(&mut findings);
        assert_eq!(findings.to_text(), "");
        groups
    }

    #[test]
    fn every_call_real_servers_make_is_in_a_group() {
        let calls: Vec<String> = all().into_iter().flat_map(|group| group.calls).collect();
        for call in SEEN.split_whitespace() {
            assert!(calls.iter().any(|known| known == call), "{call}");
        }
    }

    #[test]
    fn no_group_names_a_call_that_reaches_out() {
        for group in all() {
            assert!(!group.reason.is_empty(), "{}", group.name);
            for call in &group.calls {
                assert!(!NEVER.contains(&call.as_str()), "{call}");
            }
        }
    }

    #[test]
    fn no_call_stands_in_two_groups() {
        let mut calls: Vec<String> = all().into_iter().flat_map(|group| group.calls).collect();
        let count = calls.len();
        calls.sort_unstable();
        calls.dedup();
        assert_eq!(calls.len(), count);
        assert!((200..=240).contains(&count), "{count} calls");
    }
}
