//! Attacks on other processes: tracing, reading memory and environment, taking descriptors, signals, limits.

use nix::errno::Errno;

use super::twins::{self, in_child};
use super::{c_string, read};
use crate::call;
use crate::catalogue::{Attempt, BLANK, Control, Expected, Tried};
use crate::probe::kernel::{Answer, address_mut};
use crate::probe::{Act, Targets};

/// Highest process number tried in a sweep.
const PROCESS_NUMBER_MAX: i64 = 32_768;
const PTRACE_ATTACH: i64 = 16;
const PTRACE_DETACH: i64 = 17;
const PTRACE_SEIZE: i64 = 0x4206;

/// The undumpable processes of only1mcp: outside, only root may look into them.
const OURS_ALONE: &[(&str, &str)] = &[
    ("ptrace(SEIZE, proxy)", "it makes itself undumpable: outside only root may"),
    ("ptrace(SEIZE, launcher)", "it makes itself undumpable: outside only root may"),
];

fn trace(targets: &Targets) -> Tried {
    let victim = targets.number("victim")?;
    let mut acts = vec![
        Act::of("ptrace(SEIZE, victim)", in_child(|| call!(libc::SYS_ptrace, PTRACE_SEIZE, victim, 0, 0))),
        Act::of("ptrace(ATTACH, victim)", in_child(|| attach_and_leave(victim))),
    ];
    for name in ["proxy", "launcher"] {
        let process = targets.number(name)?;
        let answer = in_child(|| call!(libc::SYS_ptrace, PTRACE_SEIZE, process, 0, 0));
        acts.push(Act::of(format!("ptrace(SEIZE, {name})"), answer));
    }
    Ok(acts)
}

/// Leaves the victim running, as a control outside must.
fn attach_and_leave(victim: i64) -> Answer {
    call!(libc::SYS_ptrace, PTRACE_ATTACH, victim, 0, 0)?;
    call!(libc::SYS_wait4, victim, 0, libc::__WALL, 0)?;
    call!(libc::SYS_ptrace, PTRACE_DETACH, victim, 0, 0)
}

fn memory_calls(targets: &Targets) -> Tried {
    let (victim, there) = (targets.number("victim")?, targets.number("victim_address")?);
    let mut here = [0_u8; 16];
    let local = [address_mut(&mut here).to_ne_bytes(), 16_i64.to_ne_bytes()].concat();
    let remote = [there.to_ne_bytes(), 16_i64.to_ne_bytes()].concat();
    let (local, remote) = (local.as_slice(), remote.as_slice());
    let nowhere = [0_i64.to_ne_bytes(), 16_i64.to_ne_bytes()].concat();
    let reading = call!(libc::SYS_process_vm_readv, victim, local, 1, remote, 1, 0);
    let writing = if reading.is_ok() {
        call!(libc::SYS_process_vm_writev, victim, local, 1, remote, 1, 0)
    } else {
        // There is nothing to write back. A bad address is the answer of a kernel that found the victim.
        let answer = call!(libc::SYS_process_vm_writev, victim, local, 1, nowhere.as_slice(), 1, 0);
        answer.or_else(|errno| if errno == Errno::EFAULT { Ok(0) } else { Err(errno) })
    };
    Ok(vec![Act::of("process_vm_readv(victim)", reading), Act::of("process_vm_writev(victim)", writing)])
}

fn secrets_in_proc(targets: &Targets, name: &str) -> Tried {
    let process = targets.number(name)?;
    let mut acts = Vec::new();
    for file in ["environ", "maps", "cmdline", "exe", "root/etc/passwd"] {
        let path = c_string(&format!("/proc/{process}/{file}"))?;
        acts.push(Act::of(format!("read /proc/{}/{file}", name.to_uppercase()), read(&path)));
    }
    let memory = c_string(&format!("/proc/{process}/mem"))?;
    let at = targets.number("victim_address").unwrap_or(0);
    acts.push(Act::of(format!("read /proc/{}/mem", name.to_uppercase()), read_at(&memory, at, name)));
    Ok(acts)
}

/// Only the victim's address is known; of the others opening counts.
fn read_at(path: &std::ffi::CStr, at: i64, name: &str) -> Answer {
    let descriptor = super::open(path, libc::O_RDONLY)?;
    if name != "victim" {
        return Ok(descriptor);
    }
    let mut bytes = [0_u8; 16];
    call!(libc::SYS_pread64, descriptor, bytes.as_mut_slice(), 16, at)
}

