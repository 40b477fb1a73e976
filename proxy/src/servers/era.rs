//! The first words with a server: which era it belongs to, and what it says of itself.
//!
//! `server/discover` is asked once per process and may take the whole start-up time: servers lock to the
//! first message they read, so a short probe would lock a slow one out. A server that does not answer it
//! in time is ended, and a fresh process hears `initialize` alone.

use crate::exchange::Era;
use crate::limits::INSTRUCTIONS_BYTES_MAX;
use crate::mcp::normalise;
use crate::mcp::object::{Keys, Object, cut, elements, text_of};
use crate::mcp::request::{IMPLEMENTATION, SERVER_INFO, message, modern_meta};
use crate::mcp::version;
use crate::servers::connection::{Call, CallFailure, Connection, OnDrop};
use crate::servers::pending::{Reply, ReplyKind};
use std::time::Duration;

/// The error codes only a modern server answers `server/discover` with.
const MODERN_ERRORS: [i64; 3] = [-32020, -32021, -32022];

/// The extension that stands for the capability `tasks` since 2026-07-28.
const TASKS: &str = "io.modelcontextprotocol/tasks";

/// What a server says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Which family of the protocol it speaks.
    pub era: Era,
    /// The revision.
    pub version: String,
    /// Its capabilities, raw.
    pub capabilities: String,
    /// What of them concerns us.
    pub offers: Offers,
    /// Who it is, raw.
    pub info: String,
    /// How it is meant to be used.
    pub instructions: Option<String>,
}

impl Facts {
    /// The extensions a modern server names, and how each is set, raw.
    #[must_use]
    pub fn extensions(&self) -> Vec<(String, &str)> {
        let capabilities = Object::parse(&self.capabilities, Keys::Exact).ok();
        let named =
            capabilities.filter(|_| self.era == Era::Modern).and_then(|all| all.get_object("extensions"));
        let members = named.iter().flat_map(|named| named.members());
        members.map(|member| (member.key.clone().into_owned(), member.value)).collect()
    }
}

/// What a server offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a capability of the protocol, by its name")]
pub struct Offers {
    /// `tools`.
    pub tools: bool,
    /// `prompts`.
    pub prompts: bool,
    /// `resources`.
    pub resources: bool,
    /// `resources.subscribe`.
    pub subscribe: bool,
    /// `logging`.
    pub logging: bool,
    /// `completions`.
    pub completions: bool,
    /// `tasks`, or the extension of that name.
    pub tasks: bool,
}

/// How the first words ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Greeting {
    /// The server may be used.
    Ready(Box<Facts>),
    /// It did not answer the probe: start a fresh process and greet that as a legacy server.
    Silent,
    /// It cannot be used, and why.
    Failed(String),
}

/// Says the first words to a fresh process. `known` is the verdict of an earlier process, if there is one;
/// `capabilities` is what a legacy server is told its client can do.
pub async fn greet(
    connection: &Connection,
    known: Option<Era>,
    capabilities: &str,
    timeout: Duration,
) -> Greeting {
    if known != Some(Era::Legacy) {
        match discover(connection, timeout).await {
            Probe::Modern(facts) => return Greeting::Ready(facts),
            Probe::Failed(reason) => return Greeting::Failed(reason),
            Probe::Silent => return Greeting::Silent,
            Probe::Legacy => {}
        }
    }
    match initialize(connection, capabilities, timeout).await {
        Ok(facts) => Greeting::Ready(Box::new(facts)),
        Err(reason) => Greeting::Failed(reason),
    }
}

enum Probe {
    Modern(Box<Facts>),
    Legacy,
    Silent,
    Failed(String),
}

