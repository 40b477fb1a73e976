//! Attacks through the width of the kernel: calls newer than the filter, calls with odd doors, pointers that change.

use super::tampering::pipe;
use super::twins::{self, in_child};
use super::{c_string, close, open, scratch, unlink, write_new};
use crate::call;
use crate::catalogue::{Attempt, BLANK, Control, Expected, Tried};
use crate::probe::kernel::{self, Answer, garbage};
use crate::probe::{Act, Targets};

/// Calls made since Linux 5.14 that no server needs, up to the newest that our filter knows by name.
const RECENT: &[(&str, i64)] = &[
    ("quotactl_fd", 443),
    ("landlock_add_rule", 445),
    ("process_mrelease", 448),
    ("set_mempolicy_home_node", 450),
    ("cachestat", 451),
    ("map_shadow_stack", 453),
    ("futex_wake", 454),
    ("futex_wait", 455),
    ("futex_requeue", 456),
    ("statmount", 457),
    ("listmount", 458),
    ("lsm_get_self_attr", 459),
    ("lsm_set_self_attr", 460),
    ("lsm_list_modules", 461),
    ("mseal", 462),
];
/// Calls made after it.
const NEWEST: &[(&str, i64)] = &[
    ("setxattrat", 463),
    ("getxattrat", 464),
    ("listxattrat", 465),
    ("removexattrat", 466),
    ("open_tree_attr", 467),
    ("file_getattr", 468),
    ("file_setattr", 469),
    ("listns", 470),
    ("a call of the future", 500),
];
/// How often a path is looked up while it changes.
const ROUNDS: usize = 20_000;
/// Bytes by which the secret is known.
const SECRET_BEGINS: &[u8] = b"canary-";

fn recent(_: &Targets) -> Tried {
    Ok(RECENT.iter().map(|&(name, number)| Act::taken(name, in_child(|| garbage(number)))).collect())
}

fn newest(_: &Targets) -> Tried {
    Ok(NEWEST.iter().map(|&(name, number)| Act::taken(name, in_child(|| garbage(number)))).collect())
}

/// What a program may say about itself that confuses those who watch it, or widens what the kernel does for it.
fn self_description(_: &Targets) -> Tried {
    const PR_SET_MM: i32 = 35;
    const PR_SET_MM_MAP_SIZE: i32 = 15;
    const PR_SET_IO_FLUSHER: i32 = 57;
    const PR_SET_SYSCALL_USER_DISPATCH: i32 = 59;
    const PR_SCHED_CORE: i32 = 62;
    let mut size = [0_u8; 4];
    let prctl =
        |option: i32, a: i64, b: i64, c: i64, d: i64| in_child(|| call!(libc::SYS_prctl, option, a, b, c, d));
    let map = call!(libc::SYS_prctl, PR_SET_MM, PR_SET_MM_MAP_SIZE, size.as_mut_slice(), 0, 0);
    Ok(vec![
        Act::taken("prctl(SET_MM)", map),
        Act::taken("prctl(SET_IO_FLUSHER)", prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0)),
        Act::taken("prctl(SET_SYSCALL_USER_DISPATCH)", prctl(PR_SET_SYSCALL_USER_DISPATCH, 0, 0, 0, 0)),
        Act::taken("prctl(SCHED_CORE)", prctl(PR_SCHED_CORE, 1, 0, 0, 0)),
    ])
}

/// Doors of calls that are refused to ordinary users, which are left open for them on purpose.
fn doors_for_everybody(_: &Targets) -> Tried {
    const UFFD_USER_MODE_ONLY: i32 = 1;
    const FAN_REPORT_FID: i32 = 0x200;
    const LANDLOCK_CREATE_RULESET: i64 = 444;
    const LANDLOCK_VERSION: i32 = 1;
    let mut context = [0_u8; 8];
    Ok(vec![
        Act::of("userfaultfd(USER_MODE_ONLY)", call!(libc::SYS_userfaultfd, UFFD_USER_MODE_ONLY)),
        Act::of("fanotify_init(REPORT_FID)", call!(libc::SYS_fanotify_init, FAN_REPORT_FID, 0)),
        Act::of("io_setup", call!(libc::SYS_io_setup, 1, context.as_mut_slice())),
        Act::of("landlock_create_ruleset", call!(LANDLOCK_CREATE_RULESET, 0, 0, LANDLOCK_VERSION)),
    ])
}

