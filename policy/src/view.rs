//! The view: all that the proxy may know of a configuration, as JSON in a sealed memfd.
//!
//! It holds names, routing, tool rules and how tools are shown; no command, argument, path, environment, limit or
//! credential.

mod context;

use crate::limits;
pub use context::{Expose, PrincipalName, PrincipalView, ResultsView, Tables, ToolView};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Where the proxy listens unless told otherwise.
pub const LISTEN_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// What the proxy may know of the configuration in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// The proxy's own settings.
    pub proxy: ProxyView,
    /// The servers, in the order of the configuration (the first owner of a name keeps it).
    pub servers: Vec<ServerView>,
}

/// The proxy's own settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxyView {
    /// Address and port to listen on; the supervisor binds it.
    pub listen: String,
    /// Longest name of an aggregated tool or prompt, in characters.
    pub name_characters_max: usize,
    /// How often one principal may call one server; nothing if as often as it likes.
    pub rate_limit: Option<RateLimitView>,
    /// How tools are shown to whom nothing else is said of.
    pub view: ToolView,
    /// Tokens of tool definitions below which [`ToolView::Auto`] shows them in full.
    pub auto_threshold: u32,
    /// How single principals see the tools; each is named once.
    pub views: Vec<PrincipalView>,
}

/// What the proxy may know of one server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerView {
    /// Its name: a valid `only1mcp_wire::ServerName`.
    pub id: String,
    /// SHA-256 of its plan, in hexadecimal: a changed one means a new process.
    pub digest: String,
    /// Which tools may be listed and called.
    pub tools: ToolRules,
    /// How long it may take to answer its first request, in milliseconds.
    pub startup_timeout_ms: u64,
    /// How long one request may take, in milliseconds; progress extends it.
    pub request_timeout_ms: u64,
    /// Who shares one process.
    pub scope: Scope,
    /// After how long without a request a process ends until the next one, in milliseconds; nothing if never.
    pub idle_timeout_ms: Option<u64>,
    /// Processes that do the same work.
    pub replicas: u32,
    /// Which of them gets a call.
    pub routing: RoutingView,
    /// Tools the operator vouches for as repeatable: names, or prefixes followed by `*`.
    pub retry: Vec<String>,
    /// Whether the server is believed on which of its tools are repeatable.
    pub trust_annotations: bool,
    /// How its health is checked.
    pub health: HealthView,
    /// When a process is replaced by a fresh one.
    pub recycle: RecycleView,
    /// How many calls it takes at once.
    pub concurrency: ConcurrencyView,
    /// Where its tools can be seen; nothing if as the view says.
    pub expose: Option<Expose>,
    /// Tools the operator vouches for as only reading: names, or prefixes followed by `*`.
    pub read_only: Vec<String>,
    /// What becomes of its results.
    pub results: ResultsView,
}

/// How often one principal may call one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimitView {
    /// Calls per minute in the long run.
    pub requests_per_minute: u32,
    /// Calls that may follow each other at once.
    pub burst: u32,
}

/// Which replica gets a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoutingView {
    /// How it is chosen.
    pub algorithm: Algorithm,
    /// Points of one replica on the ring of [`Algorithm::ConsistentHash`].
    pub virtual_nodes: u32,
    /// What calls that belong together have in common.
    pub key: RoutingKey,
}

/// How a replica is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// The one next to the call's key on a ring, or the next that is not too busy.
    #[default]
    ConsistentHash,
    /// The one with the fewest calls in its hands.
    LeastConnections,
    /// Each in turn.
    RoundRobin,
}

/// What calls that belong together have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoutingKey {
    /// The client's session if it has one, else the tool and its arguments.
    #[default]
    Auto,
    /// Who calls.
    Principal,
    /// The client's session; who calls if it has none.
    Session,
    /// The tool and its arguments.
    Arguments,
}

/// How a server's health is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthView {
    /// Time between two checks, in milliseconds.
    pub interval_ms: u64,
    /// How long a check may take, in milliseconds.
    pub timeout_ms: u64,
    /// Checks or calls that fail in a row until a process gets no more calls.
    pub failure_threshold: u32,
}

/// When a process is replaced by a fresh one; nothing means never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecycleView {
    /// After so many calls.
    pub calls: Option<u64>,
    /// After so long, in milliseconds.
    pub age_ms: Option<u64>,
    /// When it uses so much memory, in bytes.
    pub memory_bytes: Option<u64>,
}

/// How many calls a server takes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConcurrencyView {
    /// Calls of all clients in its hands.
    pub calls: u32,
    /// Calls of one principal in its hands.
    pub per_principal: u32,
    /// Calls that may wait for their turn.
    pub queue: u32,
}

/// Who shares one process of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Everybody.
    #[default]
    Shared,
    /// One legacy session, relay connection, or principal of modern requests, which have no sessions.
    Session,
    /// One principal.
    Principal,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::ConsistentHash, Self::LeastConnections, Self::RoundRobin];

    /// The algorithm of this word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.word() == word)
    }

    /// As a configuration names it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::ConsistentHash => "consistent_hash",
            Self::LeastConnections => "least_connections",
            Self::RoundRobin => "round_robin",
        }
    }
}

