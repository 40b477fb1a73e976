//! `config.yaml` as an operator wrote it: nothing filled in, every value with its place.

use super::context::{self, ContextDocument, ViewsDocument};
use super::keys::{self, HEALTH, PROXY, RATE_LIMIT, ROUTING, SERVER};
use super::node::{Node, Value};
use super::policy::PolicyDocument;
use super::pool::{self, HealthDocument, PoolDocument};
use super::reader::{self, Fields, Unit};
use crate::finding::{Findings, Place, Spot};
use crate::limits::{NAME_CHARACTERS_RANGE, RATE_CALLS, TIMEOUT_MS_MAX, VIRTUAL_NODES};
use crate::view::{Algorithm, Scope};

/// The whole file.
#[derive(Debug, Default)]
pub struct ConfigDocument {
    /// `servers`, in the order written.
    pub servers: Vec<ServerDocument>,
    /// `proxy`.
    pub proxy: ProxyDocument,
}

/// One entry of `servers`.
#[derive(Debug)]
pub struct ServerDocument {
    /// Where the entry says its name, else where it begins.
    pub place: Place,
    /// `id`.
    pub id: Option<Spot<String>>,
    /// `command`.
    pub command: Option<Spot<String>>,
    /// `args`.
    pub args: Vec<Spot<String>>,
    /// `env`, in the order written.
    pub env: Vec<EnvironmentEntry>,
    /// `cwd`.
    pub cwd: Option<Spot<String>>,
    /// `policy`.
    pub policy: Option<PolicyChoice>,
    /// `startup_timeout`, milliseconds.
    pub startup_timeout_ms: Option<u64>,
    /// `request_timeout`, milliseconds.
    pub request_timeout_ms: Option<u64>,
    /// `scope`.
    pub scope: Scope,
    /// `idle_timeout`, milliseconds.
    pub idle_timeout_ms: Option<u64>,
    /// How it is kept working.
    pub pool: PoolDocument,
    /// How its tools and results are shown.
    pub context: ContextDocument,
}

/// A variable of a server's environment.
#[derive(Debug)]
pub struct EnvironmentEntry {
    /// Its name.
    pub name: Spot<String>,
    /// Its value.
    pub value: EnvironmentValue,
}

/// A variable's value.
#[derive(Debug)]
pub enum EnvironmentValue {
    /// Text, perhaps with `${NAME}` in it.
    Text(Spot<String>),
    /// `{credential: NAME}`.
    Credential(Spot<String>),
}

/// What stands below `policy`.
#[derive(Debug)]
pub enum PolicyChoice {
    /// The name of a policy file or of a built-in profile.
    Named(Spot<String>),
    /// A policy written out here.
    Inline(Box<PolicyDocument>),
}

/// `proxy`.
#[derive(Debug, Default)]
pub struct ProxyDocument {
    /// `listen`.
    pub listen: Option<Spot<String>>,
    /// `names.max_length`.
    pub name_characters_max: Option<Spot<u64>>,
    /// `routing.algorithm`.
    pub algorithm: Algorithm,
    /// `routing.virtual_nodes`.
    pub virtual_nodes: Option<u64>,
    /// `health`.
    pub health: HealthDocument,
    /// `rate_limit`.
    pub rate_limit: Option<RateLimitDocument>,
    /// `view`, `auto_threshold` and `views`.
    pub views: ViewsDocument,
}

/// `proxy.rate_limit`.
#[derive(Debug)]
pub struct RateLimitDocument {
    /// Where it stands.
    pub place: Place,
    /// `requests_per_minute`.
    pub requests_per_minute: Option<u64>,
    /// `burst`.
    pub burst: Option<u64>,
}

/// Reads a configuration.
#[must_use]
pub fn read(node: &Node, findings: &mut Findings) -> Option<ConfigDocument> {
    if node.value == Value::Null {
        return Some(ConfigDocument::default());
    }
    let fields = Fields::open(node, keys::CONFIG, findings)?;
    let servers = fields.mappings("servers", SERVER, findings);
    let servers = servers.iter().map(|server| read_server(server, findings)).collect();
    let proxy = fields.fields("proxy", PROXY, findings);
    let proxy = proxy.map(|proxy| read_proxy(&proxy, findings)).unwrap_or_default();
    Some(ConfigDocument { servers, proxy })
}

