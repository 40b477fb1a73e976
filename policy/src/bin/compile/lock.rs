//! The program locks itself down before it parses a document: a fault in a parser must not become more
//! than a wrong answer. No new file, no network, no other program, little memory and time.

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, PathBeneath, PathFd, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, Scope,
};
use nix::sys::resource::{Resource, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use std::collections::BTreeMap;
use std::os::fd::AsFd;

/// Seconds of processor time.
const CPU_SECONDS: u64 = 5;
/// Bytes of address space.
const ADDRESS_SPACE_BYTES: u64 = 512 << 20;
/// Open files.
const OPEN_FILES: u64 = 64;

/// Flags of an open that could change a file: on a kernel without Landlock nothing else refuses them.
/// `openat2` takes its flags by pointer, which no filter sees; it is for documents, before the filter.
const WRITING: u64 = (libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC).unsigned_abs() as u64;

/// The system calls that reading, deciding and printing need.
const CALLS: &[libc::c_long] = &[
    libc::SYS_read,
    libc::SYS_pread64,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_lseek,
    libc::SYS_fcntl,
    libc::SYS_openat,
    libc::SYS_fstat,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_readlink,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_access,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_getcwd,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_getrandom,
    libc::SYS_clock_gettime,
    libc::SYS_sched_yield,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_tgkill,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Locks this process down for good.
pub fn lock() -> Result<(), Box<dyn std::error::Error>> {
    limit()?;
    close_files()?;
    filter()
}

fn filter() -> Result<(), Box<dyn std::error::Error>> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = CALLS.iter().map(|call| (*call, Vec::new())).collect();
    let writing = SeccompCmpOp::MaskedEq(WRITING);
    let condition = SeccompCondition::new(2, SeccompCmpArgLen::Dword, writing, 0)?;
    rules.insert(libc::SYS_openat, vec![SeccompRule::new(vec![condition])?]);
    let filter: BpfProgram = SeccompFilter::new(
        rules,
        SeccompAction::Errno(libc::EPERM.unsigned_abs()),
        SeccompAction::Allow,
        std::env::consts::ARCH.try_into()?,
    )?
    .try_into()?;
    seccompiler::apply_filter(&filter)?;
    Ok(())
}

fn limit() -> nix::Result<()> {
    lower(Resource::RLIMIT_CPU, CPU_SECONDS)?;
    lower(Resource::RLIMIT_AS, ADDRESS_SPACE_BYTES)?;
    lower(Resource::RLIMIT_NOFILE, OPEN_FILES)?;
    lower(Resource::RLIMIT_CORE, 0)?;
    // `plan > file` must work; opening another file for writing is refused by Landlock anyway.
    if !is_file(std::io::stdout()) && !is_file(std::io::stderr()) {
        lower(Resource::RLIMIT_FSIZE, 0)?;
    }
    Ok(())
}

/// Sets both limits, without raising one that is lower already.
fn lower(resource: Resource, most: u64) -> nix::Result<()> {
    let (soft, hard) = nix::sys::resource::getrlimit(resource)?;
    setrlimit(resource, soft.min(most), hard.min(most))
}

fn is_file(stream: impl AsFd) -> bool {
    nix::sys::stat::fstat(stream).is_ok_and(|status| status.st_mode & libc::S_IFMT == libc::S_IFREG)
}

/// Everything may be read and nothing written or executed. On a kernel without Landlock the system call
/// filter and the limit of file sizes remain.
fn close_files() -> Result<(), Box<dyn std::error::Error>> {
    let abi = ABI::V6;
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .scope(Scope::from_all(abi))?
        .create()?;
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    ruleset = ruleset.add_rule(PathBeneath::new(PathFd::new("/")?, read))?;
    ruleset.restrict_self()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::ErrorKind;
    use std::net::TcpListener;

    /// Set for the process that locks itself down.
    const INSIDE: &str = "ONLY1MCP_LOCK_TEST";

    #[test]
    fn a_locked_process_reads_and_does_nothing_else() {
        run_inside("lock::tests::a_locked_process_reads_and_does_nothing_else", super::lock);
    }

    #[test]
    fn the_filter_alone_refuses_what_landlock_would_on_a_kernel_that_has_it() {
        run_inside(
            "lock::tests::the_filter_alone_refuses_what_landlock_would_on_a_kernel_that_has_it",
            super::filter,
        );
    }

    /// Runs the test once more: a lock cannot be taken off, so it needs a process of its own.
    #[expect(clippy::disallowed_methods, reason = "a lock is tried in a process of its own")]
    fn run_inside(name: &str, lock: fn() -> Result<(), Box<dyn std::error::Error>>) {
        if std::env::var_os(INSIDE).is_some() {
            return inside(lock);
        }
        let program = std::env::current_exe().unwrap();
        let arguments = ["--exact", name, "--nocapture", "--test-threads=1"];
        let output = std::process::Command::new(program).args(arguments).env(INSIDE, "1").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("locked and tried"), "{output:?}");
    }

    #[expect(clippy::disallowed_methods, reason = "the attempt must fail")]
    fn inside(lock: fn() -> Result<(), Box<dyn std::error::Error>>) {
        let path = std::env::temp_dir().join(format!("only1mcp-lock-{}", std::process::id()));
        fs::write(&path, "before").unwrap();
        TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(std::process::Command::new("/bin/true").status().unwrap().success());

        lock().unwrap();
        let refused = |kind: Option<ErrorKind>| assert_eq!(kind, Some(ErrorKind::PermissionDenied));
        refused(fs::write(&path, "after").err().map(|error| error.kind()));
        refused(fs::File::create(path.with_extension("new")).err().map(|error| error.kind()));
        let truncate = fs::OpenOptions::new().write(true).truncate(true).open(&path);
        refused(truncate.err().map(|error| error.kind()));
        refused(fs::remove_file(&path).err().map(|error| error.kind()));
        refused(TcpListener::bind("127.0.0.1:0").err().map(|error| error.kind()));
        refused(std::process::Command::new("/bin/true").status().err().map(|error| error.kind()));
        assert_eq!(fs::read_to_string(&path).unwrap(), "before");
        println!("locked and tried");
    }
}
