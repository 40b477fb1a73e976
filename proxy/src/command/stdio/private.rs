//! `stdio --config FILE`: an instance of this client's own, with its own state, that ends with it.

use super::background::{into_log, wait_for};
use crate::command::arguments::Source;
use crate::command::directories::{Configuration, Directories, Mode};
use crate::command::exit_code::Exit;
use crate::command::failure::Failure;
use crate::command::limits::{PRIVATE_INSTANCES_MAX, STOP_ALL};
use crate::command::program;
use crate::command::start::instance;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sha2::{Digest, Sha256};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

/// Bytes of the hash that names an instance's directory.
const NAME_BYTES: usize = 8;

/// A running instance. Its daemon also ends when this process does, however it ends.
#[derive(Debug)]
pub struct Private {
    /// Its own directories.
    pub directories: Directories,
    child: Child,
}

/// Starts one and waits until it answers.
///
/// # Errors
/// When it cannot start; with the end of its log.
pub fn start(shared: &Directories, config: &Path) -> Result<Private, Failure> {
    let source = Source { config: Some(config.to_owned()) };
    let configuration = shared.configuration(&source)?;
    shared.prepare_state()?;
    let directories = free_slot(shared, &configuration)?;
    let log = directories.state.join("daemon.log");
    let mut child = spawn(&directories, &configuration, &log)
        .map_err(|cause| Failure::new(Exit::Unavailable, format!("cannot start the instance: {cause}")))?;
    match wait_for(&mut child, &directories, &log) {
        Ok(()) => Ok(Private { directories, child }),
        Err(failure) => {
            end(&mut child);
            Err(failure)
        }
    }
}

impl Private {
    /// Ends the daemon and waits for that.
    pub fn end(&mut self) {
        end(&mut self.child);
    }
}

/// The first directory of this configuration in which no instance runs: two clients at once with the same
/// configuration must not share state.
fn free_slot(shared: &Directories, configuration: &Configuration) -> Result<Directories, Failure> {
    let name = name(configuration.as_argument());
    let mut busy = None;
    for number in 1..=PRIVATE_INSTANCES_MAX {
        let slot = slot(shared, &name, number);
        slot.prepare_state()?;
        slot.prepare_runtime()?;
        // Released at once for the daemon, which takes it itself; a rare loser of that race says so.
        match instance::claim(&slot.runtime) {
            Ok(_released) => return Ok(slot),
            Err(failure) if failure.exit == Exit::TemporaryFailure => busy = Some(failure),
            Err(failure) => return Err(failure),
        }
    }
    Err(busy
        .unwrap_or_else(|| Failure::new(Exit::TemporaryFailure, "too many instances of this configuration")))
}

fn slot(shared: &Directories, name: &str, number: u32) -> Directories {
    let state = shared.state.join("private").join(format!("{name}-{number}"));
    // Never systemd's, whatever the shared one is.
    let mode = if shared.mode == Mode::User { Mode::User } else { Mode::Root };
    Directories { mode, runtime: state.join("run"), state, ..shared.clone() }
}

fn name(config: &OsStr) -> String {
    let digest = Sha256::digest(config.as_bytes());
    digest.iter().take(NAME_BYTES).map(|byte| format!("{byte:02x}")).collect()
}

fn spawn(directories: &Directories, configuration: &Configuration, log: &Path) -> io::Result<Child> {
    let mut command = program::ourselves()?;
    // Any free port: the client speaks over the relay, and the configured port is the shared daemon's.
    command.args(["start", "--tied", "--listen", "127.0.0.1:0"]);
    let values: [(&str, PathBuf); 3] = [
        ("--config", configuration.as_argument().into()),
        ("--state-dir", directories.state.clone()),
        ("--runtime-dir", directories.runtime.clone()),
    ];
    for (flag, value) in values {
        command.arg(flag).arg(value);
    }
    into_log(&mut command, log)?;
    command.spawn()
}

fn end(child: &mut Child) {
    if let Ok(pid) = i32::try_from(child.id()) {
        // Fails only if it is gone already.
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
    let deadline = Instant::now() + STOP_ALL;
    while let Ok(None) = child.try_wait() {
        if Instant::now() >= deadline {
            let _ = child.kill();
            let _ = child.wait();
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_are_named_by_their_configuration() {
        assert_eq!(name(OsStr::new("/a")), name(OsStr::new("/a")));
        assert_ne!(name(OsStr::new("/a")), name(OsStr::new("/b")));
        assert_eq!(name(OsStr::new("/a")).len(), 2 * NAME_BYTES);
    }
}