/// Work given to a ring is done by the kernel outside every filter: so the ring itself must not be.
fn work_by_ring(_: &Targets) -> Tried {
    let mut parameters = [0_u8; 120];
    let ring = call!(libc::SYS_io_uring_setup, 4, parameters.as_mut_slice());
    let opened =
        ring.and_then(|ring| submit(ring, &parameters, OPENAT, c"/".to_bytes_with_nul(), libc::AT_FDCWD));
    let socket = ring.and_then(|ring| submit(ring, &parameters, SOCKET, &[], libc::AF_INET));
    Ok(vec![Act::of("open a file by the ring", opened), Act::of("make a socket by the ring", socket)])
}

const OPENAT: u8 = 18;
const SOCKET: u8 = 45;

/// Puts one piece of work into the ring's memory, which only the kernel may touch here, and has it done.
fn submit(ring: i64, parameters: &[u8], operation: u8, path: &[u8], descriptor: i32) -> Answer {
    const RINGS: i64 = 0;
    const ENTRIES: i64 = 0x1000_0000;
    const SHARED: i32 = libc::MAP_SHARED | libc::MAP_POPULATE;
    let offset = |at: usize| -> i64 {
        let bytes = parameters.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, |bytes| u32::from_ne_bytes(bytes).into())
    };
    let memory = libc::PROT_READ | libc::PROT_WRITE;
    let rings = call!(libc::SYS_mmap, 0, 4096, memory, SHARED, ring, RINGS)?;
    let entries = call!(libc::SYS_mmap, 0, 4096, memory, SHARED, ring, ENTRIES)?;
    let mut entry = [0_u8; 64];
    for (slot, byte) in entry.iter_mut().zip([operation, 0, 0, 0].into_iter().chain(descriptor.to_ne_bytes()))
    {
        *slot = byte;
    }
    // A socket's type stands where a file's offset does; a path's address where a buffer's does.
    let kind = if operation == SOCKET { i64::from(libc::SOCK_STREAM) } else { 0 };
    let places = [(8, kind.to_ne_bytes()), (16, kernel::address(path).to_ne_bytes())];
    for (at, bytes) in places {
        if let Some(slot) = entry.get_mut(at..at + 8) {
            slot.copy_from_slice(&bytes);
        }
    }
    poke(entries, &entry)?;
    // The tail goes one up; the array of the first entry is zero already.
    let tail = rings + offset(44);
    let next = peek(tail)?.wrapping_add(1);
    let slot = rings + offset(64);
    poke(slot, &0_u32.to_ne_bytes())?;
    poke(slot + 4, &0_u32.to_ne_bytes())?;
    poke(tail, &next.to_ne_bytes())?;
    call!(libc::SYS_io_uring_enter, ring, 1, 1, 1, 0, 0)
}

/// Writes to memory whose address only the kernel gave: by a call, so that no pointer is made here.
fn poke(at: i64, bytes: &[u8]) -> Answer {
    let own = call!(libc::SYS_getpid)?;
    let length = i64::try_from(bytes.len()).unwrap_or(0).to_ne_bytes();
    let local = [kernel::address(bytes).to_ne_bytes(), length].concat();
    let remote = [at.to_ne_bytes(), length].concat();
    call!(libc::SYS_process_vm_writev, own, local.as_slice(), 1, remote.as_slice(), 1, 0)
}

fn peek(at: i64) -> Result<u32, nix::errno::Errno> {
    let own = call!(libc::SYS_getpid)?;
    let mut bytes = [0_u8; 4];
    let local = [kernel::address_mut(&mut bytes).to_ne_bytes(), 4_i64.to_ne_bytes()].concat();
    let remote = [at.to_ne_bytes(), 4_i64.to_ne_bytes()].concat();
    call!(libc::SYS_process_vm_readv, own, local.as_slice(), 1, remote.as_slice(), 1, 0)?;
    Ok(u32::from_ne_bytes(bytes))
}

