//! `clone3`, raw: the only way to a child that is in its namespaces and its cgroup from the start.

use super::checked;
use crate::weakened::{Weakness, lacks};
use nix::errno::Errno;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// All namespaces a sandbox has of its own, beside the user namespace that owns them.
const OWNED: [(libc::c_int, Weakness); 6] = [
    (libc::CLONE_NEWNS, Weakness::MountNamespace),
    (libc::CLONE_NEWPID, Weakness::PidNamespace),
    (libc::CLONE_NEWNET, Weakness::NetworkNamespace),
    (libc::CLONE_NEWIPC, Weakness::IpcNamespace),
    (libc::CLONE_NEWUTS, Weakness::UtsNamespace),
    (libc::CLONE_NEWCGROUP, Weakness::CgroupNamespace),
];
/// `CLONE_INTO_CGROUP`; libc's constant does not fit its own type.
const INTO_CGROUP: u64 = 0x2_0000_0000;

/// The flags for all namespaces a sandbox has of its own.
#[must_use]
pub fn namespaces() -> u64 {
    let owned = OWNED.iter().filter(|(_, weakness)| !lacks(*weakness));
    let flags = owned.fold(libc::CLONE_NEWUSER, |flags, (flag, _)| flags | flag);
    u64::from(flags.cast_unsigned())
}

/// On which side of a clone the caller finds itself.
#[derive(Debug)]
pub enum Side {
    /// The child, with a copy of all memory, and alone.
    Child,
    /// The caller.
    Parent(Child),
}

/// A child as its parent holds it.
#[derive(Debug)]
pub struct Child {
    /// Its process id, as the parent sees it.
    pub pid: u32,
    /// Refers to it for ever, whatever becomes of the number.
    pub pidfd: OwnedFd,
}

/// Clones this process into new namespaces (`flags`) and, if given, into a cgroup.
///
/// The child gets a copy of the memory, as by `fork`.
///
/// # Errors
/// The kernel's; then there is no child.
pub fn clone3(flags: u64, cgroup: Option<BorrowedFd<'_>>) -> nix::Result<Side> {
    let mut pidfd: RawFd = -1;
    // SAFETY: `clone_args` is a struct of integers, for which all zeros is a valid value.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = flags | u64::try_from(libc::CLONE_PIDFD).unwrap_or_default();
    arguments.pidfd = (&raw mut pidfd) as u64;
    arguments.exit_signal = u64::try_from(libc::SIGCHLD).unwrap_or_default();
    if let Some(cgroup) = cgroup {
        arguments.flags |= INTO_CGROUP;
        arguments.cgroup = u64::try_from(cgroup.as_raw_fd()).map_err(|_| Errno::EBADF)?;
    }
    // SAFETY: no CLONE_VM, no stack and no TLS are asked for, so the child continues on its own copy
    // of this very stack; the launcher has one thread (checked at start), so no lock can be held by
    // a thread that the child lacks. `arguments` and `pidfd` outlive the call.
    let result = unsafe { libc::syscall(libc::SYS_clone3, &raw mut arguments, size_of_val(&arguments)) };
    match u32::try_from(checked(result)?).map_err(|_| Errno::EINVAL)? {
        0 => Ok(Side::Child),
        // SAFETY: with CLONE_PIDFD the kernel has just stored a new descriptor there.
        pid => Ok(Side::Parent(Child { pid, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) } })),
    }
}
