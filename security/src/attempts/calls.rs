//! Attacks on the system call filter itself: other entries, other numbers, flags hidden in structures, new filters.

use super::twins;
use crate::call;
use crate::catalogue::{Attempt, BLANK, Control, Expected, Tried};
use crate::probe::kernel::{self, Answer, address, call_creating_process};
use crate::probe::{Act, Targets};

/// Marks a call of the x32 table.
const X32_BIT: i64 = 0x4000_0000;
/// `CLONE_NEWTIME`; for clone it overlaps the exit signal, so only unshare takes it.
const CLONE_NEWTIME: i32 = 0x80;
/// The personality of a 32-bit machine.
const PER_LINUX32: i32 = 8;
const NAMESPACES: [(&str, i32); 7] = [
    ("NEWUSER", libc::CLONE_NEWUSER),
    ("NEWNS", libc::CLONE_NEWNS),
    ("NEWPID", libc::CLONE_NEWPID),
    ("NEWNET", libc::CLONE_NEWNET),
    ("NEWIPC", libc::CLONE_NEWIPC),
    ("NEWUTS", libc::CLONE_NEWUTS),
    ("NEWCGROUP", libc::CLONE_NEWCGROUP),
];

/// Killed here if the filter is as it should be; the report then names the signal.
fn other_entry(_: &Targets) -> Tried {
    let process = kernel::getpid_by_32_bit_entry();
    Ok(vec![Act::shown("stay alive", format!("int 0x80 answered getpid with {process}"))])
}

fn other_table(_: &Targets) -> Tried {
    let own = call!(libc::SYS_getpid | X32_BIT);
    let open = call!(libc::SYS_openat | X32_BIT, libc::AT_FDCWD, c"/", libc::O_RDONLY);
    Ok(vec![Act::of("getpid of the x32 table", own), Act::of("openat of the x32 table", open)])
}

/// The flags stand in memory, where no filter can see them.
fn hidden_flags(_: &Targets) -> Tried {
    let mut arguments = [0_u8; 64];
    let words = [i64::from(libc::CLONE_NEWUSER), 0, 0, 0, i64::from(libc::SIGCHLD)];
    for (slot, word) in arguments.chunks_exact_mut(8).zip(words) {
        slot.copy_from_slice(&word.to_ne_bytes());
    }
    let create = |arguments: &[u8]| {
        call_creating_process(libc::SYS_clone3, [arguments.into(), arguments.len().into()])
    };
    Ok(vec![Act::of("clone3(NEWUSER)", create(&arguments))])
}

fn new_namespaces(_: &Targets) -> Tried {
    let mut acts = Vec::new();
    for (name, flag) in NAMESPACES {
        let flags = i64::from(flag | libc::SIGCHLD);
        let answer =
            call_creating_process(libc::SYS_clone, [flags.into(), 0.into(), 0.into(), 0.into(), 0.into()]);
        acts.push(Act::of(format!("clone({name})"), answer));
    }
    for (name, flag) in NAMESPACES.into_iter().chain([("NEWTIME", CLONE_NEWTIME)]) {
        let answer = twins::in_child(|| call!(libc::SYS_unshare, flag));
        acts.push(Act::of(format!("unshare({name})"), answer));
    }
    Ok(acts)
}

/// A program for the filter machine: return "allow".
fn permissive_filter() -> [u8; 8] {
    let [c0, c1] = 6_u16.to_ne_bytes();
    let [k0, k1, k2, k3] = 0x7fff_0000_u32.to_ne_bytes();
    [c0, c1, 0, 0, k0, k1, k2, k3]
}

