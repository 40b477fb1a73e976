//! Attacks on files: reading what was not granted, by name, by link and by descriptor; writing what is read-only.

use std::ffi::CStr;

use nix::errno::Errno;

use super::twins;
use super::{c_string, close, open, read, scratch, unlink, write_new};
use crate::call;
use crate::catalogue::{Attempt, BLANK, Control, Expected, Tried};
use crate::probe::{Act, Targets};

/// Descriptors tried as doors left open.
const DESCRIPTORS: std::ops::Range<i64> = 3..1024;

fn read_target(targets: &Targets, key: &str) -> Tried {
    let path = targets.path(key, "")?;
    Ok(vec![Act::of(format!("read the {key}"), read(&path))])
}

/// Climbs out of the granted directory and out of its own.
fn climb(targets: &Targets) -> Tried {
    let granted = targets.text("readonly")?;
    let name = granted.rsplit('/').next().unwrap_or_default();
    let from_granted = c_string(&format!("{granted}/inner/../../{name}-secret/file.txt"))?;
    let up = "/..".repeat(12);
    let from_scratch =
        scratch(targets, &format!("{}{}", up.trim_start_matches('/'), targets.text("secret")?))?;
    Ok(vec![
        Act::of("read granted/inner/../../neighbour", read(&from_granted)),
        Act::of("read scratch/../../..secret", read(&from_scratch)),
    ])
}

fn follow_own_link(targets: &Targets) -> Tried {
    let link = scratch(targets, "link-out")?;
    let secret = targets.path("secret", "")?;
    let _ = unlink(&link);
    call!(libc::SYS_symlinkat, &*secret, libc::AT_FDCWD, &*link).map_err(|errno| errno.to_string())?;
    let answer = read(&link);
    let _ = unlink(&link);
    Ok(vec![Act::of("read through a link of its own", answer)])
}

fn sibling(targets: &Targets) -> Tried {
    let path = targets.path("readonly", "-secret/file.txt")?;
    Ok(vec![Act::of("read granted-secret/file.txt", read(&path))])
}

/// The root of other processes as /proc shows it.
fn roots_of_processes(targets: &Targets) -> Tried {
    let secret = targets.text("secret")?;
    let victim = targets.text("victim")?;
    let mut acts = Vec::new();
    for process in ["self", "1"] {
        let path = c_string(&format!("/proc/{process}/root{secret}"))?;
        acts.push(Act::of(format!("read /proc/{process}/root/secret"), read(&path)));
    }
    let root = c_string(&format!("/proc/{victim}/root{secret}"))?;
    acts.push(Act::of("read /proc/VICTIM/root/secret", read(&root)));
    let cwd = c_string(&format!("/proc/{victim}/cwd/.ssh/id_rsa"))?;
    acts.push(Act::of("read /proc/VICTIM/cwd/.ssh/id_rsa", read(&cwd)));
    Ok(acts)
}

/// Uses every descriptor number as a directory left open; the report's own pipe is no directory.
fn leaked_descriptors(_: &Targets) -> Tried {
    let mut worst = None;
    for descriptor in DESCRIPTORS {
        let answer = call!(libc::SYS_openat, descriptor, c"..", libc::O_RDONLY | libc::O_DIRECTORY);
        if !matches!(answer, Err(Errno::EBADF | Errno::ENOTDIR)) {
            worst = Some((descriptor, answer));
            break;
        }
    }
    let (descriptor, answer) = worst.unwrap_or((0, Err(Errno::EBADF)));
    let mut act = Act::of("openat(3..1024, \"..\")", answer);
    if descriptor != 0 {
        act.detail = format!("descriptor {descriptor} was left open");
    }
    Ok(vec![act])
}

