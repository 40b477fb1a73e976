//! Attacks on files that may be read: changing them in spite of that, by other names, other calls, the page cache.

use std::ffi::CStr;

use super::{c_string, close, open, scratch, twins, unlink, write_new};
use crate::call;
use crate::catalogue::{Attempt, BLANK, Control, Expected, Tried};
use crate::probe::kernel::Answer;
use crate::probe::{Act, Targets};

/// Programs and libraries that are bound from the system. While somebody executes a program nobody can write it (ETXTBSY):
/// this one is executed by nobody.
const SYSTEM_FILES: [&CStr; 2] = [c"/usr/bin/false", c"/usr/lib/os-release"];
/// Where a file without a name would be the beginning of a planted library.
const SYSTEM_DIRECTORIES: [&CStr; 2] = [c"/usr/bin", c"/usr/lib"];
const FS_IOC_SETFLAGS: i64 = 0x4008_6602;
const FS_IOC_GETFLAGS: i64 = 0x8008_6601;
const FS_IOC_FSGETXATTR: i64 = 0x801c_581f;
const FS_IOC_FSSETXATTR: i64 = 0x401c_5820;
/// Bytes of a file that are compared.
const CONTENT_BYTES: usize = 64;
const F_SETLEASE: i32 = 1024;
const F_NOTIFY: i32 = 1026;
const DN_MODIFY: i32 = 2;

fn descriptor(path: &CStr, flags: i32) -> Result<i64, String> {
    open(path, flags).map_err(|errno| format!("open {}: {errno}", path.to_string_lossy()))
}

/// Plants something that would run at the next start: in a program's or a library's place.
fn persist(_: &Targets) -> Tried {
    let mut acts = Vec::new();
    for file in SYSTEM_FILES {
        acts.push(Act::of(
            format!("open {} for writing", file.to_string_lossy()),
            open(file, libc::O_WRONLY),
        ));
    }
    for directory in SYSTEM_DIRECTORIES {
        let made = open(directory, libc::O_TMPFILE | libc::O_WRONLY);
        acts.push(Act::of(format!("begin a file in {}", directory.to_string_lossy()), made));
    }
    Ok(acts)
}

/// All that is not content: Landlock does not govern it.
fn change_metadata(targets: &Targets) -> Tried {
    let file = targets.path("readonly", "/victim.txt")?;
    let name = c"user.only1mcp";
    let set = call!(libc::SYS_setxattr, &*file, name, b"x".as_slice(), 1, 0);
    let _ = call!(libc::SYS_removexattr, &*file, name);
    let here = libc::AT_FDCWD;
    Ok(vec![
        Act::of("chmod a granted file", call!(libc::SYS_fchmodat, here, &*file, 0o644)),
        Act::of("chown a granted file", call!(libc::SYS_fchownat, here, &*file, -1, -1, 0)),
        Act::of("change the times of a granted file", call!(libc::SYS_utimensat, here, &*file, 0, 0)),
        Act::of("set an attribute of a granted file", set),
    ])
}

/// Opens for writing what it has open for reading, by its number.
fn reopen(targets: &Targets) -> Tried {
    let file = descriptor(&targets.path("readonly", "/victim.txt")?, libc::O_RDONLY)?;
    let by_number = c_string(&format!("/proc/self/fd/{file}"))?;
    let by_device = c_string(&format!("/dev/fd/{file}"))?;
    Ok(vec![
        Act::of("open /proc/self/fd/N for writing", open(&by_number, libc::O_WRONLY)),
        Act::of("open /dev/fd/N for writing", open(&by_device, libc::O_WRONLY)),
    ])
}

/// A lease holds up whoever opens the file for writing, for three quarters of a minute.
fn lease(targets: &Targets) -> Tried {
    let file = descriptor(&targets.path("readonly", "/file.txt")?, libc::O_RDONLY)?;
    let directory = descriptor(&targets.path("readonly", "")?, libc::O_RDONLY)?;
    let taken = call!(libc::SYS_fcntl, file, F_SETLEASE, libc::F_RDLCK);
    let _ = close(file);
    Ok(vec![
        Act::of("fcntl(F_SETLEASE)", taken),
        Act::of("fcntl(F_NOTIFY)", call!(libc::SYS_fcntl, directory, F_NOTIFY, DN_MODIFY)),
    ])
}

