//! One thing tried in a short-lived child of this program, so that what it does to itself stays there.

use crate::command::program;
use nix::errno::Errno;
use std::process::Stdio;

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// It worked; what the child said.
    Worked(String),
    /// The kernel said no.
    Refused(Errno),
    /// The child itself could not be run, or was killed.
    Broken(String),
}

/// Runs the probe of this name.
#[must_use]
pub fn attempt(name: &str) -> Attempt {
    let run = program::ourselves().and_then(|mut command| {
        command.args(["doctor", "--probe", name]).stdin(Stdio::null()).stderr(Stdio::null());
        command.output()
    });
    match run {
        Ok(output) => match output.status.code() {
            Some(0) => Attempt::Worked(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
            Some(errno) => Attempt::Refused(Errno::from_raw(errno)),
            None => Attempt::Broken(output.status.to_string()),
        },
        Err(cause) => Attempt::Broken(cause.to_string()),
    }
}

/// An errno as a person may look it up.
#[must_use]
pub fn named(errno: Errno) -> String {
    format!("{} ({errno:?})", errno.desc())
}