async fn discover(connection: &Connection, timeout: Duration) -> Probe {
    let params = format!("{{\"_meta\":{}}}", modern_meta(None));
    let reply = match ask(connection, 0, "server/discover", &params, timeout).await {
        Ok(reply) => reply,
        Err(CallFailure::TimedOut) => return Probe::Silent,
        Err(failure) => return Probe::Failed(no_answer("server/discover", failure, timeout)),
    };
    match reply.kind() {
        ReplyKind::Result => modern_facts(reply.body()),
        ReplyKind::Error => match normalise::code(reply.body()) {
            Some(code) if MODERN_ERRORS.contains(&code) => modern_refusal(reply.body()),
            // Keyed on no single code: servers answer this with -32601, -32602 and others.
            _ => Probe::Legacy,
        },
        ReplyKind::Invalid => Probe::Legacy,
    }
}

/// A result of `server/discover`: modern if it offers a revision we speak.
fn modern_facts(result: &str) -> Probe {
    let Ok(object) = Object::parse(result, Keys::Exact) else { return Probe::Legacy };
    match offered(object.get("supportedVersions")) {
        Some(versions) if !versions.iter().any(|offered| offered == version::MODERN) => {
            return if versions.iter().any(|offered| version::is_legacy(offered)) {
                Probe::Legacy
            } else {
                Probe::Failed(format!("it speaks only revisions {} of the protocol", versions.join(", ")))
            };
        }
        Some(_) => {}
        None => return Probe::Legacy,
    }
    let meta = object.get_object("_meta");
    let info = object.get("serverInfo").or_else(|| meta.as_ref()?.get(SERVER_INFO));
    Probe::Modern(Box::new(facts(Era::Modern, version::MODERN.to_owned(), &object, info)))
}

/// A modern error: the server is modern, but is it of use to us?
fn modern_refusal(error: &str) -> Probe {
    let supported = Object::parse(error, Keys::Exact)
        .ok()
        .and_then(|error| error.get_object("data"))
        .and_then(|data| offered(data.get("supported")));
    match supported {
        Some(versions) if versions.iter().any(|offered| offered == version::MODERN) => {
            Probe::Modern(Box::new(unknown_modern()))
        }
        Some(versions) if versions.iter().any(|offered| version::is_legacy(offered)) => Probe::Legacy,
        Some(versions) => {
            Probe::Failed(format!("it speaks only revisions {} of the protocol", versions.join(", ")))
        }
        None => Probe::Modern(Box::new(unknown_modern())),
    }
}

/// A modern server that did not say what it offers: everything is tried.
fn unknown_modern() -> Facts {
    let offers = Offers { tools: true, prompts: true, resources: true, ..Offers::default() };
    Facts {
        era: Era::Modern,
        version: version::MODERN.to_owned(),
        capabilities: r#"{"tools":{},"prompts":{},"resources":{}}"#.to_owned(),
        offers,
        info: "{\"name\":\"unknown\",\"version\":\"unknown\"}".to_owned(),
        instructions: None,
    }
}

async fn initialize(connection: &Connection, capabilities: &str, timeout: Duration) -> Result<Facts, String> {
    let params = format!(
        "{{\"protocolVersion\":\"{}\",\"capabilities\":{capabilities},\"clientInfo\":{IMPLEMENTATION}}}",
        version::LEGACY_NEWEST
    );
    let reply = ask(connection, 1, "initialize", &params, timeout)
        .await
        .map_err(|failure| no_answer("initialize", failure, timeout))?;
    let facts = match reply.kind() {
        ReplyKind::Result => legacy_facts(reply.body())?,
        ReplyKind::Error => return Err(format!("it refused \"initialize\": {}", reply.body())),
        ReplyKind::Invalid => {
            return Err("it answered \"initialize\" with neither result nor error".to_owned());
        }
    };
    connection.notify("notifications/initialized", None);
    Ok(facts)
}

fn legacy_facts(result: &str) -> Result<Facts, String> {
    let object = Object::parse(result, Keys::Exact)
        .map_err(|error| format!("it answered \"initialize\" with a malformed result: {error}"))?;
    let version = object.get_text("protocolVersion").unwrap_or_default().into_owned();
    if !version::is_legacy(&version) {
        return Err(format!("it speaks revision {version:?} of the protocol, which is unknown here"));
    }
    let info = object.get("serverInfo");
    Ok(facts(Era::Legacy, version, &object, info))
}

