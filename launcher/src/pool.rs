//! The pool of uids, and how a launcher that may become any uid ends up unable to be one outside of it.
//!
//! It enters a user namespace that maps only its own uid and the pool's. In there no uid is root's or a
//! person's, so its capabilities reach the pool and nothing else. In root mode it comes from root, in system
//! mode from an account of its own that systemd gave the right to choose uids.

use crate::kernel::credentials::{Capability, limit_bounding_set, limit_capabilities};
use crate::kernel::process;
use crate::weakened::{Weakness, lacks};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{
    ForkResult, Gid, Pid, Uid, getegid, geteuid, pipe2, read, setgroups, setresgid, setresuid, write,
};
use only1mcp_wire::Mode;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use thiserror::Error;

/// uids before the first server's: the launcher's, the proxy's, and some for later.
const RESERVED: u32 = 16;
/// Outside every range of systemd's table of uids, and of the usual subordinate uids.
const DEFAULT_FIRST: u32 = 0x7000_0000;
const DEFAULT_COUNT: u32 = 0x1_0000;
/// What the launcher needs to make servers of other uids, give them their directories and end them.
const KEPT: [Capability; 6] = [
    Capability::ChangeOwner,
    Capability::IgnoreModes,
    Capability::ActAsOwner,
    Capability::Kill,
    Capability::SetGid,
    Capability::SetUid,
];

/// A range of uids (and gids of the same numbers), and the launcher's own ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    first: u32,
    count: u32,
    uid: u32,
    gid: u32,
}

impl Default for Pool {
    fn default() -> Self {
        Self { first: DEFAULT_FIRST, count: DEFAULT_COUNT, uid: DEFAULT_FIRST, gid: DEFAULT_FIRST }
    }
}

/// Why the root phase failed. The program must end then.
#[derive(Debug, Error)]
pub enum PoolError {
    /// Root mode, but not started as root.
    #[error("root mode must be started as root")]
    NotRoot,
    /// System mode, but started as root.
    #[error("in system mode the launcher must not be root, not even at its start")]
    Root,
    /// System mode, but the account is one of a server.
    #[error("uid {0} or gid {1} is one of the pool's own")]
    Account(u32, u32),
    /// A call of the root phase failed.
    #[error("cannot enter the namespace of the uid pool: {0}: {1}")]
    Kernel(&'static str, Errno),
}

impl Pool {
    /// The pool of `count` uids from `first`. `None` if a uid of root or of a person could be in it.
    #[must_use]
    pub fn new(first: u32, count: u32) -> Option<Self> {
        let end = first.checked_add(count)?;
        // The last uid means "none" to many calls.
        let sound = first >= 1000 && count > RESERVED && end < u32::MAX;
        sound.then_some(Self { first, count, uid: first, gid: first })
    }

    /// The pool as a launcher of this mode has it; none in user mode. In root mode the launcher's own uid is
    /// the first one, in system mode it is the account that it was started as.
    ///
    /// # Errors
    /// [`PoolError`] if it was started as whom it must not be.
    pub fn of(self, mode: Mode) -> Result<Option<Self>, PoolError> {
        let (uid, gid) = (geteuid(), getegid());
        match mode {
            Mode::User | Mode::Minimal => Ok(None),
            Mode::Root if uid.is_root() => Ok(Some(self)),
            Mode::Root => Err(PoolError::NotRoot),
            Mode::System if uid.is_root() || gid.as_raw() == 0 => Err(PoolError::Root),
            Mode::System => self.led_by(uid.as_raw(), gid.as_raw()).map(Some),
        }
    }

    fn led_by(self, uid: u32, gid: u32) -> Result<Self, PoolError> {
        let servers = self.servers();
        if servers.contains(&uid) || servers.contains(&gid) {
            return Err(PoolError::Account(uid, gid));
        }
        Ok(Self { uid, gid, ..self })
    }

    /// The launcher's own uid.
    #[must_use]
    pub fn launcher(self) -> u32 {
        self.uid
    }

    /// The uids servers may get.
    #[must_use]
    pub fn servers(self) -> Range<u32> {
        self.first + RESERVED..self.first + self.count
    }

    /// The map of uids or gids: the launcher's `own`, and the servers'.
    fn map(self, own: u32) -> String {
        let servers = self.servers();
        format!("{own} {own} 1\n{0} {0} {1}\n", servers.start, servers.len())
    }

