//! This machine: who runs what, and where the programs are.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{Gid, Uid, User};
pub use only1mcp_escape::catalogue::Mode;

/// A mode in one word.
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
    /// The ordinary user of the test: ourselves, or another one if we are root.
    pub fn ordinary() -> Self {
        let own = Self { uid: Uid::current().as_raw(), gid: Gid::current().as_raw() };
        if own.uid != 0 {
            return own;
        }
        let name = std::env::var("ONLY1MCP_TEST_USER").unwrap_or_else(|_| "only1mcp-test".to_owned());
        let user = User::from_name(&name).unwrap();
        let user =
            user.unwrap_or_else(|| panic!("no user {name}: useradd {name}, or set ONLY1MCP_TEST_USER"));
        Self { uid: user.uid.as_raw(), gid: user.gid.as_raw() }
    }

    /// Root, if that is who we are.
    pub fn root() -> Option<Self> {
        Uid::current().is_root().then_some(Self { uid: 0, gid: 0 })
    }

    /// A command that this person runs, with nothing of our environment.
    #[expect(clippy::disallowed_methods, reason = "the runner starts programs as other people")]
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let Self { uid, gid } = *self;
        let mut command = if uid == Uid::current().as_raw() {
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
        command
    }
}

/// Where the programs are.
pub fn programs() -> PathBuf {
    let beside_probe = Path::new(env!("CARGO_BIN_EXE_only1mcp-probe")).parent().unwrap();
    std::env::var_os("ONLY1MCP_BIN_DIR").map_or_else(|| beside_probe.to_path_buf(), PathBuf::from)
}

/// One program.
pub fn program(name: &str) -> PathBuf {
    let path = programs().join(name);
    assert!(path.exists(), "{} is not built\nhelp: cargo build", path.display());
    path
}

/// The name of this machine.
pub fn host_name() -> String {
    nix::sys::utsname::uname().unwrap().nodename().to_string_lossy().into_owned()
}

/// Prints even when the test passes: a table nobody sees proves little.
pub fn say(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
