//! One JSON-RPC message of a client, as slices of the bytes it came in: nothing is copied or re-ordered.
//!
//! Accepts what all revisions of MCP have in common and refuses the rest with the code it deserves.

use super::error::{Fault, code};
use crate::limits::{CLIENT_MESSAGE_DEPTH_MAX, REQUEST_ID_BYTES_MAX};
use serde::de::Error as DeserializeError;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// What a client may send.
#[derive(Debug)]
pub enum Message<'a> {
    /// Wants an answer.
    Request(Request<'a>),
    /// Wants none.
    Notification(Notification<'a>),
    /// Answers a request of ours.
    Response,
}

/// A message that wants an answer.
#[derive(Debug)]
pub struct Request<'a> {
    /// As the client wrote it.
    pub id: &'a RawValue,
    /// What is asked for.
    pub method: Cow<'a, str>,
    /// With what; an object if present.
    pub params: Option<&'a RawValue>,
}

/// A message that wants no answer.
#[derive(Debug)]
pub struct Notification<'a> {
    /// What happened.
    pub method: Cow<'a, str>,
    /// Details; an object if present.
    pub params: Option<&'a RawValue>,
}

/// The members of any message. A known member that comes twice is refused by serde: two readers
/// could otherwise see two different messages.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// Keeps `null` apart from absent.
fn even_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// The text of a body, if it is JSON that is not nested too deep.
///
/// # Errors
/// -32700.
pub fn text(body: &[u8]) -> Result<&str, Fault> {
    let text = std::str::from_utf8(body).map_err(|_| Fault::parse("the message is not UTF-8"))?;
    if deeper_than(text, CLIENT_MESSAGE_DEPTH_MAX) {
        return Err(Fault::parse("the message is nested too deep"));
    }
    Ok(text)
}

/// The members of an array of messages, if the text is an array.
///
/// # Errors
/// -32700 if it starts like an array and is none.
pub fn batch(text: &str) -> Result<Option<Vec<&RawValue>>, Fault> {
    if !text.trim_ascii_start().starts_with('[') {
        return Ok(None);
    }
    serde_json::from_str(text).map(Some).map_err(|error| Fault::parse(&format!("not JSON: {error}")))
}

/// Reads one message.
///
/// # Errors
/// -32700 if it is not JSON, -32600 if it is JSON but no message. The fault carries the id if one could be read.
pub fn parse(text: &str) -> Result<Message<'_>, Fault> {
    // Checked by hand, because serde would read an array as the members in their order.
    let read = match text.trim_ascii_start().starts_with('{') {
        true => serde_json::from_str::<Envelope<'_>>(text),
        false => serde_json::from_str::<&RawValue>(text).and(Err(serde_json::Error::custom("not an object"))),
    };
    let envelope = match read {
        Ok(envelope) => envelope,
        Err(error) if error.is_data() => {
            return Err(Fault::new(code::INVALID_REQUEST, format!("not a JSON-RPC message: {error}")));
        }
        Err(error) => return Err(Fault::parse(&format!("not JSON: {error}"))),
    };
    let id = envelope.id;
    classify(envelope).map_err(|problem| {
        let fault = Fault::new(code::INVALID_REQUEST, problem);
        match id.filter(|id| is_id(id)) {
            Some(id) => fault.about(id),
            None => fault,
        }
    })
}

fn classify(envelope: Envelope<'_>) -> Result<Message<'_>, &'static str> {
    let Envelope { jsonrpc, id, method, params, result, error } = envelope;
    if jsonrpc.is_none_or(|version| version.get() != r#""2.0""#) {
        return Err("\"jsonrpc\" must be \"2.0\"");
    }
    if id.is_some_and(|id| !is_id(id)) {
        return Err("\"id\" must be a short string or a number");
    }
    if params.is_some_and(|params| !params.get().starts_with('{')) {
        return Err("\"params\" must be an object");
    }
    match (method, id, result.is_some(), error.is_some()) {
        (Some(method), Some(id), false, false) => Ok(Message::Request(Request { id, method, params })),
        (Some(method), None, false, false) => Ok(Message::Notification(Notification { method, params })),
        (None, Some(_), true, false) | (None, _, false, true) => Ok(Message::Response),
        _ => Err("a message is a request, a notification, a result or an error"),
    }
}

fn is_id(id: &RawValue) -> bool {
    let text = id.get();
    text.len() <= REQUEST_ID_BYTES_MAX
        && text.starts_with(|first: char| first == '"' || first == '-' || first.is_ascii_digit())
}

/// Whether brackets outside of strings are open more than `limit` times. Looks at bytes only, so that
/// it can run before any parser that uses the stack.
fn deeper_than(text: &str, limit: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > limit {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code_of(text: &str) -> i64 {
        parse(text).unwrap_err().code
    }

    #[test]
    fn tells_the_kinds_of_message_apart() {
        assert!(matches!(parse(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#), Ok(Message::Request(_))));
        assert!(matches!(
            parse(r#"{"jsonrpc":"2.0","method":"n","params":null}"#),
            Ok(Message::Notification(_))
        ));
        assert!(matches!(parse(r#"{"jsonrpc":"2.0","id":1,"result":null}"#), Ok(Message::Response)));
        assert!(matches!(
            parse(r#"{"jsonrpc":"2.0","error":{"code":1,"message":""}}"#),
            Ok(Message::Response)
        ));
    }

    #[test]
    fn keeps_the_id_byte_for_byte() {
        for id in ["7.0", "-1", "18446744073709551616", r#""\u0041""#] {
            let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m"}}"#);
            let Message::Request(request) = parse(&text).unwrap() else { panic!() };
            assert_eq!(request.id.get(), id);
        }
    }

    #[test]
    fn refuses_what_is_not_json() {
        for text in ["", "{", "{\"jsonrpc\":\"2.0\",}", "nonsense", "{} {}"] {
            assert_eq!(code_of(text), code::PARSE_ERROR, "{text}");
        }
        assert_eq!(text(b"\"\xff\"").unwrap_err().code, code::PARSE_ERROR);
    }

    #[test]
    fn refuses_json_that_is_no_message() {
        for text in [
            "1",
            "null",
            "[]",
            "{}",
            r#"{"id":1,"method":"m"}"#,
            r#"{"jsonrpc":"1.0","id":1,"method":"m"}"#,
            r#"{"jsonrpc":"2.0","id":null,"method":"m"}"#,
            r#"{"jsonrpc":"2.0","id":{},"method":"m"}"#,
            r#"{"jsonrpc":"2.0","id":true,"method":"m"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":5}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"m","params":[1]}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"m","result":1}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":1,"error":{}}"#,
            r#"{"jsonrpc":"2.0","id":1}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}"#,
        ] {
            assert_eq!(code_of(text), code::INVALID_REQUEST, "{text}");
        }
    }

    #[test]
    fn bounds_the_id_and_the_nesting() {
        let long = format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"m"}}"#, "x".repeat(REQUEST_ID_BYTES_MAX));
        assert_eq!(code_of(&long), code::INVALID_REQUEST);
        let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
        assert!(text(nested(CLIENT_MESSAGE_DEPTH_MAX).as_bytes()).is_ok());
        assert_eq!(
            text(nested(CLIENT_MESSAGE_DEPTH_MAX + 1).as_bytes()).unwrap_err().code,
            code::PARSE_ERROR
        );
        let quoted = format!(r#""\"{}""#, "[".repeat(1000));
        assert!(text(quoted.as_bytes()).is_ok());
    }
}
