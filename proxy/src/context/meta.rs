//! Our own tools: what a model is offered instead of hundreds of definitions, and the words they answer with.

use crate::context::definition::Definition;
use crate::context::index::Found;
use crate::context::tools::{Entry, Tools};
use crate::context::{arguments, sentences, signature};
use crate::limits::{DESCRIBED_BYTES_MAX, FOUND_DESCRIPTION_BYTES};
use crate::mcp::names::nearest;
use only1mcp_policy::view::ToolView;
use serde_json::Value;

/// One of our own tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetaTool {
    /// Finds tools by what they do.
    FindTools,
    /// Gives definitions.
    DescribeTools,
    /// Calls a tool that only reads.
    CallReadTool,
    /// Calls any tool.
    CallTool,
    /// Says which servers there are.
    ListServers,
    /// Reads on in a result that was cut.
    ReadResult,
}

/// Tools found unless asked for more or fewer.
pub const FOUND_DEFAULT: usize = 5;
/// Tools that can be asked for at once.
pub const FOUND_MAX: usize = 100;
/// Names that can be described at once.
pub const DESCRIBED_MAX: usize = 20;
/// Unknown names for which similar ones are looked for at once.
const SUGGESTIONS_MAX: usize = 4;
/// Tools of a server without a search that are given unless asked for more.
pub const LISTED_DEFAULT: usize = 50;
/// Names that are told when nothing fits.
const NEAREST_MAX: usize = 3;

// What a model reads in each turn: every word is paid for again and again.
const FIND: &str = r#"{"name":"find_tools","description":"Find tools by what they do, best first, each with its signature. Search before saying that something cannot be done. An empty query with a server lists its tools.","inputSchema":{"type":"object","properties":{"query":{"type":"string","description":"What to do, in a few words, such as: create a calendar event"},"server":{"type":"string","description":"Only tools of this server"},"limit":{"type":"integer","minimum":1,"maximum":100,"description":"5 if absent"}},"required":["query"]},"annotations":{"readOnlyHint":true,"openWorldHint":false}}"#;
const DESCRIBE: &str = r#"{"name":"describe_tools","description":"Full definitions of tools, where a signature does not say enough.","inputSchema":{"type":"object","properties":{"names":{"type":"array","items":{"type":"string"},"minItems":1,"maxItems":20}},"required":["names"]},"annotations":{"readOnlyHint":true,"openWorldHint":false}}"#;
const CALL_READ: &str = r#"{"name":"call_read_tool","description":"Call a tool that find_tools marks [reads]: it changes nothing.","inputSchema":{"type":"object","properties":{"name":{"type":"string"},"arguments":{"type":"object"}},"required":["name"]},"annotations":{"readOnlyHint":true}}"#;
const CALL: &str = r#"{"name":"call_tool","description":"Call a tool by the name find_tools gives.","inputSchema":{"type":"object","properties":{"name":{"type":"string"},"arguments":{"type":"object"}},"required":["name"]},"annotations":{"readOnlyHint":false,"destructiveHint":true}}"#;
const LIST: &str = r#"{"name":"list_servers","description":"The servers whose tools can be found: what each is for, and how many tools it has.","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true,"openWorldHint":false}}"#;
const READ: &str = r#"{"name":"read_result","description":"Read on in a result that was cut.","inputSchema":{"type":"object","properties":{"id":{"type":"string"},"page":{"type":"integer","minimum":2}},"required":["id","page"]},"annotations":{"readOnlyHint":true,"openWorldHint":false}}"#;

impl MetaTool {
    /// All of them, in the order they are listed.
    pub const ALL: [Self; 6] = [
        Self::FindTools,
        Self::DescribeTools,
        Self::CallReadTool,
        Self::CallTool,
        Self::ListServers,
        Self::ReadResult,
    ];

    /// The one of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.name() == name)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FindTools => "find_tools",
            Self::DescribeTools => "describe_tools",
            Self::CallReadTool => "call_read_tool",
            Self::CallTool => "call_tool",
            Self::ListServers => "list_servers",
            Self::ReadResult => "read_result",
        }
    }

    /// Its definition, raw.
    #[must_use]
    pub fn definition(self) -> &'static str {
        match self {
            Self::FindTools => FIND,
            Self::DescribeTools => DESCRIBE,
            Self::CallReadTool => CALL_READ,
            Self::CallTool => CALL,
            Self::ListServers => LIST,
            Self::ReadResult => READ,
        }
    }

    /// What is wrong with these arguments; nothing where that cannot be said.
    #[must_use]
    pub fn mistakes(self, raw: &str) -> Vec<String> {
        let validator = || {
            let definition: Value = serde_json::from_str(self.definition()).ok()?;
            arguments::validator(definition.get("inputSchema")?)
        };
        let (Ok(given), Some(validator)) = (serde_json::from_str(raw), validator()) else {
            return Vec::new();
        };
        arguments::mistakes(&validator, &given)
    }
}

/// What a client is told in the first place that must search.
#[must_use]
pub fn instructions(servers: &[&str]) -> String {
    format!(
        "The tools of these servers are not listed: {}. Find them with find_tools, call them with call_tool.",
        servers.join(", ")
    )
}

/// A question for tools.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// In plain words; empty for all.
    pub query: &'a str,
    /// Only tools of this server.
    pub server: Option<&'a str>,
    /// How many.
    pub limit: usize,
}

