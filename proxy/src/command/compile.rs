//! `policy` and `config`: run `only1mcp-compile`, which alone reads documents, and pass on what it says.

use super::arguments::{
    ConfigCommand, ConfigToolArguments, Places, PolicyCheckArguments, PolicyCommand, PolicyExplainArguments,
    Source,
};
use super::directories::{Configuration, Directories};
use super::exit_code::Exit;
use super::failure::Failure;
use super::paint::Paint;
use super::program::{Program, Programs};
use super::{policy_diff, policy_test};
use only1mcp_policy::view::View;
use serde_json::Value;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What `only1mcp-compile` is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// All findings.
    Check,
    /// One server in plain words.
    Explain,
    /// The configuration in force.
    Show,
    /// What the proxy may know.
    View,
    /// The JSON Schema.
    Schema,
    /// What can be compared.
    Confinements,
}

impl Task {
    const fn word(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Explain => "explain",
            Self::Show => "show",
            Self::View => "view",
            Self::Schema => "schema",
            Self::Confinements => "confinements",
        }
    }
}

/// A command that runs `task` on `config`, its output captured. Mode and directories decide what no
/// server may be granted.
///
/// # Errors
/// When the program is missing.
pub fn command(
    programs: &Programs,
    directories: &Directories,
    task: Task,
    config: &Configuration,
) -> Result<Command, Failure> {
    let mut command = programs.command(Program::Compile)?;
    command.arg(task.word()).arg("--config").arg(config.as_argument());
    command.arg("--program-dir").arg(programs.directory());
    command.arg("--state-dir").arg(&directories.state);
    command.arg("--runtime-dir").arg(&directories.runtime);
    command.arg("--mode").arg(directories.mode.as_str());
    command.stdin(Stdio::null());
    Ok(command)
}

/// Runs it to its end.
///
/// # Errors
/// When it cannot be started.
pub fn output(mut command: Command) -> Result<Output, Failure> {
    command.output().map_err(|cause| {
        let program = command.get_program().to_string_lossy().into_owned();
        Failure::new(Exit::Unavailable, format!("cannot run {program}: {cause}"))
    })
}

/// The exit code of a program of ours, as our own.
#[must_use]
pub fn passed(output: &Output) -> Exit {
    match output.status.code().map(u8::try_from) {
        Some(Ok(0)) => Exit::Ok,
        Some(Ok(code)) => Exit::Passed(code),
        // A signal: the kernel ended it, most likely by its own system call filter.
        _ => Exit::Internal,
    }
}

/// `only1mcp policy …`
///
/// # Errors
/// When the program cannot be run.
pub fn policy(command: &PolicyCommand) -> Result<Exit, Failure> {
    match command {
        PolicyCommand::Check(arguments) => policy_check(arguments),
        PolicyCommand::Explain(arguments) => explain(arguments),
        PolicyCommand::Diff(arguments) => policy_diff::run(arguments),
        PolicyCommand::Test(arguments) => policy_test::run(arguments),
    }
}

/// `only1mcp config …`
///
/// # Errors
/// When the program cannot be run.
pub fn config(command: &ConfigCommand) -> Result<Exit, Failure> {
    let (task, arguments) = match command {
        ConfigCommand::Check(arguments) => (Task::Check, arguments),
        ConfigCommand::Show(arguments) => (Task::Show, arguments),
        ConfigCommand::Schema(arguments) => (Task::Schema, arguments),
    };
    let ConfigToolArguments { json, source } = arguments;
    let run = Tool::new(source)?.run(task, *json, |_| {})?;
    relay(&run)
}

fn explain(arguments: &PolicyExplainArguments) -> Result<Exit, Failure> {
    let name = |command: &mut Command| {
        command.arg("--server").arg(&arguments.server);
    };
    relay(&Tool::new(&arguments.source)?.run(Task::Explain, arguments.json, name)?)
}

/// One thing `policy check` was asked to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Everything,
    Server(String),
    File(PathBuf),
}

fn policy_check(arguments: &PolicyCheckArguments) -> Result<Exit, Failure> {
    let tool = Tool::new(&arguments.source)?;
    let subjects = subjects(&arguments.subjects)?;
    let runs = subjects
        .iter()
        .map(|subject| tool.run(Task::Check, arguments.json, |command| subject.add_to(command)))
        .collect::<Result<Vec<Output>, Failure>>()?;
    if runs.iter().all(|run| run.status.success()) {
        tool.require_servers(&subjects)?;
    }
    match runs.as_slice() {
        [one] => relay(one),
        several if arguments.json => relay_joined(several),
        several => several.iter().try_fold(Exit::Ok, |worst, run| Ok(worse(worst, relay(run)?))),
    }
}

impl Subject {
    fn server(&self) -> Option<&str> {
        match self {
            Self::Server(name) => Some(name),
            Self::Everything | Self::File(_) => None,
        }
    }

    pub(super) fn add_to(&self, command: &mut Command) {
        match self {
            Self::Everything => {}
            Self::Server(name) => {
                command.arg("--server").arg(name);
            }
            Self::File(path) => {
                command.arg("--policy-file").arg(path);
            }
        }
    }
}

/// What the words of a command line stand for.
pub(super) fn subjects(words: &[String]) -> Result<Vec<Subject>, Failure> {
    if words.is_empty() {
        return Ok(vec![Subject::Everything]);
    }
    let mut subjects = Vec::new();
    for word in words {
        let path = Path::new(word);
        if path.is_dir() {
            subjects.extend(policy_files(path)?.into_iter().map(Subject::File));
        } else if path.exists() || word.contains('/') || word.contains('.') {
            subjects.push(Subject::File(path.to_owned()));
        } else {
            subjects.push(Subject::Server(word.clone()));
        }
    }
    Ok(subjects)
}

