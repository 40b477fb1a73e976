//! Documents become checked servers, gathering every finding on the way.

pub mod context;
mod environment;
mod grants;
pub mod pool;
pub mod proxy;
pub mod server;
mod visible;

use crate::document::config::{self, ConfigDocument, PolicyChoice, ServerDocument};
use crate::document::policy::{self as policy_document, PolicyDocument};
use crate::document::{self, Source};
use crate::files::Files;
use crate::finding::{Findings, Place, Spot};
use crate::floor::Own;
use crate::policy::Policy;
use crate::profile::{self, PROFILES};
use crate::resolve::Resolution;
use crate::root::Root;
use only1mcp_wire::limits::SERVERS_MAX;
use only1mcp_wire::{Mode, ServerName};
use proxy::Proxy;
use server::Server;
use std::collections::{BTreeMap, BTreeSet};

/// What was read, and what is known of the machine.
pub struct Input<'a> {
    /// The configuration.
    pub config: Source,
    /// Policy files by name.
    pub policies: BTreeMap<String, Source>,
    /// The host's files.
    pub files: &'a dyn Files,
    /// Directories of only1mcp.
    pub own: Own,
    /// How only1mcp runs.
    pub mode: Mode,
    /// only1mcp's own environment, for `${NAME}`.
    pub environment: BTreeMap<String, String>,
}

/// What came of it. Servers with errors are not in it.
#[derive(Debug)]
pub struct Checked {
    /// The proxy's settings.
    pub proxy: Proxy,
    /// The servers, in the order of the configuration.
    pub servers: Vec<Server>,
}

/// The configuration that is in force when there is no file: two servers that ship with the program.
pub const BUILT_IN: &str = include_str!("../builtin.yaml");
/// The name of that configuration in findings.
pub const BUILT_IN_NAME: &str = "<built-in configuration>";

/// Checks everything. The result is only of use if `findings` has no errors afterwards.
#[must_use]
pub fn check(input: &Input<'_>, findings: &mut Findings) -> Checked {
    let policies = read_policies(&input.policies, findings);
    let config = document::read(&input.config, findings)
        .and_then(|node| config::read(&node, findings))
        .unwrap_or_default();
    let proxy = proxy::check(&config.proxy, input.mode, findings);
    let servers = check_servers(&config, &policies, input, findings);
    note_unused(&config, &policies, findings);
    Checked { proxy, servers }
}

/// Checks a single policy file by itself, as `policy check FILE` does.
pub fn check_policy(source: &Source, input: &Input<'_>, findings: &mut Findings) {
    let Some(document) = read_policy(source, findings) else { return };
    grants::check(&document, input, findings);
}

/// A single policy by itself, and what a server under it would see beside its program.
pub fn whole_policy(
    name: &str,
    source: &Source,
    input: &Input<'_>,
    findings: &mut Findings,
) -> Option<(Policy, Root)> {
    let document = read_policy(source, findings)?;
    let policy = finish_policy(name, &document, input, findings)?;
    let root = visible::root(&policy, &Resolution::default(), input, &Place::whole(&source.path), findings);
    Some((policy, root))
}

fn read_policy(source: &Source, findings: &mut Findings) -> Option<PolicyDocument> {
    let node = document::read(source, findings)?;
    policy_document::read(&node, findings)
}

/// Policies by name; `None` for one that could not be read.
type Policies = BTreeMap<String, Option<PolicyDocument>>;

fn read_policies(sources: &BTreeMap<String, Source>, findings: &mut Findings) -> Policies {
    let mut policies = Policies::new();
    for (name, source) in sources {
        if PROFILES.iter().any(|(profile, _)| profile == name) {
            let message = format!("`{name}` is the name of a built-in profile, and of this file");
            findings.error(&Place::whole(&source.path), message, "give the file another name");
        }
        policies.insert(name.clone(), read_policy(source, findings));
    }
    policies
}

