//! The user's daemon, started in the background if none runs. A lock makes it one, however many clients
//! begin at the same moment.

use crate::command::admin::{self, AskError};
use crate::command::arguments::Places;
use crate::command::directories::{Directories, Mode};
use crate::command::exit_code::Exit;
use crate::command::failure::Failure;
use crate::command::limits::{DAEMON_ANSWER, DAEMON_LOOK, DAEMON_START, LOG_TAIL_BYTES};
use crate::command::program;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// Returns when a daemon answers.
///
/// # Errors
/// When none runs and none can be started; with the end of its log.
pub fn ensure(places: &Places, directories: &Directories) -> Result<(), Failure> {
    if answers(directories)? {
        return Ok(());
    }
    if directories.mode == Mode::System {
        return Err(directories.no_daemon());
    }
    directories.prepare_runtime()?;
    directories.prepare_state()?;
    let _lock = lock(&directories.runtime.join("start.lock"))?;
    // Another client may have started it while we waited for the lock.
    if answers(directories)? {
        return Ok(());
    }
    let log = directories.state.join("daemon.log");
    let mut child = spawn(places, &log)
        .map_err(|cause| Failure::new(Exit::Unavailable, format!("cannot start the daemon: {cause}")))?;
    wait_for(&mut child, directories, &log)
}

fn answers(directories: &Directories) -> Result<bool, Failure> {
    match admin::status(&directories.admin_socket(), DAEMON_START) {
        Ok(_) => Ok(true),
        Err(AskError::NoDaemon) => Ok(false),
        Err(error) => Err(admin::failure(&error, directories)),
    }
}

fn lock(path: &Path) -> Result<Flock<File>, Failure> {
    let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    let locked = opened.and_then(|file| {
        Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| io::Error::from(errno))
    });
    locked
        .map_err(|cause| Failure::new(Exit::CannotCreate, format!("cannot lock {}: {cause}", path.display())))
}

/// `start`, detached, with its output in the log.
fn spawn(places: &Places, log: &Path) -> io::Result<Child> {
    let mut command = program::ourselves()?;
    command.args(["start", "--detached"]);
    command.args(flags(places)?);
    into_log(&mut command, log)?;
    command.spawn()
}

fn flags(places: &Places) -> io::Result<Vec<PathBuf>> {
    let given = [("--state-dir", &places.state_dir), ("--runtime-dir", &places.runtime_dir)];
    let mut flags = Vec::new();
    for (flag, value) in given {
        if let Some(value) = value {
            flags.extend([PathBuf::from(flag), std::path::absolute(value)?]);
        }
    }
    Ok(flags)
}

/// Points a command's output at the end of a log for its owner alone.
pub(super) fn into_log(command: &mut Command, log: &Path) -> io::Result<()> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(log)?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    Ok(())
}

/// Waits until the daemon that `child` is answers.
///
/// # Errors
/// When it ends or takes too long; with the end of its log.
pub(super) fn wait_for(child: &mut Child, directories: &Directories, log: &Path) -> Result<(), Failure> {
    let deadline = Instant::now() + DAEMON_START;
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Err(not_started(&format!("the daemon ended at once ({status})"), log));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(not_started(&format!("the daemon does not answer within {DAEMON_START:?}"), log));
        }
        if admin::status(&directories.admin_socket(), left.min(DAEMON_ANSWER)).is_ok() {
            return Ok(());
        }
        std::thread::sleep(DAEMON_LOOK);
    }
}

fn not_started(what: &str, log: &Path) -> Failure {
    let said = tail(log).unwrap_or_default();
    let text = if said.trim().is_empty() {
        what.to_owned()
    } else {
        format!("{what}; it said:\n{}", said.trim_end())
    };
    Failure::new(Exit::TemporaryFailure, text).help(format!(
        "its whole log is {}; `only1mcp start` shows the same in the foreground",
        log.display()
    ))
}

fn tail(log: &Path) -> io::Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(LOG_TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
