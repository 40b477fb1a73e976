//! Legitimate acts that must work inside: the neighbours of the attempts.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::errno::Errno;

use super::{c_string, open, read, scratch, unlink, write_new};
use crate::call;
use crate::catalogue::Tried;
use crate::probe::kernel::{self, Answer};
use crate::probe::{Act, Targets};

pub(super) fn errno(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}

/// Whether no namespaces stand around this server, so that less works for it too.
pub(super) fn is_minimal(targets: &Targets) -> bool {
    targets.text("mode").is_ok_and(|mode| mode == "minimal")
}

/// Reads the granted file.
pub(super) fn read_granted(targets: &Targets) -> Tried {
    let path = targets.path("readonly", "/file.txt")?;
    Ok(vec![Act::of("read the granted file", read(&path))])
}

/// Writes a file where it may, reads it and removes it.
pub(super) fn write_scratch(targets: &Targets) -> Tried {
    let path = scratch(targets, "twin")?;
    let act = write_new(&path, b"twin").and_then(|_| read(&path)).and_then(|_| unlink(&path));
    Ok(vec![Act::of("write, read and remove a file of its own", act)])
}

/// Makes a named pipe.
pub(super) fn named_pipe(targets: &Targets) -> Tried {
    let pipe = scratch(targets, "pipe")?;
    let made = call!(libc::SYS_mknodat, libc::AT_FDCWD, &*pipe, i64::from(libc::S_IFIFO | 0o600), 0);
    let _ = unlink(&pipe);
    Ok(vec![Act::of("make a named pipe", made)])
}

/// Opens /dev/null.
pub(super) fn open_null(_: &Targets) -> Tried {
    Ok(vec![Act::of("open /dev/null", open(c"/dev/null", libc::O_RDWR))])
}

/// Executes a granted program.
pub(super) fn execute_granted(_: &Targets) -> Tried {
    Ok(vec![Act::of("execute /usr/bin/true", execute_in_child("/usr/bin/true"))])
}

/// Executes a program in a child; the errno of `execve` comes back as the exit code.
pub(super) fn execute_in_child(path: &str) -> Answer {
    let path = c_string(path).map_err(|_| Errno::EINVAL)?;
    when_nobody_writes(|| {
        in_child(|| {
            let arguments = [kernel::address(path.as_bytes_with_nul()).to_ne_bytes(), [0; 8]].concat();
            call!(libc::SYS_execve, path.as_c_str(), arguments.as_slice(), [0_u8; 8].as_slice())
        })
    })
}

/// Somebody may have opened the file for writing this very moment: whoever of the same uid looks through `/proc`, or the
/// control of an attempt to tamper with it, outside and as root.
pub(super) fn when_nobody_writes(execute: impl Fn() -> Answer) -> Answer {
    const TIMES: usize = 20;
    for _ in 1..TIMES {
        match execute() {
            Err(Errno::ETXTBSY) => std::thread::sleep(Duration::from_millis(50)),
            answer => return answer,
        }
    }
    execute()
}

/// Runs `act` in a child of the attempt; its errno comes back.
pub(super) fn in_child(act: impl FnOnce() -> Answer) -> Answer {
    let Some(child) = kernel::fork()? else {
        kernel::exit_now(act().map_or_else(|errno| errno as i32, |_| 0));
    };
    match nix::sys::wait::waitpid(child, None)? {
        nix::sys::wait::WaitStatus::Exited(_, 0) => Ok(0),
        nix::sys::wait::WaitStatus::Exited(_, code) => Err(Errno::from_raw(code)),
        _ => Err(Errno::EINTR),
    }
}

/// Signals and reaps its own child.
pub(super) fn signal_own_child(_: &Targets) -> Tried {
    let Some(child) = kernel::fork().map_err(|errno| errno.to_string())? else {
        loop {
            let _ = call!(libc::SYS_pause);
        }
    };
    let killed = call!(libc::SYS_kill, i64::from(child.as_raw()), libc::SIGKILL);
    let reaped = nix::sys::wait::waitpid(child, None).map(|_| 0);
    Ok(vec![Act::of("signal its own child", killed), Act::of("reap its own child", reaped)])
}

/// Reads its own entry in /proc; in minimal mode it may only look at it.
pub(super) fn read_own_status(targets: &Targets) -> Tried {
    if is_minimal(targets) {
        let mut status = [0_u8; 256];
        let found =
            call!(libc::SYS_newfstatat, libc::AT_FDCWD, c"/proc/self/status", status.as_mut_slice(), 0);
        return Ok(vec![Act::of("look at /proc/self/status", found)]);
    }
    Ok(vec![Act::of("read /proc/self/status", read(c"/proc/self/status"))])
}

