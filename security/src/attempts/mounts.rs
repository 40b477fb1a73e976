//! Attacks on the tree of mounts: new mounts, new roots, device nodes, other namespaces, handles instead of names.

use std::ffi::CStr;

use nix::errno::Errno;

use super::{c_string, open, scratch, twins, unlink};
use crate::call;
use crate::catalogue::{Attempt, BLANK, Control, Expected, Tried};
use crate::probe::{Act, Targets};

/// Bytes of a file handle's header and the handle itself.
const HANDLE_BYTES: u32 = 128;

fn make_device(targets: &Targets) -> Tried {
    let node = scratch(targets, "device")?;
    let mut acts = Vec::new();
    for (name, kind, device) in
        [("character", libc::S_IFCHR, libc::makedev(1, 1)), ("block", libc::S_IFBLK, libc::makedev(7, 0))]
    {
        let device = i64::try_from(device).map_err(|_| "device number too large")?;
        let answer = call!(libc::SYS_mknodat, libc::AT_FDCWD, &*node, i64::from(kind | 0o600), device);
        let _ = unlink(&node);
        acts.push(Act::of(format!("mknod a {name} device"), answer));
    }
    Ok(acts)
}

fn mount(_: &Targets) -> Tried {
    const NONE: &CStr = c"none";
    let place = libc::AT_FDCWD;
    let tree = call!(libc::SYS_open_tree, place, c"/usr", 1);
    let context = call!(libc::SYS_fsopen, c"tmpfs", 0);
    let filesystem = context.unwrap_or(-1);
    let create = call!(libc::SYS_fsconfig, filesystem, 6, 0, 0, 0);
    let mounted = call!(libc::SYS_fsmount, filesystem, 0, 0);
    let moved = call!(libc::SYS_move_mount, mounted.unwrap_or(-1), c"", libc::AT_FDCWD, c"/tmp", 4);
    Ok(vec![
        Act::of("mount(tmpfs)", call!(libc::SYS_mount, NONE, c"/tmp", c"tmpfs", 0, 0)),
        Act::of(
            "mount(bind)",
            call!(libc::SYS_mount, c"/usr", c"/tmp", NONE, libc_bits(libc::MS_BIND | libc::MS_REC), 0),
        ),
        Act::of("mount(proc)", call!(libc::SYS_mount, NONE, c"/tmp", c"proc", 0, 0)),
        Act::of("open_tree", tree),
        Act::of("fsopen", context),
        Act::of("fsconfig", create),
        Act::of("fsmount", mounted),
        Act::of("move_mount", moved),
        Act::taken("fspick", call!(libc::SYS_fspick, place, c"/tmp", 0)),
        Act::taken(
            "mount_setattr",
            call!(libc::SYS_mount_setattr, place, c"/tmp", 0, [0_u8; 32].as_slice(), 32),
        ),
    ])
}

fn libc_bits(bits: libc::c_ulong) -> i64 {
    i64::try_from(bits).unwrap_or(0)
}

/// Lays bare or makes writable what a read-only mount covers.
fn uncover(targets: &Targets) -> Tried {
    let covered = targets.path("uncover", "").or_else(|_| c_string("/usr"))?;
    let remount = libc_bits(libc::MS_REMOUNT | libc::MS_BIND);
    Ok(vec![
        Act::taken("umount2(detach)", call!(libc::SYS_umount2, &*covered, libc::MNT_DETACH)),
        Act::taken(
            "mount(remount writable)",
            call!(libc::SYS_mount, c"none", &*covered, c"none", remount, 0),
        ),
    ])
}

fn change_root(_: &Targets) -> Tried {
    Ok(vec![
        Act::of("chroot(/tmp)", call!(libc::SYS_chroot, c"/tmp")),
        Act::of("chroot(.)", call!(libc::SYS_chroot, c".")),
    ])
}

fn pivot_and_enter(targets: &Targets) -> Tried {
    let mut acts = vec![Act::taken("pivot_root(., .)", call!(libc::SYS_pivot_root, c".", c"."))];
    let own = open(c"/proc/self/ns/mnt", libc::O_RDONLY).unwrap_or(-1);
    acts.push(Act::of("setns(own mount namespace)", call!(libc::SYS_setns, own, libc::CLONE_NEWNS)));
    let victim = c_string(&format!("/proc/{}/ns/mnt", targets.text("victim")?))?;
    acts.push(Act::of("open /proc/VICTIM/ns/mnt", open(&victim, libc::O_RDONLY)));
    Ok(acts)
}

