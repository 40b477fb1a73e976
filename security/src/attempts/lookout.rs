//! Attacks by looking around: names of the host, other people's temporary files, existence itself, odd paths.

use std::fs;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::{c_string, open, read, scratch, twins, unlink};
use crate::call;
use crate::catalogue::{Attempt, BLANK, Control, Expected, Tried};
use crate::probe::{Act, Targets};

/// Links a chain may have; the kernel follows forty.
const LINKS_MAX: usize = 40;
/// How long a directory may take to be moved away.
const MOVE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long it stays where it is, at least.
pub const MOVE_EVERY: Duration = Duration::from_millis(100);
/// Places where every machine keeps what concerns no server.
pub(super) const PLACES: [&str; 8] =
    ["/etc/fstab", "/etc/apt", "/etc/ssh", "/var/log", "/var/lib/dpkg", "/run", "/boot", "/home"];

fn look_around(targets: &Targets) -> Tried {
    let mut acts = Vec::new();
    for place in targets.text("places")?.split(',') {
        acts.push(Act::of(format!("open {place}"), open(&c_string(place)?, libc::O_RDONLY)));
    }
    Ok(acts)
}

/// What others left where everybody may write.
fn temporary_files(targets: &Targets) -> Tried {
    let mut acts = Vec::new();
    for file in targets.text("temporary")?.split(',') {
        let directory = file.rsplit_once('/').map_or("", |(directory, _)| directory);
        acts.push(Act::of(format!("read another's file in {directory}"), read(&c_string(file)?)));
    }
    Ok(acts)
}

/// Whether a name that exists is answered otherwise than one that does not.
fn existence(targets: &Targets) -> Tried {
    let secret = targets.text("secret")?;
    let mut acts = Vec::new();
    for (name, real) in [("the secret", secret), ("/etc/shadow", "/etc/shadow"), ("/root", "/root")] {
        let ask = |path: &str| -> Result<_, String> {
            let mut status = [0_u8; 256];
            let path = c_string(path)?;
            Ok(call!(libc::SYS_newfstatat, libc::AT_FDCWD, &*path, status.as_mut_slice(), 0))
        };
        let (existing, missing) = (ask(real)?, ask(&format!("{real}-that-is-not"))?);
        let told = format!("{existing:?} and {missing:?}");
        acts.push(Act::fact(format!("whether {name} exists"), (existing != missing).into(), told));
    }
    Ok(acts)
}

fn watch_secret(targets: &Targets) -> Tried {
    const MODIFY: i32 = 2;
    let secret = targets.path("secret", "")?;
    let watcher = call!(libc::SYS_inotify_init1, libc::O_CLOEXEC).map_err(|errno| errno.to_string())?;
    Ok(vec![Act::of(
        "inotify_add_watch(secret)",
        call!(libc::SYS_inotify_add_watch, watcher, &*secret, MODIFY),
    )])
}

/// Where on the host its own directory lies: the mounts tell the source of each bind.
fn own_place(targets: &Targets) -> Tried {
    let place = targets.text("own_place")?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    // Below another mount of the host the path begins later.
    let tail: String = place.rsplit('/').take(2).collect::<Vec<_>>().join("/");
    let told = mounts.lines().any(|line| line.split(' ').nth(3).is_some_and(|source| ends_as(source, &tail)));
    Ok(vec![Act::fact("the host's path of its own directory", told.into(), "/proc/self/mountinfo")])
}

/// Whether the last two names of `source` are those of `reversed`.
fn ends_as(source: &str, reversed: &str) -> bool {
    source.rsplit('/').take(2).collect::<Vec<_>>().join("/") == reversed
}

fn machine_in_numbers(_: &Targets) -> Tried {
    let mut information = [0_u8; 112];
    let told = call!(libc::SYS_sysinfo, information.as_mut_slice());
    Ok(vec![
        Act::of("sysinfo: uptime, load, memory and number of processes", told),
        Act::of("read /proc/loadavg", read(c"/proc/loadavg")),
        Act::of("read /proc/meminfo", read(c"/proc/meminfo")),
        Act::of("read /proc/stat", read(c"/proc/stat")),
    ])
}

/// Paths that are too long, links that go on too long, links in a circle.
fn odd_paths(targets: &Targets) -> Tried {
    let long = c_string(&"/x".repeat(4096))?;
    let circle = scratch(targets, "circle")?;
    let _ = call!(libc::SYS_symlinkat, &*circle, libc::AT_FDCWD, &*circle);
    let mut names = vec![c_string("/usr/lib/os-release")?];
    for number in 0..=LINKS_MAX {
        let link = scratch(targets, &format!("chain-{number}"))?;
        if let Some(last) = names.last() {
            call!(libc::SYS_symlinkat, &**last, libc::AT_FDCWD, &*link).map_err(|errno| errno.to_string())?;
        }
        names.push(link);
    }
    let through = |links: usize| names.get(links).map_or(Err(Errno::EINVAL), |path| read(path));
    let acts = vec![
        Act::of("open a path of 8192 bytes", open(&long, libc::O_RDONLY)),
        Act::of("open a link to itself", open(&circle, libc::O_RDONLY)),
        Act::of("read through 30 links of its own", through(30)),
        Act::of("read through 41 links of its own", through(LINKS_MAX + 1)),
    ];
    for path in names.iter().skip(1).chain([&circle]) {
        let _ = unlink(path);
    }
    Ok(acts)
}

