//! The system calls the proxy needs, measured with strace, and nothing else.
//!
//! Three filters: the list of what is allowed (all else does not exist: ENOSYS), and two short lists
//! that give the classic attacks the errors their authors know (EPERM, EACCES).

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter,
};
use std::collections::BTreeMap;

/// Why the system calls could not be restricted.
#[derive(Debug, thiserror::Error)]
pub enum CallsError {
    /// The filter cannot be built.
    #[error("the filter cannot be built: {0}")]
    Build(#[from] seccompiler::BackendError),
    /// The kernel refuses the filter.
    #[error("the kernel refuses the filter: {0}")]
    Apply(#[from] seccompiler::Error),
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Restricts the calling thread and all that it will start.
///
/// # Errors
/// [`CallsError`].
pub fn restrict() -> Result<(), CallsError> {
    let errno = |errno: i32| SeccompAction::Errno(errno.unsigned_abs());
    apply(forbidden()?, SeccompAction::Allow, errno(libc::EPERM))?;
    apply(without_conditions(&closed()), SeccompAction::Allow, errno(libc::EACCES))?;
    // Comes last, because it allows no further filter. What the two before it answer passes through
    // it: of two errors the kernel would take the one of the last filter.
    let mut listed = allowed()?;
    listed.extend(forbidden()?.into_keys().chain(closed()).map(|call| (call, Vec::new())));
    apply(listed, errno(libc::ENOSYS), SeccompAction::Allow)
}

fn apply(rules: Rules, otherwise: SeccompAction, matched: SeccompAction) -> Result<(), CallsError> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let filter = SeccompFilter::new(rules, otherwise, matched, architecture)?;
    Ok(apply_filter(&BpfProgram::try_from(filter)?)?)
}

fn without_conditions(calls: &[i64]) -> Rules {
    calls.iter().map(|&call| (call, Vec::new())).collect()
}

/// What the proxy does whatever the arguments: reads and writes, waits, has memory and threads, tells
/// the time.
const ALWAYS: &[i64] = &[
    // Messages.
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_accept4,
    libc::SYS_connect,
    libc::SYS_shutdown,
    libc::SYS_close,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_fcntl,
    // The view is a file in memory: its size, its start, its bytes.
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_lseek,
    libc::SYS_pread64,
    // Waiting.
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_ppoll,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_clock_gettime,
    libc::SYS_restart_syscall,
    // Memory. None of it may become a program: see below.
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    // Threads and their end.
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sched_getaffinity,
    libc::SYS_prlimit64,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_getrandom,
];

/// What it does with some arguments only.
fn allowed() -> Result<Rules, CallsError> {
    let mut rules = without_conditions(ALWAYS);
    #[cfg(target_arch = "x86_64")]
    rules.extend(without_conditions(&[libc::SYS_epoll_wait, libc::SYS_poll]));
    let not_executable = SeccompCmpOp::MaskedEq(bits(libc::PROT_EXEC));
    let own = u64::from(std::process::id());
    for (call, argument, operator, value) in [
        (libc::SYS_mmap, 2, not_executable.clone(), 0),
        (libc::SYS_mprotect, 2, not_executable, 0),
        (libc::SYS_clone, 0, SeccompCmpOp::MaskedEq(bits(libc::CLONE_THREAD)), bits(libc::CLONE_THREAD)),
        (libc::SYS_socket, 0, SeccompCmpOp::Eq, bits(libc::AF_UNIX)),
        (libc::SYS_socketpair, 0, SeccompCmpOp::Eq, bits(libc::AF_UNIX)),
        (libc::SYS_ioctl, 1, SeccompCmpOp::Eq, libc::FIONBIO),
        // What of a server's standard input was not read when it ended.
        (libc::SYS_ioctl, 1, SeccompCmpOp::Eq, libc::FIONREAD),
        (libc::SYS_prctl, 0, SeccompCmpOp::Eq, bits(libc::PR_SET_NAME)),
        (libc::SYS_tgkill, 0, SeccompCmpOp::Eq, own),
    ] {
        rules.entry(call).or_default().push(one(argument, operator, value)?);
    }
    Ok(rules)
}

/// What an attacker tries first, besides files: programs, processes, other processes' memory, mounts,
/// namespaces, sockets to elsewhere, kernel interfaces with a history.
fn forbidden() -> Result<Rules, CallsError> {
    let mut rules = without_conditions(&[
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_pidfd_getfd,
        libc::SYS_kcmp,
        libc::SYS_kill,
        libc::SYS_tkill,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_move_mount,
        libc::SYS_pivot_root,
        libc::SYS_chroot,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_io_uring_setup,
        libc::SYS_memfd_create,
        libc::SYS_keyctl,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_kexec_load,
        libc::SYS_setuid,
        libc::SYS_setresuid,
        libc::SYS_capset,
        libc::SYS_personality,
        libc::SYS_bind,
        libc::SYS_listen,
    ]);
    #[cfg(target_arch = "x86_64")]
    rules.extend(without_conditions(&[libc::SYS_fork, libc::SYS_vfork]));
    for (call, argument, operator, value) in [
        (libc::SYS_clone, 0, SeccompCmpOp::MaskedEq(bits(libc::CLONE_THREAD)), 0),
        (libc::SYS_socket, 0, SeccompCmpOp::Ne, bits(libc::AF_UNIX)),
        // The limits of another process.
        (libc::SYS_prlimit64, 0, SeccompCmpOp::Ne, 0),
        (libc::SYS_mmap, 2, SeccompCmpOp::MaskedEq(bits(libc::PROT_EXEC)), bits(libc::PROT_EXEC)),
        (libc::SYS_mprotect, 2, SeccompCmpOp::MaskedEq(bits(libc::PROT_EXEC)), bits(libc::PROT_EXEC)),
    ] {
        rules.entry(call).or_default().push(one(argument, operator, value)?);
    }
    Ok(rules)
}

/// Files by path: Landlock closes them too, where the kernel has it.
fn closed() -> Vec<i64> {
    let mut calls = vec![libc::SYS_openat, libc::SYS_openat2, libc::SYS_open_by_handle_at];
    #[cfg(target_arch = "x86_64")]
    calls.extend([libc::SYS_open, libc::SYS_creat]);
    calls
}

fn one(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompRule, CallsError> {
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)?;
    Ok(SeccompRule::new(vec![condition])?)
}

/// A constant of the C library as the kernel sees it.
fn bits(constant: i32) -> u64 {
    u64::from(constant.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;
    use nix::mount::{MsFlags, mount};
    use nix::sched::{CloneFlags, unshare};
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket, socketpair};

    #[test]
    fn what_is_allowed_on_a_condition_is_forbidden_without_it() {
        let forbidden = forbidden().unwrap();
        let conditional: Vec<i64> = allowed()
            .unwrap()
            .into_iter()
            .filter(|(_, rules)| !rules.is_empty())
            .map(|(call, _)| call)
            .collect();
        // These pass the list through the other filter alone, so that one must hold the condition.
        for call in conditional.iter().filter(|call| forbidden.contains_key(call)) {
            assert!(!forbidden[call].is_empty(), "system call {call}");
        }
        for call in [libc::SYS_clone, libc::SYS_socket, libc::SYS_mmap, libc::SYS_mprotect] {
            assert!(conditional.contains(&call) && forbidden.contains_key(&call), "system call {call}");
        }
    }

    #[test]
    fn the_filters_alone_stop_what_they_should() {
        let restricted = std::thread::spawn(|| {
            let (reader, _writer) = nix::unistd::pipe().unwrap();
            let parent = rustix::process::getppid();
            restrict().unwrap();
            let family = |family| socket(family, SockType::Stream, SockFlag::empty(), None).map(drop);
            (
                unshare(CloneFlags::CLONE_NEWUSER),
                mount(None::<&str>, "/proc", None::<&str>, MsFlags::MS_REMOUNT, None::<&str>),
                [family(AddressFamily::Inet6), family(AddressFamily::Netlink), family(AddressFamily::Unix)],
                std::fs::File::open("/etc/passwd").map_err(|error| error.raw_os_error()).map(drop),
                socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::empty()).map(drop),
                nix::unistd::setpgid(nix::unistd::Pid::this(), nix::unistd::Pid::this()),
                rustix::io::ioctl_fionread(&reader),
                [None, parent].map(|whose| {
                    let as_it_is = rustix::process::Rlimit { current: None, maximum: None };
                    rustix::process::prlimit(whose, rustix::process::Resource::Core, as_it_is).map(drop)
                }),
            )
        });
        let (unshared, mounted, families, opened, paired, grouped, counted, limited) =
            restricted.join().unwrap();
        assert_eq!((unshared, mounted), (Err(Errno::EPERM), Err(Errno::EPERM)));
        assert_eq!(families, [Err(Errno::EPERM), Err(Errno::EPERM), Ok(())]);
        assert_eq!(opened, Err(Some(libc::EACCES)));
        assert_eq!(paired, Ok(()));
        assert_eq!(counted, Ok(0));
        assert_eq!(limited[1], Err(rustix::io::Errno::PERM), "another process");
        assert_ne!(limited[0], Err(rustix::io::Errno::NOSYS), "our own");
        assert_eq!(grouped, Err(Errno::ENOSYS), "a call that nobody listed does not exist");
    }
}
