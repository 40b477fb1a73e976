//! Plans by hand, and the directory in which a launcher finds them by a compiler that only prints.

use only1mcp_wire::plan::{
    AccessRule, Bind, BindKind, Limits, Link, Requires, Scratch, ServerPlan, SpawnLimits, SyntheticFile,
    Variable, VariableValue,
};
use only1mcp_wire::{PlanSet, ServerName};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A temporary directory with programs, state and a plan set; removed at the end.
pub struct Home {
    pub path: PathBuf,
}

impl Home {
    pub fn new(servers: Vec<ServerPlan>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = PathBuf::from(format!("/tmp/only1mcp-test-{}-{number}", std::process::id()));
        for directory in ["", "programs", "state", "state/credentials", "state/servers"] {
            std::fs::create_dir(path.join(directory)).unwrap();
            std::fs::set_permissions(path.join(directory), PermissionsExt::from_mode(0o755)).unwrap();
        }
        let init = Path::new(env!("CARGO_BIN_EXE_only1mcp-launcher")).with_file_name("only1mcp-init");
        assert!(init.exists(), "build only1mcp-init first: cargo build -p only1mcp-init");
        symlink(init, path.join("programs/only1mcp-init")).unwrap();
        let home = Self { path };
        home.compiler(&format!("exec cat {}", home.path.join("plan").display()));
        home.write(servers);
        home
    }

    /// Replaces the compiler by a shell script.
    pub fn compiler(&self, script: &str) {
        let program = self.path.join("programs/only1mcp-compile");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(program, PermissionsExt::from_mode(0o755)).unwrap();
    }

