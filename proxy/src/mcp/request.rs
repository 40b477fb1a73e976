//! A client's request as the line a server reads: our own id and progress token, and the `_meta` of the
//! server's era. Everything else in `params` keeps its bytes.

use super::envelope::Envelope;
use super::input::{RESPONSES, STATE};
use super::level::Level;
use super::object::{Keys, Object, ObjectError, quote, text_of};
use super::version;
use crate::exchange::Era;
use bytes::Bytes;
use std::borrow::Cow;
use std::io::Write as _;

/// `_meta`: the revision a modern request is made in.
pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// `_meta`: what the modern client can do.
pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// `_meta`: who the modern client is.
pub const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
/// `_meta`: how much a modern request wants logged.
pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// `_meta`: who made a modern result.
pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
/// `_meta`: the stream a modern notification belongs to.
pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
/// `_meta`: by what a client over the relay chooses a view. Said to us alone.
pub const VIEW: &str = "only1mcp/view";
/// `_meta`: what progress is told under.
pub const PROGRESS_TOKEN: &str = "progressToken";

/// Who we are, raw: `clientInfo` toward servers, `serverInfo` of the aggregate.
pub const IMPLEMENTATION: &str =
    concat!(r#"{"name":"only1mcp","version":""#, env!("CARGO_PKG_VERSION"), r#""}"#);

/// What a client's request says, before it is fitted to a server.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What is asked.
    pub method: &'a str,
    /// An object, raw, with names and URIs already as the server knows them.
    pub params: Option<&'a str>,
    /// The era of the client.
    pub client: Era,
    /// The level a legacy client has set.
    pub log_level: Option<Level>,
    /// What a legacy client can do, a raw object: a modern server is told with each request.
    pub capabilities: &'a str,
}

/// A line for a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// With its newline, and no other.
    pub bytes: Vec<u8>,
    /// The client's own progress token, raw: our id stands in its place.
    pub progress_token: Option<Box<str>>,
    /// From which level on the client wants log lines of this request.
    pub log_from: Option<Level>,
}

impl Asked<'_> {
    /// The line that asks a server of era `server` under our id `id`.
    ///
    /// # Errors
    /// [`ObjectError`] if `params` or `_meta` has a key twice.
    pub fn line(&self, id: u64, server: Era) -> Result<Line, ObjectError> {
        let Some(params) = self.params else {
            let params = match server {
                Era::Legacy => None,
                Era::Modern => Some(format!("{{\"_meta\":{}}}", self.modern_meta())),
            };
            let bytes = message(Some(id), self.method, params.as_deref());
            return Ok(Line { bytes, progress_token: None, log_from: self.log_from(None) });
        };
        let object = Object::parse(params, Keys::Folded)?;
        let meta = match object.get("_meta") {
            Some(text) if text.starts_with('{') => Some(Object::parse(text, Keys::Exact)?),
            _ => None,
        };
        let token = meta.as_ref().and_then(|meta| meta.get(PROGRESS_TOKEN)).filter(|raw| *raw != "null");
        let log_from = self.log_from(meta.as_ref());
        let mut edit = object.edit();
        match self.meta(meta.as_ref(), token.map(|_| id), server) {
            Some(text) => edit.set("_meta", text),
            None => edit.remove("_meta"),
        };
        if (self.client, server) == (Era::Modern, Era::Legacy) {
            // Rounds of a request exist in modern revisions only.
            edit.remove(RESPONSES).remove(STATE);
        }
        let bytes = message(Some(id), self.method, Some(&edit.finish()));
        Ok(Line { bytes, progress_token: token.map(Box::from), log_from })
    }

    /// `_meta` as the server shall see it; nothing if it would be empty.
    fn meta<'a>(&self, meta: Option<&Object<'a>>, token: Option<u64>, server: Era) -> Option<Cow<'a, str>> {
        let Some(meta) = meta else {
            return (server == Era::Modern).then(|| Cow::Owned(self.modern_meta()));
        };
        let mut edit = meta.edit();
        edit.remove(VIEW);
        if let Some(token) = token {
            edit.set(PROGRESS_TOKEN, token.to_string());
        }
        match (self.client, server) {
            (Era::Modern, Era::Legacy) => {
                for key in [PROTOCOL_VERSION, CLIENT_CAPABILITIES, CLIENT_INFO, LOG_LEVEL] {
                    edit.remove(key);
                }
            }
            (Era::Legacy, Era::Modern) => {
                edit.set(PROTOCOL_VERSION, quote(version::MODERN));
                edit.set(CLIENT_CAPABILITIES, self.capabilities.to_owned());
                edit.set(CLIENT_INFO, IMPLEMENTATION);
                match self.log_level {
                    Some(level) => edit.set(LOG_LEVEL, quote(level.name())),
                    None => edit.remove(LOG_LEVEL),
                };
            }
            (Era::Legacy, Era::Legacy) | (Era::Modern, Era::Modern) => {}
        }
        // An empty one of the client's own stays.
        let is_emptied = edit.is_empty() && !meta.members().is_empty();
        (!is_emptied).then(|| edit.finish())
    }

    fn modern_meta(&self) -> String {
        modern_meta_of(self.log_level, self.capabilities)
    }

    /// A legacy client gets all log lines until it sets a level; a modern one none unless it asks.
    fn log_from(&self, meta: Option<&Object<'_>>) -> Option<Level> {
        match self.client {
            Era::Legacy => Some(self.log_level.unwrap_or(Level::ALL)),
            Era::Modern => text_of(meta?.get(LOG_LEVEL)?).and_then(|text| Level::of(&text)),
        }
    }
}

