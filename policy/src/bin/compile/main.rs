//! `only1mcp-compile`: reads configuration and policies in a process that has locked itself down, and
//! prints a plan set, findings, an explanation or a view. It starts nothing and writes no file.
#![forbid(unsafe_code)]

mod arguments;
mod host;
mod lock;
mod open;
mod output;

use arguments::{Action, Arguments};
use host::Host;
use only1mcp_policy::check::{self, Checked, Input};
use only1mcp_policy::finding::{Findings, Place};
use only1mcp_policy::{confinement, stand_in};
use open::Documents;
use std::process::ExitCode;

/// Everything is well; warnings are allowed.
const EXIT_OK: u8 = 0;
/// The command line is wrong.
const EXIT_USAGE: u8 = 64;
/// There are findings that are errors.
const EXIT_DATA: u8 = 65;
/// Something that must work did not.
const EXIT_SOFTWARE: u8 = 70;
/// The configuration cannot be opened, or the output cannot be written.
const EXIT_IO: u8 = 74;

fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args_os().skip(1)) {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("only1mcp-compile: {message}\n{}", arguments::USAGE);
            return ExitCode::from(EXIT_USAGE);
        }
    };
    // Opened and judged, but not understood: that comes behind the lock.
    let mut findings = Findings::default();
    let documents = Documents::open(&arguments, &mut findings);
    if let Err(error) = lock::lock() {
        eprintln!("only1mcp-compile: cannot lock itself down: {error}");
        return ExitCode::from(EXIT_SOFTWARE);
    }
    match run(&arguments, documents, findings) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("only1mcp-compile: cannot write: {error}");
            ExitCode::from(EXIT_IO)
        }
    }
}

/// The whole story: check, print.
fn run(arguments: &Arguments, documents: Documents, mut findings: Findings) -> std::io::Result<u8> {
    if arguments.action == Action::Schema {
        output::schema()?;
        return Ok(EXIT_OK);
    }
    let host = Host::new(arguments.mode);
    let input = Input {
        config: documents.config,
        policies: documents.policies,
        files: &host,
        own: arguments.own(&host),
        mode: arguments.mode,
        environment: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
    };
    if findings.has_errors() {
        // Without a whole configuration, anything further would only mislead.
        output::findings(&findings, arguments)?;
        return Ok(if documents.missing { EXIT_IO } else { EXIT_DATA });
    }
    let of_policy = arguments.document.is_some() && confinement::is_policy(&input.config);
    if of_policy && arguments.action == Action::Confinements {
        return output::confinement_of_policy(&input, &mut findings, arguments);
    }
    if let Some(policy) = &documents.single_policy {
        check::check_policy(policy, &input, &mut findings);
        output::findings(&findings, arguments)?;
        return Ok(code(&findings));
    }
    let mut checked = check::check(&input, &mut findings);
    if let Some(probe) = arguments.stand_in() {
        let place = Place::whole(arguments.config_name());
        stand_in::put(&probe, &mut checked, &input, &place, &mut findings);
    }
    print(arguments, &checked, documents.read, &findings)
}

fn print(
    arguments: &Arguments,
    checked: &Checked,
    read: Vec<String>,
    findings: &Findings,
) -> std::io::Result<u8> {
    if findings.has_errors() || arguments.action == Action::Check {
        output::findings(findings, arguments)?;
        return Ok(code(findings));
    }
    match arguments.action {
        Action::Plan => return output::plan(checked, read, findings),
        Action::View => output::view(checked)?,
        Action::Show => output::show(checked)?,
        Action::Explain => return output::explain(checked, arguments),
        Action::Confinements => return output::confinements(checked, arguments),
        Action::Check | Action::Schema => {}
    }
    Ok(code(findings))
}

fn code(findings: &Findings) -> u8 {
    if findings.has_errors() { EXIT_DATA } else { EXIT_OK }
}
