//! Locks the proxy before it speaks to anybody: whoever takes it over later finds no file, no program,
//! no new socket but to the launcher, and no other process.
//!
//! Three walls, each enough against the plain attack: no new privileges, Landlock, system calls.
//! All are inherited by the threads that start later; none can be taken down.

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus, Scope,
};
use nix::sys::prctl;
use std::path::Path;

pub mod calls;
pub mod root;

/// The newest Landlock this was written for; an older kernel enforces what it knows.
const NEWEST: ABI = ABI::V10;

/// Why the proxy could not lock itself. It must not go on.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// A prctl.
    #[error("cannot give up privileges: {0}")]
    Privileges(#[from] nix::Error),
    /// Landlock.
    #[error("cannot close the file system: {0}")]
    Landlock(#[from] landlock::RulesetError),
    /// The launcher's socket, to which the way must stay open.
    #[error("cannot keep the way to the launcher open: {0}")]
    Launcher(#[from] landlock::PathFdError),
    /// seccomp.
    #[error("cannot restrict system calls: {0}")]
    Calls(#[from] calls::CallsError),
}

/// How much of the lock this kernel has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landlocked {
    /// All that we know of.
    Fully,
    /// What an older kernel knows.
    Partly,
    /// Nothing: system calls alone keep the files closed.
    NotAtAll,
}

/// Locks the calling thread, which must be the only one, for good.
///
/// # Errors
/// [`LockError`]; what was locked until then stays so.
pub fn lock(launcher: &Path) -> Result<Landlocked, LockError> {
    prctl::set_no_new_privs()?;
    // Neither a debugger nor /proc of the same user gets at our memory.
    prctl::set_dumpable(false)?;
    let landlocked = close_files(launcher)?;
    calls::restrict()?;
    Ok(landlocked)
}

/// Closes the whole file system and the network. What is open stays open; a connection to the
/// launcher's socket can be made again.
fn close_files(launcher: &Path) -> Result<Landlocked, LockError> {
    let ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    // Kernels before ABI 9 know no such right and let us connect anyway: the rule is left out there.
    let connect: BitFlags<AccessFs> = AccessFs::ResolveUnix.into();
    let status = ruleset.add_rule(PathBeneath::new(PathFd::new(launcher)?, connect))?.restrict_self()?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => Landlocked::Fully,
        RulesetStatus::PartiallyEnforced => Landlocked::Partly,
        RulesetStatus::NotEnforced => Landlocked::NotAtAll,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;
    use nix::fcntl::{OFlag, open};
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
    use nix::sys::stat::Mode;
    use nix::unistd::execv;
    use std::ffi::CString;
    use std::net::TcpListener;
    use std::os::unix::net::{UnixListener, UnixStream};

    /// Runs in a thread of its own: the locks hold for the thread that takes them.
    fn in_a_thread(test: impl FnOnce() + Send + 'static) {
        std::thread::spawn(test).join().unwrap();
    }

    fn open_passwd() -> nix::Result<()> {
        open("/etc/passwd", OFlag::O_RDONLY, Mode::empty()).map(drop)
    }

    /// A program that does not exist: a success would end the test.
    fn execute() -> Errno {
        let program = CString::new("/nonexistent/program").unwrap();
        let Err(errno) = execv(&program, &[&program]);
        errno
    }

    fn inet_socket() -> nix::Result<()> {
        socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None).map(drop)
    }

    struct Launcher {
        path: std::path::PathBuf,
        _listener: UnixListener,
    }

    fn launcher(name: &str) -> Launcher {
        let path = std::env::temp_dir().join(format!("only1mcp-lock-{name}-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        Launcher { _listener: UnixListener::bind(&path).unwrap(), path }
    }

    impl Drop for Launcher {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.path);
        }
    }

    #[test]
    fn after_the_lock_nothing_opens_runs_or_dials() {
        in_a_thread(|| {
            let launcher = launcher("all");
            assert_eq!((open_passwd(), execute(), inet_socket()), (Ok(()), Errno::ENOENT, Ok(())), "control");
            lock(&launcher.path).unwrap();
            assert_eq!(open_passwd(), Err(Errno::EACCES));
            assert_eq!(execute(), Errno::EPERM);
            assert_eq!(inet_socket(), Err(Errno::EPERM));
            UnixStream::connect(&launcher.path).expect("the launcher must stay in reach");
            // A thread of ours is still possible, with all it needs.
            std::thread::spawn(|| vec![0_u8; 1 << 20].len()).join().unwrap();
        });
    }

    #[test]
    fn landlock_alone_closes_files_and_ports() {
        in_a_thread(|| {
            let launcher = launcher("landlock");
            assert!(TcpListener::bind("127.0.0.1:0").is_ok(), "control");
            assert_ne!(close_files(&launcher.path).unwrap(), Landlocked::NotAtAll);
            assert_eq!(open_passwd(), Err(Errno::EACCES));
            let bound = TcpListener::bind("127.0.0.1:0").unwrap_err();
            assert_eq!(bound.kind(), std::io::ErrorKind::PermissionDenied);
            UnixStream::connect(&launcher.path).expect("the launcher must stay in reach");
        });
    }
}
