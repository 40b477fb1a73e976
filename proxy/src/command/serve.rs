//! `only1mcp serve`: hands what the supervisor or systemd typed to the proxy.

use super::arguments::ServeArguments;
use super::exit_code::Exit;
use super::failure::Failure;

/// Becomes the proxy.
///
/// # Errors
/// When the proxy cannot start.
pub fn run(_arguments: ServeArguments) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Unavailable, "the proxy is not built yet"))
}