/// Lays a permissive filter over the real one, then asks again; and tries to become a supervisor of itself.
fn own_filter(_: &Targets) -> Tried {
    let program = permissive_filter();
    let description = [1_i64.to_ne_bytes(), address(&program).to_ne_bytes()].concat();
    let description = description.as_slice();
    let _ = call!(libc::SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    let laid = call!(libc::SYS_prctl, libc::PR_SET_SECCOMP, 2, description, 0, 0);
    let again = call!(libc::SYS_keyctl, 0, -3, 1, 0, 0);
    let listener = call!(libc::SYS_seccomp, 1, 8, description);
    let mut acts = vec![Act::of("keyctl after laying a permissive filter", again)];
    acts.push(Act::of("seccomp(NEW_LISTENER)", listener));
    if laid.is_err() {
        acts.push(Act::of("prctl(PR_SET_SECCOMP)", laid));
    }
    Ok(acts)
}

fn undo_locks(_: &Targets) -> Tried {
    let prctl = |option: i32, value: i64| call!(libc::SYS_prctl, option, value, 0, 0, 0);
    Ok(vec![
        Act::of("prctl(NO_NEW_PRIVS, 0)", prctl(libc::PR_SET_NO_NEW_PRIVS, 0)),
        Act::of("prctl(SET_SECUREBITS, 0)", prctl(libc::PR_SET_SECUREBITS, 0)),
        Act::of("prctl(SET_KEEPCAPS, 1)", prctl(libc::PR_SET_KEEPCAPS, 1)),
        Act::of("prctl(CAPBSET_DROP)", prctl(libc::PR_CAPBSET_DROP, 0)),
    ])
}

fn ring(_: &Targets) -> Tried {
    let mut parameters = [0_u8; 120];
    let setup = call!(libc::SYS_io_uring_setup, 4, parameters.as_mut_slice());
    let ring = setup.unwrap_or(-1);
    let enter = call!(libc::SYS_io_uring_enter, ring, 0, 0, 0, 0, 0);
    let register = call!(libc::SYS_io_uring_register, ring, 0xffff, 0, 0);
    Ok(vec![
        Act::of("io_uring_setup", setup),
        Act::taken("io_uring_enter", enter),
        Act::taken("io_uring_register", register),
    ])
}

fn keyrings(_: &Targets) -> Tried {
    const SESSION: i64 = -3;
    const SESSION_TO_PARENT: i64 = 18;
    let add = call!(libc::SYS_add_key, c"user", c"only1mcp-probe", b"x".as_slice(), 1, -2);
    let request = call!(libc::SYS_request_key, c"user", c"only1mcp-probe", 0, 0);
    Ok(vec![
        Act::of("add_key", add),
        Act::taken("request_key", request),
        Act::of("keyctl(GET_KEYRING_ID)", call!(libc::SYS_keyctl, 0, SESSION, 1, 0, 0)),
        Act::taken("keyctl(SESSION_TO_PARENT)", call!(libc::SYS_keyctl, SESSION_TO_PARENT, 0, 0, 0, 0)),
    ])
}

fn personalities(_: &Targets) -> Tried {
    let set = |persona: i32| call!(libc::SYS_personality, persona);
    Ok(vec![
        Act::of("personality(ADDR_NO_RANDOMIZE)", set(libc::ADDR_NO_RANDOMIZE)),
        Act::of("personality(READ_IMPLIES_EXEC)", set(libc::READ_IMPLIES_EXEC)),
        Act::of("personality(PER_LINUX32)", set(PER_LINUX32)),
    ])
}

/// The command is compared in 32 bits by the kernel, so a filter that compares 64 is fooled by high bits.
fn terminal_input(_: &Targets) -> Tried {
    let null = super::open(c"/dev/null", libc::O_RDWR).map_err(|errno| errno.to_string())?;
    let mut acts = Vec::new();
    for (name, command) in [("TIOCSTI", 0x5412_i64), ("TIOCLINUX", 0x541c), ("TIOCSETD", 0x5423)] {
        let ask = |command: i64| -> Answer { call!(libc::SYS_ioctl, null, command, b"x".as_slice()) };
        acts.push(Act::taken(format!("ioctl({name})"), ask(command)));
        acts.push(Act::taken(format!("ioctl({name} with high bits)"), ask(command | 1 << 40)));
    }
    Ok(acts)
}

/// Memory that is first written and then executed: what injected code needs.
fn write_and_execute(_: &Targets) -> Tried {
    let private = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let map = |protection: i32| call!(libc::SYS_mmap, 0, 4096, protection, private, -1, 0);
    let writable = libc::PROT_READ | libc::PROT_WRITE;
    let own = map(writable).map_err(|errno| errno.to_string())?;
    let executable = libc::PROT_READ | libc::PROT_EXEC;
    Ok(vec![
        Act::of("mmap(write and execute)", map(writable | libc::PROT_EXEC)),
        Act::of("mprotect(execute)", call!(libc::SYS_mprotect, own, 4096, executable)),
        Act::of("pkey_mprotect(execute)", call!(libc::SYS_pkey_mprotect, own, 4096, executable, -1)),
    ])
}

fn system_v(_: &Targets) -> Tried {
    const CREATE: i32 = libc::IPC_CREAT | 0o666;
    let memory = call!(libc::SYS_shmget, libc::IPC_PRIVATE, 4096, CREATE);
    let messages = call!(libc::SYS_msgget, libc::IPC_PRIVATE, CREATE);
    let semaphores = call!(libc::SYS_semget, libc::IPC_PRIVATE, 1, CREATE);
    // Its name is the machine's: the control of another probe, by another user, may run just now.
    let name = super::c_string(&format!("only1mcp-probe-{}", std::process::id()))?;
    let queue = call!(libc::SYS_mq_open, name.as_c_str(), libc::O_CREAT | libc::O_RDWR, 0o666, 0);
    let _ = memory.map(|id| call!(libc::SYS_shmctl, id, libc::IPC_RMID, 0));
    let _ = messages.map(|id| call!(libc::SYS_msgctl, id, libc::IPC_RMID, 0));
    let _ = semaphores.map(|id| call!(libc::SYS_semctl, id, 0, libc::IPC_RMID, 0));
    let _ = queue.map(|_| call!(libc::SYS_mq_unlink, name.as_c_str()));
    Ok(vec![
        Act::of("shmget", memory),
        Act::of("msgget", messages),
        Act::of("semget", semaphores),
        Act::of("mq_open", queue),
    ])
}

/// The part of the catalogue about the filter.
pub const ATTEMPTS: &[Attempt] = &[
    Attempt {
        id: "K02",
        what: "enter the kernel by the 32-bit entry (int 0x80)",
        wall: "seccomp: another architecture is killed",
        user: Expected::all("SIGSYS"),
        root: Expected::all("SIGSYS"),
        twin: "the same call by the ordinary entry",
        reference: "seccomp(2), architecture check",
        run: other_entry,
        twin_run: twins::ordinary_call,
        ..BLANK
    },
    Attempt {
        id: "K03",
        user: Expected::all("ENOSYS"),
        root: Expected::all("ENOSYS"),
        system: Some(Expected::all("SIGSYS")),
        what: "use the x32 table of system calls",
        wall: "seccomp: numbers beyond the table do not exist; the unit's filter kills for them",
        control: Control::MayBeAbsent,
        root_control: Control::MayBeAbsent,
        twin: "the same call by the ordinary table",
        reference: "seccomp(2), x32",
        run: other_table,
        twin_run: twins::ordinary_call,
        ..BLANK
    },
    Attempt {
        id: "K04",
        what: "hide CLONE_NEWUSER in the structure of clone3",
        wall: "seccomp, user.max_user_namespaces",
        user: Expected::all("ENOSYS"),
        root: Expected::all("ENOSYS"),
        twin: "start a thread",
        reference: "CVE-2021-41133",
        run: hidden_flags,
        twin_run: twins::thread,
        ..BLANK
    },
    Attempt {
        id: "K05",
        what: "make each kind of namespace by clone and unshare",
        wall: "seccomp, no capabilities, user.max_user_namespaces",
        control: Control::UserNamespace,
        root_control: Control::UserNamespace,
        twin: "start a thread",
        reference: "flatpak, container runtimes",
        run: new_namespaces,
        twin_run: twins::thread,
        ..BLANK
    },
    Attempt {
        id: "K06",
        what: "lay a permissive filter over the real one, and supervise its own calls",
        wall: "seccomp: filters only tighten, no listener",
        twin: "start a thread",
        reference: "seccomp(2)",
        run: own_filter,
        twin_run: twins::thread,
        ..BLANK
    },
    Attempt {
        id: "K07",
        minimal: Some(Expected::but(
            "EPERM",
            &[("prctl(NO_NEW_PRIVS", "EINVAL"), ("prctl(SET_KEEPCAPS", "allowed")],
        )),
        user: Expected::but("EPERM", &[("prctl(NO_NEW_PRIVS", "EINVAL")]),
        root: Expected::but("EPERM", &[("prctl(NO_NEW_PRIVS", "EINVAL")]),
        what: "take back no_new_privs and securebits by prctl",
        wall: "no new privileges, locked securebits, no capabilities",
        control: Control::UserNamespace,
        root_control: Control::UserNamespace,
        alone: &[("prctl(NO_NEW_PRIVS, 0)", "nobody may take it back, outside either")],
        twin: "ask who it is",
        reference: "prctl(2)",
        run: undo_locks,
        twin_run: twins::own_identity,
        ..BLANK
    },
    Attempt {
        id: "K08",
        what: "use io_uring, which no filter on single calls sees",
        wall: "seccomp",
        user: Expected::all("ENOSYS"),
        root: Expected::all("ENOSYS"),
        twin: "wait with epoll",
        reference: "moby issue 46762",
        run: ring,
        twin_run: twins::epoll,
        ..BLANK
    },
    Attempt {
        id: "K10",
        what: "use the kernel's keyrings",
        wall: "seccomp",
        twin: "ask who it is",
        reference: "CVE-2024-42318",
        run: keyrings,
        twin_run: twins::own_identity,
        ..BLANK
    },
    Attempt {
        id: "K11",
        what: "change the personality: no address randomisation, everything executable",
        wall: "seccomp",
        twin: "ask who it is",
        reference: "container runtimes' default filters",
        run: personalities,
        twin_run: twins::own_identity,
        ..BLANK
    },
    Attempt {
        id: "K13",
        what: "push input into a terminal, also with high bits set in the command",
        wall: "seccomp: compared in 32 bits; no terminal",
        twin: "open /dev/null",
        reference: "CVE-2017-5226, CVE-2019-7303, CVE-2023-28100",
        run: terminal_input,
        twin_run: twins::open_null,
        ..BLANK
    },
    Attempt {
        id: "K19",
        what: "make System V shared memory, queues and semaphores, and a POSIX queue",
        wall: "seccomp, ipc namespace",
        twin: "share memory with its own child",
        reference: "CLONE_NEWIPC",
        run: system_v,
        twin_run: twins::shared_memory,
        ..BLANK
    },
    Attempt {
        id: "K21",
        what: "make written memory executable, where the policy says memory.jit: false",
        wall: "seccomp on the protection asked for",
        twin: "share memory with its own child",
        reference: "W^X; systemd's MemoryDenyWriteExecute",
        run: write_and_execute,
        twin_run: twins::shared_memory,
        ..BLANK
    },
];
