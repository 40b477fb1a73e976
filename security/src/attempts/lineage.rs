//! Attacks by what a process may say about itself and its kin: signals by files, terminals, tracing, setuid programs.

use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::tampering::pipe;
use super::twins::{self, in_child};
use super::{c_string, close, open};
use crate::call;
use crate::catalogue::{Attempt, BLANK, Control, Expected, Tried};
use crate::probe::kernel::{self, Answer};
use crate::probe::{Act, Targets};

/// How long a process may take to be stopped: it must get the processor for that.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// The same if its state cannot be seen; whoever can see it looks afterwards.
const STOP_TIMEOUT_UNSEEN: Duration = Duration::from_millis(100);
const STOP_LOOK_EVERY: Duration = Duration::from_millis(10);
const F_SETSIG: i32 = 10;
const PTRACE_TRACEME: i64 = 0;
const PTRACE_ATTACH: i64 = 16;
const TCGETS: i64 = 0x5401;
/// Programs that become root by their mode alone.
pub(super) const SETUID_PROGRAMS: [&str; 5] =
    ["/usr/bin/su", "/usr/bin/passwd", "/usr/bin/mount", "/usr/bin/newgrp", "/usr/bin/chsh"];
/// By what the variables of whoever starts the daemon are known.
const LOADER_CANARY: &str = "only1mcp-canary-loader";

/// Has the kernel send a signal of its choice when a pipe can be read: to somebody else.
fn signal_by_file(targets: &Targets) -> Tried {
    let (victim, group) = (targets.number("victim")?, targets.number("victim_group")?);
    let (reading, writing) = pipe()?;
    let to_process = call!(libc::SYS_fcntl, reading, libc::F_SETOWN, victim);
    let to_group = call!(libc::SYS_fcntl, reading, libc::F_SETOWN, -group);
    let _ = call!(libc::SYS_fcntl, reading, F_SETSIG, libc::SIGSTOP);
    let _ = call!(libc::SYS_fcntl, reading, libc::F_SETFL, libc::O_ASYNC | libc::O_NONBLOCK);
    let _ = call!(libc::SYS_write, writing, b"x".as_slice(), 1);
    let stopped = is_stopped(victim);
    // Closing the pipe would send it once more.
    let _ = call!(libc::SYS_fcntl, reading, libc::F_SETFL, 0);
    if stopped {
        call!(libc::SYS_kill, victim, libc::SIGCONT).map_err(|errno| errno.to_string())?;
    }
    Ok(vec![
        Act::of("fcntl(F_SETOWN, victim)", to_process),
        Act::of("fcntl(F_SETOWN, -group of the victim)", to_group),
        Act::fact("the victim is stopped by SIGIO", stopped.into(), "its state"),
    ])
}

/// Looks until it is: a signal takes its time. Inside there is nothing to look at.
fn is_stopped(process: i64) -> bool {
    let path = format!("/proc/{process}/status");
    let begun = Instant::now();
    loop {
        std::thread::sleep(STOP_LOOK_EVERY);
        let status = std::fs::read_to_string(&path);
        let timeout = if status.is_ok() { STOP_TIMEOUT } else { STOP_TIMEOUT_UNSEEN };
        let stopped = |line: &str| line.starts_with("State:") && line.contains("T (stopped)");
        if status.is_ok_and(|status| status.lines().any(stopped)) {
            return true;
        }
        if begun.elapsed() > timeout {
            return false;
        }
    }
}

/// A terminal to push input into: one that it was given, or one that it makes.
fn terminals(_: &Targets) -> Tried {
    let mut acts = Vec::new();
    for stream in 0..3 {
        let mut settings = [0_u8; 64];
        let ask = call!(libc::SYS_ioctl, stream, TCGETS, settings.as_mut_slice());
        acts.push(Act::of(format!("be given a terminal as stream {stream}"), ask));
    }
    acts.push(Act::of("make a terminal", open(c"/dev/ptmx", libc::O_RDWR | libc::O_NOCTTY)));
    Ok(acts)
}

fn leave_cgroup(targets: &Targets) -> Tried {
    let mut acts = Vec::new();
    for file in targets.text("groups")?.split(',') {
        acts.push(Act::of(format!("open {file} for writing"), open(&c_string(file)?, libc::O_WRONLY)));
    }
    let session =
        in_child(|| call!(libc::SYS_setpgid, 0, 0).and_then(|_| in_child(|| call!(libc::SYS_setsid))));
    acts.push(Act::of("leave its process group and session", session));
    Ok(acts)
}

