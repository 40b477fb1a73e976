//! Prints results: bytes for the launcher, text for people, JSON for programs.

use crate::arguments::{Action, Arguments};
use crate::{EXIT_DATA, EXIT_OK, EXIT_USAGE};
use only1mcp_policy::check::{self, Checked, Input};
use only1mcp_policy::confinement::Confinements;
use only1mcp_policy::finding::{Findings, Severity};
use only1mcp_policy::path::name;
use only1mcp_policy::{explain, plan, schema, show};
use std::io::{self, Write as _};

fn print(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// Findings: the result of `check`, on standard output; beside any other result, on standard error.
pub fn findings(findings: &Findings, arguments: &Arguments) -> io::Result<()> {
    if arguments.action != Action::Check {
        return io::stderr().write_all(findings.to_text().as_bytes());
    }
    if arguments.json {
        let mut json = serde_json::to_vec_pretty(&findings.sorted())?;
        json.push(b'\n');
        return print(&json);
    }
    let count = |severity| findings.sorted().iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let name = arguments.checked_name();
    let counts = format!("{}, {}", counted(errors, "error"), counted(warnings, "warning"));
    let text = format!("{}{name}: {counts}\n", findings.to_text());
    print(text.as_bytes())
}

/// A number and its noun, in the right form.
fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

impl Arguments {
    fn checked_name(&self) -> &str {
        self.policy_file.as_deref().unwrap_or_else(|| self.config_name())
    }
}

/// The plan set; warnings go to standard error.
pub fn plan(checked: &Checked, read: Vec<String>, findings: &Findings) -> io::Result<u8> {
    io::stderr().write_all(findings.to_text().as_bytes())?;
    match plan::plan_set(checked, read, findings) {
        Ok(bytes) => print(&bytes).map(|()| EXIT_OK),
        Err(error) => {
            let text = format!("error: {error}\nhelp: spread the servers over several machines\n");
            io::stderr().write_all(text.as_bytes())?;
            Ok(EXIT_DATA)
        }
    }
}

/// What the proxy may know, as JSON.
pub fn view(checked: &Checked) -> io::Result<()> {
    let plans = plan::plans(checked);
    let mut json = serde_json::to_vec_pretty(&plan::view(checked, &plans))?;
    json.push(b'\n');
    print(&json)
}

/// The effective configuration, redacted.
pub fn show(checked: &Checked) -> io::Result<()> {
    print(show::show(checked).as_bytes())
}

/// JSON Schema of the configuration.
pub fn schema() -> io::Result<()> {
    print(schema::schema().as_bytes())
}

/// What can be compared: of all servers, or of the one that is named.
pub fn confinements(checked: &Checked, arguments: &Arguments) -> io::Result<u8> {
    let mut found = Confinements::of_servers(checked);
    if let Some(wanted) = &arguments.server {
        found.all.retain(|one| one.name == *wanted);
        if found.all.is_empty() {
            return unknown(checked, wanted);
        }
    }
    print(&serde_json::to_vec(&found)?)?;
    Ok(EXIT_OK)
}

/// What can be compared of a policy by itself; it is called as its file.
pub fn confinement_of_policy(input: &Input<'_>, all: &mut Findings, arguments: &Arguments) -> io::Result<u8> {
    let path = &input.config.path;
    let file = name(path);
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let found = check::whole_policy(stem, &input.config, input, all);
    findings(all, arguments)?;
    match found {
        Some((policy, root)) if !all.has_errors() => {
            print(&serde_json::to_vec(&Confinements::of_policy(&policy, &root))?)?;
            Ok(EXIT_OK)
        }
        _ => Ok(EXIT_DATA),
    }
}

fn unknown(checked: &Checked, wanted: &str) -> io::Result<u8> {
    let names: Vec<&str> = checked.servers.iter().map(|server| server.name.as_str()).collect();
    let text = format!("error: there is no server `{wanted}`\nhelp: the servers are: {}\n", names.join(", "));
    io::stderr().write_all(text.as_bytes())?;
    Ok(EXIT_USAGE)
}

/// One server in plain words.
pub fn explain(checked: &Checked, arguments: &Arguments) -> io::Result<u8> {
    let wanted = arguments.server.as_deref().unwrap_or_default();
    let Some(server) = checked.servers.iter().find(|server| server.name.as_str() == wanted) else {
        return unknown(checked, wanted);
    };
    let plan = plan::plan(server);
    let explanation = explain::explain(server, &plan);
    if arguments.json {
        let mut json = serde_json::to_vec_pretty(&explanation)?;
        json.push(b'\n');
        print(&json)?;
    } else {
        print(explanation.to_text().as_bytes())?;
    }
    Ok(EXIT_OK)
}
