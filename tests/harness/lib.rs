//! What all tests share: scratch folders, a running daemon, its processes, and small clients that hide nothing.
//!
//! Reading order: [`programs`] and [`parts`] (what is there to run), [`scratch`], [`configuration`], [`daemon`]
//! (start and stop `only1mcp`), [`processes`] (what is left of it), [`http`] and [`mcp`] (talk to it), [`run`]
//! (one command, its output and exit code), [`golden`] (texts that people read).

pub mod configuration;
pub mod daemon;
pub mod golden;
pub mod http;
pub mod mcp;
pub mod parts;
pub mod processes;
pub mod programs;
pub mod relay;
pub mod run;
pub mod scratch;

/// Whether the test runs as root, and so tests root mode.
#[must_use]
pub fn is_root() -> bool {
    nix::unistd::getuid().is_root()
}