fn facts(era: Era, version: String, object: &Object<'_>, info: Option<&str>) -> Facts {
    let capabilities = object.get("capabilities").filter(|raw| raw.starts_with('{')).unwrap_or("{}");
    Facts {
        era,
        version,
        capabilities: capabilities.to_owned(),
        offers: offers(capabilities),
        info: info
            .filter(|raw| raw.starts_with('{'))
            .unwrap_or("{\"name\":\"unknown\",\"version\":\"unknown\"}")
            .to_owned(),
        instructions: object
            .get_text("instructions")
            .map(|text| cut(&text, 8 * INSTRUCTIONS_BYTES_MAX).to_owned()),
    }
}

fn offers(capabilities: &str) -> Offers {
    let Ok(object) = Object::parse(capabilities, Keys::Exact) else { return Offers::default() };
    let has = |key: &str| object.get(key).is_some_and(|raw| raw.starts_with('{'));
    let subscribe =
        object.get_object("resources").is_some_and(|resources| resources.get("subscribe") == Some("true"));
    Offers {
        tools: has("tools"),
        prompts: has("prompts"),
        resources: has("resources"),
        subscribe,
        logging: has("logging"),
        completions: has("completions"),
        tasks: has("tasks")
            || object.get_object("extensions").is_some_and(|extensions| extensions.get(TASKS).is_some()),
    }
}

fn offered(raw: Option<&str>) -> Option<Vec<String>> {
    let texts = elements(raw?)?;
    Some(texts.into_iter().filter_map(|raw| text_of(raw).map(std::borrow::Cow::into_owned)).collect())
}

async fn ask(
    connection: &Connection,
    id: u64,
    method: &str,
    params: &str,
    timeout: Duration,
) -> Result<Reply, CallFailure> {
    let line = message(Some(id), method, Some(params));
    connection.call(Call { id, line, stream: None, timeout, on_drop: OnDrop::SayNothing }).await
}

fn no_answer(method: &str, failure: CallFailure, timeout: Duration) -> String {
    match failure {
        CallFailure::TimedOut => format!("it did not answer \"{method}\" within {timeout:?}"),
        _ => format!("it ended before it answered \"{method}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_discover_result_is_modern_only_with_our_revision() {
        let with = |versions: &str| {
            modern_facts(&format!("{{\"supportedVersions\":{versions},\"capabilities\":{{}}}}"))
        };
        assert!(matches!(with(r#"["2027-01-01","2026-07-28"]"#), Probe::Modern(_)));
        assert!(matches!(with(r#"["2025-11-25"]"#), Probe::Legacy));
        assert!(matches!(with(r#"["2030-01-01"]"#), Probe::Failed(reason) if reason.contains("2030-01-01")));
        assert!(matches!(modern_facts("{}"), Probe::Legacy));
    }

    #[test]
    fn a_modern_error_names_the_revisions_it_offers() {
        let with = |versions: &str| {
            modern_refusal(&format!("{{\"code\":-32022,\"data\":{{\"supported\":{versions}}}}}"))
        };
        assert!(matches!(with(r#"["2026-07-28"]"#), Probe::Modern(_)));
        assert!(matches!(with(r#"["2025-06-18"]"#), Probe::Legacy));
        assert!(matches!(with(r#"["2031-01-01"]"#), Probe::Failed(_)));
        assert!(matches!(modern_refusal("{\"code\":-32021}"), Probe::Modern(_)));
    }

    #[test]
    fn a_server_of_an_unknown_revision_is_refused() {
        assert!(legacy_facts(r#"{"protocolVersion":"1999-01-01"}"#).unwrap_err().contains("1999-01-01"));
        let facts = legacy_facts(
            r#"{"protocolVersion":"2024-11-05","capabilities":{"resources":{"subscribe":true},"x":{}},"serverInfo":{"name":"a"}}"#,
        )
        .unwrap();
        assert!(facts.offers.subscribe && !facts.offers.tools);
        assert_eq!((facts.info.as_str(), facts.version.as_str()), ("{\"name\":\"a\"}", "2024-11-05"));
    }
}
