//! Attacks on the machine's strength, as far as limits of a process and of scratch space hold them back.

use nix::errno::Errno;

use super::sockets::control;
use super::tampering::pipe;
use super::twins::{self, in_child};
use super::{c_string, open, scratch, unlink};
use crate::call;
use crate::catalogue::{Attempt, BLANK, Control, Expected, Pace, Tried};
use crate::probe::kernel::{self, Answer, address};
use crate::probe::{Act, Targets};

/// Files made outside and in minimal mode, where nothing bounds them.
const FILES_OUTSIDE: usize = 2000;
/// Bytes of each file by which space is taken.
const PORTION: i64 = 16 << 20;
/// Bytes of memory that are to stay in memory.
const LOCKED_BYTES: i64 = 1 << 20;
const F_SETPIPE_SZ: i32 = 1031;
const MIB: i64 = 1 << 20;
/// Descriptors of one message.
const DESCRIPTORS_OF_A_MESSAGE: i64 = 250;
const RLIMIT_FSIZE: i32 = 1;
const RLIMIT_CORE: i32 = 4;
const RLIMIT_NOFILE: i32 = 7;
const RLIMIT_MEMLOCK: i32 = 8;

/// Raises a soft limit to the hard one, as every process may.
fn raise(resource: i32) -> Answer {
    let mut limit = [0_u8; 16];
    call!(libc::SYS_prlimit64, 0, resource, 0, limit.as_mut_slice())?;
    let (soft, hard) = limit.split_at_mut(8);
    soft.copy_from_slice(hard);
    call!(libc::SYS_prlimit64, 0, resource, limit.as_slice(), 0)
}

/// The scratch space inside; outside, where nothing bounds it, a directory on disk.
fn scratch_space(targets: &Targets, name: &str) -> Result<std::ffi::CString, String> {
    if targets.text("outside_uid").is_ok() {
        return scratch(targets, name);
    }
    c_string(&format!("{}/{name}", super::temporary()))
}

/// Takes so many bytes by files that have no name any more: they go with this process.
fn take_space(path: &std::ffi::CStr, bytes: i64) -> Answer {
    let mut taken = 0;
    while taken < bytes {
        let file = open(path, libc::O_RDWR | libc::O_CREAT)?;
        let _ = unlink(path);
        call!(libc::SYS_fallocate, file, 0, 0, PORTION)?;
        taken += PORTION;
    }
    Ok(taken)
}

fn fill_scratch(targets: &Targets) -> Tried {
    let bytes = targets.number("scratch_bytes")? + 1;
    let file = scratch_space(targets, "filling")?;
    let own = scratch(targets, "filling")?;
    Ok(vec![
        Act::of("take more scratch space than it has", in_child(|| take_space(&file, bytes))),
        Act::of("take as much in its own directory", in_child(|| take_space(&own, bytes))),
    ])
}

fn many_files(targets: &Targets) -> Tried {
    let directory = scratch_space(targets, "many")?;
    let here = libc::AT_FDCWD;
    call!(libc::SYS_mkdirat, here, &*directory, 0o700).map_err(|errno| errno.to_string())?;
    let inside = open(&directory, libc::O_RDONLY | libc::O_DIRECTORY).map_err(|errno| errno.to_string())?;
    let more = usize::try_from(targets.number("scratch_files")? + 1).unwrap_or(usize::MAX);
    let unbounded = targets.text("outside_uid").is_ok() || twins::is_minimal(targets);
    let wanted = if unbounded { FILES_OUTSIDE } else { more };
    let mut made = 0;
    let mut answer = Ok(0);
    while made < wanted && answer.is_ok() {
        let name = c_string(&made.to_string())?;
        answer = call!(libc::SYS_mknodat, inside, &*name, i64::from(libc::S_IFREG | 0o600), 0);
        made += usize::from(answer.is_ok());
    }
    for number in 0..made {
        let name = c_string(&number.to_string())?;
        let _ = call!(libc::SYS_unlinkat, inside, &*name, 0);
    }
    let _ = call!(libc::SYS_unlinkat, here, &*directory, libc::AT_REMOVEDIR);
    let mut act = Act::of("make more files in scratch space than it has", answer);
    act.detail = format!("{made} files; {}", act.detail);
    Ok(vec![act])
}