fn take_descriptor(targets: &Targets) -> Tried {
    let (victim, wanted) = (targets.number("victim")?, targets.number("victim_descriptor")?);
    let handle = call!(libc::SYS_pidfd_open, victim, 0);
    let taken = call!(libc::SYS_pidfd_getfd, handle.unwrap_or(-1), wanted, 0);
    Ok(vec![Act::of("pidfd_open(victim)", handle), Act::of("pidfd_getfd(victim)", taken)])
}

fn signal_outside(targets: &Targets) -> Tried {
    let victim = targets.number("victim")?;
    let mut information = [0_u8; 128];
    if let Some((number, rest)) = information.split_first_chunk_mut::<4>() {
        *number = libc::SIGCONT.to_ne_bytes();
        if let Some(code) = rest.get_mut(4..8) {
            code.copy_from_slice(&(-1_i32).to_ne_bytes());
        }
    }
    let queue = call!(libc::SYS_rt_sigqueueinfo, victim, libc::SIGCONT, information.as_slice());
    Ok(vec![
        Act::of("kill(victim)", call!(libc::SYS_kill, victim, libc::SIGCONT)),
        Act::of("tgkill(victim)", call!(libc::SYS_tgkill, victim, victim, libc::SIGCONT)),
        Act::of("rt_sigqueueinfo(victim)", queue),
        sweep(targets, victim),
    ])
}

/// Which processes can be signalled at all: only the sandbox's own.
fn sweep(targets: &Targets, victim: i64) -> Act {
    let own = own_processes(targets);
    // The victim too, on machines whose numbers go higher.
    let reached = (1..=PROCESS_NUMBER_MAX)
        .chain([victim])
        .filter(|process| !own.contains(process))
        .find(|&process| call!(libc::SYS_kill, process, 0).is_ok());
    match reached {
        Some(process) => Act::shown("kill(1..32768, 0)", format!("process {process} could be signalled")),
        None => Act::of("kill(1..32768, 0)", Err(Errno::ESRCH)),
    }
}

/// The sandbox's init, the server and this child: all there is inside. Outside, PID 1 is not ours to signal anyway.
fn own_processes(targets: &Targets) -> [i64; 3] {
    let ask = |number| call!(number).unwrap_or(1);
    [targets.number("own_init").unwrap_or(1), ask(libc::SYS_getppid), ask(libc::SYS_getpid)]
}

fn signal_groups(targets: &Targets) -> Tried {
    let group = targets.number("victim_group")?;
    Ok(vec![Act::of("kill(-group of the victim)", call!(libc::SYS_kill, -group, libc::SIGCONT))])
}

fn limit_others(targets: &Targets) -> Tried {
    let victim = targets.number("victim")?;
    let mut limit = [0_u8; 16];
    let asking = call!(libc::SYS_prlimit64, victim, 7, 0, limit.as_mut_slice());
    let setting = if asking.is_ok() {
        call!(libc::SYS_prlimit64, victim, 7, limit.as_slice(), 0)
    } else {
        call!(libc::SYS_prlimit64, victim, 7, [0xff_u8; 16].as_slice(), 0)
    };
    Ok(vec![Act::of("prlimit64(victim, read)", asking), Act::of("prlimit64(victim, write)", setting)])
}

fn schedule_others(targets: &Targets) -> Tried {
    let victim = targets.number("victim")?;
    let processors = [0xff_u8; 8];
    let nodes = 1_i64.to_ne_bytes();
    let parameter = [0_u8; 4];
    Ok(vec![
        Act::of("setpriority(victim)", call!(libc::SYS_setpriority, 0, victim, 19)),
        Act::of(
            "sched_setscheduler(victim)",
            call!(libc::SYS_sched_setscheduler, victim, libc::SCHED_BATCH, parameter.as_slice()),
        ),
        Act::of(
            "sched_setaffinity(victim)",
            call!(libc::SYS_sched_setaffinity, victim, processors.len(), processors.as_slice()),
        ),
        Act::of("ioprio_set(victim)", call!(libc::SYS_ioprio_set, 1, victim, 3 << 13)),
        Act::of(
            "migrate_pages(victim)",
            call!(libc::SYS_migrate_pages, victim, 2, nodes.as_slice(), nodes.as_slice()),
        ),
    ])
}