/// The `_meta` of our own modern requests.
#[must_use]
pub fn modern_meta(log_level: Option<Level>) -> String {
    modern_meta_of(log_level, "{}")
}

/// The `_meta` of a modern request for a client with these raw capabilities.
fn modern_meta_of(log_level: Option<Level>, capabilities: &str) -> String {
    let level = log_level.map(|level| format!(",\"{LOG_LEVEL}\":\"{}\"", level.name())).unwrap_or_default();
    format!(
        "{{\"{PROTOCOL_VERSION}\":\"{}\",\"{CLIENT_CAPABILITIES}\":{capabilities},\"{CLIENT_INFO}\":{IMPLEMENTATION}{level}}}",
        version::MODERN
    )
}

/// The raw progress token of a request's raw `params`.
#[must_use]
pub fn progress_token(params: &str) -> Option<String> {
    let meta = Object::parse(params, Keys::Folded).ok()?.get_object("_meta")?;
    meta.get(PROGRESS_TOKEN).filter(|raw| *raw != "null").map(str::to_owned)
}

/// A notification of a call for a later request of its client: progress carries that one's token, and is nothing
/// to a client that asked for none.
#[must_use]
pub fn with_progress_token(notification: Bytes, token: Option<&str>) -> Option<Bytes> {
    let Ok(Envelope::Notification { method, params: Some(params) }) = Envelope::parse(&notification) else {
        return Some(notification);
    };
    if method != "notifications/progress" {
        return Some(notification);
    }
    let object = Object::parse(params, Keys::Exact).ok()?;
    let mut edit = object.edit();
    edit.set(PROGRESS_TOKEN, token?);
    let mut line = message(None, &method, Some(&edit.finish()));
    line.pop();
    Some(line.into())
}

/// A request (with `id`) or a notification, as one line with its newline.
#[must_use]
pub fn message(id: Option<u64>, method: &str, params: Option<&str>) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + method.len() + params.map_or(0, str::len));
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\"");
    if let Some(id) = id {
        // Writing into a vector cannot fail.
        let _ = write!(out, ",\"id\":{id}");
    }
    out.extend_from_slice(b",\"method\":");
    out.extend_from_slice(quote(method).as_bytes());
    if let Some(params) = params {
        out.extend_from_slice(b",\"params\":");
        out.extend_from_slice(params.as_bytes());
    }
    out.push(b'}');
    unfold(&mut out);
    out.push(b'\n');
    out
}

/// Makes line ends blanks: inside JSON they can only stand between tokens.
pub fn unfold(line: &mut [u8]) {
    if memchr::memchr2(b'\n', b'\r', line).is_some() {
        for byte in line.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')) {
            *byte = b' ';
        }
    }
}