/// The signal that comes with the errno is held back, so that the errno is seen.
fn huge_file(targets: &Targets) -> Tried {
    let blocked = (1_u64 << (libc::SIGXFSZ - 1)).to_ne_bytes();
    call!(libc::SYS_rt_sigprocmask, libc::SIG_BLOCK, blocked.as_slice(), 0, 8)
        .map_err(|errno| errno.to_string())?;
    let _ = raise(RLIMIT_FSIZE);
    let path = scratch(targets, "huge")?;
    let file = open(&path, libc::O_RDWR | libc::O_CREAT).map_err(|errno| errno.to_string())?;
    let most = targets.number("file_bytes")?;
    let sparse = call!(libc::SYS_ftruncate, file, most + 1);
    let written = call!(libc::SYS_pwrite64, file, b"x".as_slice(), 1, most);
    let _ = unlink(&path);
    Ok(vec![Act::of("make a sparse file beyond its bound", sparse), Act::of("write at its end", written)])
}

/// The signal, not held back.
fn huge_file_signal(targets: &Targets) -> Tried {
    let _ = raise(RLIMIT_FSIZE);
    let path = scratch(targets, "huge-signal")?;
    let file = open(&path, libc::O_RDWR | libc::O_CREAT).map_err(|errno| errno.to_string())?;
    let _ = unlink(&path);
    let written = call!(libc::SYS_pwrite64, file, b"x".as_slice(), 1, targets.number("file_bytes")?);
    Ok(vec![Act::of("stay alive", written)])
}

fn many_descriptors(targets: &Targets) -> Tried {
    raise(RLIMIT_NOFILE).map_err(|errno| errno.to_string())?;
    let most = targets.number("open_files")?;
    let until_refused = |make: &dyn Fn() -> Answer| -> Answer {
        in_child(|| {
            for _ in 0..=most {
                make()?;
            }
            Ok(0)
        })
    };
    Ok(vec![
        Act::of("copy a descriptor without end", until_refused(&|| call!(libc::SYS_dup, 0))),
        Act::of("make event counters without end", until_refused(&|| call!(libc::SYS_eventfd2, 0, 0))),
        Act::of("make event queues without end", until_refused(&|| call!(libc::SYS_epoll_create1, 0))),
        Act::of("make timers without end", until_refused(&|| call!(libc::SYS_timerfd_create, 1, 0))),
    ])
}

/// Descriptors in messages that nobody receives count for their sender.
fn descriptors_in_flight(targets: &Targets) -> Tried {
    raise(RLIMIT_NOFILE).map_err(|errno| errno.to_string())?;
    let most = targets.number("open_files")?;
    let sent = in_child(|| {
        let mut ends = [0_u8; 8];
        call!(
            libc::SYS_socketpair,
            libc::AF_UNIX,
            libc::SOCK_STREAM | libc::SOCK_NONBLOCK,
            0,
            ends.as_mut_slice()
        )?;
        let own = ends.first_chunk().map_or(-1, |bytes| i64::from(i32::from_ne_bytes(*bytes)));
        let numbers = 0_i32.to_ne_bytes().repeat(usize::try_from(DESCRIPTORS_OF_A_MESSAGE).unwrap_or(1));
        let rights = control(libc::SCM_RIGHTS, &[&numbers]);
        let data = b"x";
        let vector = [address(data).to_ne_bytes(), 1_i64.to_ne_bytes()].concat();
        let header = super::network::message_with(&vector, &rights);
        let mut sent = 0;
        // The kernel asks before a message is sent, so one message may go beyond the bound.
        while sent <= most + DESCRIPTORS_OF_A_MESSAGE {
            call!(libc::SYS_sendmsg, own, header.as_slice(), libc::MSG_NOSIGNAL)?;
            sent += DESCRIPTORS_OF_A_MESSAGE;
        }
        Ok(0)
    });
    Ok(vec![Act::of("have descriptors in flight without end", sent)])
}

