//! Why a run could not be made: nothing here says anything about walls.

use std::io;
use std::path::PathBuf;

/// Something the runner needs failed.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The system refused something.
    #[error("cannot {doing}: {error}")]
    System {
        /// What was to be done.
        doing: String,
        /// What the system said.
        error: io::Error,
    },
    /// A program is not where it must be.
    #[error("{} is not there\nhelp: build all programs with `cargo build`, or install the whole package", .0.display())]
    NoProgram(PathBuf),
    /// The ordinary user of the tests does not exist.
    #[error("no user {0}\nhelp: useradd {0}, or set ONLY1MCP_TEST_USER")]
    NoUser(String),
    /// A program of ours behaved other than it must.
    #[error("{0}")]
    Program(String),
}

/// Adds to an error what was to be done.
pub trait Context<T> {
    /// The same result; its error says that `doing` failed.
    ///
    /// # Errors
    /// If it was one.
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T, Fault>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T, Fault> {
        self.map_err(|error| Fault::System { doing: doing(), error: error.into() })
    }
}
