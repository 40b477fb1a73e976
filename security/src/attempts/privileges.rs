//! Attacks on identity and privileges: capabilities, other uids, new maps, leftovers of the launcher.

use std::fs;

use nix::errno::Errno;

use super::{open, scratch, twins, unlink, write_new};
use crate::call;
use crate::catalogue::{Attempt, BLANK, Control, Expected, Tried};
use crate::probe::kernel::Answer;
use crate::probe::{Act, Targets};

/// The version of the structures of capget and capset.
pub(super) const CAPABILITIES_3: u32 = 0x2008_0522;

/// A line of /proc/self/status.
pub(crate) fn status_line(status: &str, key: &str) -> String {
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.unwrap_or_default().trim().to_owned()
}

/// Each line that must read so inside: the wall that is missing shows.
fn own_status(_: &Targets) -> Tried {
    let Ok(status) = fs::read_to_string("/proc/self/status") else { return own_status_by_calls() };
    let mut acts = Vec::new();
    for key in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        let value = status_line(&status, key);
        let held = value.chars().any(|digit| digit != '0');
        acts.push(Act::fact(key, held.into(), value));
    }
    let filters = status_line(&status, "Seccomp_filters");
    let few = filters.parse::<u32>().unwrap_or(0) < 2;
    let unlike = |key, wanted: &str| {
        let value = status_line(&status, key);
        Act::fact(key, (value != wanted).into(), value)
    };
    acts.extend([unlike("NoNewPrivs", "1"), unlike("Seccomp", "2")]);
    acts.push(Act::fact("Seccomp_filters", few.into(), filters));
    Ok(acts)
}

/// The same by system calls, where there is no /proc. How many filters there are cannot be asked.
fn own_status_by_calls() -> Tried {
    const IS_SET: i32 = 1;
    let header = [CAPABILITIES_3.to_ne_bytes(), [0; 4]].concat();
    let mut sets = [0_u8; 24];
    call!(libc::SYS_capget, header.as_slice(), sets.as_mut_slice()).map_err(|errno| errno.to_string())?;
    let ask = |option: i32, value: i32| call!(libc::SYS_prctl, option, value, 0, 0, 0).unwrap_or(-1);
    // For each half of the numbers: effective, permitted, inheritable.
    let held = |set: usize| sets.chunks_exact(4).skip(set).step_by(3).any(|word| word != [0; 4]);
    let ambient = call!(libc::SYS_prctl, libc::PR_CAP_AMBIENT, IS_SET, 0, 0, 0).unwrap_or(-1);
    Ok(vec![
        Act::fact("CapInh", held(2).into(), "capget"),
        Act::fact("CapPrm", held(1).into(), "capget"),
        Act::fact("CapEff", held(0).into(), "capget"),
        Act::fact("CapBnd", (ask(libc::PR_CAPBSET_READ, 0) != 0).into(), "prctl"),
        Act::fact("CapAmb", (ambient != 0).into(), "prctl"),
        Act::fact("NoNewPrivs", (ask(libc::PR_GET_NO_NEW_PRIVS, 0) != 1).into(), "prctl"),
        Act::fact("Seccomp", (ask(libc::PR_GET_SECCOMP, 0) != 2).into(), "prctl"),
    ])
}

fn become_root(_: &Targets) -> Tried {
    let group = 0_u32.to_ne_bytes();
    let setfsuid = call!(libc::SYS_setfsuid, 0).and_then(|_| match call!(libc::SYS_setfsuid, -1) {
        Ok(0) => Ok(0),
        Ok(_) => Err(Errno::EPERM),
        Err(errno) => Err(errno),
    });
    Ok(vec![
        Act::of("setgroups(0)", call!(libc::SYS_setgroups, 1, group.as_slice())),
        Act::of("setgid(0)", call!(libc::SYS_setgid, 0)),
        Act::of("setfsuid(0)", setfsuid),
        Act::of("setresuid(0, 0, 0)", call!(libc::SYS_setresuid, 0, 0, 0)),
        Act::of("setuid(0)", call!(libc::SYS_setuid, 0)),
    ])
}

fn nested_namespace(_: &Targets) -> Tried {
    Ok(vec![Act::of("unshare(NEWUSER)", call!(libc::SYS_unshare, libc::CLONE_NEWUSER))])
}