fn write_read_only(targets: &Targets) -> Tried {
    let file = targets.path("readonly", "/file.txt")?;
    let new = targets.path("readonly", "/new.txt")?;
    let victim = targets.path("readonly", "/victim.txt")?;
    let renamed = targets.path("readonly", "/renamed.txt")?;
    let rename =
        |from: &CStr, to: &CStr| call!(libc::SYS_renameat2, libc::AT_FDCWD, from, libc::AT_FDCWD, to, 0);
    let acts = vec![
        Act::of("open for writing", open(&file, libc::O_WRONLY)),
        Act::of("truncate", call!(libc::SYS_truncate, &*victim, 1)),
        Act::of("create", write_new(&new, b"x")),
        Act::of("rename", rename(&victim, &renamed)),
        Act::of("unlink", unlink(&renamed).or_else(|errno| absent_then(errno, &victim))),
    ];
    let _ = unlink(&new);
    Ok(acts)
}

/// The rename failed, so the file still has its old name.
fn absent_then(errno: Errno, path: &CStr) -> Result<i64, Errno> {
    if errno == Errno::ENOENT { unlink(path) } else { Err(errno) }
}

/// Carries a granted file over into its own directory, where it could be changed.
fn steal_across_mounts(targets: &Targets) -> Tried {
    let granted = targets.path("readonly", "/file.txt")?;
    let stolen = scratch(targets, "stolen")?;
    let rename =
        |from: &CStr, to: &CStr| call!(libc::SYS_renameat2, libc::AT_FDCWD, from, libc::AT_FDCWD, to, 0);
    let renamed = rename(&granted, &stolen);
    let _ = rename(&stolen, &granted);
    let linked = call!(libc::SYS_linkat, libc::AT_FDCWD, &*granted, libc::AT_FDCWD, &*stolen, 0);
    let _ = unlink(&stolen);
    Ok(vec![Act::of("rename into scratch", renamed), Act::of("link into scratch", linked)])
}

/// Renames that leave or swap something at the old name.
fn odd_renames(targets: &Targets) -> Tried {
    let file = targets.path("readonly", "/file.txt")?;
    let victim = targets.path("readonly", "/victim.txt")?;
    let moved = targets.path("readonly", "/renamed.txt")?;
    let rename = |from: &CStr, to: &CStr, flags: u32| {
        call!(libc::SYS_renameat2, libc::AT_FDCWD, from, libc::AT_FDCWD, to, i64::from(flags))
    };
    let exchanged = rename(&file, &victim, libc::RENAME_EXCHANGE);
    if exchanged.is_ok() {
        let _ = rename(&file, &victim, libc::RENAME_EXCHANGE);
    }
    let hidden = rename(&victim, &moved, libc::RENAME_WHITEOUT);
    if hidden.is_ok() {
        let _ = unlink(&victim);
        let _ = rename(&moved, &victim, 0);
    }
    Ok(vec![Act::of("rename(EXCHANGE)", exchanged), Act::of("rename(WHITEOUT)", hidden)])
}

fn hard_link(targets: &Targets) -> Tried {
    let secret = targets.path("secret", "")?;
    let stolen = scratch(targets, "stolen-secret")?;
    let answer = call!(libc::SYS_linkat, libc::AT_FDCWD, &*secret, libc::AT_FDCWD, &*stolen, 0);
    let _ = unlink(&stolen);
    Ok(vec![Act::of("link the secret into scratch", answer)])
}

/// What Landlock does not govern: asking about a file instead of opening it.
fn metadata(targets: &Targets) -> Tried {
    let secret = targets.path("secret", "")?;
    let mut status = [0_u8; 256];
    let stat = call!(libc::SYS_newfstatat, libc::AT_FDCWD, &*secret, status.as_mut_slice(), 0);
    let access = call!(libc::SYS_faccessat, libc::AT_FDCWD, &*secret, libc::F_OK);
    let path_only = call!(libc::SYS_openat, libc::AT_FDCWD, &*secret, libc::O_PATH);
    let chmod = call!(libc::SYS_fchmodat, libc::AT_FDCWD, &*secret, 0o600);
    let times = call!(libc::SYS_utimensat, libc::AT_FDCWD, &*secret, 0, 0);
    Ok(vec![
        Act::of("stat", stat),
        Act::of("access", access),
        Act::of("open(O_PATH)", path_only),
        Act::of("chmod", chmod),
        Act::of("utimensat", times),
    ])
}