/// Answers a question for tools.
#[must_use]
pub fn found(tools: &Tools, question: &Question<'_>) -> String {
    let of_server = |entry: &&Entry| {
        entry.can_be_found() && question.server.is_none_or(|server| entry.server_name == server)
    };
    let all: Vec<&Entry> = tools.entries().iter().filter(of_server).collect();
    if question.query.trim().is_empty() {
        let shown: Vec<&Entry> = all.iter().take(question.limit).copied().collect();
        let more = all.len().saturating_sub(shown.len());
        let rest =
            if more == 0 { String::new() } else { format!(" {more} more: say a query, or a larger limit.") };
        return format!("{} of {} tools.{rest}\n{}", shown.len(), all.len(), lines(&shown));
    }
    let Found { hits, respelt, is_vague } = tools.find(question.query, question.server, question.limit);
    let entries: Vec<&Entry> = hits.iter().filter_map(|hit| tools.entries().get(hit.document)).collect();
    if entries.is_empty() {
        return missed(question, &all);
    }
    let instead: Vec<String> =
        respelt.iter().map(|(word, near)| format!("\"{near}\" for \"{word}\"")).collect();
    let instead =
        if instead.is_empty() { String::new() } else { format!(" Looked for {}.", instead.join(", ")) };
    let vague = if is_vague { " None has a word of the query; these are nearest." } else { "" };
    format!("Best {} of {} tools.{instead}{vague}\n{}", entries.len(), all.len(), lines(&entries))
}

fn lines(entries: &[&Entry]) -> String {
    entries.iter().map(|entry| line(entry)).collect::<Vec<_>>().join("\n")
}

fn line(entry: &Entry) -> String {
    let reads = if entry.only_reads { " [reads]" } else { "" };
    let name = sentences::on_one_line(&entry.name);
    let Some(definition) = Definition::parse(&entry.raw) else { return format!("{name}{reads}") };
    let about = sentences::first_sentence(definition.description(), FOUND_DESCRIPTION_BYTES);
    let about = if about.is_empty() { about } else { format!(": {about}") };
    format!("{}{reads}{about}", signature::signature(&definition, &name))
}

/// Says what was looked at, so that nobody takes it for proof that a thing cannot be done.
fn missed(question: &Question<'_>, all: &[&Entry]) -> String {
    let near = near(question.query, all);
    let near = if near.is_empty() { String::new() } else { format!(" Nearest names: {}.", near.join(", ")) };
    let of = question.server.map_or_else(String::new, |server| format!(" of {server}"));
    format!(
        "No tool fits: the names, descriptions and parameters of all {} tools{of} were searched.{near} Try other words; \
         list_servers() says which servers there are, and find_tools with an empty query and a server lists its tools.",
        all.len()
    )
}

fn near<'a>(name: &str, all: &[&'a Entry]) -> Vec<&'a str> {
    let mut left: Vec<&str> = all.iter().map(|entry| entry.name.as_str()).collect();
    let mut near = Vec::new();
    while near.len() < NEAREST_MAX {
        let Some(next) = nearest(name, left.iter().copied()) else { break };
        left.retain(|other| *other != next);
        near.push(next);
    }
    near
}

/// The definitions of these tools.
#[must_use]
pub fn described(tools: &Tools, names: &[String]) -> String {
    let (mut told, mut suggestions) = (String::new(), SUGGESTIONS_MAX);
    for name in names.iter().take(DESCRIBED_MAX) {
        let entry = tools.get(name).filter(|entry| entry.can_be_found());
        let text = match entry {
            Some(entry) => whole(entry),
            None => unknown(tools, name, &mut suggestions),
        };
        if told.len() + text.len() > DESCRIBED_BYTES_MAX && !told.is_empty() {
            told.push_str("\nNo room for more: ask for fewer at once.");
            break;
        }
        if !told.is_empty() {
            told.push('\n');
        }
        told.push_str(&text);
    }
    told
}

fn unknown(tools: &Tools, name: &str, suggestions: &mut usize) -> String {
    // Each looks through all names.
    let Some(left) = suggestions.checked_sub(1) else { return format!("{name}: no such tool.") };
    *suggestions = left;
    let all: Vec<&Entry> = tools.entries().iter().filter(|entry| entry.can_be_found()).collect();
    let near = near(name, &all);
    let near = if near.is_empty() { String::new() } else { format!(" Nearest names: {}.", near.join(", ")) };
    format!("{name}: no such tool.{near}")
}

/// All that a model must know to call a tool, as its server says it; shortened only if it says too much.
fn whole(entry: &Entry) -> String {
    let parts = Definition::parse(&entry.raw).map(|definition| {
        let part = |key: &str| definition.members().get(key).map(|value| (key.to_owned(), value.clone()));
        let parts: serde_json::Map<_, _> =
            ["name", "description", "inputSchema"].into_iter().filter_map(part).collect();
        serde_json::Value::Object(parts).to_string()
    });
    match parts {
        Some(parts) if parts.len() <= DESCRIBED_BYTES_MAX => parts,
        _ => entry.raw.shown_in(ToolView::Compact).to_owned(),
    }
}

/// What is wrong with the arguments of a call, and what would be right.
#[must_use]
pub fn corrected(entry: &Entry, mistakes: &[String]) -> String {
    let definition = whole(entry);
    format!(
        "The arguments do not fit {}, which was not called:\n{}\nIts definition:\n{definition}",
        entry.name,
        mistakes.join("\n")
    )
}