/// What waits in pipes counts for the user, up to a bound of the machine.
fn large_pipes(_: &Targets) -> Tried {
    raise(RLIMIT_NOFILE).map_err(|errno| errno.to_string())?;
    let (_, one) = pipe()?;
    let large = call!(libc::SYS_fcntl, one, F_SETPIPE_SZ, 64 << 10);
    let larger = call!(libc::SYS_fcntl, one, F_SETPIPE_SZ, 64 * MIB);
    let many = in_child(|| {
        for _ in 0..200 {
            let (_, writing) = pipe().map_err(|_| Errno::EMFILE)?;
            call!(libc::SYS_fcntl, writing, F_SETPIPE_SZ, MIB)?;
        }
        Ok(0)
    });
    Ok(vec![
        Act::of("a pipe of 64 KiB", large),
        Act::of("a pipe of 64 MiB", larger),
        Act::of("200 pipes of 1 MiB", many),
    ])
}

/// Raises its own limit on core files, then crashes.
fn dump_core(targets: &Targets) -> Tried {
    let unlimited = [0xff_u8; 16];
    let raised = call!(libc::SYS_prlimit64, 0, RLIMIT_CORE, unlimited.as_slice(), 0);
    let directory = scratch(targets, "")?;
    let Some(child) = kernel::fork().map_err(|errno| errno.to_string())? else {
        let _ = call!(libc::SYS_chdir, &*directory);
        // A shell has its jobs in the background ignore this signal, and who ignores it never crashes by it.
        let default = [0_u8; 32];
        let _ = call!(libc::SYS_rt_sigaction, libc::SIGQUIT, default.as_slice(), 0, 8);
        let own = call!(libc::SYS_getpid).unwrap_or(0);
        let _ = call!(libc::SYS_kill, own, libc::SIGQUIT);
        kernel::exit_now(0);
    };
    let status = nix::sys::wait::waitpid(child, None).map_err(|errno| errno.to_string())?;
    let dumped = matches!(status, nix::sys::wait::WaitStatus::Signaled(_, _, true));
    Ok(vec![
        Act::of("raise the limit on core files", raised),
        Act::fact("leave a core file when it crashes", dumped.into(), format!("{status:?}")),
    ])
}

fn lock_memory(_: &Targets) -> Tried {
    const MCL_FUTURE: i32 = 2;
    raise(RLIMIT_MEMLOCK).map_err(|errno| errno.to_string())?;
    let private = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let writable = libc::PROT_READ | libc::PROT_WRITE;
    let memory = call!(libc::SYS_mmap, 0, LOCKED_BYTES, writable, private, -1, 0)
        .map_err(|errno| errno.to_string())?;
    let locked = call!(libc::SYS_mlock, memory, LOCKED_BYTES);
    let mapped = call!(libc::SYS_mmap, 0, LOCKED_BYTES, writable, private | libc::MAP_LOCKED, -1, 0);
    Ok(vec![
        Act::of("mlock 1 MiB", locked),
        Act::of("map 1 MiB locked", mapped),
        Act::of("mlockall(MCL_FUTURE)", call!(libc::SYS_mlockall, MCL_FUTURE)),
    ])
}