fn compare_and_reclaim(targets: &Targets) -> Tried {
    let victim = targets.number("victim")?;
    let handle = call!(libc::SYS_pidfd_open, victim, 0);
    let number = handle.unwrap_or(-1);
    // Where the victim cannot be named, a bad descriptor is no sign that it could be reached.
    let named = |name: &str, answer: Answer| match handle {
        Err(errno) if answer == Err(Errno::EBADF) => Act::of(name, Err(errno)),
        _ => Act::taken(name, answer),
    };
    let advice = call!(libc::SYS_process_madvise, number, 0, 0, libc::MADV_COLD, 0);
    Ok(vec![
        Act::of("kcmp(victim)", call!(libc::SYS_kcmp, victim, victim, 1, 0, 0)),
        named("process_madvise(victim)", advice),
        named("process_mrelease(victim)", call!(libc::SYS_process_mrelease, number, 0)),
    ])
}

/// PID 1 of the sandbox was started by the launcher: what it may remember must not be readable.
fn look_into_init(targets: &Targets) -> Tried {
    let init = targets.text("init").unwrap_or("1");
    let mut acts = Vec::new();
    for file in ["environ", "maps", "exe"] {
        let path = c_string(&format!("/proc/{init}/{file}"))?;
        acts.push(Act::of(format!("read /proc/INIT/{file}"), read(&path)));
    }
    let memory = c_string(&format!("/proc/{init}/mem"))?;
    acts.push(Act::of("open /proc/INIT/mem", super::open(&memory, libc::O_RDWR)));
    Ok(acts)
}

/// `hidepid`: what may not be traced is not even seen.
fn see_init(targets: &Targets) -> Tried {
    let path = c_string(&format!("/proc/{}", targets.text("init").unwrap_or("1")))?;
    let mut status = [0_u8; 256];
    let seen = call!(libc::SYS_newfstatat, libc::AT_FDCWD, &*path, status.as_mut_slice(), 0);
    Ok(vec![Act::of("stat /proc/INIT", seen)])
}

const NOT_THERE: Expected = Expected::all("ENOENT");

/// Calls runtimes make about themselves are let through: then nobody is found.
const SCHEDULING: Expected = Expected::but("ESRCH", &[("ioprio_set", "EPERM"), ("migrate_pages", "EPERM")]);

