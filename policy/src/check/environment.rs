//! A server's environment: the sandbox's own variables, the profile's, the configuration's.

use super::Input;
use super::server::expanded;
use crate::document::config::{EnvironmentValue, ServerDocument};
use crate::files::FileError;
use crate::finding::{Findings, Place, Spot};
use crate::interpolate::is_variable_name;
use crate::path::join;
use crate::policy::Policy;
use crate::redact::names_a_secret;
use only1mcp_wire::Mode;
use only1mcp_wire::plan::{STATE_DIRECTORY, Variable, VariableValue};

/// Variables that are the sandbox's own.
const FIXED: [&str; 2] = ["PATH", "HOME"];
/// The variables of the configuration: as handed to the server, and as written.
pub fn check(
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
                check_credential(credential, input, findings);
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

fn check_credential(credential: &Spot<String>, input: &Input<'_>, findings: &mut Findings) {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name = credential.value.as_str();
    let good = !name.is_empty() && name.len() <= 64 && name.chars().all(fits) && !name.starts_with('.');
    if !good {
        findings.error(
            &credential.place,
            format!("`{name}` cannot name a credential"),
            "use at most 64 letters, digits, -, _ and ., not beginning with a dot",
        );
        return;
    }
    // Whether it can be read is the launcher's business; that it is not there at all can be told now.
    let file = join(&join(&input.own.state_directory, "credentials"), name);
    let is_missing = |file: &str| input.files.status(file) == Err(FileError::Missing);
    // systemd's come in a directory of their own, which only the launcher's unit has.
    let systemds = input.environment.get("CREDENTIALS_DIRECTORY").filter(|_| input.mode == Mode::System);
    if is_missing(&file) && systemds.is_none_or(|directory| is_missing(&join(directory, name))) {
        let help = format!("put the secret into {file}, mode 0600; the server will not start without it");
        findings.warning(&credential.place, format!("there is no credential `{name}` yet"), help);
    }
}

/// Every variable: the sandbox's own, the profile's, the configuration's.
pub fn whole(policy: &Policy, input: &Input<'_>, own: Vec<Variable>) -> Vec<Variable> {
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