/// More than its share of the processor by rank instead of by number.
fn outrank(_: &Targets) -> Tried {
    let first = 1_i32.to_ne_bytes();
    let first = first.as_slice();
    Ok(vec![
        Act::of("setpriority(-20)", call!(libc::SYS_setpriority, 0, 0, -20)),
        Act::of("sched_setscheduler(FIFO)", call!(libc::SYS_sched_setscheduler, 0, libc::SCHED_FIFO, first)),
        Act::of("sched_setscheduler(RR)", call!(libc::SYS_sched_setscheduler, 0, libc::SCHED_RR, first)),
        Act::of("ioprio_set(real time)", call!(libc::SYS_ioprio_set, 1, 0, 1 << 13)),
    ])
}

/// Processes that only wait, until no more are made; then all are ended.
fn many_processes(targets: &Targets) -> Tried {
    let most = usize::try_from(targets.number("processes")?).unwrap_or(usize::MAX);
    let mut children = Vec::new();
    let mut answer = Ok(0);
    while children.len() < most && answer.is_ok() {
        match kernel::fork() {
            Ok(Some(child)) => children.push(child),
            Ok(None) => loop {
                let _ = call!(libc::SYS_pause);
            },
            Err(errno) => answer = Err(errno),
        }
    }
    for child in &children {
        let _ = call!(libc::SYS_kill, i64::from(child.as_raw()), libc::SIGKILL);
        let _ = nix::sys::wait::waitpid(*child, None);
    }
    let mut act = Act::of("start processes without end", answer);
    act.detail = format!("{} processes; {}", children.len(), act.detail);
    Ok(vec![act])
}

/// Limits that were lowered for good.
fn raise_limits(_: &Targets) -> Tried {
    let set = |resource: i32, value: i64| {
        let limit = [value.to_ne_bytes(), value.to_ne_bytes()].concat();
        in_child(|| call!(libc::SYS_prlimit64, 0, resource, limit.as_slice(), 0))
    };
    Ok(vec![
        Act::of("raise the limit on file sizes", set(RLIMIT_FSIZE, -1)),
        Act::of("raise the limit on open files", set(RLIMIT_NOFILE, 10_000)),
        Act::of("raise the limit on locked memory", set(RLIMIT_MEMLOCK, 4 * MIB)),
    ])
}

const FULL: Expected = Expected::but("ENOSPC", &[("take as much in its own directory", "allowed")]);
const FORBIDDEN: Expected = Expected::all("EPERM");

