//! From `main` to a daemon that can serve: sanitise what was inherited, give up root, find the walls.

use crate::arguments::{Arguments, Degraded};
use crate::cgroup;
use crate::configuration::Compiler;
use crate::confine::{landlock, namespaces};
use crate::credentials::Credentials;
use crate::daemon::{Daemon, Reader};
use crate::kernel::credentials::clear_ambient;
use crate::kernel::{descriptors, filter, network, process};
use crate::limits::OPEN_FILES_MAX;
use crate::log;
use crate::machine::{Isolation, Machine};
use crate::pool::{Pool, PoolError};
use crate::requests;
use crate::state::StateDirectories;
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::socket::sockopt::{AcceptConn, SockType};
use nix::sys::socket::{SockType as SocketKind, UnixAddr, getsockname, getsockopt};
use nix::sys::stat::{Mode as FileMode, umask};
use nix::unistd::{Pid, getppid};
use only1mcp_wire::Mode;
use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The listening socket, by the convention of `LISTEN_FDS`.
const LISTENER: RawFd = 3;

/// Why the launcher does not run.
#[derive(Debug, Error)]
pub enum StartError {
    /// More than one thread: a fork would not be safe.
    #[error("the launcher has more than one thread")]
    Threads,
    /// No socket to listen on.
    #[error("descriptor {LISTENER} is not a listening socket: {0}")]
    Listener(Errno),
    /// It was started as whom it must not be, or could not enter the pool's namespace.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The socket is open to more than its owner and group.
    #[error("{0} can be reached by others (mode {1:o})")]
    OpenSocket(String, u32),
    /// A file or directory of its own.
    #[error("cannot use {0}: {1}")]
    File(String, std::io::Error),
    /// What the compiler found sound is none to the launcher. The reason was logged.
    #[error("the compiled configuration is refused")]
    Refused,
    /// A plain system call.
    #[error("{0}: {1}")]
    Kernel(&'static str, Errno),
}

impl StartError {
    /// The exit code, as in sysexits.
    #[must_use]
    pub fn status(&self) -> u8 {
        match self {
            Self::Listener(_) => 64,
            Self::Refused => 65,
            Self::Threads => 70,
            Self::Kernel(..) => 71,
            Self::File(..) => 74,
            Self::Pool(_) | Self::OpenSocket(..) => 77,
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Listener(_) => {
                Some("only1mcp start and the systemd units pass a listening SEQPACKET socket")
            }
            Self::Pool(PoolError::NotRoot) => Some("start it as root, or use --mode user"),
            Self::Pool(PoolError::Root | PoolError::Account(..)) => Some(
                "only1mcp-launcher.service starts it as the account only1mcp-launcher with CAP_SETUID and CAP_SETGID",
            ),
            Self::Refused => {
                Some("only1mcp-launcher and only1mcp-compile must be of one version: install them together")
            }
            Self::OpenSocket(..) => {
                Some("only1mcp-launcher.socket makes it 0660 for root and the proxy's group")
            }
            _ => None,
        }
    }
}

/// Makes everything ready.
///
/// # Errors
/// [`StartError`]; the program must end then.
pub fn start(arguments: &Arguments) -> Result<Daemon, StartError> {
    let kernel = |what| move |errno| StartError::Kernel(what, errno);
    let supervisor = getppid();
    let listener = sanitise()?;
    #[cfg(feature = "weakened")]
    crate::weakened::begin().map_err(|error| StartError::File("the file of weaknesses".into(), error))?;
    let pool = arguments.pool.of(arguments.mode)?;
    let mut reader = Reader::new(compiler(arguments));
    let mut printed = None;
    let cgroups = cgroup::claim();
    if arguments.mode == Mode::System {
        require_private(&listener)?;
        clear_ambient().map_err(kernel("ambient capabilities"))?;
        // The compiler looks while root's files can still be told from other people's: in the namespace they
        // cannot. What it printed is decoded there.
        printed = Some(reader.compile_until_sound().map_err(kernel("poll"))?);
    }
    if let Some(pool) = pool {
        if arguments.mode == Mode::Root {
            prepare_directories(&arguments.state_directory, pool)?;
            if let Some(cgroups) = &cgroups {
                cgroups
                    .give_to(pool.launcher())
                    .map_err(|error| StartError::File("the cgroup tree".into(), error))?;
            }
        }
        pool.enter()?;
    }
    // Every change of uid makes a process dumpable or not by rules of its own, and unties it.
    prctl::set_dumpable(false).map_err(kernel("PR_SET_DUMPABLE"))?;
    if arguments.mode != Mode::System {
        tie_to(supervisor)?;
    }
    let isolation = isolation(arguments);
    let minimal = isolation == Some(Isolation::LandlockOnly);
    let machine = Machine {
        mode: if minimal { Mode::Minimal } else { arguments.mode },
        isolation,
        landlock_abi: filter::landlock_abi().min(landlock::KNOWN_ABI),
        own_process: process::open(std::process::id()).map_err(kernel("pidfd_open"))?,
        program_directory: arguments.program_directory.clone(),
        state: StateDirectories::open(&arguments.state_directory.join("servers"), pool)
            .map_err(|error| StartError::File("the state directory".into(), error))?,
        credentials: Credentials::open(
            &arguments.state_directory.join("credentials"),
            systemds(arguments.mode),
        )
        .map_err(|error| StartError::File("the credentials directory".into(), error))?,
        cgroups,
    };
    if let Some(probe) = &arguments.probe {
        log::info(format_args!(
            "the probe stands in for server {:?}: this launcher serves nobody",
            probe.server
        ));
    }
    Daemon::new(listener, machine, reader, printed)
}

fn compiler(arguments: &Arguments) -> Compiler {
    Compiler {
        program_directory: arguments.program_directory.clone(),
        state_directory: arguments.state_directory.clone(),
        runtime_directory: arguments.runtime_directory.clone(),
        mode: arguments.mode,
        config: arguments.config.clone(),
        probe: arguments.probe.clone(),
    }
}

/// Where systemd puts what `LoadCredential=` and `LoadCredentialEncrypted=` name.
fn systemds(mode: Mode) -> Option<PathBuf> {
    let directory = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    directory.filter(|path| mode == Mode::System && path.is_absolute())
}

/// Tries whether namespaces can be made here, and decides what to do if not. With a pool of uids there is
/// no lesser choice: without a namespace a server could not be given a uid of its own.
fn isolation(arguments: &Arguments) -> Option<Isolation> {
    let Err(errno) = namespaces::probe() else { return Some(Isolation::Namespaces) };
    if arguments.mode != Mode::User || arguments.degraded == Degraded::Refuse {
        log::error(format_args!("this machine refuses user namespaces ({errno}): no server will be started"));
        log::help(requests::advice_on_namespaces());
        return None;
    }
    // What a server leaves behind must come to us and not to init.
    if let Err(errno) = prctl::set_child_subreaper(true) {
        log::error(format_args!("cannot become the reaper of orphans: {errno}"));
        return None;
    }
    log::warn(format_args!(
        "this machine refuses user namespaces ({errno}): servers share it and its network namespace with you, \
         and only landlock, system call filters and resource limits hold them"
    ));
    Some(Isolation::LandlockOnly)
}

/// Nothing inherited counts but the socket, standard error and the environment.
fn sanitise() -> Result<OwnedFd, StartError> {
    prctl::set_dumpable(false).map_err(|errno| StartError::Kernel("PR_SET_DUMPABLE", errno))?;
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads != 1 {
        return Err(StartError::Threads);
    }
    descriptors::fill_standard_streams().map_err(|errno| StartError::Kernel("standard streams", errno))?;
    if !is_ours(|name| std::env::var_os(name)) {
        return Err(StartError::Listener(Errno::EINVAL));
    }
    let listener = descriptors::inherited(LISTENER).map_err(StartError::Listener)?;
    let kind = getsockopt(&listener, SockType).map_err(StartError::Listener)?;
    if kind != SocketKind::SeqPacket || !getsockopt(&listener, AcceptConn).map_err(StartError::Listener)? {
        return Err(StartError::Listener(Errno::EPROTOTYPE));
    }
    // A connection inherits this where the kernel knows it, so that nothing is in flight when we accept.
    let _: nix::Result<()> = network::refuse_descriptors(listener.as_fd());
    descriptors::close_from(LISTENER + 1).map_err(|errno| StartError::Kernel("close_range", errno))?;
    process::default_signals();
    // A peer or a reader of the log that went away is an error number, not the end.
    let cleared = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::from(Signal::SIGPIPE)), None);
    cleared.map_err(|errno| StartError::Kernel("sigprocmask", errno))?;
    umask(FileMode::from_bits_truncate(0o077));
    let limit = |errno| StartError::Kernel("RLIMIT_NOFILE", errno);
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(limit)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard.min(OPEN_FILES_MAX), hard).map_err(limit)?;
    Ok(listener)
}

