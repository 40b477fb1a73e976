//! The child's side of an attempt: do one thing for real, and exit with its errno (0 if it worked).

mod landlock;
mod namespaces;
mod seccomp;

use crate::command::exit_code::Exit;
use crate::command::failure::Failure;
use nix::errno::Errno;

/// Tries one thing; what it has to say, or what the kernel said.
type Probe = fn() -> Result<String, Errno>;

/// Every probe and its name.
const PROBES: [(&str, Probe); 7] = [
    ("namespaces", namespaces::create),
    ("mount-proc", namespaces::mount_proc),
    ("mount-proc-inside", namespaces::mount_proc_inside),
    ("landlock", landlock::refuse_a_file),
    ("fast-open", landlock::connect_by_fast_open),
    ("multipath", landlock::connect_by_multipath),
    ("seccomp", seccomp::refuse_a_call),
];

/// Runs one.
///
/// # Errors
/// When there is none of this name.
pub fn run(name: &str) -> Result<Exit, Failure> {
    let Some((_, probe)) = PROBES.iter().find(|(known, _)| *known == name) else {
        return Err(Failure::new(Exit::Usage, format!("no probe {name:?}")));
    };
    Ok(match probe() {
        Ok(said) => {
            println!("{said}");
            Exit::Ok
        }
        Err(errno) => Exit::Passed(u8::try_from(errno as i32).unwrap_or(u8::MAX)),
    })
}
