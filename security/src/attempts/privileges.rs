//! Attacks on identity and privileges: capabilities, other uids, new maps, leftovers of the launcher.

use std::fs;

use nix::errno::Errno;

use super::{open, scratch, twins, unlink, write_new};
use crate::call;
use crate::catalogue::{Attempt, BLANK, Control, Expected, Tried};
use crate::probe::kernel::Answer;
use crate::probe::{Act, Targets};

/// A line of /proc/self/status.
pub(crate) fn status_line(status: &str, key: &str) -> String {
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.unwrap_or_default().trim().to_owned()
}

/// Each line that must read so inside: the wall that is missing shows.
fn own_status(_: &Targets) -> Tried {
    let status = fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
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
    const VERSION_3: u32 = 0x2008_0522;
    const AMBIENT_RAISE: i32 = 2;
    let header = [VERSION_3.to_ne_bytes(), [0; 4]].concat();
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
    let status = fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
    let ignored = status_line(&status, "SigIgn");
    let blocked = status_line(&status, "SigBlk");
    let umask = status_line(&status, "Umask");
    let set = |mask: &str| mask.chars().any(|digit| digit != '0');
    let session = call!(libc::SYS_getsid, 0).map_err(|errno| errno.to_string())?;
    let parent = call!(libc::SYS_getppid).map_err(|errno| errno.to_string())?;
    let terminal = open(c"/dev/tty", libc::O_RDWR);
    let mut core = [0xff_u8; 16];
    call!(libc::SYS_prlimit64, 0, 4, 0, core.as_mut_slice()).map_err(|errno| errno.to_string())?;
    Ok(vec![
        Act::fact("blocked signals", set(&blocked).into(), blocked),
        Act::fact("ignored signals", set(&without_library_signals(&ignored)).into(), ignored),
        Act::fact("umask", (umask != "0077").into(), umask),
        Act::fact("core files", core.iter().any(|&byte| byte != 0).into(), "RLIMIT_CORE"),
        Act::fact("session of somebody else", (session != parent).into(), format!("session {session}")),
        Act::fact("controlling terminal", terminal.is_ok().into(), "open /dev/tty"),
    ])
}

/// Without SIGPIPE, which every Rust program ignores from its start on, and without the C library's own two
/// signals: posix_spawn leaves them ignored, and no program can change that by way of the C library.
fn without_library_signals(mask: &str) -> String {
    let bits = u64::from_str_radix(mask, 16).unwrap_or(u64::MAX);
    let own = [libc::SIGPIPE, 32, 33].iter().fold(0_u64, |own, signal| own | 1 << (signal - 1));
    format!("{:x}", bits & !own)
}

/// The part of the catalogue about privileges.
pub const ATTEMPTS: &[Attempt] = &[
    Attempt {
        id: "C01",
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
