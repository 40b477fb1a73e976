//! One server: its command, arguments and working directory.

use super::context::Context;
use super::pool::Pool;
use super::{Input, context, environment, pool, visible};
use crate::document::config::ServerDocument;
use crate::finding::{Findings, Place, Spot};
use crate::interpolate::expand;
use crate::limits::{
    ARGUMENT_BYTES_MAX, IDLE_TIMEOUT_MS_DEFAULT, REQUEST_TIMEOUT_MS_DEFAULT, STARTUP_TIMEOUT_MS_DEFAULT,
};
use crate::path::{form_error, is_within};
use crate::policy::Policy;
use crate::redact;
use crate::resolve::{self, Resolution, Search};
use crate::root::Root;
use crate::view::Scope;
use only1mcp_wire::ServerName;
use only1mcp_wire::plan::{STATE_DIRECTORY, Variable, VariableValue};

/// A checked server.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its name.
    pub name: ServerName,
    /// What it may touch.
    pub policy: Policy,
    /// What is executed.
    pub resolution: Resolution,
    /// Its arguments, `argv[0]` included.
    pub arguments: Vec<String>,
    /// Its command and arguments as written, for showing.
    pub written_arguments: Vec<String>,
    /// Its whole environment.
    pub environment: Vec<Variable>,
    /// Variables of the configuration as written, for showing.
    pub written_environment: Vec<Variable>,
    /// Its working directory, inside.
    pub working_directory: String,
    /// What it sees.
    pub root: Root,
    /// How long it may take to answer its first request, milliseconds.
    pub startup_timeout_ms: u64,
    /// How long one request may take, milliseconds.
    pub request_timeout_ms: u64,
    /// Who shares one process.
    pub scope: Scope,
    /// After how long without a request a process ends, milliseconds; nothing if never.
    pub idle_timeout_ms: Option<u64>,
    /// How it is kept working.
    pub pool: Pool,
    /// How its tools and results are shown.
    pub context: Context,
}

/// Checks one server. `None` means that an error was found.
pub fn check(
    document: &ServerDocument,
    name: Option<ServerName>,
    policy: Option<Policy>,
    input: &Input<'_>,
    findings: &mut Findings,
) -> Option<Server> {
    let before = findings.error_count();
    let command = check_command(document, input, findings);
    command.iter().for_each(|command| warn_fetching(command, findings));
    let arguments: Vec<Spot<String>> =
        document.args.iter().filter_map(|spot| expanded(spot, input, findings)).collect();
    let (own_variables, written_environment) = environment::check(document, input, findings);
    warn_secret_arguments(document, findings);
    let pool = pool::check(document, policy.as_ref(), findings);
    let (policy, command) = (policy?, command?);
    let search =
        Search { files: input.files, path: &policy.profile.path, own: &input.own, place: &command.place };
    let resolution = resolve::resolve(&command, &search, findings)?;
    let root = visible::root(&policy, &resolution, input, &command.place, findings);
    visible::warn_hidden(&arguments, &root, input, findings);
    let working_directory = check_directory(document, &root, findings);
    let environment = environment::whole(&policy, input, own_variables);
    check_size(&arguments, &environment, &document.place, findings);
    let mut all = vec![command.value];
    all.extend(arguments.into_iter().map(|spot| spot.value));
    let name = name?;
    (findings.error_count() == before).then(|| Server {
        name,
        policy,
        resolution,
        arguments: all,
        written_arguments: document
            .command
            .iter()
            .chain(&document.args)
            .map(|spot| spot.value.clone())
            .collect(),
        environment,
        written_environment,
        working_directory,
        root,
        startup_timeout_ms: document.startup_timeout_ms.unwrap_or(STARTUP_TIMEOUT_MS_DEFAULT),
        request_timeout_ms: document.request_timeout_ms.unwrap_or(REQUEST_TIMEOUT_MS_DEFAULT),
        scope: document.scope,
        idle_timeout_ms: document
            .idle_timeout_ms
            .or_else(|| (document.scope != Scope::Shared).then_some(IDLE_TIMEOUT_MS_DEFAULT)),
        pool,
        context: context::check(&document.context),
    })
}