    /// Replaces the plans.
    pub fn write(&self, mut servers: Vec<ServerPlan>) {
        servers.sort_by(|a, b| a.name.cmp(&b.name));
        let inputs = vec![self.path.join("plan").to_str().unwrap().to_owned()];
        let set = PlanSet { servers, view: b"{\"view\":1}".to_vec(), inputs, warnings: Vec::new() };
        let new = self.path.join("plan.new");
        std::fs::write(&new, set.to_bytes()).unwrap();
        std::fs::set_permissions(&new, PermissionsExt::from_mode(0o644)).unwrap();
        std::fs::rename(new, self.path.join("plan")).unwrap();
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// A plan that runs a shell script.
pub fn shell(name: &str, script: &str) -> ServerPlan {
    plan(name, "/usr/bin/sh", &["sh", "-c", script])
}

/// A plan for a program of `/usr`.
pub fn plan(name: &str, program: &str, arguments: &[&str]) -> ServerPlan {
    ServerPlan {
        name: ServerName::new(name).unwrap(),
        digest: [7; 32],
        program: program.into(),
        arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
        environment: vec![variable("PATH", "/usr/bin"), variable("HOME", "/state")],
        working_directory: "/state".into(),
        binds: binds(),
        links: links(),
        files: vec![SyntheticFile {
            path: "/etc/passwd".into(),
            content: "mcp:x:1000:1000::/state:\n".into(),
        }],
        scratch: vec![
            Scratch { path: "/tmp".into(), bytes: 1 << 20, inodes: 64, executable: false },
            Scratch { path: "/dev/shm".into(), bytes: 1 << 20, inodes: 64, executable: false },
        ],
        state_executable: false,
        rules: rules(),
        system_calls: SYSTEM_CALLS.iter().map(|&number| u32::try_from(number).unwrap()).collect(),
        jit: true,
        limits: Limits {
            memory_bytes: 256 << 20,
            processes: 64,
            cpu_percent: 100,
            open_files: 128,
            file_bytes: 1 << 30,
            io_read_bytes: None,
            io_write_bytes: None,
        },
        requires: Requires { cgroup: false, landlock_abi: 1 },
        spawn: SpawnLimits { instances: 8, burst: 200, per_minute: 600 },
    }
}

pub fn variable(name: &str, value: &str) -> Variable {
    Variable { name: name.into(), value: VariableValue::Literal(value.into()) }
}

pub fn bind(path: &str, kind: BindKind) -> Bind {
    let found = std::fs::metadata(path).unwrap();
    Bind {
        source: path.into(),
        target: path.into(),
        kind,
        device: found.dev(),
        inode: found.ino(),
        writable: kind == BindKind::Device,
        executable: kind != BindKind::Device,
    }
}

pub fn rule(path: &str, write: bool, execute: bool) -> AccessRule {
    AccessRule { path: path.into(), read: true, write, execute }
}

fn binds() -> Vec<Bind> {
    let devices = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];
    let mut binds = vec![bind("/usr", BindKind::Directory)];
    binds.extend(devices.map(|device| bind(device, BindKind::Device)));
    binds
}

fn links() -> Vec<Link> {
    let merged = ["bin", "sbin", "lib", "lib64"].map(|name| (format!("/{name}"), format!("usr/{name}")));
    let descriptors = [("/dev/fd", "/proc/self/fd"), ("/dev/stdout", "/proc/self/fd/1")];
    let descriptors = descriptors.map(|(path, target)| (path.to_owned(), target.to_owned()));
    merged.into_iter().chain(descriptors).map(|(path, target)| Link { path, target }).collect()
}

fn rules() -> Vec<AccessRule> {
    vec![
        rule("/usr", false, true),
        rule("/etc", false, false),
        rule("/tmp", true, false),
        rule("/dev", true, false),
    ]
}

/// Enough for shells, coreutils and Python.
const SYSTEM_CALLS: &[i64] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_open,
    libc::SYS_close,
    libc::SYS_stat,
    libc::SYS_fstat,
    libc::SYS_lstat,
    libc::SYS_poll,
    libc::SYS_lseek,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_munmap,
    libc::SYS_brk,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_ioctl,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_access,
    libc::SYS_pipe,
    libc::SYS_select,
    libc::SYS_sched_yield,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_dup,
    libc::SYS_dup2,
    libc::SYS_pause,
    libc::SYS_nanosleep,
    libc::SYS_getpid,
    libc::SYS_socket,
    libc::SYS_connect,
    libc::SYS_accept,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_getsockname,
    libc::SYS_socketpair,
    libc::SYS_setsockopt,
    libc::SYS_getsockopt,
    libc::SYS_clone,
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_execve,
    libc::SYS_exit,
    libc::SYS_wait4,
    libc::SYS_kill,
    libc::SYS_uname,
    libc::SYS_fcntl,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_getcwd,
    libc::SYS_chdir,
    libc::SYS_rename,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_link,
    libc::SYS_unlink,
    libc::SYS_symlink,
    libc::SYS_readlink,
    libc::SYS_chmod,
    libc::SYS_umask,
    libc::SYS_gettimeofday,
    libc::SYS_getrlimit,
    libc::SYS_getrusage,
    libc::SYS_sysinfo,
    libc::SYS_getuid,
    libc::SYS_getgid,
    libc::SYS_geteuid,
    libc::SYS_getegid,
    libc::SYS_setpgid,
    libc::SYS_getppid,
    libc::SYS_getpgrp,
    libc::SYS_setsid,
    libc::SYS_getgroups,
    libc::SYS_getresuid,
    libc::SYS_getresgid,
    libc::SYS_getsid,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sigaltstack,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_prctl,
    libc::SYS_arch_prctl,
    libc::SYS_gettid,
    libc::SYS_futex,
    libc::SYS_sched_getaffinity,
    libc::SYS_epoll_create,
    libc::SYS_getdents64,
    libc::SYS_set_tid_address,
    // After a freeze the kernel resumes a sleep by it.
    libc::SYS_restart_syscall,
    libc::SYS_fadvise64,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_exit_group,
    libc::SYS_epoll_wait,
    libc::SYS_epoll_ctl,
    libc::SYS_tgkill,
    libc::SYS_openat,
    libc::SYS_mkdirat,
    libc::SYS_newfstatat,
    libc::SYS_unlinkat,
    libc::SYS_readlinkat,
    libc::SYS_faccessat,
    libc::SYS_pselect6,
    libc::SYS_ppoll,
    libc::SYS_set_robust_list,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_epoll_create1,
    libc::SYS_dup3,
    libc::SYS_pipe2,
    libc::SYS_prlimit64,
    libc::SYS_getrandom,
    libc::SYS_memfd_create,
    libc::SYS_pkey_alloc,
    libc::SYS_statx,
    libc::SYS_rseq,
    libc::SYS_faccessat2,
];
