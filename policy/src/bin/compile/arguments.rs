//! What was typed.

use crate::host::Host;
use crate::open::unmapped_root;
use only1mcp_policy::check::BUILT_IN_NAME;
use only1mcp_policy::floor::Own;
use only1mcp_policy::path::{normalise, parent};
use only1mcp_policy::stand_in::StandIn;
use only1mcp_wire::Mode;
use std::ffi::OsString;

/// How the program is called.
pub const USAGE: &str = "usage: only1mcp-compile plan|check|explain|show|view|schema|confinements [--config PATH|builtin] \
[--program-dir DIR] [--state-dir DIR] [--runtime-dir DIR] [--mode user|root|system] [--server NAME] \
[--policy-file FILE] [--document FILE] [--json] [--strict-owner UID] [--probe SERVER --canary DIR]";

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The binary plan set.
    Plan,
    /// All findings.
    Check,
    /// One server in plain words.
    Explain,
    /// The effective configuration.
    Show,
    /// What the proxy may know.
    View,
    /// JSON Schema.
    Schema,
    /// What can be compared, as JSON.
    Confinements,
}

/// The command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// What is asked for.
    pub action: Action,
    /// Absolute path of the configuration; `None` for the built-in one.
    pub config: Option<String>,
    /// Where the programs are.
    pub program_directory: String,
    /// Where state is kept.
    pub state_directory: String,
    /// Where the sockets are.
    pub runtime_directory: Option<String>,
    /// How only1mcp runs.
    pub mode: Mode,
    /// The server to explain.
    pub server: Option<String>,
    /// A policy file to check by itself.
    pub policy_file: Option<String>,
    /// A file that is a policy or a configuration: its keys tell.
    pub document: Option<String>,
    /// Whether findings and explanations are printed as JSON.
    pub json: bool,
    /// The one uid that files may belong to.
    pub strict_owner: Option<u32>,
    /// The server whose place the probe takes.
    pub probe: Option<String>,
    /// The directory of canaries that the probe sees.
    pub canary: Option<String>,
}

impl Arguments {
    /// Reads the command line.
    pub fn read(words: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let mut words =
            words.map(|word| word.into_string().map_err(|_| "an argument is not UTF-8".to_owned()));
        let action = action(&words.next().ok_or("what shall be done?")??)?;
        let mut read = Self::defaults(action);
        while let Some(word) = words.next() {
            let word = word?;
            if word == "--json" {
                read.json = true;
                continue;
            }
            let value = words.next().ok_or_else(|| format!("{word} needs a value"))??;
            read.option(&word, value)?;
        }
        if let Some(document) = &read.document {
            read.config = Some(document.clone());
        }
        if read.probe.is_some() != read.canary.is_some() {
            return Err("--probe and --canary belong together".to_owned());
        }
        if action == Action::Explain && read.server.is_none() {
            return Err("explain needs --server NAME".to_owned());
        }
        Ok(read)
    }

    fn defaults(action: Action) -> Self {
        // Inside the launcher's user namespace root is not mapped, and we are not root.
        let root = nix::unistd::geteuid().is_root() || unmapped_root().is_some();
        Self {
            action,
            config: None,
            program_directory: own_directory(),
            state_directory: state_directory(root),
            runtime_directory: None,
            mode: if root { Mode::Root } else { Mode::User },
            server: None,
            policy_file: None,
            document: None,
            json: false,
            strict_owner: None,
            probe: None,
            canary: None,
        }
    }

