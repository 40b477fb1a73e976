//! `only1mcp status`: the daemon's own account of its servers, as a table or as it is.

pub mod render;
pub mod report;
mod usage;

use super::admin;
use super::arguments::StatusArguments;
use super::compile::not_written;
use super::directories::Directories;
use super::exit_code::Exit;
use super::failure::Failure;
use super::limits::STATUS_ANSWER;
use super::paint::Paint;
use report::Report;
use std::io::Write;

/// Asks and prints.
///
/// # Errors
/// When no daemon answers.
pub fn run(arguments: &StatusArguments) -> Result<Exit, Failure> {
    let directories = Directories::resolve(&arguments.places)?;
    let answer = admin::status(&directories.admin_socket(), STATUS_ANSWER)
        .map_err(|error| admin::failure(&error, &directories))?;
    let mut stdout = std::io::stdout().lock();
    let written = if arguments.json {
        stdout.write_all(&answer).and_then(|()| stdout.write_all(b"\n"))
    } else {
        let report: Report = serde_json::from_slice(&answer).map_err(|cause| {
            Failure::new(Exit::Internal, format!("cannot read the daemon's status: {cause}"))
                .help("daemon and command line may be of different versions; --json prints it as it is")
        })?;
        stdout.write_all(render::table(&report, Paint::of(&stdout)).as_bytes())
    };
    written.map_err(|cause| not_written(&cause))?;
    Ok(Exit::Ok)
}