fn write_existing(path: &std::ffi::CStr, content: &str) -> Answer {
    let descriptor = open(path, libc::O_WRONLY)?;
    call!(libc::SYS_write, descriptor, content.as_bytes(), content.len())
}

fn rewrite_maps(targets: &Targets) -> Tried {
    let own = targets.text("outside_uid").unwrap_or("1000");
    let group = targets.text("outside_gid").unwrap_or("1000");
    if targets.text("fresh").is_ok() {
        call!(libc::SYS_unshare, libc::CLONE_NEWUSER).map_err(|errno| format!("fresh namespace: {errno}"))?;
    }
    Ok(vec![
        Act::of("write setgroups", write_existing(c"/proc/self/setgroups", "deny")),
        Act::of("write uid_map", write_existing(c"/proc/self/uid_map", &format!("0 {own} 1"))),
        Act::of("write gid_map", write_existing(c"/proc/self/gid_map", &format!("0 {group} 1"))),
    ])
}

fn raise_capabilities(targets: &Targets) -> Tried {
    const AMBIENT_RAISE: i32 = 2;
    let header = [CAPABILITIES_3.to_ne_bytes(), [0; 4]].concat();
    let all_chown = [1_u32, 1, 1, 0, 0, 0].iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<u8>>();
    let file = scratch(targets, "capable")?;
    write_new(&file, b"x").map_err(|errno| format!("write a file: {errno}"))?;
    let on_file: Vec<u8> = [0x0200_0001_u32, 1, 0, 0, 0].iter().flat_map(|word| word.to_ne_bytes()).collect();
    let set = call!(libc::SYS_setxattr, &*file, c"security.capability", on_file.as_slice(), on_file.len(), 0);
    let capset = call!(libc::SYS_capset, header.as_slice(), all_chown.as_slice());
    let ambient = call!(libc::SYS_prctl, libc::PR_CAP_AMBIENT, AMBIENT_RAISE, 0, 0, 0);
    let _ = unlink(&file);
    Ok(vec![
        Act::of("setxattr(security.capability)", set),
        Act::of("capset", capset),
        Act::of("prctl(CAP_AMBIENT_RAISE)", ambient),
    ])
}

fn groups(_: &Targets) -> Tried {
    let count = call!(libc::SYS_getgroups, 0, 0).map_err(|errno| errno.to_string())?;
    Ok(vec![Act::fact("supplementary groups", (count > 0).into(), format!("{count} groups"))])
}

/// What a careless launcher leaves behind in its child.
fn leftovers(_: &Targets) -> Tried {
    let (blocked, ignored) = signal_masks()?;
    let umask = call!(libc::SYS_umask, 0o077).map_err(|errno| errno.to_string())?;
    let session = call!(libc::SYS_getsid, 0).map_err(|errno| errno.to_string())?;
    let parent = call!(libc::SYS_getppid).map_err(|errno| errno.to_string())?;
    let terminal = open(c"/dev/tty", libc::O_RDWR);
    let mut core = [0xff_u8; 16];
    call!(libc::SYS_prlimit64, 0, 4, 0, core.as_mut_slice()).map_err(|errno| errno.to_string())?;
    Ok(vec![
        Act::fact("blocked signals", (blocked != 0).into(), format!("{blocked:x}")),
        Act::fact("ignored signals", (ignored & !LIBRARY_SIGNALS != 0).into(), format!("{ignored:x}")),
        Act::fact("umask", (umask != 0o077).into(), format!("{umask:o}")),
        Act::fact("core files", core.iter().any(|&byte| byte != 0).into(), "RLIMIT_CORE"),
        Act::fact("session of somebody else", (session != parent).into(), format!("session {session}")),
        Act::fact("controlling terminal", terminal.is_ok().into(), "open /dev/tty"),
    ])
}

/// SIGPIPE, which every Rust program ignores from its start on, and the C library's own two signals:
/// posix_spawn leaves them ignored, and no program can change that by way of the C library.
const LIBRARY_SIGNALS: u64 = 1 << (libc::SIGPIPE - 1) | 1 << 31 | 1 << 32;

