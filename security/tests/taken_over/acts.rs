//! What an attacker in the proxy's place tries, and how the kernel's answer is worded.

use crate::stage::Targets;
use crate::wire;
use nix::errno::Errno;
use nix::libc;
use only1mcp_escape::call;
use only1mcp_escape::probe::kernel::{Answer, address_mut};
use std::ffi::{CStr, CString};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

/// The kernel did it.
pub const DONE: &str = "done";
/// The launcher answered as it should answer an honest proxy.
pub const REACHED: &str = "granted";

/// What a taken-over proxy still can do: SECURITY.md says so.
pub const STILL: &[&str] = &[
    "spawn a configured server",
    "spawn it in a partition of its own choice",
    "stop the server it spawned",
    "list the names it may spawn",
    "read the view",
];

/// All acts with their answers.
pub fn try_all(targets: &Targets) -> Vec<(String, String)> {
    let mut all = Vec::new();
    all.extend(programs(targets));
    all.extend(files(targets));
    all.extend(processes(targets));
    all.extend(elsewhere(targets));
    all.extend(kernel());
    if targets.lock_as.is_some() {
        all.extend(wire::try_all(targets));
    }
    all
}

fn said(act: impl Into<String>, answer: Answer) -> (String, String) {
    let answer = answer.map_or_else(|errno| format!("{errno:?}"), |_| DONE.to_owned());
    (act.into(), answer)
}

fn io(act: impl Into<String>, answer: std::io::Result<()>) -> (String, String) {
    said(act, answer.map(|()| 0).map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0))))
}

fn text(path: &str) -> CString {
    CString::new(path).unwrap()
}

/// Executes in a child where a child can be made, in this very process where not: there it must fail.
fn execute(targets: &Targets, path: &CStr) -> Answer {
    if targets.lock_as.is_none() {
        return in_child(|| call!(libc::SYS_execve, path, 0, 0));
    }
    call!(libc::SYS_execve, path, 0, 0)
}

/// Whether a child that does this ends well; one that executes a program ends as the program does.
fn in_child(act: impl FnOnce() -> Answer) -> Answer {
    match only1mcp_escape::probe::kernel::fork()? {
        None => {
            let errno = act().err().map_or(0, |errno| errno as i32);
            only1mcp_escape::probe::kernel::exit_now(errno)
        }
        Some(child) => match nix::sys::wait::waitpid(child, None)? {
            nix::sys::wait::WaitStatus::Exited(_, 0) => Ok(0),
            nix::sys::wait::WaitStatus::Exited(_, errno) => Err(Errno::from_raw(errno)),
            _ => Err(Errno::EINTR),
        },
    }
}

fn programs(targets: &Targets) -> Vec<(String, String)> {
    let memory = call!(libc::SYS_memfd_create, c"x", 0);
    let executable = i64::from(libc::PROT_READ | libc::PROT_EXEC);
    let map = |protection: i64| {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        call!(libc::SYS_mmap, 0, 4096, protection, flags, -1, 0)
    };
    let plain = map(i64::from(libc::PROT_READ | libc::PROT_WRITE));
    let turned = plain.and_then(|address| call!(libc::SYS_mprotect, address, 4096, executable));
    let forked = if targets.lock_as.is_none() {
        in_child(|| Ok(0))
    } else {
        call!(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0)
    };
    vec![
        said("execve(/bin/true)", execute(targets, c"/bin/true")),
        said("fork", forked),
        said("memfd_create", memory),
        said("mmap(PROT_EXEC)", map(executable)),
        said("mprotect(PROT_EXEC)", turned),
    ]
}

fn open(path: &str, flags: i32) -> Answer {
    let descriptor =
        call!(libc::SYS_openat, libc::AT_FDCWD, text(path).as_c_str(), flags | libc::O_CLOEXEC, 0o600)?;
    call!(libc::SYS_close, descriptor)
}