fn lock(targets: &Targets) -> Tried {
    let file = descriptor(&targets.path("readonly", "/file.txt")?, libc::O_RDONLY)?;
    Ok(vec![Act::of("flock(exclusive)", call!(libc::SYS_flock, file, libc::LOCK_EX | libc::LOCK_NB))])
}

/// Flags and project of a file, by an open descriptor: no path is looked up, no content is written.
fn file_commands(targets: &Targets) -> Tried {
    let file = descriptor(&targets.path("readonly", "/victim.txt")?, libc::O_RDONLY)?;
    let (mut flags, mut project) = ([0_u8; 8], [0_u8; 28]);
    let _ = call!(libc::SYS_ioctl, file, FS_IOC_GETFLAGS, flags.as_mut_slice());
    let _ = call!(libc::SYS_ioctl, file, FS_IOC_FSGETXATTR, project.as_mut_slice());
    Ok(vec![
        Act::of("ioctl(FS_IOC_SETFLAGS)", call!(libc::SYS_ioctl, file, FS_IOC_SETFLAGS, flags.as_slice())),
        Act::of(
            "ioctl(FS_IOC_FSSETXATTR)",
            call!(libc::SYS_ioctl, file, FS_IOC_FSSETXATTR, project.as_slice()),
        ),
    ])
}

/// The steps of "dirty pipe": a page of the file ends in a pipe, and what is written to the pipe in the page.
fn dirty_pipe(targets: &Targets) -> Tried {
    const PAGE: usize = 4096;
    let path = targets.path("readonly", "/victim.txt")?;
    let file = descriptor(&path, libc::O_RDONLY)?;
    let before = content(&path)?;
    let (reading, writing) = pipe()?;
    let mut page = vec![0_u8; PAGE];
    for _ in 0..8 {
        call!(libc::SYS_write, writing, page.as_slice(), PAGE).map_err(|errno| errno.to_string())?;
        call!(libc::SYS_read, reading, page.as_mut_slice(), PAGE).map_err(|errno| errno.to_string())?;
    }
    let mut offset = 0_i64.to_ne_bytes();
    let splice = call!(libc::SYS_splice, file, offset.as_mut_slice(), writing, 0, 1, 0);
    let write = call!(libc::SYS_write, writing, b"OVERWRITTEN".as_slice(), 11);
    let changed = content(&path)? != before;
    Ok(vec![
        Act::of("splice a page of the file into a pipe", splice),
        Act::of("write to the pipe", write),
        Act::fact("the granted file has changed", changed.into(), "read again"),
    ])
}

fn content(path: &CStr) -> Result<Vec<u8>, String> {
    let file = descriptor(path, libc::O_RDONLY)?;
    let mut bytes = vec![0_u8; CONTENT_BYTES];
    call!(libc::SYS_read, file, bytes.as_mut_slice(), CONTENT_BYTES).map_err(|errno| errno.to_string())?;
    let _ = close(file);
    Ok(bytes)
}

pub(super) fn pipe() -> Result<(i64, i64), String> {
    let mut ends = [0_u8; 8];
    call!(libc::SYS_pipe2, ends.as_mut_slice(), libc::O_CLOEXEC).map_err(|errno| errno.to_string())?;
    let (reading, writing) = ends.split_at(4);
    let number = |bytes: &[u8]| bytes.try_into().map_or(-1, |bytes| i64::from(i32::from_ne_bytes(bytes)));
    Ok((number(reading), number(writing)))
}

