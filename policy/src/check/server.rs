//! One server: its command, arguments, environment and root.

use super::Input;
use crate::document::config::{EnvironmentValue, ServerDocument};
use crate::files::FileKind;
use crate::finding::{Findings, Place, Spot};
use crate::floor::Access;
use crate::interpolate::{expand, is_variable_name};
use crate::limits::{ARGUMENT_BYTES_MAX, REQUEST_TIMEOUT_MS_DEFAULT, STARTUP_TIMEOUT_MS_DEFAULT};
use crate::path::{follow, form_error};
use crate::policy::Policy;
use crate::protected;
use crate::redact::{self, names_a_secret};
use crate::resolve::{self, Resolution, Search};
use crate::root::{Root, Use, Variant};
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
    let arguments: Vec<Spot<String>> =
        document.args.iter().filter_map(|spot| expanded(spot, input, findings)).collect();
    let (own_variables, written_environment) = check_environment(document, input, findings);
    warn_secret_arguments(document, findings);
    let (policy, command) = (policy?, command?);
    let search =
        Search { files: input.files, path: &policy.profile.path, own: &input.own, place: &command.place };
    let resolution = resolve::resolve(&command, &search, findings)?;
    let root = build_root(&policy, &resolution, input, &command.place, findings);
    warn_invisible(&arguments, &root, input, findings);
    let working_directory = check_directory(document, &root, findings);
    let environment = whole_environment(&policy, input, own_variables);
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
fn expanded(spot: &Spot<String>, input: &Input<'_>, findings: &mut Findings) -> Option<Spot<String>> {
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

/// Variables that are the sandbox's own.
const FIXED: [&str; 2] = ["PATH", "HOME"];
fn check_environment(
    document: &ServerDocument,
    input: &Input<'_>,
    findings: &mut Findings,
) -> (Vec<Variable>, Vec<Variable>) {
    let (mut real, mut written) = (Vec::new(), Vec::new());
    for entry in &document.env {
        let Spot { value: name, place } = &entry.name;
        check_variable_name(name, place, findings);
        let (value, as_written) = match &entry.value {
            EnvironmentValue::Text(text) => {
                warn_secret(name, text, findings);
                let Some(value) = expanded(text, input, findings) else { continue };
                (VariableValue::Literal(value.value), VariableValue::Literal(text.value.clone()))
            }
            EnvironmentValue::Credential(credential) => {
                check_credential(credential, findings);
                let value = VariableValue::Credential(credential.value.clone());
                (value.clone(), value)
            }
        };
        real.push(Variable { name: name.clone(), value });
        written.push(Variable { name: name.clone(), value: as_written });
    }
    (real, written)
}

fn check_variable_name(name: &str, place: &Place, findings: &mut Findings) {
    if !is_variable_name(name) {
        findings.error(place, format!("`{name}` cannot name a variable"), "use letters, digits and _");
    } else if FIXED.contains(&name) {
        findings.error(
            place,
            format!("{name} is set by the sandbox"),
            "remove the variable; name programs by their absolute paths",
        );
    }
}

fn warn_secret(name: &str, text: &Spot<String>, findings: &mut Findings) {
    if !text.value.is_empty() && names_a_secret(name) {
        findings.warning(
            &text.place,
            format!("{name} looks like a secret and stands in the configuration or the environment"),
            format!("write `{name}: {{credential: NAME}}` and put the secret into the file credentials/NAME"),
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

fn check_credential(credential: &Spot<String>, findings: &mut Findings) {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name = credential.value.as_str();
    let good = !name.is_empty() && name.len() <= 64 && name.chars().all(fits) && !name.starts_with('.');
    if !good {
        findings.error(
            &credential.place,
            format!("`{name}` cannot name a credential"),
            "use at most 64 letters, digits, -, _ and ., not beginning with a dot",
        );
    }
}

/// Every variable: the sandbox's own, the profile's, the configuration's.
fn whole_environment(policy: &Policy, input: &Input<'_>, own: Vec<Variable>) -> Vec<Variable> {
    let literal = |name: &str, value: &str| Variable {
        name: name.to_owned(),
        value: VariableValue::Literal(value.to_owned()),
    };
    let mut all = vec![
        literal("PATH", &policy.profile.path.join(":")),
        literal("HOME", STATE_DIRECTORY),
        literal("USER", "mcp"),
        literal("LOGNAME", "mcp"),
    ];
    all.extend(time_zone(input).map(|zone| literal("TZ", &zone)));
    all.extend(policy.profile.environment.iter().map(|entry| literal(&entry.name, &entry.value)));
    for variable in own {
        all.retain(|other| other.name != variable.name);
        all.push(variable);
    }
    all
}

/// The host's time zone: its own TZ, or where /etc/localtime leads.
fn time_zone(input: &Input<'_>) -> Option<String> {
    if let Some(zone) = input.environment.get("TZ").filter(|zone| is_zone(zone)) {
        return Some(zone.clone());
    }
    let target = input.files.read_link("/etc/localtime").ok()?;
    let (_, zone) = target.split_once("/zoneinfo/")?;
    is_zone(zone).then(|| zone.to_owned())
}

fn is_zone(zone: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '+');
    !zone.is_empty() && !zone.starts_with('/') && zone.chars().all(fits)
}

fn build_root(
    policy: &Policy,
    resolution: &Resolution,
    input: &Input<'_>,
    place: &Place,
    findings: &mut Findings,
) -> Root {
    let variant = Variant {
        scratch_bytes: policy.scratch_bytes,
        scratch_inodes: policy.scratch_inodes(),
        tmp_executable: policy.profile.tmp_executable,
        state_executable: policy.profile.state_executable,
    };
    let mut root = Root::build(input.files, variant);
    for entry in &policy.profile.etc {
        match entry.name.strip_suffix('*') {
            Some(prefix) => root.add_matching(input.files, prefix, &entry.reason),
            None => root.add_data(input.files, &entry.name, &entry.reason),
        }
    }
    for need in &resolution.needs {
        match follow(input.files, &need.source) {
            Ok(way) => root.mount(&need.source, &need.target, way.status, Use::Execute, &need.reason),
            Err(error) => {
                let (message, help) = error.explain();
                findings.error(place, message, help);
            }
        }
    }
    add_grants(&mut root, policy, input, findings);
    root.sort();
    root
}

fn add_grants(root: &mut Root, policy: &Policy, input: &Input<'_>, findings: &mut Findings) {
    for grant in &policy.grants {
        let usage = match grant.access {
            Access::Read => Use::Read,
            Access::Execute => Use::Execute,
            Access::Write => Use::Write,
        };
        let reason = format!("granted by the policy {}", policy.name);
        root.mount(&grant.path, &grant.path, grant.status, usage, &reason);
        if grant.access == Access::Write && grant.status.kind == FileKind::Directory {
            protect(root, &grant.path, &grant.place, input, findings);
        }
    }
}

fn protect(root: &mut Root, grant: &str, place: &Place, input: &Input<'_>, findings: &mut Findings) {
    let found = protected::find(input.files, grant);
    let mut pin = |path: &str, usage, reason| {
        if let Ok(status) = input.files.status(path) {
            root.pin(path, path, status, usage, reason);
        }
    };
    for path in &found.pinned {
        pin(path, Use::Write, "cannot be renamed, so that the read-only part below it stays in its place");
    }
    for path in &found.read_only {
        pin(path, Use::Read, "stays read-only: shells, editors or git obey it");
    }
    if !found.read_only.is_empty() {
        let list: Vec<&str> = found.read_only.iter().map(String::as_str).collect();
        let message = format!("stays read-only below {grant}: {}", list.join(", "));
        findings.note(place, message, "shells, editors and git obey these; new ones can still be made");
    }
    for link in &found.links {
        let message = format!("{link} is a symbolic link and cannot be kept read-only");
        findings.warning(place, message, "replace the link by the file, or grant another directory");
    }
    if found.incomplete {
        findings.warning(
            place,
            format!(
                "{grant} is too large or too deep to be searched whole for files that must stay read-only"
            ),
            "grant a smaller directory, made for this server",
        );
    }
}

/// Arguments that name paths of the host which the server will not find.
fn warn_invisible(arguments: &[Spot<String>], root: &Root, input: &Input<'_>, findings: &mut Findings) {
    for argument in arguments {
        let text = argument.value.as_str();
        let path = text
            .split_once('=')
            .map_or(text, |(option, value)| if option.starts_with('-') { value } else { text });
        let hidden = path.len() > 1
            && form_error(path).is_none()
            && !root.shows(path)
            && input.files.status(path).is_ok();
        if hidden {
            findings.warning(
                &argument.place,
                format!("{path} exists on this machine, but the server will not see it"),
                format!("add {path} to filesystem.read or filesystem.write of its policy"),
            );
        }
    }
}

fn check_directory(document: &ServerDocument, root: &Root, findings: &mut Findings) -> String {
    let Some(cwd) = &document.cwd else { return STATE_DIRECTORY.to_owned() };
    if let Some((why, help)) = form_error(&cwd.value) {
        findings.error(&cwd.place, format!("the path `{}` {why}", cwd.value), help);
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
