//! Gives up what the supervisor had: its uid, its gids; and ends when the supervisor ends.

use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid, getppid, setgroups, setresgid, setresuid};

/// Descriptors we would like to be able to open: connections and the pipes of servers.
const OPEN_FILES: u64 = 8192;

/// Why privileges could not be given up.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegesError {
    /// A system call.
    #[error("{0}: {1}")]
    Call(&'static str, nix::Error),
    /// The user to become is root, or root can be had back.
    #[error("the proxy must not be root")]
    Root,
    /// The supervisor ended while we started.
    #[error("the supervisor has ended")]
    Orphan,
}

/// Has the kernel kill us when the supervisor ends. Must be said again after each change of uid.
///
/// # Errors
/// [`PrivilegesError::Orphan`] if it has ended already.
pub fn end_with_supervisor() -> Result<(), PrivilegesError> {
    let before = getppid();
    prctl::set_pdeathsig(Signal::SIGKILL)
        .map_err(|errno| PrivilegesError::Call("PR_SET_PDEATHSIG", errno))?;
    if getppid() == before { Ok(()) } else { Err(PrivilegesError::Orphan) }
}

/// Becomes this uid and gid, for good, with no other groups.
///
/// # Errors
/// [`PrivilegesError`], and then the proxy must not go on.
pub fn become_user(user: u32) -> Result<(), PrivilegesError> {
    let (uid, gid) = (Uid::from_raw(user), Gid::from_raw(user));
    if uid.is_root() {
        return Err(PrivilegesError::Root);
    }
    let call = |name| move |errno| PrivilegesError::Call(name, errno);
    setgroups(&[]).map_err(call("setgroups"))?;
    setresgid(gid, gid, gid).map_err(call("setresgid"))?;
    setresuid(uid, uid, uid).map_err(call("setresuid"))?;
    if setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0)).is_ok() {
        return Err(PrivilegesError::Root);
    }
    end_with_supervisor()
}

/// Allows as many descriptors as the administrator does, up to what we could use. Keeping fewer is no error:
/// then connections wait.
pub fn raise_open_files() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < OPEN_FILES.min(hard)
    {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, OPEN_FILES.min(hard), hard);
    }
    // A core file would hold what clients said.
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
}
