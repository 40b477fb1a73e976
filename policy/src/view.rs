//! The view: all that the proxy may know of a configuration, as JSON in a sealed memfd.
//!
//! It holds names, routing and tool rules; no command, argument, path, environment, limit or credential.

use serde::{Deserialize, Serialize};

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
    /// Keys that are accepted before their feature exists, shown as inert by `status`.
    pub inert: Vec<String>,
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