/// The "shocker": opens a file by its handle, past every path.
fn by_handle(_: &Targets) -> Tried {
    let mut handle = [0_u8; 8 + HANDLE_BYTES as usize];
    if let Some(size) = handle.first_chunk_mut::<4>() {
        *size = HANDLE_BYTES.to_ne_bytes();
    }
    let mut mount = [0_u8; 4];
    let named = call!(
        libc::SYS_name_to_handle_at,
        libc::AT_FDCWD,
        c"/usr",
        handle.as_mut_slice(),
        mount.as_mut_slice(),
        0
    );
    let opened = call!(libc::SYS_open_by_handle_at, libc::AT_FDCWD, handle.as_slice(), libc::O_RDONLY);
    Ok(vec![Act::of("name_to_handle_at", named), Act::taken("open_by_handle_at", still_forbidden(opened))])
}

/// A stale handle means that the kernel looked, so it does not count as a prohibition.
fn still_forbidden(answer: Result<i64, Errno>) -> Result<i64, Errno> {
    answer.or_else(|errno| if errno == Errno::ESTALE { Ok(0) } else { Err(errno) })
}

/// The part of the catalogue about mounts.
pub const ATTEMPTS: &[Attempt] = &[
    Attempt {
        id: "F11",
        what: "make a device node",
        wall: "Landlock, no capabilities, nodev",
        from_landlock: &[(1, Expected::all("EACCES"))],
        control: Control::Root,
        root_control: Control::Root,
        twin: "make a named pipe",
        reference: "CAP_MKNOD in container defaults",
        run: make_device,
        twin_run: twins::named_pipe,
        ..BLANK
    },
    Attempt {
        id: "F12",
        what: "mount, by the old and the new calls",
        wall: "seccomp, no capabilities",
        user: NEW_MOUNT_CALLS,
        root: NEW_MOUNT_CALLS,
        control: Control::UserNamespace,
        root_control: Control::UserNamespace,
        twin: "read a granted file",
        reference: "CVE-2021-41133",
        run: mount,
        twin_run: twins::read_granted,
        ..BLANK
    },
    Attempt {
        id: "F13",
        what: "unmount a covering mount or make it writable",
        wall: "seccomp, locked mounts",
        control: Control::UserNamespace,
        root_control: Control::UserNamespace,
        twin: "read a granted file",
        reference: "mount_namespaces(7), locked mounts",
        run: uncover,
        twin_run: twins::read_granted,
        ..BLANK
    },
    Attempt {
        id: "F14",
        what: "chroot",
        wall: "seccomp, no capabilities",
        control: Control::UserNamespace,
        root_control: Control::UserNamespace,
        twin: "read a granted file",
        reference: "Landlock documentation: chroot is not governed",
        run: change_root,
        twin_run: twins::read_granted,
        ..BLANK
    },
    Attempt {
        id: "F15",
        minimal: Some(Expected::but("EPERM", &[("open /proc/VICTIM/ns/mnt", "EACCES")])),
        what: "pivot_root, and enter another mount namespace",
        wall: "seccomp, pid namespace",
        user: Expected::but("EPERM", &[("open /proc/VICTIM/ns/mnt", "ENOENT")]),
        root: Expected::but("EPERM", &[("open /proc/VICTIM/ns/mnt", "ENOENT")]),
        control: Control::UserNamespace,
        root_control: Control::UserNamespace,
        alone: &[("open /proc/VICTIM/ns/mnt", "a fresh user namespace may not look into the victim either")],
        twin: "read a granted file",
        reference: "CVE-2019-5736",
        run: pivot_and_enter,
        twin_run: twins::read_granted,
        ..BLANK
    },
    Attempt {
        id: "F16",
        what: "open a file by its handle instead of its name",
        wall: "seccomp, no capabilities",
        control: Control::Root,
        root_control: Control::Root,
        twin: "read a granted file",
        reference: "the \"shocker\" exploit; CAP_DAC_READ_SEARCH",
        run: by_handle,
        twin_run: twins::read_granted,
        ..BLANK
    },
];

/// ENOSYS for the new calls, so that libraries fall back instead of giving up.
const NEW_MOUNT_CALLS: Expected = Expected::but(
    "EPERM",
    &[
        ("open_tree", "ENOSYS"),
        ("fsopen", "ENOSYS"),
        ("fsconfig", "ENOSYS"),
        ("fsmount", "ENOSYS"),
        ("move_mount", "ENOSYS"),
        ("fspick", "ENOSYS"),
        ("mount_setattr", "ENOSYS"),
    ],
);