/// Opens itself to debuggers, then has a child of its own look in.
fn let_child_trace(_: &Targets) -> Tried {
    let own = call!(libc::SYS_getpid).map_err(|errno| errno.to_string())?;
    let _ = call!(libc::SYS_prctl, libc::PR_SET_DUMPABLE, 1, 0, 0, 0);
    let _ = call!(libc::SYS_prctl, libc::PR_SET_PTRACER, -1_i64, 0, 0, 0);
    let attach = in_child(|| {
        call!(libc::SYS_ptrace, PTRACE_ATTACH, own, 0, 0)?;
        // Attached is attached: ending the tracer lets go, but a stop may be on its way.
        call!(libc::SYS_kill, own, libc::SIGCONT)
    });
    Ok(vec![Act::of("ptrace(ATTACH, its own parent)", attach)])
}

/// Asks its parent to trace it: then the parent could change its calls behind the filter.
fn be_traced(_: &Targets) -> Tried {
    Ok(vec![Act::of("ptrace(TRACEME)", in_child(|| call!(libc::SYS_ptrace, PTRACE_TRACEME, 0, 0, 0)))])
}

/// Unties itself from those who would end it. It may: the end comes by pid namespace or cgroup, not by these.
fn untie(_: &Targets) -> Tried {
    let prctl = |option: i32, value: i32| in_child(|| call!(libc::SYS_prctl, option, value, 0, 0, 0));
    Ok(vec![
        Act::of("prctl(SET_PDEATHSIG, 0)", prctl(libc::PR_SET_PDEATHSIG, 0)),
        Act::of("prctl(SET_CHILD_SUBREAPER, 1)", prctl(libc::PR_SET_CHILD_SUBREAPER, 1)),
        Act::of("prctl(SET_DUMPABLE, 1)", prctl(libc::PR_SET_DUMPABLE, 1)),
    ])
}

/// Executes programs of root's with the setuid bit, and sees whether the child is still its own to ask.
fn setuid_programs(targets: &Targets) -> Tried {
    let mut acts = Vec::new();
    for program in targets.text("setuid_programs")?.split(',') {
        let changed = changes_identity(program)?;
        acts.push(Act::fact(format!("become root by {program}"), changed.into(), "asked for its limits"));
    }
    Ok(acts)
}

/// Limits may be read only of a process all of whose uids are one's own.
fn changes_identity(program: &str) -> Result<bool, String> {
    let words = |errno: Errno| format!("{program}: {errno}");
    let path = c_string(program)?;
    let (executed, until_executed) = pipe()?;
    let (input, keep_waiting) = pipe()?;
    let Some(child) = kernel::fork().map_err(words)? else {
        let _ = call!(libc::SYS_dup2, input, 0);
        for stream in [1, 2] {
            let _ = open(c"/dev/null", libc::O_WRONLY).map(|null| call!(libc::SYS_dup2, null, stream));
        }
        let arguments = [kernel::address(path.as_bytes_with_nul()).to_ne_bytes(), [0; 8]].concat();
        let _ = call!(libc::SYS_execve, path.as_c_str(), arguments.as_slice(), [0_u8; 8].as_slice());
        kernel::exit_now(1);
    };
    let _ = close(until_executed);
    let mut byte = [0_u8; 1];
    // Ends without a byte when the program has taken the child's place.
    call!(libc::SYS_read, executed, byte.as_mut_slice(), 1).map_err(words)?;
    // But that is a moment before it takes on its new identity: opening this waits until the whole is done.
    let process = c_string(&format!("/proc/{}/environ", child.as_raw()))?;
    let _ = open(&process, libc::O_RDONLY).map(close);
    let mut limit = [0_u8; 16];
    let asked = call!(libc::SYS_prlimit64, i64::from(child.as_raw()), 7, 0, limit.as_mut_slice());
    let _ = close(keep_waiting);
    let _ = call!(libc::SYS_kill, i64::from(child.as_raw()), libc::SIGKILL);
    let _ = nix::sys::wait::waitpid(child, None);
    match asked {
        Ok(_) => Ok(false),
        Err(Errno::EPERM) => Ok(true),
        Err(errno) => Err(words(errno)),
    }
}

