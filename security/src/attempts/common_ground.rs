//! Attacks through what a careless launcher could leave to its servers: descriptors, state, memory, keys of others.

use super::{read, scratch, twins};
use crate::call;
use crate::catalogue::{Attempt, BLANK, Expected, Tried};
use crate::probe::{Act, Targets};

/// Descriptors that could have been left open; the first three are the server's own.
const DESCRIPTORS: std::ops::Range<i64> = 3..1024;
/// One of them is ours: the report is written to it.
const OWN: usize = 1;
/// How the key is called that is in the session keyring of whoever started only1mcp.
pub(crate) const KEY: &std::ffi::CStr = c"only1mcp-canary";

fn any_descriptor(_: &Targets) -> Tried {
    let open: Vec<i64> =
        DESCRIPTORS.filter(|&number| call!(libc::SYS_fcntl, number, libc::F_GETFD).is_ok()).collect();
    let name = "descriptors beside the three streams";
    Ok(vec![Act::fact(name, (open.len() > OWN).into(), format!("{open:?}"))])
}

/// By its real name, and as it would be called if more than its own directory were bound at `/state`.
fn state_beside_its_own(targets: &Targets) -> Tried {
    let other = targets.path("other_state", "")?;
    let mut acts = vec![Act::of("read the other state by its real name", read(&other))];
    let path = targets.text("other_state")?;
    let names: Vec<&str> = path.rsplit('/').take(3).collect();
    for count in 1..=names.len() {
        let inner: Vec<&str> = names.iter().take(count).rev().copied().collect();
        let below = scratch(targets, &inner.join("/"))?;
        acts.push(Act::of(format!("read it {count} names below its own state"), read(&below)));
    }
    Ok(acts)
}

/// The number of a segment means something only in the namespace that it was made in.
fn memory_of_the_host(targets: &Targets) -> Tried {
    let attached = call!(libc::SYS_shmat, targets.number("segment")?, 0, 0);
    Ok(vec![Act::of("attach to a segment of the host", attached)])
}

fn key_of_the_session(_: &Targets) -> Tried {
    const SEARCH: i32 = 10;
    const SESSION: i32 = -3;
    Ok(vec![Act::of("find the key", call!(libc::SYS_keyctl, SEARCH, SESSION, c"user", KEY, 0))])
}

/// A set-uid program or a device node below a granted directory does nothing if its mount says so.
fn flags_of_mounts(_: &Targets) -> Tried {
    const FLAGS: std::ops::Range<usize> = 80..88;
    let mut status = [0_u8; 120];
    call!(libc::SYS_statfs, c"/usr", status.as_mut_slice()).map_err(|errno| errno.to_string())?;
    let bytes = status.get(FLAGS).and_then(|bytes| bytes.try_into().ok()).unwrap_or([0; 8]);
    let flags = u64::from_ne_bytes(bytes);
    let fact = |name, flag| Act::fact(name, (flags & flag == 0).into(), format!("flags {flags:#x}"));
    Ok(vec![fact("set-uid programs in /usr", libc::ST_NOSUID), fact("devices in /usr", libc::ST_NODEV)])
}

const OTHER_STATE: Expected = Expected::all("ENOENT");

/// The part of the catalogue about common ground.
pub const ATTEMPTS: &[Attempt] = &[
    Attempt {
        id: "F06.any",
        what: "find any descriptor left open",
        wall: "all descriptors from 3 on are closed",
        user: Expected::all("hidden"),
        root: Expected::all("hidden"),
        twin: "read a granted file",
        reference: "CVE-2024-21626; CVE-2016-9962",
        run: any_descriptor,
        twin_run: twins::read_granted,
        ..BLANK
    },
    Attempt {
        id: "F01.beside",
        what: "find another server's state in its own directory",
        wall: "one directory per server and partition, own uid, Landlock",
        minimal: Some(Expected::but("ENOENT", &[("read the other state by its real name", "EACCES")])),
        user: OTHER_STATE,
        root: OTHER_STATE,
        root_control: crate::catalogue::Control::Root,
        alone: &[("read it", "outside its directory is not in a directory of ours")],
        twin: "write and read its own state",
        reference: "sandbox tenancy",
        run: state_beside_its_own,
        twin_run: twins::write_scratch,
        ..BLANK
    },
    Attempt {
        id: "F21.mount",
        what: "find a mount where set-uid programs or device files would work",
        wall: "nosuid mount, nodev mount",
        minimal: Some(Expected::all("allowed")),
        user: Expected::all("hidden"),
        root: Expected::all("hidden"),
        twin: "execute a granted program",
        reference: "mount(8)",
        run: flags_of_mounts,
        twin_run: twins::execute_granted,
        ..BLANK
    },
    Attempt {
        id: "K19.host",
        what: "attach to System V memory of the host",
        wall: "seccomp, ipc namespace",
        twin: "share memory with its own child",
        reference: "CLONE_NEWIPC",
        run: memory_of_the_host,
        twin_run: twins::shared_memory,
        ..BLANK
    },
    Attempt {
        id: "K10.session",
        what: "find a key in the session keyring of whoever started only1mcp",
        wall: "seccomp, own session keyring",
        twin: "ask who it is",
        reference: "session-keyring(7)",
        run: key_of_the_session,
        twin_run: twins::own_identity,
        ..BLANK
    },
];