/// Writes by /proc/self/mem, which no protection of memory holds back, into a mapping of a granted file.
fn write_own_memory(targets: &Targets) -> Tried {
    let file = descriptor(&targets.path("readonly", "/victim.txt")?, libc::O_RDONLY)?;
    let mapped = call!(libc::SYS_mmap, 0, 4096, libc::PROT_READ, libc::MAP_PRIVATE, file, 0);
    let mapped = mapped.map_err(|errno| format!("mmap: {errno}"))?;
    let write = |memory: i64| -> Answer { call!(libc::SYS_pwrite64, memory, b"x".as_slice(), 1, mapped) };
    let answer = open(c"/proc/self/mem", libc::O_RDWR).and_then(write);
    Ok(vec![Act::of("write to a read-only mapping by /proc/self/mem", answer)])
}

/// What the kernel lets a process adjust about itself: none of it is a server's business.
fn adjust_itself(_: &Targets) -> Tried {
    let files = [
        "oom_score_adj",
        "coredump_filter",
        "clear_refs",
        "comm",
        "timerslack_ns",
        "autogroup",
        "loginuid",
        "timens_offsets",
        "attr/current",
        "attr/exec",
    ];
    let mut acts = Vec::new();
    for file in files {
        let path = c_string(&format!("/proc/self/{file}"))?;
        acts.push(Act::of(format!("open /proc/self/{file} for writing"), open(&path, libc::O_WRONLY)));
    }
    Ok(acts)
}

/// A device that may be opened still has commands of its own.
fn command_device(_: &Targets) -> Tried {
    const RNDGETENTCNT: i64 = 0x8004_5200;
    let device = descriptor(c"/dev/urandom", libc::O_RDONLY)?;
    let mut count = [0_u8; 4];
    let ask = call!(libc::SYS_ioctl, device, RNDGETENTCNT, count.as_mut_slice());
    Ok(vec![Act::of("ioctl(RNDGETENTCNT) on /dev/urandom", ask)])
}

/// Makes a file of its own into one that would give its owner's rights to whoever runs it.
fn setuid_file(targets: &Targets) -> Tried {
    let path = scratch(targets, "setuid")?;
    write_new(&path, b"#!/usr/bin/true\n").map_err(|errno| format!("write a file: {errno}"))?;
    let made = call!(libc::SYS_fchmodat, libc::AT_FDCWD, &*path, 0o6755);
    let run = twins::execute_in_child(&path.to_string_lossy());
    let _ = unlink(&path);
    Ok(vec![
        Act::of("make a file setuid and setgid", made),
        Act::of("execute a file written to scratch", run),
    ])
}

const READ_ONLY: Expected = Expected::all("EROFS");

