//! The system call filters: what is not allowed is refused, what is newer than we are does not exist.
//!
//! Compiled when a configuration is read, installed in the child. Filter A allows what the plan lists,
//! some of it only with harmless arguments, and answers EPERM to the rest. Filter B, installed after it
//! and therefore asked first, answers ENOSYS where programs fall back on it: with EPERM glibc could
//! make no thread. Of two refusals the one of the filter installed last wins.

mod arguments;

use crate::kernel::filter;
use crate::launch::failure::{At, Failure};
use crate::machine::Isolation;
use crate::weakened::{Weakness, lacks};
use only1mcp_wire::Step;
use only1mcp_wire::plan::ServerPlan;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, SeccompRule, TargetArch, sock_filter};
use std::collections::BTreeMap;

#[cfg(not(target_arch = "x86_64"))]
compile_error!("the numbers of the plan's system calls are those of x86-64");

/// The highest system call of this build's table. What is higher was made after it.
pub const HIGHEST_KNOWN: u32 = 462;

/// Answered with ENOSYS: programs know how to do without these.
const ABSENT: [libc::c_long; 12] = [
    libc::SYS_clone3,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_memfd_secret,
];

/// Refused where nothing but Landlock stands between the server and the machine: Landlock does not
/// govern Unix sockets, UDP or the watching of files.
const NEVER_WITHOUT_NAMESPACES: [libc::c_long; 2] = [libc::SYS_socket, libc::SYS_inotify_add_watch];

/// What `only1mcp-init` and the loader need to start the server, whatever the plan lists.
const NEEDED_BY_INIT: [libc::c_long; 33] = [
    libc::SYS_access,
    libc::SYS_arch_prctl,
    libc::SYS_brk,
    libc::SYS_clone,
    libc::SYS_close,
    libc::SYS_dup2,
    libc::SYS_execve,
    libc::SYS_exit_group,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getrandom,
    libc::SYS_kill,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_munmap,
    libc::SYS_newfstatat,
    libc::SYS_open,
    libc::SYS_openat,
    libc::SYS_prctl,
    libc::SYS_pread64,
    libc::SYS_prlimit64,
    libc::SYS_read,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_setsid,
    libc::SYS_wait4,
    libc::SYS_write,
];

/// Both filters of one server, ready to be installed.
#[derive(Clone, Debug)]
pub struct Filters {
    allowed: BpfProgram,
    absent: BpfProgram,
}

impl Filters {
    /// Compiles the filters of a plan.
    ///
    /// # Errors
    /// The compiler's; it names no path.
    pub fn compile(plan: &ServerPlan, isolation: Isolation) -> Result<Self, seccompiler::Error> {
        let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
        let listed = plan.system_calls.iter().map(|&number| libc::c_long::from(number));
        for call in listed.chain(NEEDED_BY_INIT) {
            rules.insert(call, arguments::harmless(call, plan, isolation)?);
        }
        if isolation == Isolation::LandlockOnly {
            NEVER_WITHOUT_NAMESPACES.iter().for_each(|call| drop(rules.remove(call)));
        }
        // Logging lets through as allowing does; the library takes no filter with the same answer twice.
        let refuse = if lacks(Weakness::DefaultAllow) {
            SeccompAction::Log
        } else {
            SeccompAction::Errno(libc::EPERM.unsigned_abs())
        };
        let filter = SeccompFilter::new(rules, refuse, SeccompAction::Allow, TargetArch::x86_64)?;
        Ok(Self { allowed: filter.try_into()?, absent: absent() })
    }

    /// Installs both. From here on only `execve` follows.
    pub fn install(&self) -> Result<(), Failure> {
        #[cfg(feature = "weakened")]
        if lacks(Weakness::UndumpableInit) {
            filter::install(&crate::weakened::pretend_undumpable()).at(Step::Seccomp)?;
        }
        if lacks(Weakness::Seccomp) {
            return Ok(());
        }
        filter::install(&self.allowed).at(Step::Seccomp)?;
        if lacks(Weakness::NothingAbsent) {
            return Ok(());
        }
        filter::install(&self.absent).at(Step::Seccomp)
    }
}

/// Filter B, by hand: the compiler knows no "higher than". x32 calls, which have bit 30 set, are too.
fn absent() -> BpfProgram {
    // `seccomp_data` begins with the number.
    const NUMBER: u32 = 0;
    let refuse =
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs());
    let mut program = vec![
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, NUMBER),
        jump(libc::BPF_JGT, HIGHEST_KNOWN),
        refuse.clone(),
    ];
    let refused = |call| lacks(Weakness::RefusedClone3) && call == libc::SYS_clone3;
    for call in ABSENT.into_iter().filter(|&call| !refused(call)) {
        program.push(jump(libc::BPF_JEQ, u32::try_from(call).unwrap_or(u32::MAX)));
        program.push(refuse.clone());
    }
    program.push(statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW));
    program
}

fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter { code: u16::try_from(code).unwrap_or_default(), jt: 0, jf: 0, k }
}

/// Goes to the next instruction if the comparison holds, else over it.
fn jump(comparison: u32, k: u32) -> sock_filter {
    sock_filter { jf: 1, ..statement(libc::BPF_JMP | comparison | libc::BPF_K, k) }
}