fn policy_files(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let listed = std::fs::read_dir(directory).and_then(|entries| {
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<PathBuf>>>()
    });
    let mut files = listed.map_err(|cause| {
        Failure::new(Exit::InputOutput, format!("cannot list {}: {cause}", directory.display()))
    })?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    if files.is_empty() {
        return Err(Failure::new(Exit::Data, format!("{} has no policy (NAME.yaml)", directory.display())));
    }
    Ok(files)
}

/// `only1mcp-compile` with the configuration of this command.
pub(super) struct Tool {
    programs: Programs,
    directories: Directories,
    config: Configuration,
}

impl Tool {
    pub(super) fn new(source: &Source) -> Result<Self, Failure> {
        let directories = Directories::resolve(&Places::default())?;
        let config = directories.configuration(source)?;
        Ok(Self { programs: Programs::beside_us()?, directories, config })
    }

    /// A server that is not configured has no findings, which must not read as good news.
    fn require_servers(&self, subjects: &[Subject]) -> Result<(), Failure> {
        let mut named = subjects.iter().filter_map(Subject::server).peekable();
        if named.peek().is_none() {
            return Ok(());
        }
        let view = self.run(Task::View, false, |_| {})?;
        let view: View = serde_json::from_slice(&view.stdout).map_err(|cause| {
            Failure::new(Exit::Internal, format!("only1mcp-compile view answered nonsense: {cause}"))
        })?;
        let known: Vec<&str> = view.servers.iter().map(|server| server.id.as_str()).collect();
        match named.find(|name| !known.contains(name)) {
            None => Ok(()),
            Some(name) => Err(Failure::new(Exit::Data, format!("no server {name:?} is configured"))
                .help(format!("configured are {}", known.join(", ")))),
        }
    }

    pub(super) fn run(&self, task: Task, json: bool, more: impl Fn(&mut Command)) -> Result<Output, Failure> {
        let mut command = command(&self.programs, &self.directories, task, &self.config)?;
        if json {
            command.arg("--json");
        }
        more(&mut command);
        output(command)
    }
}

fn relay(run: &Output) -> Result<Exit, Failure> {
    let (stdout, stderr) = (io::stdout(), io::stderr());
    let written = write_painted(&mut stdout.lock(), Paint::of(&stdout), &run.stdout)
        .and_then(|()| write_painted(&mut stderr.lock(), Paint::of(&stderr), &run.stderr));
    written.map_err(|cause| not_written(&cause))?;
    if run.status.code().is_none() {
        let text = format!("only1mcp-compile ended by itself ({})", run.status);
        return Err(Failure::new(Exit::Internal, text));
    }
    Ok(passed(run))
}

/// The failure to write an answer.
pub(super) fn not_written(cause: &io::Error) -> Failure {
    Failure::new(Exit::InputOutput, format!("cannot write the answer: {cause}"))
}

fn write_painted(out: &mut impl Write, paint: Paint, bytes: &[u8]) -> io::Result<()> {
    match (paint, std::str::from_utf8(bytes)) {
        (Paint::Colour, Ok(text)) => out.write_all(paint.findings(text).as_bytes()),
        _ => out.write_all(bytes),
    }
}

/// Several arrays of findings become one.
fn relay_joined(runs: &[Output]) -> Result<Exit, Failure> {
    let mut all = Vec::new();
    let mut worst = Exit::Ok;
    for run in runs {
        match serde_json::from_slice::<Vec<Value>>(&run.stdout) {
            Ok(findings) => all.extend(findings),
            Err(_) => return relay(run),
        }
        worst = worse(worst, passed(run));
    }
    let text = serde_json::to_string_pretty(&all).map_err(|cause| not_written(&cause.into()))?;
    writeln!(io::stdout(), "{text}").map_err(|cause| not_written(&cause))?;
    Ok(worst)
}

fn worse(one: Exit, other: Exit) -> Exit {
    if one == Exit::Ok { other } else { one }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn without_a_subject_everything_is_checked() {
        assert_eq!(subjects(&[]).unwrap(), [Subject::Everything]);
    }

    #[test]
    fn a_word_is_a_server_and_a_path_is_a_file() {
        let found = subjects(&words(&["files", "./files", "files.yaml", "/etc/passwd"])).unwrap();
        let file = |path: &str| Subject::File(path.into());
        assert_eq!(
            found,
            [Subject::Server("files".into()), file("./files"), file("files.yaml"), file("/etc/passwd")]
        );
    }

    #[test]
    fn a_directory_stands_for_its_policies_in_order() {
        let base = std::env::temp_dir().join(format!("only1mcp-policies-{}", std::process::id()));
        std::fs::create_dir_all(&base).unwrap();
        let empty = subjects(&words(&[base.to_str().unwrap()])).unwrap_err();
        for name in ["b.yaml", "a.yaml", "notes.txt"] {
            std::fs::write(base.join(name), "").unwrap();
        }
        let found = subjects(&words(&[base.to_str().unwrap()])).unwrap();
        std::fs::remove_dir_all(&base).unwrap();
        assert_eq!(empty.exit, Exit::Data);
        assert_eq!(found, [Subject::File(base.join("a.yaml")), Subject::File(base.join("b.yaml"))]);
    }

    #[test]
    fn the_first_bad_answer_decides_the_exit_code() {
        assert_eq!(worse(Exit::Ok, Exit::Passed(65)), Exit::Passed(65));
        assert_eq!(worse(Exit::Passed(65), Exit::Passed(70)), Exit::Passed(65));
    }
}