/// The part of the catalogue about tampering.
pub const ATTEMPTS: &[Attempt] = &[
    Attempt {
        id: "F17",
        what: "plant something in the place of programs and libraries, to be run at the next start",
        wall: "owners of the files, read-only mounts, Landlock",
        user: Expected::but("EACCES", &[("begin a file", "EROFS")]),
        root: Expected::but("EACCES", &[("begin a file", "EROFS")]),
        minimal: Some(Expected::all("EACCES")),
        control: Control::Root,
        root_control: Control::Root,
        twin: "write a file of its own",
        reference: "\"filesystem permission escalation\" in the documentation of Anthropic's sandbox runtime",
        run: persist,
        twin_run: twins::write_scratch,
        ..BLANK
    },
    Attempt {
        id: "F21",
        what: "make a setuid and setgid file and execute it",
        wall: "nosuid, noexec, no new privileges",
        user: Expected::but("EACCES", &[("make", "allowed")]),
        root: Expected::but("EACCES", &[("make", "allowed")]),
        twin: "execute a granted program",
        reference: "no_new_privs",
        run: setuid_file,
        twin_run: twins::execute_granted,
        ..BLANK
    },
    Attempt {
        id: "F26",
        what: "give commands to a device that may be opened",
        wall: "Landlock from ABI 5 on",
        user: Expected::all("allowed"),
        root: Expected::all("allowed"),
        from_landlock: &[(5, Expected::all("EACCES"))],
        minimal: Some(Expected::all("EACCES")),
        twin: "read from /dev/urandom",
        reference: "LANDLOCK_ACCESS_FS_IOCTL_DEV",
        run: command_device,
        twin_run: twins::read_random,
        ..BLANK
    },
    Attempt {
        id: "F29",
        what: "change owner, mode, times and attributes of a granted file",
        wall: "read-only mount (Landlock does not govern these)",
        user: READ_ONLY,
        root: READ_ONLY,
        minimal: Some(Expected::all("allowed")),
        twin: "read a granted file",
        reference: "our own; Landlock documentation, current limitations",
        run: change_metadata,
        twin_run: twins::read_granted,
        ..BLANK
    },
    Attempt {
        id: "F30",
        what: "open for writing by its number what was opened for reading",
        wall: "read-only mount, Landlock",
        user: READ_ONLY,
        root: READ_ONLY,
        minimal: Some(Expected::all("EACCES")),
        twin: "read a granted file",
        reference: "our own; CVE-2019-5736 reopened /proc/self/exe so",
        run: reopen,
        twin_run: twins::read_granted,
        ..BLANK
    },
    Attempt {
        id: "F31",
        what: "take a lease on a granted file, so that its owner's writes hang, and watch its directory by signals",
        wall: "seccomp: these commands of fcntl are refused",
        twin: "lock a file of its own",
        reference: "our own; fcntl(2), lease-break-time",
        run: lease,
        twin_run: twins::lock_own_file,
        ..BLANK
    },
    Attempt {
        id: "F32",
        what: "lock a granted file against whoever else locks it",
        wall: "none: locks ask for no right to write; who grants a file accepts that",
        user: Expected::all("allowed"),
        root: Expected::all("allowed"),
        twin: "lock a file of its own",
        reference: "our own; Landlock documentation: flock is not governed",
        run: lock,
        twin_run: twins::lock_own_file,
        ..BLANK
    },
    Attempt {
        id: "F33",
        what: "change flags and project of a granted file by ioctl",
        wall: "read-only mount; seccomp in minimal mode",
        user: READ_ONLY,
        root: READ_ONLY,
        minimal: Some(Expected::all("EPERM")),
        twin: "read a granted file",
        reference: "our own; ioctl_iflags(2)",
        run: file_commands,
        twin_run: twins::read_granted,
        ..BLANK
    },
    Attempt {
        id: "F34",
        what: "write to a read-only mapping of a granted file by /proc/self/mem",
        wall: "Landlock: /proc is for reading",
        user: Expected::all("EACCES"),
        root: Expected::all("EACCES"),
        twin: "read its own /proc/self/status",
        reference: "our own; CVE-2016-5195 went this way, and it makes code where memory.jit is false",
        run: write_own_memory,
        twin_run: twins::read_own_status,
        ..BLANK
    },
    Attempt {
        id: "F35",
        what: "adjust itself by files of /proc/self: out of memory score, core filter, time offsets, security attributes",
        wall: "Landlock: /proc is for reading",
        user: Expected::all("EACCES"),
        root: Expected::all("EACCES"),
        alone: &[("open /proc/self/attr", "needs a security module that has it")],
        twin: "read its own /proc/self/status",
        reference: "our own; proc(5)",
        run: adjust_itself,
        twin_run: twins::read_own_status,
        ..BLANK
    },
    Attempt {
        id: "K17",
        what: "change a granted file in the page cache by way of a pipe",
        wall: "the kernel itself",
        user: PAGE_CACHE,
        root: PAGE_CACHE,
        alone: &[("the granted file has changed", "no kernel that we support has this bug any more")],
        twin: "read a granted file",
        reference: "CVE-2022-0847",
        run: dirty_pipe,
        twin_run: twins::read_granted,
        ..BLANK
    },
];

/// The calls are ordinary ones; only what came of them counts.
const PAGE_CACHE: Expected = Expected::but("allowed", &[("the granted file has changed", "hidden")]);