/// Changes the path in memory between a check and its use: the memory is a file, which a child rewrites all the time.
fn changing_pointer(targets: &Targets) -> Tried {
    let (granted, secret) = (targets.text("readonly")?, targets.text("secret")?);
    let names = [c_string(&format!("{granted}/file.txt"))?, c_string(secret)?];
    let place = scratch(targets, "changing")?;
    write_new(&place, &[0; 4096]).map_err(|errno| format!("write a file: {errno}"))?;
    let file = open(&place, libc::O_RDWR).map_err(|errno| errno.to_string())?;
    let memory = call!(libc::SYS_mmap, 0, 4096, libc::PROT_READ, libc::MAP_SHARED, file, 0);
    let memory = memory.map_err(|errno| format!("mmap: {errno}"))?;
    let rewrite = |name: &std::ffi::CStr| {
        let bytes = name.to_bytes_with_nul();
        call!(libc::SYS_pwrite64, file, bytes, bytes.len(), 0)
    };
    let [first, second] = &names;
    rewrite(first).map_err(|errno| errno.to_string())?;
    let Some(child) = kernel::fork().map_err(|errno| errno.to_string())? else {
        loop {
            let _ = rewrite(second);
            let _ = rewrite(first);
        }
    };
    let (mut opened, mut betrayed) = (0, false);
    for _ in 0..ROUNDS {
        let Ok(found) = call!(libc::SYS_openat, libc::AT_FDCWD, memory, libc::O_RDONLY | libc::O_CLOEXEC)
        else {
            continue;
        };
        opened += 1;
        let mut begin = [0_u8; SECRET_BEGINS.len()];
        let _ = call!(libc::SYS_read, found, begin.as_mut_slice(), SECRET_BEGINS.len());
        betrayed |= begin == SECRET_BEGINS;
        let _ = close(found);
    }
    let _ = call!(libc::SYS_kill, i64::from(child.as_raw()), libc::SIGKILL);
    let _ = nix::sys::wait::waitpid(child, None);
    let _ = unlink(&place);
    let detail = format!("{opened} of {ROUNDS} opened");
    Ok(vec![
        Act::fact("the granted file is opened", (opened > 0).into(), detail.clone()),
        Act::fact("the secret is opened", betrayed.into(), detail),
    ])
}

/// Empty argument lists, and no streams at all: what programs with privileges stumble over.
fn odd_execution(_: &Targets) -> Tried {
    const PAGES: usize = 1024;
    let path = c"/usr/bin/true";
    let nothing = [0_u8; 8];
    let without_name = in_child(|| call!(libc::SYS_execve, path, nothing.as_slice(), nothing.as_slice()));
    let without_streams = in_child(|| {
        for stream in 0..3 {
            let _ = close(stream);
        }
        call!(libc::SYS_execve, path, nothing.as_slice(), nothing.as_slice())
    });
    let text = c_string(&"x".repeat(8192))?;
    let own = kernel::address(text.as_bytes_with_nul()).to_ne_bytes();
    let environment: Vec<u8> = own.repeat(PAGES).into_iter().chain([0; 8]).collect();
    let much = in_child(|| call!(libc::SYS_execve, path, nothing.as_slice(), environment.as_slice()));
    Ok(vec![
        Act::of("execute without argv[0]", without_name),
        Act::of("execute without standard streams", without_streams),
        Act::of("execute with 8 MiB of environment", much),
    ])
}

/// Asks the kernel's log, its symbols and its counters.
fn kernel_secrets(_: &Targets) -> Tried {
    const SIZE_BUFFER: i32 = 10;
    let mut attributes = [0_u8; 128];
    // PERF_TYPE_SOFTWARE, and the size of this structure.
    for (slot, byte) in attributes.iter_mut().zip([1, 0, 0, 0, 128]) {
        *slot = byte;
    }
    let counter = call!(libc::SYS_perf_event_open, attributes.as_slice(), 0, -1, -1, 0);
    Ok(vec![
        Act::of("syslog(SIZE_BUFFER)", call!(libc::SYS_syslog, SIZE_BUFFER, 0, 0)),
        Act::of("perf_event_open(software)", counter),
        Act::of("open /dev/kmsg", open(c"/dev/kmsg", libc::O_RDONLY)),
        Act::of("read /proc/kallsyms", super::read(c"/proc/kallsyms")),
        Act::of("open /sys/kernel/notes", open(c"/sys/kernel/notes", libc::O_RDONLY)),
    ])
}

/// Pages that are moved into a pipe instead of copied could change after they were read.
fn gifts(_: &Targets) -> Tried {
    let (_, writing) = pipe()?;
    let data = [b'x'; 64];
    let vector = [kernel::address(&data).to_ne_bytes(), 64_i64.to_ne_bytes()].concat();
    let given = call!(libc::SYS_vmsplice, writing, vector.as_slice(), 1, 0);
    let secret = call!(libc::SYS_memfd_secret, 0);
    Ok(vec![
        Act::of("vmsplice its own memory into a pipe of its own", given),
        Act::of("memfd_secret", secret),
    ])
}

const ABSENT: Expected = Expected::all("ENOSYS");

