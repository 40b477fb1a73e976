//! The log: lines on standard error, UTC, without colour, so that it can be read by any program.

use std::io;
use tracing_subscriber::EnvFilter;

/// The variable that says what is logged, as `tracing_subscriber::EnvFilter` reads it.
const VARIABLE: &str = "ONLY1MCP_LOG";

/// Starts the log. A second call changes nothing.
pub fn start() {
    let filter = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new("info"));
    // The subscriber writes control characters of values as escapes, so no client can paint a line.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(false)
        .with_target(false)
        .try_init();
}
