//! `only1mcp doctor`: tries each wall on this machine, and says what is missing and how to mend it.

pub mod attempt;
pub mod cgroup;
pub mod finding;
pub mod installation;
pub mod kernel;
pub mod probe;
pub mod render;
pub mod walls;

use super::arguments::DoctorArguments;
use super::compile::not_written;
use super::exit_code::Exit;
use super::failure::Failure;
use super::paint::Paint;
use finding::{Finding, Outcome};
use std::io::Write;

/// Tries and prints; or, in a child of its own, tries one thing.
///
/// # Errors
/// When the answer cannot be written, or the probe has no such name.
pub fn run(arguments: &DoctorArguments) -> Result<Exit, Failure> {
    if let Some(name) = &arguments.probe {
        return probe::run(name);
    }
    let findings = examine(arguments);
    let mut stdout = std::io::stdout().lock();
    let text = if arguments.json {
        serde_json::to_string_pretty(&findings).map_err(|cause| not_written(&cause.into()))? + "\n"
    } else {
        render::page(&kernel::machine(), &findings, Paint::of(&stdout))
    };
    stdout.write_all(text.as_bytes()).map_err(|cause| not_written(&cause))?;
    let stands = findings.iter().all(|finding| finding.outcome != Outcome::Missing);
    Ok(if stands { Exit::Ok } else { Exit::Unavailable })
}

fn examine(arguments: &DoctorArguments) -> Vec<Finding> {
    let mut findings = walls::examine();
    findings.extend(cgroup::examine());
    findings.extend(kernel::examine());
    findings.extend(installation::examine(arguments.pool));
    findings
}