fn check_command(
    document: &ServerDocument,
    input: &Input<'_>,
    findings: &mut Findings,
) -> Option<Spot<String>> {
    let Some(command) = &document.command else {
        findings.error(
            &document.place,
            "the server has no `command`",
            "name the program: command: my-server",
        );
        return None;
    };
    expanded(command, input, findings)
}

/// The text with variables put in; a NUL cannot be handed to a program.
pub fn expanded(spot: &Spot<String>, input: &Input<'_>, findings: &mut Findings) -> Option<Spot<String>> {
    match expand(&spot.value, &input.environment) {
        Ok(value) if value.contains('\0') => {
            findings.error(&spot.place, "the text has a NUL character in it", "remove it");
            None
        }
        Ok(value) => Some(Spot::new(value, &spot.place)),
        Err((message, help)) => {
            findings.error(&spot.place, message, help);
            None
        }
    }
}

/// Programs that fetch the server they are told to run.
const FETCHING: [&str; 5] = ["npx", "uvx", "pipx", "bunx", "pnpx"];

/// What is not installed cannot be fetched from inside, and the server would only be silent.
fn warn_fetching(command: &Spot<String>, findings: &mut Findings) {
    let name = command.value.rsplit('/').next().unwrap_or_default();
    if FETCHING.contains(&name) {
        findings.warning(
            &command.place,
            format!("`{name}` fetches what it runs, and a server has no network"),
            "install the server first, and name its own program as `command`",
        );
    }
}

/// The same eye that leaves secrets out of what is shown finds them here.
fn warn_secret_arguments(document: &ServerDocument, findings: &mut Findings) {
    let written: Vec<String> = document.args.iter().map(|spot| spot.value.clone()).collect();
    for (spot, shown) in document.args.iter().zip(redact::arguments(&written)) {
        if spot.value != shown {
            findings.warning(
                &spot.place,
                "the argument looks like a secret; arguments can be read by every process inside",
                "hand it over as a variable: `env: {NAME: {credential: NAME}}`, if the server takes one",
            );
        }
    }
}

fn check_directory(document: &ServerDocument, root: &Root, findings: &mut Findings) -> String {
    let Some(cwd) = &document.cwd else { return STATE_DIRECTORY.to_owned() };
    if let Some((why, help)) = form_error(&cwd.value) {
        findings.error(&cwd.place, format!("the path `{}` {why}", cwd.value), help);
    } else if ["/proc", "/dev"].iter().any(|kernels| is_within(&cwd.value, kernels)) {
        // By way of a descriptor or of another process's root a path there may lead anywhere.
        findings.error(
            &cwd.place,
            format!("{} belongs to the kernel: no server can work there", cwd.value),
            "remove `cwd` for /state, or name /tmp or a granted directory",
        );
    } else if !root.shows(&cwd.value) && cwd.value != "/" {
        findings.error(
            &cwd.place,
            format!("there is no {} inside the sandbox", cwd.value),
            "remove `cwd` for /state, or grant the directory in the policy",
        );
    }
    cwd.value.clone()
}

fn check_size(arguments: &[Spot<String>], environment: &[Variable], place: &Place, findings: &mut Findings) {
    let of_variable = |variable: &Variable| match &variable.value {
        VariableValue::Literal(value) => variable.name.len() + value.len() + 2,
        VariableValue::Credential(_) => variable.name.len(),
    };
    let bytes: usize = arguments.iter().map(|argument| argument.value.len() + 1).sum::<usize>()
        + environment.iter().map(of_variable).sum::<usize>();
    if bytes > ARGUMENT_BYTES_MAX {
        findings.error(
            place,
            format!("arguments and environment have {bytes} bytes, more than {ARGUMENT_BYTES_MAX}"),
            "put long texts into a file below a granted directory",
        );
    }
}
