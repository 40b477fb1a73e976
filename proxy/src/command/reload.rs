//! `only1mcp reload`: has the running daemon read its configuration again, and waits until it is in force.

use super::admin;
use super::arguments::ReloadArguments;
use super::compile::not_written;
use super::directories::Directories;
use super::exit_code::Exit;
use super::failure::Failure;
use super::limits::RELOAD_ANSWER;
use serde::Deserialize;
use std::io::Write;

/// What came of it.
#[derive(Deserialize)]
struct Reloaded {
    generation: u64,
    errors: u32,
}

/// Asks and says what came of it.
///
/// # Errors
/// When no daemon answers, or errors keep the configuration from coming into force.
pub fn run(arguments: &ReloadArguments) -> Result<Exit, Failure> {
    let directories = Directories::resolve(&arguments.places)?;
    let answer = admin::reload(&directories.admin_socket(), RELOAD_ANSWER)
        .map_err(|error| admin::failure(&error, &directories))?;
    let Reloaded { generation, errors } = serde_json::from_slice(&answer).map_err(|cause| {
        Failure::new(Exit::Internal, format!("cannot read the daemon's answer: {cause}"))
            .help("daemon and command line may be of different versions")
    })?;
    if errors > 0 {
        let message =
            format!("the configuration has {errors} errors: generation {generation} stays in force");
        return Err(Failure::new(Exit::Data, message).help("`only1mcp config check` names them"));
    }
    writeln!(std::io::stdout(), "generation {generation} of the configuration is in force")
        .map_err(|cause| not_written(&cause))?;
    Ok(Exit::Ok)
}