    fn option(&mut self, word: &str, value: String) -> Result<(), String> {
        match word {
            "--config" => self.config = if value == "builtin" { None } else { Some(absolute(&value)?) },
            "--program-dir" => self.program_directory = absolute(&value)?,
            "--state-dir" => self.state_directory = absolute(&value)?,
            "--runtime-dir" => self.runtime_directory = Some(absolute(&value)?),
            "--mode" => self.mode = mode(&value)?,
            "--server" => self.server = Some(value),
            "--probe" => self.probe = Some(value),
            "--canary" => self.canary = Some(absolute(&value)?),
            "--policy-file" => self.policy_file = Some(absolute(&value)?),
            "--document" => self.document = Some(absolute(&value)?),
            "--strict-owner" => {
                let uid = value.parse().map_err(|_| format!("`{value}` is not a uid"))?;
                self.strict_owner = Some(uid);
            }
            _ => return Err(format!("there is no option {word}")),
        }
        Ok(())
    }

    /// Directories that no server may be given.
    pub fn own(&self, host: &Host) -> Own {
        Own {
            config: self.config.as_deref().map(|config| host.real(config)),
            state_directory: host.real(&self.state_directory),
            other_directories: self.other_directories().map(|other| host.real(&other)).collect(),
            program_directory: host.real(&self.program_directory),
            homes: host.homes(),
        }
    }

    /// Where the sockets are, and where another instance of this user keeps sockets and state by default.
    fn other_directories(&self) -> impl Iterator<Item = String> {
        let runtime = variable("XDG_RUNTIME_DIR").map(|base| format!("{base}/only1mcp"));
        let state = state_directory(self.mode == Mode::Root);
        self.runtime_directory.clone().into_iter().chain(runtime).chain([state])
    }

    /// Where the probe stands in, if it does.
    pub fn stand_in(&self) -> Option<StandIn> {
        Some(StandIn { server: self.probe.clone()?, canary: self.canary.clone()? })
    }

    /// The configuration's name in findings.
    pub fn config_name(&self) -> &str {
        self.config.as_deref().unwrap_or(BUILT_IN_NAME)
    }
}

fn action(word: &str) -> Result<Action, String> {
    Ok(match word {
        "plan" => Action::Plan,
        "check" => Action::Check,
        "explain" => Action::Explain,
        "show" => Action::Show,
        "view" => Action::View,
        "schema" => Action::Schema,
        "confinements" => Action::Confinements,
        _ => return Err(format!("there is no command `{word}`")),
    })
}

fn mode(word: &str) -> Result<Mode, String> {
    let found = Mode::ALL.iter().find(|mode| mode.phrase() == word);
    found.copied().ok_or_else(|| format!("there is no mode `{word}`"))
}

fn absolute(path: &str) -> Result<String, String> {
    let absolute = std::path::absolute(path).map_err(|error| format!("{path}: {error}"))?;
    let text = absolute.into_os_string().into_string().map_err(|_| format!("{path} is not UTF-8"))?;
    if text.split('/').any(|part| part == "..") {
        return Err(format!("{path} has `..` in it"));
    }
    Ok(normalise(&text))
}

fn own_directory() -> String {
    let program = std::env::current_exe().ok().and_then(|path| path.into_os_string().into_string().ok());
    program.map_or_else(|| "/usr/bin".to_owned(), |program| parent(&program).to_owned())
}

/// A variable that names a directory: one that is not absolute means nothing.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| value.starts_with('/'))
}

fn state_directory(root: bool) -> String {
    if root {
        return "/var/lib/only1mcp".to_owned();
    }
    variable("XDG_STATE_HOME")
        .or_else(|| variable("HOME").map(|home| format!("{home}/.local/state")))
        .map_or_else(|| "/var/lib/only1mcp".to_owned(), |base| format!("{base}/only1mcp"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Arguments, String> {
        Arguments::read(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn options_are_read_in_any_order() {
        let read = read("plan --state-dir /s --config /c/config.yaml --mode system --json").unwrap();
        assert_eq!(read.config.as_deref(), Some("/c/config.yaml"));
        assert_eq!((read.state_directory.as_str(), read.mode, read.json), ("/s", Mode::System, true));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for bad in [
            "",
            "do",
            "plan --config",
            "plan --colour x",
            "explain",
            "check --strict-owner x",
            "check --mode x",
            "plan --probe a",
            "plan --canary /c",
            "plan x",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
