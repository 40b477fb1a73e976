//! Inside the new namespaces: whose they are, what they are called, and that there are no more.

use super::privileges;
use crate::kernel::clone::{self, Side, clone3};
use crate::kernel::{descriptors, network, process};
use crate::launch::failure::{At, Failure};
use crate::weakened::{Weakness, lacks};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Gid, Uid, read, setgroups, sethostname, setresgid, setresuid, write};
use only1mcp_wire::Step;
use only1mcp_wire::plan::INSIDE_UID;
use std::io::Write;
use std::os::fd::AsFd;

/// The host name every server sees.
const HOST_NAME: &str = "sandbox";
/// What the child says once its id maps may be written: no report of a failure is that short.
pub const READY: u8 = 0;
/// How many user namespaces may be made inside this one.
const USER_NAMESPACES_MAX: &str = "/proc/sys/user/max_user_namespaces";

/// Tries whether a child can have namespaces of its own, and power in them.
pub fn probe() -> nix::Result<()> {
    match clone3(clone::namespaces(), None)? {
        // Where AppArmor restricts user namespaces they can be made, and are then good for nothing.
        Side::Child => process::end(set_host_name().err().map_or(0, |errno| errno as i32)),
        Side::Parent(child) => match waitid(Id::PIDFd(child.pidfd.as_fd()), WaitPidFlag::WEXITED)? {
            WaitStatus::Exited(_, 0) => Ok(()),
            WaitStatus::Exited(_, errno) => Err(Errno::from_raw(errno)),
            _ => Err(Errno::ECHILD),
        },
    }
}

/// Lets the launcher write this process' id maps, and waits until it has.
///
/// The files under `/proc` belong to the process' own uid only while it is dumpable; the launcher
/// itself never is, and this process only until it has become the sandbox user.
pub fn wait_for_identity() -> Result<(), Failure> {
    prctl::set_dumpable(true).at(Step::MapIds)?;
    write(descriptors::line(), &[READY]).at(Step::MapIds)?;
    match read(descriptors::line(), &mut [0]) {
        Ok(1) => Ok(()),
        // It closed its end: it could not write the maps, or it is gone.
        Ok(_) => Err(Errno::ESRCH).at(Step::MapIds),
        Err(errno) => Err(errno).at(Step::MapIds),
    }
}

/// Becomes the one user of the sandbox.
pub fn become_user(groups: SupplementaryGroups) -> Result<(), Failure> {
    if lacks(Weakness::CapabilitiesBeforeUid) {
        privileges::drop_all()?;
    }
    if lacks(Weakness::TiedTooEarly) {
        tie()?;
    }
    let (uid, gid) = (Uid::from_raw(INSIDE_UID), Gid::from_raw(INSIDE_UID));
    setresgid(gid, gid, gid).at(Step::BecomeUser)?;
    if groups == SupplementaryGroups::Drop && !lacks(Weakness::SupplementaryGroups) {
        setgroups(&[]).at(Step::BecomeUser)?;
    }
    setresuid(uid, uid, uid).at(Step::BecomeUser)?;
    hide_from_debuggers()
}

/// No process of the same uid may look into this one.
pub fn hide_from_debuggers() -> Result<(), Failure> {
    prctl::set_dumpable(false).at(Step::BecomeUser)
}

/// What becomes of the supplementary groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SupplementaryGroups {
    /// They are dropped.
    Drop,
    /// They stay: a person may not drop groups in a namespace of their own, because a group can also
    /// take rights away.
    Keep,
}

/// Has the kernel kill this process when the launcher ends, in whatever way.
pub fn tie_to_launcher() -> Result<(), Failure> {
    if lacks(Weakness::TiedTooEarly) { Ok(()) } else { tie() }
}

fn tie() -> Result<(), Failure> {
    prctl::set_pdeathsig(Signal::SIGKILL).at(Step::ParentDeath)?;
    // It may have ended before that call. A pidfd of it is readable from then on.
    let mut gone = [PollFd::new(descriptors::launcher(), PollFlags::POLLIN)];
    match poll(&mut gone, PollTimeout::ZERO) {
        Ok(0) => Ok(()),
        Ok(_) => Err(Errno::ESRCH).at(Step::ParentDeath),
        Err(errno) => Err(errno).at(Step::ParentDeath),
    }
}

/// Sets the number of user namespaces that may be made inside to zero: the second wall behind the
/// system call filter. Through the old `/proc`; the new one has no `sys`.
pub fn forbid_nested() -> Result<(), Failure> {
    if lacks(Weakness::NestedNamespaceLimit) {
        return Ok(());
    }
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .open(USER_NAMESPACES_MAX)
        .at_subject(Step::NoNestedNamespaces, USER_NAMESPACES_MAX)?;
    file.write_all(b"0").at_subject(Step::NoNestedNamespaces, USER_NAMESPACES_MAX)
}

/// Brings up loopback, sets the host name, and makes the server's own cgroup the root of its view.
pub fn set_identity() -> Result<(), Failure> {
    if !lacks(Weakness::NetworkNamespace) {
        network::loopback_up().at_subject(Step::Identity, "loopback")?;
    }
    set_host_name().at_subject(Step::Identity, "host name")?;
    if lacks(Weakness::CgroupNamespace) {
        return Ok(());
    }
    // The namespace of the clone has the launcher's cgroup as its root.
    unshare(CloneFlags::CLONE_NEWCGROUP).at_subject(Step::Identity, "cgroup namespace")
}

fn set_host_name() -> nix::Result<()> {
    if lacks(Weakness::UtsNamespace) { Ok(()) } else { sethostname(HOST_NAME) }
}
