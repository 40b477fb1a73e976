//! Attacks that turn the kernel's own helpers against it: cgroups, core patterns, module loaders, kept capabilities.

use super::privileges::CAPABILITIES_3;
use super::twins::{self, in_child};
use super::{c_string, open};
use crate::call;
use crate::catalogue::{Attempt, BLANK, Control, Expected, Tried};
use crate::probe::{Act, Targets};

/// Where a process is moved from one cgroup to another.
pub(super) const GROUPS: [&str; 3] = [
    "/sys/fs/cgroup/cgroup.procs",
    "/sys/fs/cgroup/unified/cgroup.procs",
    "/sys/fs/cgroup/pids/cgroup.procs",
];
/// What the kernel executes or does by itself, as root, when somebody has written it there.
pub(super) const SWITCHES: [&str; 9] = [
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/modprobe",
    "/proc/sys/kernel/poweroff_cmd",
    "/proc/sys/kernel/usermodehelper/bset",
    "/proc/sysrq-trigger",
    "/proc/sys/fs/binfmt_misc/register",
    "/sys/kernel/uevent_helper",
    "/sys/fs/cgroup/memory/release_agent",
    "/sys/fs/cgroup/cgroup.procs",
];

fn mount_cgroups(_: &Targets) -> Tried {
    let mount = |kind: &std::ffi::CStr| {
        in_child(|| {
            // A view of its own tree is what an ordinary user may mount.
            let _ = call!(libc::SYS_unshare, libc::CLONE_NEWCGROUP);
            call!(libc::SYS_mount, c"none", c"/tmp", kind, 0, 0)
        })
    };
    let own = in_child(|| call!(libc::SYS_unshare, libc::CLONE_NEWCGROUP));
    Ok(vec![Act::of("unshare(NEWCGROUP)", own), Act::of("mount(cgroup2)", mount(c"cgroup2"))])
}

fn write_switches(targets: &Targets) -> Tried {
    let mut acts = Vec::new();
    for file in targets.text("switches")?.split(',') {
        acts.push(Act::of(format!("open {file} for writing"), open(&c_string(file)?, libc::O_WRONLY)));
    }
    Ok(acts)
}

/// Asks to keep its capabilities over a change of uid, changes it, and looks what it has.
fn keep_capabilities(_: &Targets) -> Tried {
    let keep = call!(libc::SYS_prctl, libc::PR_SET_KEEPCAPS, 1, 0, 0, 0);
    let own = call!(libc::SYS_getuid).unwrap_or(0);
    let change = call!(libc::SYS_setresuid, own, own, own);
    let header = [CAPABILITIES_3.to_ne_bytes(), [0; 4]].concat();
    let mut sets = [0_u8; 24];
    call!(libc::SYS_capget, header.as_slice(), sets.as_mut_slice()).map_err(|errno| errno.to_string())?;
    Ok(vec![
        Act::of("prctl(SET_KEEPCAPS)", keep),
        Act::of("setresuid(own)", change),
        Act::fact("capabilities afterwards", sets.iter().any(|&byte| byte != 0).into(), format!("{sets:?}")),
    ])
}

/// The part of the catalogue about escalation.
pub const ATTEMPTS: &[Attempt] = &[
    Attempt {
        id: "C08",
        what: "mount the tree of cgroups, where a helper of the kernel could be named",
        wall: "seccomp, no capabilities",
        control: Control::UserNamespace,
        root_control: Control::UserNamespace,
        twin: "read a granted file",
        reference: "CVE-2022-0492",
        run: mount_cgroups,
        twin_run: twins::read_granted,
        ..BLANK
    },
    Attempt {
        id: "C09",
        what: "name a program that the kernel runs as root: core pattern, module loader, event helper, binary formats",
        wall: "/proc shows processes only, no /sys",
        user: Expected::all("ENOENT"),
        root: Expected::all("ENOENT"),
        minimal: Some(Expected::all("EACCES")),
        control: Control::Root,
        root_control: Control::Root,
        twin: "read its own /proc/self/status",
        reference: "CVE-2025-31133, CVE-2022-0492",
        run: write_switches,
        twin_run: twins::read_own_status,
        ..BLANK
    },
    Attempt {
        id: "C13",
        what: "keep capabilities over a change of uid",
        wall: "locked securebits, seccomp, no capabilities to keep",
        user: Expected::but("EPERM", &[("capabilities afterwards", "hidden")]),
        root: Expected::but("EPERM", &[("capabilities afterwards", "hidden")]),
        minimal: Some(Expected::but(
            "EPERM",
            &[("prctl(SET_KEEPCAPS)", "allowed"), ("capabilities afterwards", "hidden")],
        )),
        control: Control::UserNamespace,
        root_control: Control::UserNamespace,
        twin: "ask who it is",
        reference: "capabilities(7), keep capabilities",
        run: keep_capabilities,
        twin_run: twins::own_identity,
        ..BLANK
    },
];
