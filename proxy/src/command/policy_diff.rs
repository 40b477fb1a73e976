//! `policy diff`: has `only1mcp-compile` read both sides, and says what the new one allows that the old did not.

use super::arguments::{PolicyDiffArguments, Source};
use super::compile::{self, Subject, Task, Tool};
use super::exit_code::Exit;
use super::failure::Failure;
use super::paint::Paint;
use only1mcp_policy::confinement::{Confinements, Kind};
use only1mcp_policy::diff::{self, Difference, Direction};
use serde_json::json;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Output;

/// Names a configuration may have in a directory.
const CONFIGURATIONS: [&str; 2] = ["config.yaml", "config.toml"];

/// Compares two sides; the answer is no if the new one is wider.
///
/// # Errors
/// When a side cannot be read, or they are not of one kind.
pub fn run(arguments: &PolicyDiffArguments) -> Result<Exit, Failure> {
    let old = side(&arguments.old, &arguments.source)?;
    let new = side(&arguments.new, &arguments.source)?;
    if old.kind != new.kind {
        let text =
            format!("{} and {} are not of one kind", word(&arguments.old, &old), word(&arguments.new, &new));
        return Err(Failure::new(Exit::Usage, text)
            .help("compare policies with policies, and configurations or their servers with each other"));
    }
    let differences = diff::diff(&old, &new);
    let wider = diff::is_wider(&differences);
    let text = if arguments.json { as_json(&differences, wider) } else { in_words(&differences) };
    io::stdout().write_all(text.as_bytes()).map_err(|cause| compile::not_written(&cause))?;
    Ok(if wider { Exit::No } else { Exit::Ok })
}

fn word(argument: &str, side: &Confinements) -> String {
    let kind = match side.kind {
        Kind::Policy => "policies",
        Kind::Server => "servers",
    };
    format!("{argument} ({kind})")
}

/// All that one argument stands for.
fn side(argument: &str, source: &Source) -> Result<Confinements, Failure> {
    let path = Path::new(argument);
    let subjects = match configuration_in(path) {
        Some(file) => vec![Subject::File(file)],
        None => compile::subjects(&[argument.to_owned()])?,
    };
    let mut all: Option<Confinements> = None;
    for subject in &subjects {
        let read = read(subject, source)?;
        match &mut all {
            None => all = Some(read),
            Some(all) if all.kind == read.kind => all.all.extend(read.all),
            Some(_) => {
                let text = format!("{argument} holds policies beside configurations");
                return Err(Failure::new(Exit::Usage, text).help("name one of them"));
            }
        }
    }
    all.ok_or_else(|| Failure::new(Exit::Data, format!("{argument} holds nothing to compare")))
}

/// A directory with a configuration stands for that.
fn configuration_in(path: &Path) -> Option<PathBuf> {
    CONFIGURATIONS.iter().map(|name| path.join(name)).find(|file| file.is_file())
}

fn read(subject: &Subject, source: &Source) -> Result<Confinements, Failure> {
    // A file is read by itself: which configuration is in force does not matter then.
    let builtin = Source { config: Some("builtin".into()) };
    let tool = Tool::new(if matches!(subject, Subject::File(_)) { &builtin } else { source })?;
    let output = tool.run(Task::Confinements, false, |command| match subject {
        Subject::File(path) => {
            // Nothing comes into force here: a link to a document, or `..`, may stand for it.
            command.arg("--document").arg(path.canonicalize().unwrap_or_else(|_| path.clone()));
        }
        other => other.add_to(command),
    })?;
    if !output.status.success() {
        return Err(refused(subject, &output));
    }
    serde_json::from_slice(&output.stdout).map_err(|cause| {
        Failure::new(Exit::Internal, format!("only1mcp-compile confinements answered nonsense: {cause}"))
    })
}

fn refused(subject: &Subject, output: &Output) -> Failure {
    let said = String::from_utf8_lossy(&output.stderr);
    eprint!("{}", Paint::of(&io::stderr()).findings(&said));
    let exit = compile::passed(output);
    let name = match subject {
        Subject::File(path) => path.display().to_string(),
        Subject::Server(name) => return unknown(name, exit),
        Subject::Everything => "the configuration".to_owned(),
    };
    Failure::new(exit, format!("{name} cannot be compared")).help("mend what is listed above")
}

/// A word that is no path was taken for a server.
fn unknown(name: &str, exit: Exit) -> Failure {
    let help = if exit == Exit::Passed(Exit::Usage.code()) {
        "name a server, a policy file or a configuration; a path has a / or a . in it"
    } else {
        "mend what is listed above"
    };
    Failure::new(exit, format!("the server {name} cannot be compared")).help(help)
}

fn in_words(differences: &[Difference]) -> String {
    let count = |direction| differences.iter().filter(|one| one.direction == direction).count();
    let (wider, narrower) = (count(Direction::Wider), count(Direction::Narrower));
    let mut text = String::new();
    for direction in [Direction::Wider, Direction::Narrower] {
        let sign = if direction == Direction::Wider { "wider" } else { "narrower" };
        for one in differences.iter().filter(|one| one.direction == direction) {
            text += &format!("{sign:<9} {}: {}\n", one.subject, one.text);
        }
    }
    text + &match (wider, narrower) {
        (0, 0) => "No difference: both allow the same.\n".to_owned(),
        (0, _) => format!("Narrower in {narrower}: nothing is allowed that was not before.\n"),
        (_, _) => format!("Wider in {wider}, narrower in {narrower}.\n"),
    }
}

fn as_json(differences: &[Difference], wider: bool) -> String {
    format!("{:#}\n", json!({"wider": wider, "differences": differences}))
}