/// Variables by which whoever starts the daemon could slip code into servers.
fn loaders(_: &Targets) -> Tried {
    let found: Vec<String> = std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value))
        .filter(|(_, value)| value.to_string_lossy().contains(LOADER_CANARY))
        .map(|(name, _)| name)
        .collect();
    Ok(vec![Act::fact("variables that load code", (!found.is_empty()).into(), found.join(" "))])
}

fn enter_by_handle(_: &Targets) -> Tried {
    let own = call!(libc::SYS_getpid).and_then(|own| call!(libc::SYS_pidfd_open, own, 0));
    let own = own.map_err(|errno| format!("pidfd_open: {errno}"))?;
    let enter = |flag: i32| in_child(|| call!(libc::SYS_setns, own, flag));
    Ok(vec![
        Act::of("setns(pidfd, NEWNET)", enter(libc::CLONE_NEWNET)),
        Act::of("setns(pidfd, NEWNS)", enter(libc::CLONE_NEWNS)),
        Act::of("setns(pidfd, NEWUTS | NEWIPC)", enter(libc::CLONE_NEWUTS | libc::CLONE_NEWIPC)),
    ])
}

/// PID 1 of its own sandbox: the kernel keeps the signals from it for which it has no handler.
fn kill_init(targets: &Targets) -> Tried {
    let minimal = targets.text("mode").is_ok_and(|mode| mode == "minimal");
    let init = targets.number("init").unwrap_or(1);
    // Where there is no pid namespace this would be an ordinary process, and the server's end.
    let signal = if minimal || targets.text("outside_uid").is_ok() { 0 } else { libc::SIGKILL };
    let sent = call!(libc::SYS_kill, init, signal);
    let after = call!(libc::SYS_kill, init, 0);
    Ok(vec![Act::of("kill(init)", sent), Act::of("it is still there", after)])
}

/// What the server shares with the proxy: three pipes. Flags, sizes and owners of its own ends are its own affair.
fn shared_streams(_: &Targets) -> Tried {
    let mut acts = Vec::new();
    for stream in 0..3 {
        let flags = call!(libc::SYS_fcntl, stream, libc::F_GETFL).map_err(|errno| errno.to_string())?;
        let set = call!(
            libc::SYS_fcntl,
            stream,
            libc::F_SETFL,
            flags | i64::from(libc::O_NONBLOCK | libc::O_ASYNC)
        );
        let _ = call!(libc::SYS_fcntl, stream, libc::F_SETFL, flags);
        acts.push(Act::of(format!("fcntl(F_SETFL) on stream {stream}"), set));
    }
    let mut credentials = [0_u8; 12];
    let mut size = 12_i32.to_ne_bytes();
    let peer: Answer = call!(
        libc::SYS_getsockopt,
        1,
        libc::SOL_SOCKET,
        libc::SO_PEERCRED,
        credentials.as_mut_slice(),
        size.as_mut_slice()
    );
    acts.push(Act::of("ask who is at the other end (SO_PEERCRED)", peer));
    acts.push(Act::of(
        "send to the other end as a socket",
        call!(libc::SYS_sendto, 1, b"x".as_slice(), 0, 0, 0, 0),
    ));
    Ok(acts)
}

const PIPES: &str = "the streams are pipes outside, too";