/// Whether what is said of passed sockets is meant for this process: one socket. Who says nothing of them is
/// believed to have left the socket where it belongs.
fn is_ours(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let is = |name, expected: String| variable(name).is_none_or(|value| value == OsString::from(expected));
    is("LISTEN_PID", std::process::id().to_string()) && is("LISTEN_FDS", "1".to_owned())
}

/// Only its owner and its group can connect: inside the pool's namespace the proxy's uid cannot be told from
/// any other stranger's, so the socket's mode is what lets it in.
fn require_private(listener: &OwnedFd) -> Result<(), StartError> {
    let address = getsockname::<UnixAddr>(listener.as_raw_fd()).map_err(StartError::Listener)?;
    let path = address.path().ok_or(StartError::Listener(Errno::EADDRNOTAVAIL))?;
    let name = path.display().to_string();
    let found = std::fs::symlink_metadata(path).map_err(|error| StartError::File(name.clone(), error))?;
    let mode = found.mode() & 0o777;
    if mode & 0o007 == 0 { Ok(()) } else { Err(StartError::OpenSocket(name, mode)) }
}

/// Dies with whoever started it.
fn tie_to(supervisor: Pid) -> Result<(), StartError> {
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(|errno| StartError::Kernel("PR_SET_PDEATHSIG", errno))?;
    // It may have ended before that call; then init is the parent now.
    if getppid() == supervisor { Ok(()) } else { Err(StartError::Kernel("the supervisor", Errno::ESRCH)) }
}