/// Holds a directory while somebody moves it out of what is granted, then climbs up from it.
fn disconnected(targets: &Targets) -> Tried {
    let inside = targets.path("readonly", "/inner/moving/deep")?;
    let deadline = Instant::now() + MOVE_TIMEOUT;
    let held = loop {
        match open(&inside, libc::O_RDONLY | libc::O_DIRECTORY) {
            Ok(held) => break held,
            Err(errno) if Instant::now() > deadline => return Err(format!("it is never there: {errno}")),
            Err(_) => {}
        }
    };
    let gone = || {
        let mut status = [0_u8; 256];
        call!(libc::SYS_newfstatat, libc::AT_FDCWD, &*inside, status.as_mut_slice(), 0).is_err()
    };
    let up = |path: &std::ffi::CStr| call!(libc::SYS_openat, held, path, libc::O_RDONLY | libc::O_CLOEXEC);
    while Instant::now() < deadline {
        let begun = Instant::now();
        if !gone() {
            continue;
        }
        let acts = vec![
            Act::of("open the directory above it", up(c"../..")),
            Act::of("read the secret from there", up(c"../../../home/.ssh/id_rsa")),
        ];
        // Moved back meanwhile, it was asked where it belongs; and so it may have been if there was time for
        // moving it to and fro.
        if gone() && begun.elapsed() < MOVE_EVERY {
            return Ok(acts);
        }
    }
    Err("nobody moves it".to_owned())
}

/// The part of the catalogue about looking around.
pub const ATTEMPTS: &[Attempt] = &[
    Attempt {
        id: "F27",
        what: "climb up from a directory that was moved out of what is granted while it was held",
        wall: "the kernel's check that a directory is still below its mount, Landlock",
        user: Expected::all("ENOENT"),
        root: Expected::all("ENOENT"),
        minimal: Some(Expected::all("EACCES")),
        twin: "read a granted file",
        reference: "CVE-2025-68736, CVE-2015-2925",
        run: disconnected,
        twin_run: twins::read_granted,
        ..BLANK
    },
    Attempt {
        id: "F28",
        what: "open paths that are too long, chains of links and circles of links",
        wall: "the kernel's own limits: none of it hangs",
        user: ODD_PATHS,
        root: ODD_PATHS,
        alone: &[
            ("open a path", "no kernel takes it"),
            ("open a link to itself", "no kernel takes it"),
            ("read through 41", "no kernel takes it"),
        ],
        twin: "write a file of its own",
        reference: "path_resolution(7)",
        run: odd_paths,
        twin_run: twins::write_scratch,
        ..BLANK
    },
    Attempt {
        id: "F36",
        what: "watch a secret being changed, by inotify",
        wall: "mount namespace (Landlock does not govern watching); seccomp in minimal mode",
        user: Expected::all("ENOENT"),
        root: Expected::all("ENOENT"),
        minimal: Some(Expected::all("EPERM")),
        twin: "wait with epoll",
        reference: "our own; Landlock documentation, current limitations",
        run: watch_secret,
        twin_run: twins::epoll,
        ..BLANK
    },
    Attempt {
        id: "L05",
        what: "read what others left in /tmp, /var/tmp and /dev/shm",
        wall: "mount namespace: scratch space of its own",
        user: Expected::all("ENOENT"),
        root: Expected::all("ENOENT"),
        minimal: Some(Expected::all("EACCES")),
        twin: "write a file of its own",
        reference: "shared temporary directories",
        run: temporary_files,
        twin_run: twins::write_scratch,
        ..BLANK
    },
    Attempt {
        id: "L06",
        what: "learn whether a file of the host exists",
        wall: "mount namespace",
        user: Expected::all("hidden"),
        root: Expected::all("hidden"),
        minimal: Some(Expected::all("allowed")),
        twin: "read a granted file",
        reference: "Landlock documentation, current limitations",
        run: existence,
        twin_run: twins::read_granted,
        ..BLANK
    },
    Attempt {
        id: "L11",
        what: "learn where on the host its own directory lies",
        wall: "none: /proc/self/mountinfo tells the source of every bind; minimal mode has no /proc, but its directory is there",
        user: Expected::all("allowed"),
        root: Expected::all("allowed"),
        minimal: Some(Expected::all("hidden")),
        alone: &[("the host's path", "outside nothing is bound")],
        control: Control::MayBeAbsent,
        root_control: Control::MayBeAbsent,
        twin: "write a file of its own",
        reference: "our own; proc_pid_mountinfo(5), field 4",
        run: own_place,
        twin_run: twins::write_scratch,
        ..BLANK
    },
    Attempt {
        id: "L12",
        what: "open what every machine keeps of itself: logs, packages, homes, boot, run",
        wall: "mount namespace, Landlock",
        user: Expected::all("ENOENT"),
        root: Expected::all("ENOENT"),
        minimal: Some(Expected::all("EACCES")),
        twin: "read a granted file",
        reference: "our own; reconnaissance",
        run: look_around,
        twin_run: twins::read_granted,
        ..BLANK
    },
    Attempt {
        id: "L13",
        what: "learn load, memory and the number of processes of the machine",
        wall: "/proc shows processes only; sysinfo is not refused, because runtimes size their memory by it",
        user: Expected::but("ENOENT", &[("sysinfo", "allowed")]),
        root: Expected::but("ENOENT", &[("sysinfo", "allowed")]),
        minimal: Some(Expected::but("EACCES", &[("sysinfo", "allowed")])),
        twin: "uname",
        reference: "our own; sysinfo(2) knows no namespace",
        run: machine_in_numbers,
        twin_run: twins::uname,
        ..BLANK
    },
];

const ODD_PATHS: Expected =
    Expected::but("ELOOP", &[("open a path", "ENAMETOOLONG"), ("read through 30", "allowed")]);