fn check_servers(
    config: &ConfigDocument,
    policies: &Policies,
    input: &Input<'_>,
    findings: &mut Findings,
) -> Vec<Server> {
    if let Some(over) = config.servers.get(SERVERS_MAX) {
        let message = format!("there are more than {SERVERS_MAX} servers");
        findings.error(&over.place, message, "spread them over several machines");
        return Vec::new();
    }
    let mut names = BTreeSet::new();
    let mut servers = Vec::new();
    for document in &config.servers {
        let name = check_name(document, &mut names, findings);
        let policy = choose_policy(document, policies, input, findings);
        servers.extend(server::check(document, name, policy, input, findings));
    }
    visible::keep_apart(&servers, findings);
    servers
}

fn check_name(
    document: &ServerDocument,
    names: &mut BTreeSet<ServerName>,
    findings: &mut Findings,
) -> Option<ServerName> {
    let Some(id) = &document.id else {
        findings.error(&document.place, "the server has no `id`", "add one: id: files");
        return None;
    };
    let name = match ServerName::new(&id.value) {
        Ok(name) => name,
        Err(error) => {
            findings.error(&id.place, error.to_string(), "write an id such as files or github-2");
            return None;
        }
    };
    if !names.insert(name.clone()) {
        findings.error(&id.place, format!("there are two servers `{name}`"), "give one of them another id");
        return None;
    }
    Some(name)
}

fn choose_policy(
    document: &ServerDocument,
    policies: &Policies,
    input: &Input<'_>,
    findings: &mut Findings,
) -> Option<Policy> {
    let Some(choice) = &document.policy else {
        let help = "name a built-in profile (policy: node), a file (policy: NAME for policies/NAME.yaml) or a mapping";
        findings.error(&document.place, "the server has no `policy`", help);
        return None;
    };
    match choice {
        PolicyChoice::Inline(policy) => {
            let name = document.id.as_ref().map_or("inline", |id| id.value.as_str());
            finish_policy(&format!("{name} (inline)"), policy, input, findings)
        }
        PolicyChoice::Named(name) => named_policy(name, policies, input, findings),
    }
}

fn named_policy(
    name: &Spot<String>,
    policies: &Policies,
    input: &Input<'_>,
    findings: &mut Findings,
) -> Option<Policy> {
    if let Some(profile) = profile::load(&name.value) {
        return Some(Policy::merge(&name.value, profile, None, Vec::new()));
    }
    match policies.get(&name.value) {
        Some(Some(policy)) => finish_policy(&name.value, policy, input, findings),
        // Its own findings have been reported.
        Some(None) => None,
        None => {
            let mut known: Vec<&str> = PROFILES.iter().map(|(profile, _)| *profile).collect();
            known.extend(policies.keys().map(String::as_str));
            let help = match document::reader::nearest(&name.value, &known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("write policies/NAME.yaml, or name one of: {}", known.join(", ")),
            };
            findings.error(&name.place, format!("there is no policy `{}`", name.value), help);
            None
        }
    }
}

fn finish_policy(
    name: &str,
    document: &PolicyDocument,
    input: &Input<'_>,
    findings: &mut Findings,
) -> Option<Policy> {
    let grants = grants::check(document, input, findings);
    let profile = profile::load(&document.extends.as_ref()?.value)?;
    Some(Policy::merge(name, profile, Some(document), grants))
}

fn note_unused(config: &ConfigDocument, policies: &Policies, findings: &mut Findings) {
    let used = |name: &str| {
        config
            .servers
            .iter()
            .any(|server| matches!(&server.policy, Some(PolicyChoice::Named(policy)) if policy.value == name))
    };
    for (name, policy) in policies {
        if let Some(policy) = policy.as_ref().filter(|_| !used(name)) {
            findings.note(
                &Place::whole(&policy.place.file),
                "no server uses this policy",
                "remove it, or name it",
            );
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
