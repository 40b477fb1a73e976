//! This machine: who runs what, and where the programs are.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{Gid, Uid, User};

use super::fault::{Context, Fault};
use crate::catalogue::Mode;

/// A mode in one word.
#[must_use]
pub const fn name_of(mode: Mode) -> &'static str {
    mode.name()
}

/// Somebody who runs programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The uid.
    pub uid: u32,
    /// The gid.
    pub gid: u32,
}

impl Person {
    /// Whoever runs this.
    #[must_use]
    pub fn own() -> Self {
        Self { uid: Uid::current().as_raw(), gid: Gid::current().as_raw() }
    }

    /// The ordinary user of the tests: ourselves, or another one if we are root.
    ///
    /// # Errors
    /// If we are root and there is no such user.
    pub fn ordinary() -> Result<Self, Fault> {
        let own = Self::own();
        if own.uid != 0 {
            return Ok(own);
        }
        let name = std::env::var("ONLY1MCP_TEST_USER").unwrap_or_else(|_| "only1mcp-test".to_owned());
        let user = User::from_name(&name).doing(|| format!("look up the user {name}"))?;
        let user = user.ok_or(Fault::NoUser(name))?;
        Ok(Self { uid: user.uid.as_raw(), gid: user.gid.as_raw() })
    }

    /// Root, if that is who we are.
    #[must_use]
    pub fn root() -> Option<Self> {
        Uid::current().is_root().then_some(Self { uid: 0, gid: 0 })
    }

    /// Who a process is.
    ///
    /// # Errors
    /// If it does not run.
    pub fn of_process(process: u32) -> Result<Self, Fault> {
        let path = format!("/proc/{process}/status");
        let status = std::fs::read_to_string(&path).doing(|| format!("read {path}"))?;
        let id = |key: &str| -> Option<u32> {
            let line = status.lines().find(|line| line.starts_with(key))?;
            line.split_whitespace().nth(1)?.parse().ok()
        };
        match (id("Uid:"), id("Gid:")) {
            (Some(uid), Some(gid)) => Ok(Self { uid, gid }),
            _ => Err(Fault::Program(format!("{path} names no uid"))),
        }
    }

    /// A command that this person runs, with nothing of our environment.
    #[expect(clippy::disallowed_methods, reason = "the runner starts programs as other people")]
    #[must_use]
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let Self { uid, gid } = *self;
        // Root, too, by way of setpriv: with groups, which must not get inside.
        let mut command = if uid == Uid::current().as_raw() && uid != 0 {
            Command::new(program.as_ref())
        } else {
            let mut command = Command::new("/usr/bin/setpriv");
            command
                .arg(format!("--reuid={uid}"))
                .arg(format!("--regid={gid}"))
                .arg(format!("--groups={gid}"));
            command.arg("--").arg(program.as_ref());
            command
        };
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LANG", "C.UTF-8");
        // Some are uids that no user database knows.
        command.env("HOME", "/nonexistent");
        command
    }
}

/// The folder that holds the programs.
#[derive(Clone, Debug)]
pub struct Programs(PathBuf);

impl Programs {
    /// Those in `folder`.
    #[must_use]
    pub const fn of(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// One program.
    ///
    /// # Errors
    /// If it is not there.
    pub fn find(&self, name: &str) -> Result<PathBuf, Fault> {
        let path = self.0.join(name);
        if path.exists() { Ok(path) } else { Err(Fault::NoProgram(path)) }
    }
}

/// The name of this machine.
///
/// # Errors
/// If the kernel does not tell it.
pub fn host_name() -> Result<String, Fault> {
    let name = nix::sys::utsname::uname().doing(|| "read the name of this machine".to_owned())?;
    Ok(name.nodename().to_string_lossy().into_owned())
}

/// Prints even when a test passes: a table nobody sees proves little.
pub fn say(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
