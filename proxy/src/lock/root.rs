//! An empty root with nothing in it but the launcher's socket.
//!
//! Landlock closes files, but below ABI 9 it lets a process connect to any Unix socket by its path: a
//! session bus, an agent, a container engine. Where there is no path, there is no such socket.

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::Mode;
use nix::unistd::{chdir, getgid, getuid, pivot_root};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// Nothing comes from a file system of its own.
const NONE: Option<&str> = None;

/// What became of the attempt to leave the machine's root.
#[derive(Debug)]
pub struct Left {
    /// Whether it succeeded. Where the kernel refuses, servers cannot be confined either.
    pub root: io::Result<()>,
    /// How the uid of root reads from now on: 0, or the overflow uid in a user namespace without root.
    pub root_reads_as: u32,
}

/// The uid that stands for all that a user namespace does not map.
const OVERFLOW_UID: u32 = 65534;

/// Leaves the machine's root for one that holds the launcher's socket at its path, and nothing else.
///
/// Needs only one thread. After an error everything is as it was, but perhaps for a user namespace.
pub fn leave(launcher: &Path) -> Left {
    let (uid, gid) = (getuid().as_raw(), getgid().as_raw());
    if uid == 0 {
        let root =
            unshare(CloneFlags::CLONE_NEWNS).map_err(io::Error::from).and_then(|()| move_out(launcher));
        return Left { root, root_reads_as: 0 };
    }
    if let Err(errno) = unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS) {
        return Left { root: Err(errno.into()), root_reads_as: 0 };
    }
    let root = map(uid, gid).and_then(|()| move_out(launcher));
    // What the namespace gave; without it nobody can move back in.
    let none = CapabilitySet::empty();
    let dropped =
        set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none });
    Left { root: root.and(dropped.map_err(io::Error::from)), root_reads_as: OVERFLOW_UID }
}

/// Keeps our own ids in the new user namespace.
fn map(uid: u32, gid: u32) -> io::Result<()> {
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))
}

fn move_out(launcher: &Path) -> io::Result<()> {
    let place = launcher.parent().ok_or(Errno::EINVAL)?;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)?;
    let socket = open(launcher, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    // Laid over the socket's own directory, which certainly exists.
    mount(Some("tmpfs"), place, Some("tmpfs"), flags, Some("size=64k,nr_inodes=64,mode=0755"))?;
    fill(launcher, place, &format!("/proc/self/fd/{}", socket.as_raw_fd())).inspect_err(|_| {
        // Gives the socket its path back.
        let _ = umount2(place, MntFlags::MNT_DETACH);
    })
}

fn fill(launcher: &Path, place: &Path, socket: &str) -> io::Result<()> {
    let inside = PathBuf::from(place).join(launcher.strip_prefix("/").map_err(|_| Errno::EINVAL)?);
    fs::create_dir_all(inside.parent().ok_or(Errno::EINVAL)?)?;
    fs::write(&inside, "")?;
    mount(Some(socket), &inside, NONE, MsFlags::MS_BIND, NONE)?;
    let read_only = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    mount(NONE, place, NONE, read_only | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC, NONE)?;
    chdir(place)?;
    // Puts the old root on top of the new one, from where it is taken away: no directory is needed for it.
    pivot_root(".", ".")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    Ok(chdir("/")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::{UnixListener, UnixStream};

    /// Needs root, because a test is never the only thread of its process: as an ordinary user this is
    /// tested from outside.
    #[test]
    fn only_the_launcher_is_left_in_reach() {
        if !getuid().is_root() {
            println!("not root: see the tests of the whole program");
            return;
        }
        let folder = std::env::temp_dir().join(format!("only1mcp-root-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (launcher, other) = (folder.join("launch.sock"), folder.join("other.sock"));
        let listeners = [&launcher, &other].map(|path| UnixListener::bind(path).unwrap());
        let paths = (launcher, other);
        std::thread::spawn(move || {
            let (launcher, other) = paths;
            // A thread has its own root only if it shares none.
            unshare(CloneFlags::CLONE_FS).unwrap();
            assert!(UnixStream::connect(&other).is_ok(), "control");
            leave(&launcher).root.unwrap();
            assert!(UnixStream::connect(&launcher).is_ok(), "the launcher must stay in reach");
            assert_eq!(UnixStream::connect(&other).unwrap_err().kind(), io::ErrorKind::NotFound);
            assert_eq!(fs::read("/etc/passwd").unwrap_err().kind(), io::ErrorKind::NotFound);
            assert!(fs::write("/new", "x").is_err(), "read-only");
        })
        .join()
        .unwrap();
        assert!(UnixStream::connect(folder.join("other.sock")).is_ok(), "others see the machine as before");
        drop(listeners);
        fs::remove_dir_all(folder).unwrap();
    }
}