/// The part of the catalogue about processes.
pub const ATTEMPTS: &[Attempt] = &[
    Attempt {
        id: "P01",
        what: "trace another process, the proxy and the launcher",
        wall: "seccomp, pid namespace, Landlock",
        alone: OURS_ALONE,
        twin: "signal and reap its own child",
        reference: "Landlock documentation, ptrace restrictions",
        run: trace,
        twin_run: twins::signal_own_child,
        ..BLANK
    },
    Attempt {
        id: "P02",
        what: "read and write another process's memory by process_vm_readv and process_vm_writev",
        wall: "seccomp, pid namespace",
        twin: "signal and reap its own child",
        reference: "same-uid neighbours",
        run: memory_calls,
        twin_run: twins::signal_own_child,
        ..BLANK
    },
    Attempt {
        id: "P03",
        minimal: Some(Expected::all("EACCES")),
        what: "read another process's environment, memory and descriptors in /proc",
        wall: "pid namespace, own /proc",
        user: NOT_THERE,
        root: NOT_THERE,
        twin: "read its own /proc/self/status",
        reference: "CVE-2019-5736; secrets in environments",
        run: |targets| secrets_in_proc(targets, "victim"),
        twin_run: twins::read_own_status,
        ..BLANK
    },
    Attempt {
        id: "P03.proxy",
        minimal: Some(Expected::all("EACCES")),
        what: "read the proxy's environment, memory and descriptors in /proc",
        wall: "pid namespace, own /proc, undumpable proxy",
        user: NOT_THERE,
        root: NOT_THERE,
        control: Control::Root,
        root_control: Control::Root,
        alone: &[("read /proc/PROXY/root", "the proxy's own root is empty")],
        twin: "read its own /proc/self/status",
        reference: "tokens of clients in memory",
        run: |targets| secrets_in_proc(targets, "proxy"),
        twin_run: twins::read_own_status,
        ..BLANK
    },
    Attempt {
        id: "P03.launcher",
        minimal: Some(Expected::all("EACCES")),
        what: "read the launcher's environment, memory and descriptors in /proc",
        wall: "pid namespace, own /proc, undumpable launcher",
        user: NOT_THERE,
        root: NOT_THERE,
        control: Control::Root,
        root_control: Control::Root,
        twin: "read its own /proc/self/status",
        reference: "credentials of other servers in memory",
        run: |targets| secrets_in_proc(targets, "launcher"),
        twin_run: twins::read_own_status,
        ..BLANK
    },
    Attempt {
        id: "P04",
        minimal: Some(Expected::but("EPERM", &[("pidfd_open", "allowed")])),
        user: Expected::but("EPERM", &[("pidfd_open", "ESRCH")]),
        root: Expected::but("EPERM", &[("pidfd_open", "ESRCH")]),
        what: "take an open descriptor from another process",
        wall: "pid namespace, seccomp",
        twin: "signal and reap its own child",
        reference: "pidfd_getfd(2)",
        run: take_descriptor,
        twin_run: twins::signal_own_child,
        ..BLANK
    },
    Attempt {
        id: "P05",
        minimal: Some(Expected::but("EPERM", &[("kill(1..32768", "ESRCH")])),
        what: "signal processes outside, one by one and all numbers",
        wall: "pid namespace, Landlock signal scope",
        user: Expected::all("ESRCH"),
        root: Expected::all("ESRCH"),
        twin: "signal and reap its own child",
        reference: "Landlock ABI 6",
        run: signal_outside,
        twin_run: twins::signal_own_child,
        ..BLANK
    },
    Attempt {
        id: "P06",
        minimal: Some(Expected::all("EPERM")),
        what: "signal a process group outside",
        wall: "pid namespace, own session",
        user: Expected::all("ESRCH"),
        root: Expected::all("ESRCH"),
        twin: "signal and reap its own child",
        reference: "a shared process group reaches the supervisor even under Landlock",
        run: signal_groups,
        twin_run: twins::signal_own_child,
        ..BLANK
    },
    Attempt {
        id: "P15",
        minimal: Some(Expected::but("allowed", &[("prlimit64(victim, write)", "EPERM")])),
        what: "read and set another process's resource limits",
        wall: "pid namespace, seccomp",
        user: Expected::but("ESRCH", &[("prlimit64(victim, write)", "EPERM")]),
        root: Expected::but("ESRCH", &[("prlimit64(victim, write)", "EPERM")]),
        twin: "read its own limits",
        reference: "prlimit(2); not governed by Landlock",
        run: limit_others,
        twin_run: twins::own_limits,
        ..BLANK
    },
    Attempt {
        id: "P16",
        minimal: Some(Expected::all("EPERM")),
        user: SCHEDULING,
        root: SCHEDULING,
        what: "change another process's priority, scheduling, processors and memory nodes",
        wall: "pid namespace, seccomp",
        twin: "read its own limits",
        reference: "not governed by Landlock",
        run: schedule_others,
        twin_run: twins::own_limits,
        ..BLANK
    },
    Attempt {
        id: "P17",
        alone: &[("process_madvise(victim)", "outside it takes CAP_SYS_NICE")],
        what: "compare, page out and reap another process: kcmp, process_madvise, process_mrelease",
        wall: "seccomp, pid namespace",
        twin: "signal and reap its own child",
        reference: "container runtimes' default filters",
        run: compare_and_reclaim,
        twin_run: twins::signal_own_child,
        ..BLANK
    },
    Attempt {
        id: "P20",
        minimal: Some(Expected::all("EACCES")),
        what: "look into PID 1 of its own sandbox",
        wall: "undumpable init, hidden in /proc",
        user: NOT_THERE,
        root: NOT_THERE,
        twin: "read its own /proc/self/status",
        reference: "pid_namespaces(7)",
        run: look_into_init,
        twin_run: twins::read_own_status,
        ..BLANK
    },
    Attempt {
        id: "P20.seen",
        what: "see PID 1 of its own sandbox in /proc",
        wall: "hidden in /proc",
        minimal: Some(Expected::all("allowed")),
        user: NOT_THERE,
        root: NOT_THERE,
        twin: "read its own /proc/self/status",
        reference: "proc(5), hidepid",
        run: see_init,
        twin_run: twins::read_own_status,
        ..BLANK
    },
];