    /// Enters the namespace. Afterwards this process is the launcher's uid, or one of the pool's, for ever.
    ///
    /// # Errors
    /// [`PoolError`]; what has been given up by then stays so.
    pub fn enter(self) -> Result<(), PoolError> {
        let at = |what| move |errno| PoolError::Kernel(what, errno);
        // The files of the maps belong to the account only while this process is dumpable. What was
        // compiled by then may hold a secret, but no other process has this uid: the compiler has ended.
        prctl::set_dumpable(true).map_err(at("PR_SET_DUMPABLE"))?;
        self.enter_namespace()?;
        // Every later change of uid makes a process dumpable or not by rules of its own: `start` says it again.
        prctl::set_dumpable(false).map_err(at("PR_SET_DUMPABLE"))?;
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        if !lacks(Weakness::SupplementaryGroups) {
            setgroups(&[]).map_err(at("setgroups"))?;
        }
        setresgid(gid, gid, gid).map_err(at("setresgid"))?;
        setresuid(uid, uid, uid).map_err(at("setresuid"))?;
        limit_bounding_set(&KEPT).map_err(at("bounding set"))?;
        limit_capabilities(&KEPT).map_err(at("capabilities"))?;
        // Of programs it executes none may bring rights along.
        nix::sys::prctl::set_no_new_privs().map_err(at("no new privileges"))
    }

    /// Unshares the user namespace. A helper, forked before, writes its map: only a process outside
    /// may, and this one has to keep its process id for whoever supervises it.
    fn enter_namespace(self) -> Result<(), PoolError> {
        let at = |what| move |errno| PoolError::Kernel(what, errno);
        let (unshared, tell) = pipe2(OFlag::O_CLOEXEC).map_err(at("pipe"))?;
        match process::fork().map_err(at("fork"))? {
            ForkResult::Child => {
                drop(tell);
                process::end(self.write_maps(unshared.as_fd(), nix::unistd::getppid()))
            }
            ForkResult::Parent { child } => {
                drop(unshared);
                unshare(CloneFlags::CLONE_NEWUSER).map_err(at("unshare"))?;
                write(&tell, &[0]).map_err(at("pipe"))?;
                match waitpid(child, None).map_err(at("wait"))? {
                    WaitStatus::Exited(_, 0) => Ok(()),
                    WaitStatus::Exited(_, errno) => Err(at("id maps")(Errno::from_raw(errno))),
                    _ => Err(at("id maps")(Errno::ECHILD)),
                }
            }
        }
    }

    /// The helper's whole life; its exit status is the errno.
    fn write_maps(self, unshared: BorrowedFd<'_>, launcher: Pid) -> i32 {
        match read(unshared, &mut [0]) {
            Ok(1) => {}
            _ => return libc::ESRCH,
        }
        let wrote = [("uid_map", self.uid), ("gid_map", self.gid)]
            .into_iter()
            .try_for_each(|(file, own)| std::fs::write(format!("/proc/{launcher}/{file}"), self.map(own)));
        wrote.err().map_or(0, |error| error.raw_os_error().unwrap_or(libc::EIO))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_pool_keeps_sixteen_uids_back() {
        let pool = Pool::default();
        assert_eq!(pool.launcher(), 1_879_048_192);
        assert_eq!(pool.servers(), 1_879_048_208..1_879_113_728);
        assert_eq!(pool.map(pool.launcher()), "1879048192 1879048192 1\n1879048208 1879048208 65520\n");
    }

    #[test]
    fn an_account_of_its_own_is_mapped_beside_the_pool_and_never_a_servers() {
        let pool = Pool::default().led_by(998, 997).unwrap();
        assert_eq!((pool.launcher(), pool.servers()), (998, Pool::default().servers()));
        assert_eq!(pool.map(997), "997 997 1\n1879048208 1879048208 65520\n");
        for (uid, gid) in [(1_879_048_208, 997), (998, 1_879_113_727)] {
            assert!(matches!(Pool::default().led_by(uid, gid), Err(PoolError::Account(..))));
        }
    }

    #[test]
    fn refuses_a_pool_with_root_or_the_last_uid_in_it() {
        assert!(Pool::new(0, 100).is_none());
        assert!(Pool::new(5000, 16).is_none());
        assert!(Pool::new(u32::MAX - 20, 20).is_none());
        assert!(Pool::new(u32::MAX, 100).is_none());
    }
}
