//! Namespaces as a server gets them, and a fresh /proc inside.

use crate::command::program;
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};
use std::fs::write;
use std::io;
use std::process::Stdio;

/// All seven kinds at once, and a map of our own uid.
pub(super) fn create() -> Result<String, Errno> {
    let (uid, gid) = (geteuid(), getegid());
    unshare(
        CloneFlags::CLONE_NEWUSER
            | CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWCGROUP,
    )?;
    write("/proc/self/setgroups", "deny").map_err(errno)?;
    // As 0 inside: the next probe keeps its power over the namespaces when it is executed.
    write("/proc/self/uid_map", format!("0 {uid} 1")).map_err(errno)?;
    write("/proc/self/gid_map", format!("0 {gid} 1")).map_err(errno)?;
    // Where AppArmor restricts user namespaces they are made all the same, but hold no power.
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
    Ok(String::new())
}

/// A new /proc, mounted by the first process of a new pid namespace.
pub(super) fn mount_proc() -> Result<String, Errno> {
    create()?;
    let mut inside = program::ourselves().map_err(errno)?;
    inside.args(["doctor", "--probe", "mount-proc-inside"]).stdin(Stdio::null());
    match inside.status().map_err(errno)?.code() {
        Some(0) => Ok(String::new()),
        Some(code) => Err(Errno::from_raw(code)),
        None => Err(Errno::EINTR),
    }
}

/// The mount itself, with the options a server's /proc gets.
pub(super) fn mount_proc_inside() -> Result<String, Errno> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, Some("hidepid=invisible"))?;
    Ok(String::new())
}

fn errno(cause: io::Error) -> Errno {
    Errno::from_raw(cause.raw_os_error().unwrap_or(nix::libc::EIO))
}
