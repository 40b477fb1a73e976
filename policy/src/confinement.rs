//! What a policy comes to, reduced to what can be compared: no order, no reasons, no secrets.
//!
//! `only1mcp-compile confinements` prints it as JSON; [`crate::diff`] compares two.

use crate::check::Checked;
use crate::check::server::Server;
use crate::document::keys::{CONFIG, POLICY};
use crate::document::node::Value;
use crate::document::{self, Source};
use crate::finding::Findings;
use crate::plan::hexadecimal;
use crate::policy::Policy;
use crate::root::Root;
use crate::system_calls::{numbers::NUMBERS, numbers_of};
use crate::view::ToolRules;
use only1mcp_wire::plan::{Requires, Variable, VariableValue};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Where scratch files are.
const TMP: &str = "/tmp";

/// What several documents come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confinements {
    /// Of what.
    pub kind: Kind,
    /// Each of them.
    pub all: Vec<Confinement>,
}

/// Of what a confinement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Of a policy by itself.
    Policy,
    /// Of a server: with its program and its environment.
    Server,
}

/// What one policy or server comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confinement {
    /// The name of the policy or server.
    pub name: String,
    /// Paths of the host; the longest that covers a path decides.
    pub places: Vec<Place>,
    /// Whether files in `/state` may be executed.
    pub state_executable: bool,
    /// Whether files in `/tmp` may be executed.
    pub tmp_executable: bool,
    /// System calls by name.
    pub system_calls: Vec<String>,
    /// Whether memory may be written and executed.
    pub jit: bool,
    /// Limits: name, value.
    pub limits: Vec<(String, u64)>,
    /// The lowest Landlock ABI with which it is started.
    pub landlock_abi: u8,
    /// Whether it is started only with limits by cgroup.
    pub cgroup: bool,
    /// Which tools may be called.
    pub tools: ToolRules,
    /// Its variables.
    pub variables: Vec<Given>,
}

/// A path of the host as it is visible inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The path inside.
    pub path: String,
    /// The path of the host.
    pub source: String,
    /// Whether it may be written.
    pub write: bool,
    /// Whether it may be executed.
    pub execute: bool,
}

/// A variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    /// Its name.
    pub name: String,
    /// The credential it holds.
    pub credential: Option<String>,
    /// SHA-256 of a value that stands in the configuration.
    pub digest: Option<String>,
}

impl Confinements {
    /// Of all checked servers.
    #[must_use]
    pub fn of_servers(checked: &Checked) -> Self {
        Self { kind: Kind::Server, all: checked.servers.iter().map(Confinement::of_server).collect() }
    }

    /// Of one policy by itself.
    #[must_use]
    pub fn of_policy(policy: &Policy, root: &Root) -> Self {
        Self { kind: Kind::Policy, all: vec![Confinement::new(&policy.name, policy, root, &[])] }
    }
}

impl Confinement {
    fn of_server(server: &Server) -> Self {
        Self::new(server.name.as_str(), &server.policy, &server.root, &server.environment)
    }

    fn new(name: &str, policy: &Policy, root: &Root, environment: &[Variable]) -> Self {
        let places = root.mounts.iter().map(|mount| Place {
            path: mount.bind.target.clone(),
            source: mount.bind.source.clone(),
            write: mount.bind.writable,
            execute: mount.bind.executable,
        });
        let Requires { cgroup, landlock_abi } = policy.requires;
        Self {
            name: name.to_owned(),
            places: places.collect(),
            state_executable: policy.profile.state_executable,
            tmp_executable: root.scratch.iter().any(|scratch| scratch.path == TMP && scratch.executable),
            system_calls: call_names(&policy.profile.groups),
            jit: policy.jit,
            limits: limits(policy),
            landlock_abi,
            cgroup,
            tools: policy.tools.clone(),
            variables: environment.iter().map(given).collect(),
        }
    }
}

fn call_names(groups: &[String]) -> Vec<String> {
    let numbers = numbers_of(groups);
    let named = |(_, number): &&(&str, i64)| {
        u32::try_from(*number).is_ok_and(|number| numbers.binary_search(&number).is_ok())
    };
    NUMBERS.iter().filter(named).map(|(name, _)| (*name).to_owned()).collect()
}

/// By the names a policy gives them.
fn limits(policy: &Policy) -> Vec<(String, u64)> {
    let limits = &policy.limits;
    let all = [
        ("memory", limits.memory_bytes),
        ("processes", limits.processes.into()),
        ("cpu", limits.cpu_percent.into()),
        ("open_files", limits.open_files.into()),
        ("scratch", policy.scratch_bytes),
        ("file_size", limits.file_bytes),
    ];
    all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn given(variable: &Variable) -> Given {
    let name = variable.name.clone();
    match &variable.value {
        VariableValue::Credential(credential) => {
            Given { name, credential: Some(credential.clone()), digest: None }
        }
        VariableValue::Literal(value) => {
            Given { name, credential: None, digest: Some(hexadecimal(&Sha256::digest(value))) }
        }
    }
}

/// Whether a document is a policy and not a configuration, by its keys.
#[must_use]
pub fn is_policy(source: &Source) -> bool {
    let Some(node) = document::read(source, &mut Findings::default()) else { return false };
    let Value::Map(entries) = node.value else { return false };
    let any = |keys: &[document::keys::Key]| {
        entries.iter().any(|entry| keys.iter().any(|key| key.name == entry.key))
    };
    any(POLICY) && !any(CONFIG)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(text: &str) -> bool {
        is_policy(&Source { path: "x.yaml".to_owned(), text: text.to_owned() })
    }

    #[test]
    fn a_document_is_known_by_its_keys() {
        assert!(is("extends: node\n") && is("filesystem: {}\nfoo: 1\n"));
        assert!(!is("servers: []\n") && !is("proxy: {}\n") && !is("") && !is("- a\n") && !is("{"));
    }
}