/// The parameters of a notification without what is said to us alone; nothing if there is none of it.
#[must_use]
pub fn without_view(params: &str) -> Option<String> {
    let params = Object::parse(params, Keys::Exact).ok()?;
    let meta = params.get_object("_meta")?;
    meta.get(VIEW)?;
    let (mut rest, mut edit) = (meta.edit(), params.edit());
    rest.remove(VIEW);
    if rest.is_empty() {
        edit.remove("_meta");
    } else {
        edit.set("_meta", rest.finish());
    }
    Some(edit.finish().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(params: Option<&str>, client: Era, server: Era) -> (String, Option<Box<str>>) {
        let asked =
            Asked { method: "tools/call", params, client, log_level: Level::of("info"), capabilities: "{}" };
        let line = asked.line(9, server).unwrap();
        (String::from_utf8(line.bytes).unwrap(), line.progress_token)
    }

    #[test]
    fn within_legacy_only_the_progress_token_changes() {
        let params = r#"{"name":"x","arguments":{"n":1.00,"big":123456789012345678901234567890}}"#;
        let (text, token) = line(Some(params), Era::Legacy, Era::Legacy);
        assert_eq!(
            text,
            format!("{{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"tools/call\",\"params\":{params}}}\n")
        );
        assert_eq!(token, None);
        let (text, token) =
            line(Some(r#"{"_meta":{"progressToken":"abc","v":1},"name":"x"}"#), Era::Legacy, Era::Legacy);
        assert!(text.contains(r#""params":{"_meta":{"progressToken":9,"v":1},"name":"x"}"#), "{text}");
        assert_eq!(token.as_deref(), Some("\"abc\""));
    }

    #[test]
    fn a_legacy_server_sees_no_modern_meta() {
        let params = format!(r#"{{"name":"x","_meta":{}}}"#, modern_meta(Level::of("info")));
        assert!(line(Some(&params), Era::Modern, Era::Legacy).0.contains(r#""params":{"name":"x"}"#));
        let params = format!(r#"{{"_meta":{{"own":1,"{PROTOCOL_VERSION}":"2026-07-28"}}}}"#);
        assert!(line(Some(&params), Era::Modern, Era::Legacy).0.contains(r#"{"_meta":{"own":1}}"#));
    }

    #[test]
    fn no_server_sees_which_view_a_client_has_chosen() {
        let sent = |params: &str, client, server| {
            let (text, _) = line(Some(params), client, server);
            text.split_once(",\"params\":").unwrap().1.trim_end().strip_suffix('}').unwrap().to_owned()
        };
        let view = r#""only1mcp/view":"search""#;
        for (before, after) in [
            (format!(r#"{{"_meta":{{{view}}},"n":1.00}}"#), r#"{"n":1.00}"#),
            (format!(r#"{{"_meta":{{"v": 1e2,{view}}},"n":1.00}}"#), r#"{"_meta":{"v":1e2},"n":1.00}"#),
            (r#"{"_meta":{"only1mcp\/view":7,"v":{"a": 1.0}}}"#.to_owned(), r#"{"_meta":{"v":{"a": 1.0}}}"#),
            (r#"{ "_meta": { "own/view": 1 } }"#.to_owned(), r#"{ "_meta": { "own/view": 1 } }"#),
            (r#"{ "_meta": {} }"#.to_owned(), r#"{ "_meta": {} }"#),
        ] {
            assert_eq!(sent(&before, Era::Legacy, Era::Legacy), after);
        }
        let modern = modern_meta(None);
        let with_view = modern.replacen('{', &format!("{{{view},"), 1);
        let params = format!(r#"{{"name":"x","_meta":{with_view}}}"#);
        assert_eq!(sent(&params, Era::Modern, Era::Modern), format!(r#"{{"name":"x","_meta":{modern}}}"#));
        assert_eq!(sent(&params, Era::Modern, Era::Legacy), r#"{"name":"x"}"#);
        assert!(!sent(&params, Era::Legacy, Era::Modern).contains("only1mcp/view"));
        let told = r#"{"_meta":{"only1mcp/view":"brief","x":1.0},"z":[ ]}"#;
        assert_eq!(without_view(told).unwrap(), r#"{"_meta":{"x":1.0},"z":[ ]}"#);
        assert_eq!(without_view(r#"{"_meta":{"only1mcp/view":"brief"}}"#).unwrap(), "{}");
        assert_eq!((without_view(r#"{"_meta":{ }}"#), without_view("[]")), (None, None));
    }

    #[test]
    fn a_modern_server_gets_the_meta_a_legacy_client_lacks() {
        for params in [None, Some("{}"), Some(r#"{"_meta":{}}"#)] {
            let (text, _) = line(params, Era::Legacy, Era::Modern);
            for part in [PROTOCOL_VERSION, CLIENT_CAPABILITIES, "\"only1mcp\"", r#"logLevel":"info""#] {
                assert!(text.contains(part), "{text} lacks {part}");
            }
        }
    }

    #[test]
    fn a_line_holds_no_line_end() {
        let (text, _) = line(Some("{\r\n  \"name\": \"a\\nb\"\n}"), Era::Legacy, Era::Legacy);
        assert_eq!(text.matches(['\n', '\r']).count(), 1, "{text}");
        assert!(text.contains("a\\nb"));
    }

    #[test]
    fn refuses_a_name_in_two_spellings() {
        let asked = Asked {
            capabilities: "{}",
            method: "tools/call",
            params: Some(r#"{"name":"a","Name":"b"}"#),
            client: Era::Legacy,
            log_level: None,
        };
        assert!(asked.line(1, Era::Legacy).is_err());
    }
}