/// Which signals are blocked and which are ignored, one bit each.
fn signal_masks() -> Result<(u64, u64), String> {
    const IGNORED: [u8; 8] = [1, 0, 0, 0, 0, 0, 0, 0];
    let mut blocked = [0_u8; 8];
    call!(libc::SYS_rt_sigprocmask, 0, 0, blocked.as_mut_slice(), 8).map_err(|errno| errno.to_string())?;
    let mut ignored = 0;
    for signal in 1..=64 {
        let mut action = [0_u8; 32];
        call!(libc::SYS_rt_sigaction, signal, 0, action.as_mut_slice(), 8)
            .map_err(|errno| errno.to_string())?;
        ignored |= u64::from(action.starts_with(&IGNORED)) << (signal - 1);
    }
    Ok((u64::from_ne_bytes(blocked), ignored))
}

/// The part of the catalogue about privileges.
pub const ATTEMPTS: &[Attempt] = &[
    Attempt {
        id: "C01",
        minimal: Some(Expected::but("hidden", &[("CapBnd", "allowed")])),
        what: "hold any capability, or lack no_new_privs or the two filters",
        wall: "no capabilities, no new privileges, seccomp",
        user: Expected::all("hidden"),
        root: Expected::all("hidden"),
        alone: &[
            ("CapInh", "an ordinary uid has none outside either"),
            ("CapPrm", "an ordinary uid has none outside either"),
            ("CapEff", "an ordinary uid has none outside either"),
            ("CapAmb", "an ordinary uid has none outside either"),
        ],
        twin: "read its own /proc/self/status",
        reference: "firecracker's test that the filter applies to all threads",
        run: own_status,
        twin_run: twins::read_own_status,
        ..BLANK
    },
    Attempt {
        id: "C02",
        what: "become root by setuid and its kin",
        wall: "seccomp, uid map, no capabilities",
        control: Control::Root,
        root_control: Control::Root,
        twin: "ask who it is",
        reference: "setuid(2)",
        run: become_root,
        twin_run: twins::own_identity,
        ..BLANK
    },
    Attempt {
        id: "C03",
        what: "get all capabilities in a user namespace of its own",
        wall: "seccomp, user.max_user_namespaces",
        twin: "start a thread",
        reference: "bubblewrap --disable-userns",
        run: nested_namespace,
        twin_run: twins::thread,
        ..BLANK
    },
    Attempt {
        id: "C04",
        what: "write its own uid and gid map",
        wall: "maps are written once, Landlock",
        user: Expected::all("EACCES"),
        root: Expected::all("EACCES"),
        control: Control::UnmappedNamespace,
        root_control: Control::UnmappedNamespace,
        twin: "read its own /proc/self/status",
        reference: "user_namespaces(7)",
        run: rewrite_maps,
        twin_run: twins::read_own_status,
        ..BLANK
    },
    Attempt {
        id: "C05",
        what: "raise capabilities: capset, ambient, on a file",
        wall: "seccomp, no capabilities, nosuid",
        control: Control::UserNamespace,
        root_control: Control::UserNamespace,
        twin: "write a file of its own",
        reference: "capabilities(7)",
        run: raise_capabilities,
        twin_run: twins::write_scratch,
        ..BLANK
    },
    Attempt {
        id: "C12",
        what: "keep supplementary groups of the launcher",
        wall: "setgroups, in root mode; a person may not drop groups in a namespace of their own, only the mounts help",
        user: Expected::all("allowed"),
        root: Expected::all("hidden"),
        twin: "ask who it is",
        reference: "classic",
        run: groups,
        twin_run: twins::own_identity,
        ..BLANK
    },
    Attempt {
        id: "C14",
        what: "find leftovers of the launcher: signal masks, umask, core files, session, terminal",
        wall: "the launch resets them",
        user: Expected::all("hidden"),
        root: Expected::all("hidden"),
        alone: &[
            ("blocked signals", "whoever starts the control may have reset it"),
            ("ignored signals", "whoever starts the control may have reset it"),
            ("core files", "whoever starts the control may have reset it"),
            ("controlling terminal", "whoever starts the control may have none"),
        ],
        twin: "ask who it is",
        reference: "bubblewrap issue 705",
        run: leftovers,
        twin_run: twins::own_identity,
        ..BLANK
    },
];
