//! One line of the client, as far as HTTP must know it: its kind, its id and the headers that mirror it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use http::header::HeaderValue;
use serde_json::value::RawValue;
use std::collections::HashMap;

/// Where a modern request says its revision.
const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `initialize`: all else waits for its answer.
    Handshake,
    /// Any other request.
    Request,
    /// A notification, or an answer to the server.
    Other,
}

/// One message.
#[derive(Clone, Debug)]
pub struct Message {
    /// What it is.
    pub kind: Kind,
    /// The id to answer as it was written, if it is a request.
    pub id: Option<String>,
    headers: HeaderMap,
    line: Bytes,
}

/// The members of an object, as they were written: a number may be one that no type of ours holds.
pub type Members<'a> = HashMap<String, &'a RawValue>;

/// The members of a raw object; none of anything else.
#[must_use]
pub fn members(raw: &str) -> Members<'_> {
    serde_json::from_str(raw).unwrap_or_default()
}

/// A member that is a text.
#[must_use]
pub fn text(members: &Members<'_>, key: &str) -> Option<String> {
    serde_json::from_str(members.get(key)?.get()).ok()
}

fn object<'a>(of: &Members<'a>, key: &str) -> Members<'a> {
    of.get(key).map(|raw| members(raw.get())).unwrap_or_default()
}

impl Message {
    /// Reads one line. What is no JSON is passed on all the same: to refuse it is the server's part.
    #[must_use]
    pub fn parse(line: String) -> Option<Self> {
        if line.trim().is_empty() {
            return None;
        }
        let message = members(&line);
        let method = text(&message, "method");
        let id = message.get("id").filter(|_| method.is_some()).map(|id| id.get().to_owned());
        let kind = match (method.as_deref(), &id) {
            (Some("initialize"), Some(_)) => Kind::Handshake,
            (Some(_), Some(_)) => Kind::Request,
            _ => Kind::Other,
        };
        let headers = headers(&message);
        Some(Self { kind, id, headers, line: line.into() })
    }

    /// As it goes out.
    #[must_use]
    pub fn body(&self) -> Bytes {
        self.line.clone()
    }

    /// The headers of a modern message; a legacy one has none.
    #[must_use]
    pub fn headers(&self) -> HeaderMap {
        self.headers.clone()
    }
}

fn headers(message: &Members<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let params = object(message, "params");
    let version = text(&object(&params, "_meta"), VERSION_KEY);
    if version.is_none() {
        return headers;
    }
    let method = text(message, "method");
    let subject = match method.as_deref() {
        Some("tools/call" | "prompts/get") => text(&params, "name"),
        Some("resources/read") => text(&params, "uri"),
        Some(tasks) if tasks.starts_with("tasks/") => text(&params, "taskId"),
        _ => None,
    };
    let values = [("mcp-protocol-version", version), ("mcp-method", method), ("mcp-name", subject)];
    for (name, value) in values {
        if let Some(value) = value.as_deref().and_then(header) {
            headers.insert(name, value);
        }
    }
    headers
}

/// A value as it may stand in a header: what is not plain text, and what looks wrapped, is wrapped.
fn header(value: &str) -> Option<HeaderValue> {
    let plain = value.bytes().all(|byte| (0x20..0x7f).contains(&byte)) && value.trim() == value;
    if plain && !value.starts_with("=?") {
        return HeaderValue::from_str(value).ok();
    }
    HeaderValue::from_str(&format!("=?base64?{}?=", STANDARD.encode(value))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Message {
        Message::parse(line.to_owned()).unwrap()
    }

    #[test]
    fn requests_are_told_from_all_else() {
        assert_eq!(parse(r#"{"id":1,"method":"initialize"}"#).kind, Kind::Handshake);
        assert_eq!(parse(r#"{"id":"a","method":"ping"}"#).kind, Kind::Request);
        for other in [r#"{"method":"notifications/x"}"#, r#"{"id":1,"result":{}}"#, "no json"] {
            let message = parse(other);
            assert_eq!((message.kind, message.id), (Kind::Other, None), "{other}");
        }
        assert!(Message::parse("  ".to_owned()).is_none());
    }

    #[test]
    fn a_number_that_no_type_holds_makes_a_request_no_other() {
        let line = r#"{"id":1e999,"method":"tools/call","params":{"name":"x","arguments":{"n":1e999},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
        let message = parse(line);
        assert_eq!((message.kind, message.id.as_deref()), (Kind::Request, Some("1e999")));
        assert_eq!(message.headers()["mcp-name"], "x");
    }

    #[test]
    fn a_legacy_message_gets_no_header_of_its_own() {
        assert!(parse(r#"{"id":1,"method":"tools/call","params":{"name":"x"}}"#).headers().is_empty());
    }

    #[test]
    fn a_modern_message_is_mirrored_in_its_headers() {
        let line = r#"{"id":1,"method":"tools/call","params":{"name":"x","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
        let headers = parse(line).headers();
        assert_eq!(headers["mcp-protocol-version"], "2026-07-28");
        assert_eq!(headers["mcp-method"], "tools/call");
        assert_eq!(headers["mcp-name"], "x");
    }

    #[test]
    fn what_no_header_can_hold_is_wrapped() {
        assert_eq!(header("plain").unwrap(), "plain");
        assert_eq!(header("h\u{e9}").unwrap(), "=?base64?aMOp?=");
        assert_eq!(header(" x").unwrap(), "=?base64?IHg=?=");
        assert_eq!(header("=?base64?eA==?=").unwrap(), "=?base64?PT9iYXNlNjQ/ZUE9PT89?=");
    }
}
