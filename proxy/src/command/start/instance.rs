//! One instance per runtime directory: a lock on `supervisor.pid`, held as long as the supervisor lives.

use crate::command::exit_code::Exit;
use crate::command::failure::Failure;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The right to run in a runtime directory. The kernel takes it back when the process ends.
#[derive(Debug)]
#[must_use]
pub struct Claim {
    _lock: Flock<File>,
}

/// Claims the runtime directory, and writes our pid into it.
///
/// # Errors
/// When another instance holds it, with its pid.
pub fn claim(runtime: &Path) -> Result<Claim, Failure> {
    let path = runtime.join("supervisor.pid");
    let file = open(&path).map_err(|cause| {
        Failure::new(Exit::CannotCreate, format!("cannot open {}: {cause}", path.display()))
    })?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(mut lock) => {
            write_pid(&mut lock).map_err(|cause| {
                Failure::new(Exit::InputOutput, format!("cannot write {}: {cause}", path.display()))
            })?;
            Ok(Claim { _lock: lock })
        }
        Err((mut file, Errno::EWOULDBLOCK)) => Err(already_running(runtime, &mut file)),
        Err((_, errno)) => {
            Err(Failure::new(Exit::InputOutput, format!("cannot lock {}: {errno}", path.display())))
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(path)
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())
}

fn already_running(runtime: &Path, file: &mut File) -> Failure {
    let mut pid = String::new();
    // Empty when the other one has just begun; its pid is a courtesy only.
    let _ = file.take(16).read_to_string(&mut pid);
    let who = if pid.trim().is_empty() { String::new() } else { format!(" (pid {})", pid.trim()) };
    let text = format!("another instance{who} runs in {}", runtime.display());
    Failure::new(Exit::TemporaryFailure, text)
        .help("see `only1mcp status`; for a second one give --runtime-dir, --state-dir and --listen")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_claim_is_refused_and_names_the_first_ones_pid() {
        let directory = std::env::temp_dir().join(format!("only1mcp-claim-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let first = claim(&directory).unwrap();
        let failure = claim(&directory).unwrap_err();
        assert_eq!(failure.exit, Exit::TemporaryFailure);
        assert!(failure.to_string().contains(&format!("(pid {})", std::process::id())), "{failure}");
        drop(first);
        assert!(claim(&directory).is_ok());
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