impl RoutingKey {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Auto, Self::Principal, Self::Session, Self::Arguments];

    /// The key of this word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.word() == word)
    }

    /// As a configuration names it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Principal => "principal",
            Self::Session => "session",
            Self::Arguments => "arguments",
        }
    }
}

impl ServerView {
    /// Whether the operator vouches for this tool as repeatable.
    #[must_use]
    pub fn may_repeat(&self, tool: &str) -> bool {
        self.retry.iter().any(|pattern| matches(pattern, tool))
    }

    /// Whether the operator vouches that this tool only reads.
    #[must_use]
    pub fn only_reads(&self, tool: &str) -> bool {
        self.read_only.iter().any(|pattern| matches(pattern, tool))
    }
}

impl Default for ProxyView {
    /// A proxy whose configuration says nothing.
    fn default() -> Self {
        Self {
            listen: LISTEN_DEFAULT.to_string(),
            name_characters_max: limits::NAME_CHARACTERS_DEFAULT,
            rate_limit: None,
            view: ToolView::default(),
            auto_threshold: limits::AUTO_THRESHOLD_TOKENS_DEFAULT,
            views: Vec::new(),
        }
    }
}

impl Default for ServerView {
    /// A server whose configuration says nothing.
    fn default() -> Self {
        Self {
            id: String::new(),
            digest: String::new(),
            tools: ToolRules { allow: vec!["*".to_owned()], deny: Vec::new() },
            startup_timeout_ms: limits::STARTUP_TIMEOUT_MS_DEFAULT,
            request_timeout_ms: limits::REQUEST_TIMEOUT_MS_DEFAULT,
            scope: Scope::default(),
            idle_timeout_ms: None,
            replicas: 1,
            routing: RoutingView::default(),
            retry: Vec::new(),
            trust_annotations: false,
            health: HealthView::default(),
            recycle: RecycleView::default(),
            concurrency: ConcurrencyView::default(),
            expose: None,
            read_only: Vec::new(),
            results: ResultsView::default(),
        }
    }
}

impl Default for RoutingView {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::default(),
            virtual_nodes: limits::VIRTUAL_NODES_DEFAULT,
            key: RoutingKey::default(),
        }
    }
}

impl Default for HealthView {
    fn default() -> Self {
        Self {
            interval_ms: limits::HEALTH_INTERVAL_MS_DEFAULT,
            timeout_ms: limits::HEALTH_TIMEOUT_MS_DEFAULT,
            failure_threshold: limits::HEALTH_FAILURE_THRESHOLD_DEFAULT,
        }
    }
}

impl Default for ConcurrencyView {
    fn default() -> Self {
        Self {
            calls: limits::CONCURRENT_CALLS_DEFAULT,
            per_principal: limits::CONCURRENT_CALLS_DEFAULT,
            queue: limits::QUEUED_CALLS_DEFAULT,
        }
    }
}

impl Scope {
    /// The scope of this word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        [Self::Shared, Self::Session, Self::Principal].into_iter().find(|scope| scope.word() == word)
    }

    /// As a configuration names it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Session => "session",
            Self::Principal => "principal",
        }
    }
}

/// Which tools may be listed and called: what `allow` matches and `deny` does not.
///
/// A pattern is a tool's name, or a prefix followed by `*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolRules {
    /// Patterns of which one must match. Empty means none may be called.
    pub allow: Vec<String>,
    /// Patterns of which none may match.
    pub deny: Vec<String>,
}

/// Whether a call may go to its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict<'a> {
    /// It may.
    Allowed,
    /// It may not.
    Refused(Refusal<'a>),
}

/// Why a tool may not be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal<'a> {
    /// No `allow` pattern matches.
    NotAllowed,
    /// This `deny` pattern matches.
    Denied(&'a str),
}

impl ToolRules {
    /// Whether the tool of this name may be listed and called.
    pub fn verdict(&self, tool: &str) -> Verdict<'_> {
        if let Some(pattern) = self.deny.iter().find(|pattern| matches(pattern, tool)) {
            return Verdict::Refused(Refusal::Denied(pattern));
        }
        if self.allow.iter().any(|pattern| matches(pattern, tool)) {
            return Verdict::Allowed;
        }
        Verdict::Refused(Refusal::NotAllowed)
    }
}

fn matches(pattern: &str, tool: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => tool.starts_with(prefix),
        None => pattern == tool,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(allow: &[&str], deny: &[&str]) -> ToolRules {
        let own = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
        ToolRules { allow: own(allow), deny: own(deny) }
    }

    #[test]
    fn an_empty_allow_list_allows_nothing() {
        assert_eq!(rules(&[], &[]).verdict("any"), Verdict::Refused(Refusal::NotAllowed));
    }

    #[test]
    fn deny_wins_over_allow() {
        let rules = rules(&["*"], &["delete_*"]);
        assert_eq!(rules.verdict("read"), Verdict::Allowed);
        assert_eq!(rules.verdict("delete_all"), Verdict::Refused(Refusal::Denied("delete_*")));
    }

    #[test]
    fn a_name_without_star_matches_only_itself() {
        let rules = rules(&["read"], &[]);
        assert_eq!(rules.verdict("read"), Verdict::Allowed);
        assert_eq!(rules.verdict("read_all"), Verdict::Refused(Refusal::NotAllowed));
    }
}