/// The part of the catalogue about resources.
pub const ATTEMPTS: &[Attempt] = &[
    Attempt {
        id: "R01.limit",
        what: "start processes without end",
        wall: "RLIMIT_NPROC, which counts per user namespace",
        user: Expected::all("EAGAIN"),
        root: Expected::all("EAGAIN"),
        twin: "signal and reap its own child",
        reference: "fork bomb",
        run: many_processes,
        twin_run: twins::signal_own_child,
        ..BLANK
    },
    Attempt {
        id: "R05.rank",
        what: "outrank all others: priority, real-time scheduling, real-time disk access",
        wall: "RLIMIT_NICE and RLIMIT_RTPRIO are zero, no capabilities, seccomp",
        user: Expected::but("EPERM", &[("setpriority", "EACCES")]),
        root: Expected::but("EPERM", &[("setpriority", "EACCES")]),
        control: Control::Root,
        root_control: Control::Root,
        twin: "read its own limits",
        reference: "sched(7)",
        run: outrank,
        twin_run: twins::own_limits,
        ..BLANK
    },
    Attempt {
        id: "R06",
        what: "fill its scratch space and its own directory",
        wall: "the size of the tmpfs; its own directory has no bound but the disk's and that of one file",
        user: FULL,
        root: FULL,
        minimal: Some(Expected::all("allowed")),
        twin: "write a file of its own",
        reference: "tmpfs(5)",
        run: fill_scratch,
        twin_run: twins::write_scratch,
        ..BLANK
    },
    Attempt {
        id: "R06.files",
        what: "make more files in its scratch space than anybody can list",
        wall: "the number of inodes of the tmpfs",
        user: Expected::all("ENOSPC"),
        root: Expected::all("ENOSPC"),
        minimal: Some(Expected::all("allowed")),
        pace: Pace::Slow,
        twin: "write a file of its own",
        reference: "tmpfs(5), nr_inodes",
        run: many_files,
        twin_run: twins::write_scratch,
        ..BLANK
    },
    Attempt {
        id: "R07",
        what: "make a file beyond its bound",
        wall: "RLIMIT_FSIZE",
        user: Expected::all("EFBIG"),
        root: Expected::all("EFBIG"),
        twin: "write a file of its own",
        reference: "getrlimit(2)",
        run: huge_file,
        twin_run: twins::write_scratch,
        ..BLANK
    },
    Attempt {
        id: "R07.signal",
        what: "write far beyond the end of a file without expecting the signal",
        wall: "RLIMIT_FSIZE",
        user: Expected::all("SIGXFSZ"),
        root: Expected::all("SIGXFSZ"),
        twin: "write a file of its own",
        reference: "getrlimit(2)",
        run: huge_file_signal,
        twin_run: twins::write_scratch,
        ..BLANK
    },
    Attempt {
        id: "R08",
        what: "open descriptors without end",
        wall: "RLIMIT_NOFILE",
        user: Expected::all("EMFILE"),
        root: Expected::all("EMFILE"),
        twin: "wait with epoll",
        reference: "getrlimit(2)",
        run: many_descriptors,
        twin_run: twins::epoll,
        ..BLANK
    },
    Attempt {
        id: "R09",
        what: "keep descriptors in messages that nobody receives",
        wall: "RLIMIT_NOFILE counts those in flight, too",
        user: Expected::all("ETOOMANYREFS"),
        root: Expected::all("ETOOMANYREFS"),
        twin: "talk over a socket pair",
        reference: "unix(7), ETOOMANYREFS",
        run: descriptors_in_flight,
        twin_run: twins::socket_pair,
        ..BLANK
    },
    Attempt {
        id: "R10",
        what: "take memory by the size of pipes",
        wall: "fs.pipe-max-size and fs.pipe-user-pages-soft of the machine",
        user: Expected::but("EPERM", &[("a pipe of 64 KiB", "allowed")]),
        root: Expected::but("EPERM", &[("a pipe of 64 KiB", "allowed")]),
        alone: &[
            ("a pipe of 64 MiB", "the bound is the machine's, for everybody"),
            ("200 pipes", "the bound is the machine's, for everybody"),
        ],
        twin: "talk over a pipe",
        reference: "pipe(7)",
        run: large_pipes,
        twin_run: twins::own_pipe,
        ..BLANK
    },
    Attempt {
        id: "R19",
        what: "leave core files, after raising the limit on them",
        wall: "RLIMIT_CORE is zero for good",
        user: Expected::but("EPERM", &[("leave a core file", "hidden")]),
        root: Expected::but("EPERM", &[("leave a core file", "hidden")]),
        twin: "signal and reap its own child",
        reference: "core(5)",
        run: dump_core,
        twin_run: twins::signal_own_child,
        ..BLANK
    },
    Attempt {
        id: "R20",
        what: "keep memory from being paged out",
        wall: "RLIMIT_MEMLOCK, seccomp",
        user: LOCKED,
        root: LOCKED,
        twin: "share memory with its own child",
        reference: "mlock(2)",
        run: lock_memory,
        twin_run: twins::shared_memory,
        ..BLANK
    },
    Attempt {
        id: "R21",
        what: "raise its own limits again",
        wall: "hard limits, no capabilities",
        user: FORBIDDEN,
        root: FORBIDDEN,
        twin: "read its own limits",
        reference: "our own; setrlimit(2)",
        run: raise_limits,
        twin_run: twins::own_limits,
        ..BLANK
    },
];

const LOCKED: Expected = Expected::but("ENOMEM", &[("map 1 MiB locked", "EAGAIN"), ("mlockall", "EPERM")]);
