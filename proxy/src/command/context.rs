//! `only1mcp context`: how much of a model's context the definitions of tools take, in each view, in real tokens.
//!
//! Reading order: [`source`] (whose definitions), [`count`] (their tokens), [`figures`] (what `--json` prints), [`advice`],
//! [`render`]. The proxy only hands out definitions; all that is counted is counted here.

pub mod advice;
pub mod count;
pub mod figures;
pub mod render;
pub mod source;

use super::arguments::ContextArguments;
use super::compile::not_written;
use super::directories::Directories;
use super::exit_code::Exit;
use super::failure::Failure;
use super::paint::Paint;
use figures::Report;
use std::io::Write;

/// Counts and prints.
///
/// # Errors
/// When no daemon answers, or a file is no list of tools.
pub fn run(arguments: &ContextArguments) -> Result<Exit, Failure> {
    let offer = if arguments.files.is_empty() {
        source::of_daemon(&Directories::resolve(&arguments.places)?)?
    } else {
        source::of_files(&arguments.files)?
    };
    let report = Report::of(&offer);
    let mut stdout = std::io::stdout().lock();
    let text = if arguments.json {
        serde_json::to_string_pretty(&report).map(|text| text + "\n").map_err(|cause| {
            Failure::new(Exit::Internal, format!("cannot write the figures as JSON: {cause}"))
        })?
    } else {
        render::table(&report, Paint::of(&stdout))
    };
    stdout.write_all(text.as_bytes()).map_err(|cause| not_written(&cause))?;
    Ok(Exit::Ok)
}