/// Reads its own limits and priority.
pub(super) fn own_limits(_: &Targets) -> Tried {
    let mut limit = [0_u8; 16];
    let answer = call!(libc::SYS_prlimit64, 0, 7, 0, limit.as_mut_slice());
    let mut processors = [0_u8; 128];
    let affinity = call!(libc::SYS_sched_getaffinity, 0, 128, processors.as_mut_slice());
    Ok(vec![Act::of("prlimit64(own)", answer), Act::of("sched_getaffinity(own)", affinity)])
}

/// Talks over a socket pair.
pub(super) fn socket_pair(_: &Targets) -> Tried {
    let talk = || -> std::io::Result<i64> {
        let (mut one, mut other) = UnixStream::pair()?;
        one.write_all(b"x")?;
        other.read_exact(&mut [0])?;
        Ok(0)
    };
    Ok(vec![Act::of("talk over a socket pair", talk().map_err(|error| errno(&error)))])
}

/// Makes an ordinary TCP and an ordinary UDP socket; minimal mode has pairs only.
pub(super) fn ordinary_sockets(targets: &Targets) -> Tried {
    if is_minimal(targets) {
        return socket_pair(targets);
    }
    let socket = |kind| call!(libc::SYS_socket, libc::AF_INET, kind | libc::SOCK_CLOEXEC, 0);
    Ok(vec![
        Act::of("socket(AF_INET, SOCK_STREAM)", socket(libc::SOCK_STREAM)),
        Act::of("socket(AF_INET, SOCK_DGRAM)", socket(libc::SOCK_DGRAM)),
    ])
}

/// Starts a thread, as every runtime does; the C library tries clone3 first.
pub(super) fn thread(_: &Targets) -> Tried {
    let joined = std::thread::Builder::new().spawn(|| 7).map(|thread| thread.join().unwrap_or(0));
    Ok(vec![Act::of("start a thread", joined.map_err(|error| errno(&error)))])
}

/// Asks for its process number by the ordinary entry.
pub(super) fn ordinary_call(_: &Targets) -> Tried {
    Ok(vec![Act::of("getpid", call!(libc::SYS_getpid))])
}

/// Waits with epoll, the ordinary way.
pub(super) fn epoll(_: &Targets) -> Tried {
    Ok(vec![Act::of("epoll_create1", call!(libc::SYS_epoll_create1, 0))])
}

/// Shares memory with a child of its own.
pub(super) fn shared_memory(_: &Targets) -> Tried {
    let memory = call!(
        libc::SYS_mmap,
        0,
        4096,
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_SHARED | libc::MAP_ANONYMOUS,
        -1,
        0
    );
    Ok(vec![Act::of("mmap(MAP_SHARED)", memory)])
}

/// Asks who it is.
pub(super) fn own_identity(_: &Targets) -> Tried {
    Ok(vec![Act::of("getuid", call!(libc::SYS_getuid)), Act::of("getgid", call!(libc::SYS_getgid))])
}

/// Finds what a program needs in its environment.
pub(super) fn own_environment(_: &Targets) -> Tried {
    let present = |name: &str| std::env::var_os(name).map(|_| 0).ok_or(Errno::ENOENT);
    Ok(vec![Act::of("HOME is set", present("HOME")), Act::of("PATH is set", present("PATH"))])
}

/// Reads the kernel's name and release.
pub(super) fn uname(_: &Targets) -> Tried {
    let mut names = [0_u8; 390];
    Ok(vec![Act::of("uname", call!(libc::SYS_uname, names.as_mut_slice()))])
}

/// Lists its own processes; in minimal mode it may only look at its entry.
pub(super) fn own_processes(targets: &Targets) -> Tried {
    if is_minimal(targets) {
        return read_own_status(targets);
    }
    let listed = std::fs::read_dir("/proc/self/task").map(|_| 0).map_err(|error| errno(&error));
    Ok(vec![Act::of("list /proc/self/task", listed)])
}

/// Reads from a device it may read.
pub(super) fn read_random(_: &Targets) -> Tried {
    Ok(vec![Act::of("read /dev/urandom", read(c"/dev/urandom"))])
}

/// Locks a file of its own.
pub(super) fn lock_own_file(targets: &Targets) -> Tried {
    let path = scratch(targets, "lock")?;
    let locked = open(&path, libc::O_RDWR | libc::O_CREAT)
        .and_then(|file| call!(libc::SYS_flock, file, libc::LOCK_EX | libc::LOCK_NB));
    let _ = unlink(&path);
    Ok(vec![Act::of("lock a file of its own", locked)])
}

/// Talks over a pipe.
pub(super) fn own_pipe(_: &Targets) -> Tried {
    let (reading, writing) = super::tampering::pipe()?;
    let mut byte = [0_u8; 1];
    let written = call!(libc::SYS_write, writing, b"x".as_slice(), 1);
    let heard = call!(libc::SYS_read, reading, byte.as_mut_slice(), 1);
    Ok(vec![Act::of("write to a pipe", written), Act::of("read from it", heard)])
}