/// The part of the catalogue about lineage.
pub const ATTEMPTS: &[Attempt] = &[
    Attempt {
        id: "P07",
        what: "have the kernel signal a process and a group outside by SIGIO",
        wall: "pid namespace, Landlock signal scope",
        user: Expected::but("ESRCH", &[("the victim is stopped", "hidden")]),
        root: Expected::but("ESRCH", &[("the victim is stopped", "hidden")]),
        minimal: Some(Expected::but("allowed", &[("the victim is stopped", "hidden")])),
        twin: "talk over a pipe",
        reference: "CVE-2026-72183",
        run: signal_by_file,
        twin_run: twins::own_pipe,
        ..BLANK
    },
    Attempt {
        id: "P08",
        what: "find or make a terminal",
        wall: "the streams are pipes; mount namespace: no /dev/ptmx",
        user: Expected::but("ENOTTY", &[("make a terminal", "ENOENT")]),
        root: Expected::but("ENOTTY", &[("make a terminal", "ENOENT")]),
        minimal: Some(Expected::but("ENOTTY", &[("make a terminal", "EACCES")])),
        alone: &[("be given a terminal", "the control has none either")],
        twin: "open /dev/null",
        reference: "CVE-2017-5226, CVE-2023-28100",
        run: terminals,
        twin_run: twins::open_null,
        ..BLANK
    },
    Attempt {
        id: "P11",
        what: "leave its cgroup, its process group and its session, so that the stop misses it",
        wall: "mount namespace: no cgroupfs; the stop goes by pid namespace and cgroup, not by group or session",
        user: Expected::but("ENOENT", &[("leave its process group", "allowed")]),
        root: Expected::but("ENOENT", &[("leave its process group", "allowed")]),
        minimal: Some(Expected::but("EACCES", &[("leave its process group", "allowed")])),
        control: Control::Root,
        root_control: Control::Root,
        twin: "signal and reap its own child",
        reference: "cgroup delegation",
        run: leave_cgroup,
        twin_run: twins::signal_own_child,
        ..BLANK
    },
    Attempt {
        id: "P13",
        what: "make itself dumpable and be looked into by its own child",
        wall: "seccomp",
        twin: "signal and reap its own child",
        reference: "CVE-2016-8659",
        run: let_child_trace,
        twin_run: twins::signal_own_child,
        ..BLANK
    },
    Attempt {
        id: "P14",
        what: "untie itself: no signal when the parent ends, orphans to itself, dumpable",
        wall: "none needed: the end comes by pid namespace and cgroup, and no process is left over",
        user: Expected::all("allowed"),
        root: Expected::all("allowed"),
        twin: "signal and reap its own child",
        reference: "prctl(2)",
        run: untie,
        twin_run: twins::signal_own_child,
        ..BLANK
    },
    Attempt {
        id: "P18",
        what: "become root by executing root's setuid programs",
        wall: "no new privileges, nosuid, user namespace",
        user: Expected::all("hidden"),
        root: Expected::all("hidden"),
        twin: "execute a granted program",
        reference: "no_new_privs",
        run: setuid_programs,
        twin_run: twins::execute_granted,
        ..BLANK
    },
    Attempt {
        id: "P19",
        what: "find variables that load foreign code, as whoever started the daemon had them",
        wall: "the environment is built from the policy alone",
        user: Expected::all("hidden"),
        root: Expected::all("hidden"),
        twin: "find HOME and PATH",
        reference: "pipelock issue 267",
        run: loaders,
        twin_run: twins::own_environment,
        ..BLANK
    },
    Attempt {
        id: "P21",
        what: "enter namespaces by a handle of a process instead of a file",
        wall: "seccomp",
        control: Control::UserNamespace,
        root_control: Control::UserNamespace,
        twin: "signal and reap its own child",
        reference: "our own; setns(2) takes pidfds since Linux 5.8",
        run: enter_by_handle,
        twin_run: twins::signal_own_child,
        ..BLANK
    },
    Attempt {
        id: "P22",
        what: "reach the proxy through the streams shared with it: flags, identity, messages",
        wall: "the streams are pipes, each end an open file of its own",
        user: Expected::but("ENOTSOCK", &[("fcntl(F_SETFL)", "allowed")]),
        root: Expected::but("ENOTSOCK", &[("fcntl(F_SETFL)", "allowed")]),
        alone: &[("ask who is at the other end", PIPES), ("send to the other end", PIPES)],
        twin: "talk over a pipe",
        reference: "our own; a shared open file shares its flags",
        run: shared_streams,
        twin_run: twins::own_pipe,
        ..BLANK
    },
    Attempt {
        id: "P20.kill",
        what: "kill PID 1 of its own sandbox",
        wall: "the kernel keeps signals from PID 1; if it ended, the whole sandbox would",
        user: Expected::all("allowed"),
        root: Expected::all("allowed"),
        twin: "signal and reap its own child",
        reference: "pid_namespaces(7)",
        run: kill_init,
        twin_run: twins::signal_own_child,
        ..BLANK
    },
    Attempt {
        id: "K18",
        what: "have itself traced by its parent, who could change calls behind the filter",
        wall: "seccomp",
        twin: "signal and reap its own child",
        reference: "seccomp(2): before Linux 4.8 a tracer could bypass the filter",
        run: be_traced,
        twin_run: twins::signal_own_child,
        ..BLANK
    },
];