/// Devices that open a way into the kernel or to hardware.
pub(super) const DEVICES: [&str; 12] = [
    "/dev/mem",
    "/dev/kmsg",
    "/dev/kvm",
    "/dev/fuse",
    "/dev/loop0",
    "/dev/ptmx",
    "/dev/vsock",
    "/dev/uinput",
    "/dev/net/tun",
    "/dev/userfaultfd",
    "/dev/hwrng",
    "/dev/console",
];

fn devices(targets: &Targets) -> Tried {
    let mut acts = Vec::new();
    for device in targets.text("devices")?.split(',') {
        let answer = open(&c_string(device)?, libc::O_RDONLY);
        let _ = answer.map(close);
        acts.push(Act::of(format!("open {device}"), answer));
    }
    Ok(acts)
}

/// The part of the catalogue about files.
pub const ATTEMPTS: &[Attempt] = &[
    Attempt {
        id: "F01.ssh",
        minimal: Some(Expected::all("EACCES")),
        what: "read a private key in ~/.ssh",
        wall: "mount namespace, Landlock",
        user: Expected::all("ENOENT"),
        root: Expected::all("ENOENT"),
        twin: "read a granted file",
        reference: "Landlock documentation; the harm most reported of MCP servers",
        run: |targets| read_target(targets, "secret"),
        twin_run: twins::read_granted,
        ..BLANK
    },
    Attempt {
        id: "F01.shadow",
        minimal: Some(Expected::all("EACCES")),
        what: "read /etc/shadow",
        wall: "mount namespace, Landlock",
        user: Expected::all("ENOENT"),
        root: Expected::all("ENOENT"),
        control: Control::Root,
        root_control: Control::Root,
        twin: "read a granted file",
        reference: "Landlock documentation",
        run: |_| Ok(vec![Act::of("read /etc/shadow", read(c"/etc/shadow"))]),
        twin_run: twins::read_granted,
        ..BLANK
    },
    Attempt {
        id: "F01.state",
        minimal: Some(Expected::all("EACCES")),
        what: "read another server's state",
        wall: "mount namespace, own uid, Landlock",
        user: Expected::all("ENOENT"),
        root: Expected::all("ENOENT"),
        root_control: Control::Root,
        twin: "write and read its own state",
        reference: "sandbox tenancy",
        run: |targets| read_target(targets, "other_state"),
        twin_run: twins::write_scratch,
        ..BLANK
    },
    Attempt {
        id: "F01.config",
        minimal: Some(Expected::all("EACCES")),
        what: "read the configuration of only1mcp",
        wall: "mount namespace, Landlock",
        user: Expected::all("ENOENT"),
        root: Expected::all("ENOENT"),
        root_control: Control::Root,
        twin: "read a granted file",
        reference: "secrets of neighbours in one file",
        run: |targets| read_target(targets, "config"),
        twin_run: twins::read_granted,
        ..BLANK
    },
    Attempt {
        id: "F02",
        minimal: Some(Expected::all("EACCES")),
        what: "climb out of a granted directory with ..",
        wall: "mount namespace, Landlock",
        user: Expected::all("ENOENT"),
        root: Expected::all("ENOENT"),
        twin: "read a granted file",
        reference: "CVE-2025-53110",
        run: climb,
        twin_run: twins::read_granted,
        ..BLANK
    },
    Attempt {
        id: "F03",
        minimal: Some(Expected::all("EACCES")),
        what: "read a secret through a symbolic link of its own making",
        wall: "mount namespace, Landlock",
        user: Expected::all("ENOENT"),
        root: Expected::all("ENOENT"),
        twin: "write and read a file of its own",
        reference: "CVE-2025-53109",
        run: follow_own_link,
        twin_run: twins::write_scratch,
        ..BLANK
    },
    Attempt {
        id: "F04",
        minimal: Some(Expected::all("EACCES")),
        what: "read the directory whose name begins like the granted one",
        wall: "mount namespace, Landlock",
        user: Expected::all("ENOENT"),
        root: Expected::all("ENOENT"),
        twin: "read a granted file",
        reference: "CVE-2025-53110",
        run: sibling,
        twin_run: twins::read_granted,
        ..BLANK
    },
    Attempt {
        id: "F05",
        minimal: Some(Expected::all("EACCES")),
        what: "reach the host through /proc/PID/root and /proc/PID/cwd",
        wall: "pid namespace, mount namespace",
        user: Expected::all("ENOENT"),
        root: Expected::all("ENOENT"),
        alone: &[("read /proc/1/root", "outside, PID 1 belongs to root")],
        twin: "read its own /proc/self/status",
        reference: "CVE-2024-21626",
        run: roots_of_processes,
        twin_run: twins::read_own_status,
        ..BLANK
    },
    Attempt {
        id: "F06",
        what: "walk out through a descriptor left open",
        wall: "all descriptors from 3 on are closed",
        user: Expected::all("EBADF"),
        root: Expected::all("EBADF"),
        twin: "read a granted file",
        reference: "CVE-2024-21626; Landlock does not stop a directory opened earlier",
        run: leaked_descriptors,
        twin_run: twins::read_granted,
        ..BLANK
    },
    Attempt {
        id: "F08",
        minimal: Some(Expected::all("EACCES")),
        what: "write, truncate, create, rename and remove in a read-only grant",
        wall: "read-only mount, Landlock",
        user: Expected::all("EROFS"),
        root: Expected::all("EROFS"),
        twin: "write a file of its own",
        reference: "Landlock ABI 1 to 3",
        run: write_read_only,
        twin_run: twins::write_scratch,
        ..BLANK
    },
    Attempt {
        id: "F09",
        minimal: Some(Expected::but("EXDEV", &[("rename", "EACCES")])),
        what: "rename or link a granted file into its own directory",
        wall: "separate mounts, Landlock REFER",
        user: Expected::all("EXDEV"),
        root: Expected::all("EXDEV"),
        twin: "write a file of its own",
        reference: "LANDLOCK_ACCESS_FS_REFER",
        run: steal_across_mounts,
        twin_run: twins::write_scratch,
        ..BLANK
    },
    Attempt {
        id: "F10",
        minimal: Some(Expected::all("EACCES")),
        what: "swap or whiten out files of a read-only grant",
        wall: "read-only mount, Landlock",
        user: Expected::all("EROFS"),
        root: Expected::all("EROFS"),
        twin: "write a file of its own",
        reference: "Landlock erratum 4",
        run: odd_renames,
        twin_run: twins::write_scratch,
        ..BLANK
    },
    Attempt {
        id: "F20",
        minimal: Some(Expected::all("EXDEV")),
        what: "hard-link a secret into its own directory",
        wall: "mount namespace",
        user: Expected::all("ENOENT"),
        root: Expected::all("ENOENT"),
        twin: "write a file of its own",
        reference: "fs.protected_hardlinks",
        run: hard_link,
        twin_run: twins::write_scratch,
        ..BLANK
    },
    Attempt {
        id: "F24",
        minimal: Some(Expected::all("allowed")),
        what: "stat, access, O_PATH, chmod and utimensat on a secret",
        wall: "mount namespace (Landlock does not govern these)",
        user: Expected::all("ENOENT"),
        root: Expected::all("ENOENT"),
        twin: "read a granted file",
        reference: "Landlock documentation, current limitations",
        run: metadata,
        twin_run: twins::read_granted,
        ..BLANK
    },
    Attempt {
        id: "F25",
        minimal: Some(Expected::all("EACCES")),
        what: "open the devices of the machine: memory, kernel log, kvm, fuse, tun, loop, terminals, userfaultfd",
        wall: "mount namespace: /dev holds five devices",
        user: Expected::all("ENOENT"),
        root: Expected::all("ENOENT"),
        control: Control::Root,
        root_control: Control::Root,
        twin: "open /dev/null",
        reference: "container runtimes' default devices",
        run: devices,
        twin_run: twins::open_null,
        ..BLANK
    },
];