/// The part of the root phase that needs root: directories the launcher and the pool can use.
fn prepare_directories(state: &Path, pool: Pool) -> Result<(), StartError> {
    let prepare = || -> std::io::Result<()> {
        std::fs::create_dir_all(state.join("servers"))?;
        std::fs::create_dir_all(state.join("credentials"))?;
        // The pool's uids must be able to pass through to their own directories.
        std::fs::set_permissions(state, PermissionsExt::from_mode(0o711))?;
        std::fs::set_permissions(state.join("servers"), PermissionsExt::from_mode(0o711))?;
        std::fs::set_permissions(state.join("credentials"), PermissionsExt::from_mode(0o700))?;
        let uid = Some(pool.launcher());
        chown(state.join("servers"), uid, uid)?;
        chown(state.join("credentials"), uid, uid)?;
        give_credentials(&state.join("credentials"), pool)
    };
    prepare().map_err(|error| StartError::File(state.display().to_string(), error))
}

/// Credentials that an administrator put there as root become the launcher's.
fn give_credentials(directory: &Path, pool: Pool) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let plain =
            entry.metadata().is_ok_and(|found| found.is_file() && found.nlink() == 1 && found.uid() == 0);
        if plain {
            // Of the name itself, should it have become a link meanwhile.
            std::os::unix::fs::lchown(entry.path(), Some(pool.launcher()), Some(pool.launcher()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_that_were_passed_to_somebody_else_are_not_taken() {
        let own = std::process::id().to_string();
        let told = |pid: Option<&str>, count: Option<&str>| {
            is_ours(
                |name| if name == "LISTEN_PID" { pid.map(OsString::from) } else { count.map(OsString::from) },
            )
        };
        assert!(told(None, None) && told(Some(&own), Some("1")) && told(None, Some("1")));
        assert!(!told(Some("1"), Some("1")) && !told(Some(&own), Some("2")) && !told(None, Some("x")));
    }
}