/// The part of the catalogue about the kernel's width.
pub const ATTEMPTS: &[Attempt] = &[
    Attempt {
        id: "N08",
        what: "open files and make sockets by a ring, which no filter on single calls sees",
        wall: "seccomp",
        user: ABSENT,
        root: ABSENT,
        twin: "wait with epoll",
        reference: "moby issue 46762",
        run: work_by_ring,
        twin_run: twins::epoll,
        ..BLANK
    },
    Attempt {
        id: "K14",
        what: "make calls that came since Linux 5.14: mounts by number, security attributes, shadow stacks, futexes",
        wall: "seccomp: an allow list",
        control: Control::MayBeAbsent,
        root_control: Control::MayBeAbsent,
        alone: &[
            ("lsm_set_self_attr", "a kernel without such a module refuses it"),
            ("process_mrelease", "asks for a process"),
        ],
        twin: "ask who it is",
        reference: "runc's stub for unknown calls",
        run: recent,
        twin_run: twins::own_identity,
        ..BLANK
    },
    Attempt {
        id: "K15",
        what: "change a path in memory while the kernel looks it up",
        wall: "no filter looks at memory; mounts and Landlock look at what was found",
        user: ONLY_GRANTED,
        root: ONLY_GRANTED,
        twin: "read a granted file",
        reference: "seccomp(2), \"time of check\"",
        run: changing_pointer,
        twin_run: twins::read_granted,
        ..BLANK
    },
    Attempt {
        id: "K22",
        what: "make calls that are newer than the filter",
        wall: "seccomp: numbers beyond the table do not exist",
        user: ABSENT,
        root: ABSENT,
        control: Control::MayBeAbsent,
        root_control: Control::MayBeAbsent,
        alone: &[("file_", "some file systems refuse it")],
        twin: "ask who it is",
        reference: "our own; file_setattr(2) and listns(2) are of 2025",
        run: newest,
        twin_run: twins::own_identity,
        ..BLANK
    },
    Attempt {
        id: "K23",
        what: "redraw its own memory map, divert its own calls, share a processor's secrets, by prctl",
        wall: "seccomp: these options of prctl are refused",
        alone: &[
            ("prctl(SET_IO_FLUSHER)", "takes CAP_SYS_RESOURCE outside"),
            ("prctl(SCHED_CORE)", "needs a processor with threads"),
        ],
        twin: "ask who it is",
        reference: "our own; prctl(2)",
        run: self_description,
        twin_run: twins::own_identity,
        ..BLANK
    },
    Attempt {
        id: "K24",
        what: "use the doors that kernels leave open to everybody: page faults, file events, old asynchronous I/O, Landlock itself",
        wall: "seccomp: an allow list",
        twin: "wait with epoll",
        reference: "our own; userfaultfd(2), fanotify(7)",
        run: doors_for_everybody,
        twin_run: twins::epoll,
        ..BLANK
    },
    Attempt {
        id: "K25",
        what: "give pages of its own to a pipe, hide memory from the kernel",
        wall: "seccomp; a pipe's reader has a copy of what it checks",
        user: Expected::but("ENOSYS", &[("vmsplice", "allowed")]),
        root: Expected::but("ENOSYS", &[("vmsplice", "allowed")]),
        alone: &[("memfd_secret", "many kernels come without it")],
        twin: "talk over a pipe",
        reference: "our own; vmsplice(2), memfd_secret(2)",
        run: gifts,
        twin_run: twins::own_pipe,
        ..BLANK
    },
    Attempt {
        id: "C11",
        what: "execute without a name, without streams, with too much environment",
        wall: "none needed: the kernel gives an empty name, the programs bear it",
        user: Expected::but("allowed", &[("execute with 8 MiB", "E2BIG")]),
        root: Expected::but("allowed", &[("execute with 8 MiB", "E2BIG")]),
        alone: &[("execute with 8 MiB", "no kernel takes so much by default")],
        twin: "execute a granted program",
        reference: "CVE-2021-4034",
        run: odd_execution,
        twin_run: twins::execute_granted,
        ..BLANK
    },
    Attempt {
        id: "L07",
        what: "read the kernel's log, its symbols and its counters",
        wall: "seccomp, mount namespace, /proc shows processes only",
        user: Expected::but("EPERM", &[("open", "ENOENT"), ("read", "ENOENT")]),
        root: Expected::but("EPERM", &[("open", "ENOENT"), ("read", "ENOENT")]),
        minimal: Some(Expected::but("EPERM", &[("open", "EACCES"), ("read", "EACCES")])),
        control: Control::Root,
        root_control: Control::Root,
        twin: "uname",
        reference: "flatpak's list: dmesg",
        run: kernel_secrets,
        twin_run: twins::uname,
        ..BLANK
    },
];

/// The granted path may be opened at any time, the other never.
const ONLY_GRANTED: Expected = Expected::but("hidden", &[("the granted file", "allowed")]);