fn files(targets: &Targets) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (what, path) in [
        ("the configuration", &targets.config),
        ("a policy", &targets.policy),
        ("a credential", &targets.credential),
        ("a server's state", &targets.state),
        ("the bearer token", &targets.token),
        ("/etc/passwd", &"/etc/passwd".to_owned()),
    ] {
        all.push(said(format!("open {what}"), open(path, libc::O_RDONLY)));
    }
    let fresh = format!("{}/fresh", targets.directory);
    let link = text(&format!("{}/link", targets.directory));
    all.push(said("append to the configuration", open(&targets.config, libc::O_WRONLY | libc::O_APPEND)));
    all.push(said("create a file", open(&fresh, libc::O_WRONLY | libc::O_CREAT)));
    all.push(said("unlink a file", call!(libc::SYS_unlinkat, libc::AT_FDCWD, text(&fresh).as_c_str(), 0)));
    all.push(said(
        "plant a symbolic link",
        call!(libc::SYS_symlinkat, c"/etc", libc::AT_FDCWD, link.as_c_str()),
    ));
    let _ = call!(libc::SYS_unlinkat, libc::AT_FDCWD, link.as_c_str(), 0);
    all
}

fn processes(targets: &Targets) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (name, process) in [("launcher", targets.launcher_pid), ("another process", targets.victim_pid)] {
        let process = i64::from(process);
        let mut byte = [0_u8; 8];
        let here = [address_mut(&mut byte).to_ne_bytes(), 8_i64.to_ne_bytes()].concat();
        let memory = format!("/proc/{process}/mem");
        let pidfd = call!(libc::SYS_pidfd_open, process, 0);
        let limits = call!(libc::SYS_prlimit64, process, i64::from(libc::RLIMIT_NOFILE), 0, 0);
        // Seized and not stopped: it goes on when this process ends.
        all.push(said(format!("ptrace(SEIZE, {name})"), call!(libc::SYS_ptrace, 0x4206, process, 0, 0)));
        // Nothing of ours lies at the same address there: EFAULT says that the way was free.
        let (local, remote) = (here.as_slice(), here.as_slice());
        let read = taken(call!(libc::SYS_process_vm_readv, process, local, 1, remote, 1, 0));
        all.push(said(format!("process_vm_readv({name})"), read));
        all.push(said(format!("open the memory of {name}"), open(&memory, libc::O_RDONLY)));
        all.push(said(format!("signal {name}"), call!(libc::SYS_kill, process, 0)));
        all.push(said(format!("signal {name} by tgkill"), call!(libc::SYS_tgkill, process, process, 0)));
        all.push(said(format!("pidfd_open({name})"), pidfd));
        all.push(said(format!("prlimit({name})"), limits));
    }
    all
}

fn elsewhere(targets: &Targets) -> Vec<(String, String)> {
    let address = format!("127.0.0.1:{}", targets.port);
    let local = |family: i32| call!(libc::SYS_socket, family, libc::SOCK_STREAM, 0);
    let own = local(libc::AF_UNIX);
    let bound = own.and_then(|own| call!(libc::SYS_bind, own, [1_u8, 0].as_slice(), 2));
    vec![
        io("connect to a Unix socket of the host", UnixStream::connect(&targets.socket).map(drop)),
        io("connect to the host's loopback", TcpStream::connect(address).map(drop)),
        said("socket(AF_INET6)", local(libc::AF_INET6)),
        said("socket(AF_NETLINK)", call!(libc::SYS_socket, libc::AF_NETLINK, libc::SOCK_RAW, 0)),
        said("bind a Unix socket", bound),
    ]
}

fn kernel() -> Vec<(String, String)> {
    let unshared = |flags: i32| in_child_or_here(move || call!(libc::SYS_unshare, flags));
    vec![
        said("unshare(CLONE_NEWUSER)", unshared(libc::CLONE_NEWUSER)),
        said("keyctl", call!(libc::SYS_keyctl, 0, -3, 0)),
        said("personality", call!(libc::SYS_personality, 0)),
        said("io_uring_setup", taken(call!(libc::SYS_io_uring_setup, 1, 0))),
        said("setresuid", change_user()),
    ]
}

/// A call with arguments that lead nowhere: EFAULT means that the kernel took it up.
fn taken(answer: Answer) -> Answer {
    match answer {
        Err(Errno::EFAULT) => Ok(0),
        answer => answer,
    }
}

/// Where no child can be made the act itself is forbidden too, so nothing changes here.
fn in_child_or_here(act: impl Fn() -> Answer) -> Answer {
    match in_child(&act) {
        Err(Errno::EPERM | Errno::ENOSYS) => act(),
        answer => answer,
    }
}

/// To who it is already: what counts is whether the call is to be had.
fn change_user() -> Answer {
    let own = i64::from(nix::unistd::geteuid().as_raw());
    call!(libc::SYS_setresuid, own, own, own)
}