fn read_server(fields: &Fields<'_>, findings: &mut Findings) -> ServerDocument {
    let timeouts = 1..=TIMEOUT_MS_MAX;
    let mut timeout =
        |name| fields.quantity(name, &timeouts, Unit::Duration, findings).map(|timeout| timeout.value);
    let (startup_timeout_ms, request_timeout_ms) = (timeout("startup_timeout"), timeout("request_timeout"));
    let idle_timeout_ms = timeout("idle_timeout");
    // Another word is refused with the keys.
    let scope = fields.text("scope", findings).and_then(|scope| Scope::of(&scope.value)).unwrap_or_default();
    let id = fields.text("id", findings);
    ServerDocument {
        // What is missing from an entry is told where the entry says its name.
        place: id.as_ref().map_or(&fields.place, |id| &id.place).clone(),
        id,
        command: fields.text("command", findings),
        args: fields.texts("args", findings).unwrap_or_default(),
        env: fields.get("env").map(|node| read_environment(node, findings)).unwrap_or_default(),
        cwd: fields.text("cwd", findings),
        policy: fields.get("policy").and_then(|node| read_policy(node, findings)),
        startup_timeout_ms,
        request_timeout_ms,
        scope,
        idle_timeout_ms,
        pool: pool::read(fields, findings),
        context: context::read(fields, findings),
    }
}

fn read_policy(node: &Node, findings: &mut Findings) -> Option<PolicyChoice> {
    match &node.value {
        Value::Map(_) => {
            super::policy::read(node, findings).map(|policy| PolicyChoice::Inline(Box::new(policy)))
        }
        _ => reader::text(node, findings).map(PolicyChoice::Named),
    }
}

fn read_environment(node: &Node, findings: &mut Findings) -> Vec<EnvironmentEntry> {
    let Value::Map(entries) = &node.value else {
        let message = format!("expected a mapping of variables, found {}", node.kind());
        findings.error(&node.place, message, "write it as {NAME: value, TOKEN: {credential: token}}");
        return Vec::new();
    };
    let mut read = Vec::new();
    for entry in entries {
        let name = Spot::new(entry.key.clone(), &entry.place);
        let value = match &entry.node.value {
            Value::Map(_) => {
                let Some(fields) = Fields::open(&entry.node, CREDENTIAL, findings) else { continue };
                let credential = fields.text("credential", findings);
                credential.map(EnvironmentValue::Credential)
            }
            _ => reader::text(&entry.node, findings).map(EnvironmentValue::Text),
        };
        read.extend(value.map(|value| EnvironmentEntry { name, value }));
    }
    read
}

/// `{credential: NAME}`.
const CREDENTIAL: &[keys::Key] = &[keys::Key {
    name: "credential",
    shape: keys::Shape::Text,
    about: "A file of the credentials directory, read when the server starts.",
}];

fn read_proxy(fields: &Fields<'_>, findings: &mut Findings) -> ProxyDocument {
    let names = fields.fields("names", keys::NAMES, findings);
    let rate_limit = fields.fields("rate_limit", RATE_LIMIT, findings).map(|limit| {
        let mut calls = |name| limit.count(name, &RATE_CALLS, findings).map(|calls| calls.value);
        let (requests_per_minute, burst) = (calls("requests_per_minute"), calls("burst"));
        RateLimitDocument { place: limit.place.clone(), requests_per_minute, burst }
    });
    let routing = fields.fields("routing", ROUTING, findings);
    // Another word is refused with the keys.
    let algorithm = routing.as_ref().and_then(|routing| routing.text("algorithm", findings));
    let virtual_nodes =
        routing.as_ref().and_then(|routing| routing.count("virtual_nodes", &VIRTUAL_NODES, findings));
    let health = fields.fields("health", HEALTH, findings);
    ProxyDocument {
        listen: fields.text("listen", findings),
        name_characters_max: names
            .and_then(|names| names.count("max_length", &NAME_CHARACTERS_RANGE, findings)),
        algorithm: algorithm.and_then(|word| Algorithm::of(&word.value)).unwrap_or_default(),
        virtual_nodes: virtual_nodes.map(|nodes| nodes.value),
        health: health
            .map(|health| pool::read_health(&health, "check_interval", findings))
            .unwrap_or_default(),
        rate_limit,
        views: context::read_views(fields, findings),
    }
}
