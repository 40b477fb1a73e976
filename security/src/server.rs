//! The smallest MCP server that serves: legacy protocol, standard input and output, one message at a time.
//!
//! It knows the envelope, the handshake and the limits; a [`Service`] knows the rest.

use std::io::{self, BufRead, Read, Write};

use serde_json::{Map, Value, json};

/// Bytes of one message; a longer one is skipped and answered with an error.
pub const MESSAGE_BYTES_MAX: u64 = 1024 * 1024;
/// Protocol versions we speak, newest first. 2025-03-26 would oblige us to batches.
const VERSIONS: [&str; 3] = ["2025-11-25", "2025-06-18", "2024-11-05"];

const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;
const METHOD_NOT_FOUND: i32 = -32601;
const INVALID_PARAMS: i32 = -32602;
const INTERNAL_ERROR: i32 = -32603;

/// What a server offers beyond the handshake.
pub trait Service {
    /// How it introduces itself.
    fn about(&self) -> About;

    /// Answers one request.
    ///
    /// # Errors
    /// [`Fault`], which becomes a JSON-RPC error.
    fn answer(&mut self, method: &str, params: &Map<String, Value>) -> Result<Value, Fault>;
}

/// How a server introduces itself.
#[derive(Clone, Debug)]
pub struct About {
    /// Its name.
    pub name: &'static str,
    /// Its title for people.
    pub title: &'static str,
    /// What a model should know before it uses the tools.
    pub instructions: &'static str,
    /// Its capabilities.
    pub capabilities: Value,
}

/// Why a request gets no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The method is not known.
    Method,
    /// The parameters are wrong, and how.
    Params(String),
    /// The server itself failed.
    Internal(String),
}

impl Fault {
    fn to_json(&self, method: &str) -> Value {
        let (code, message) = match self {
            Self::Method => (METHOD_NOT_FOUND, format!("method not found: {}", shortened(method))),
            Self::Params(text) => (INVALID_PARAMS, text.clone()),
            Self::Internal(text) => (INTERNAL_ERROR, text.clone()),
        };
        json!({"code": code, "message": message})
    }
}

/// Serves until the input ends.
///
/// # Errors
/// When reading or writing fails.
pub fn serve(service: &mut impl Service, mut input: impl BufRead, mut output: impl Write) -> io::Result<()> {
    while let Some(line) = next_line(&mut input)? {
        if let Some(reply) = reply_to(service, &line) {
            serde_json::to_writer(&mut output, &reply)?;
            output.write_all(b"\n")?;
            output.flush()?;
        }
    }
    Ok(())
}

enum Line {
    Whole(Vec<u8>),
    TooLong,
}

fn next_line(input: &mut impl BufRead) -> io::Result<Option<Line>> {
    let mut line = Vec::new();
    let read = input.by_ref().take(MESSAGE_BYTES_MAX).read_until(b'\n', &mut line)?;
    if read == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') || (read as u64) < MESSAGE_BYTES_MAX {
        return Ok(Some(Line::Whole(line)));
    }
    input.skip_until(b'\n')?;
    Ok(Some(Line::TooLong))
}

fn reply_to(service: &mut impl Service, line: &Line) -> Option<Value> {
    let line = match line {
        Line::Whole(line) => line.trim_ascii(),
        Line::TooLong => {
            let text = format!("message longer than {MESSAGE_BYTES_MAX} bytes");
            return Some(error(&Value::Null, PARSE_ERROR, &text));
        }
    };
    if line.is_empty() {
        return None;
    }
    match serde_json::from_slice(line) {
        Ok(Value::Object(message)) => reply_to_message(service, &message),
        Ok(_) => Some(error(&Value::Null, INVALID_REQUEST, "a message must be one JSON object")),
        Err(cause) => Some(error(&Value::Null, PARSE_ERROR, &format!("not JSON: {cause}"))),
    }
}

/// Replies to a request; notifications and replies to nothing we asked get none.
fn reply_to_message(service: &mut impl Service, message: &Map<String, Value>) -> Option<Value> {
    let id = message.get("id")?;
    if !(id.is_string() || id.is_number()) {
        return Some(error(&Value::Null, INVALID_REQUEST, "id must be a string or a number"));
    }
    let method = message.get("method")?;
    let empty = Map::new();
    let params = match message.get("params") {
        None => Some(&empty),
        Some(params) => params.as_object(),
    };
    let (Some(method), Some(params)) = (method.as_str(), params) else {
        return Some(error(id, INVALID_REQUEST, "method must be a string and params an object"));
    };
    Some(match answer(service, method, params) {
        Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Err(fault) => json!({"jsonrpc": "2.0", "id": id, "error": fault.to_json(method)}),
    })
}

fn answer(service: &mut impl Service, method: &str, params: &Map<String, Value>) -> Result<Value, Fault> {
    match method {
        "initialize" => Ok(handshake(&service.about(), params)),
        "ping" => Ok(json!({})),
        _ => service.answer(method, params),
    }
}

/// A version we do not speak is answered with the newest one we do, never with an error.
fn handshake(about: &About, params: &Map<String, Value>) -> Value {
    let wanted = params.get("protocolVersion").and_then(Value::as_str).unwrap_or_default();
    let [newest, ..] = VERSIONS;
    let version = VERSIONS.into_iter().find(|version| *version == wanted).unwrap_or(newest);
    json!({
        "protocolVersion": version,
        "capabilities": about.capabilities,
        "serverInfo": {"name": about.name, "title": about.title, "version": env!("CARGO_PKG_VERSION")},
        "instructions": about.instructions,
    })
}

fn error(id: &Value, code: i32, message: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}})
}

fn shortened(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(64).collect()
}

/// The result of a tool: text for a model, the same as data, and whether the tool failed.
#[must_use]
pub fn tool_result(text: &str, data: Option<Value>, failed: Failed) -> Value {
    let mut result = json!({"content": [{"type": "text", "text": text}], "isError": failed == Failed::Yes});
    if let (Some(result), Some(data)) = (result.as_object_mut(), data) {
        result.insert("structuredContent".to_owned(), data);
    }
    result
}

/// Whether a tool failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// It did; the text says how.
    Yes,
    /// It did what it was asked.
    No,
}

/// One tool as `tools/list` shows it. `properties` is the JSON Schema of its arguments' properties.
#[must_use]
pub fn tool(name: &str, description: &str, properties: Value, required: &[&str], effect: Effect) -> Value {
    json!({
        "name": name,
        "description": description,
        "inputSchema":
            {"type": "object", "properties": properties, "required": required, "additionalProperties": false},
        "annotations":
            {"readOnlyHint": effect == Effect::Reads, "destructiveHint": effect == Effect::Destroys, "openWorldHint": false},
    })
}

/// What a tool does to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It only reads.
    Reads,
    /// It adds.
    Adds,
    /// It may remove or break something.
    Destroys,
}

/// The name and the arguments of a `tools/call`.
///
/// # Errors
/// [`Fault::Params`] if one is missing or of the wrong type.
pub fn tool_call(params: &Map<String, Value>) -> Result<(&str, Map<String, Value>), Fault> {
    let name = text(params, "name")?;
    match params.get("arguments") {
        None | Some(Value::Null) => Ok((name, Map::new())),
        Some(Value::Object(arguments)) => Ok((name, arguments.clone())),
        Some(_) => Err(Fault::Params("arguments must be an object".to_owned())),
    }
}

/// A text among parameters or arguments.
///
/// # Errors
/// [`Fault::Params`] if it is missing or no string.
pub fn text<'a>(values: &'a Map<String, Value>, key: &str) -> Result<&'a str, Fault> {
    values
        .get(key)
        .and_then(Value::as_str)
        .ok_or_else(|| Fault::Params(format!("{key} must be given, as a string")))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Echo;

    impl Service for Echo {
        fn about(&self) -> About {
            About { name: "echo", title: "Echo", instructions: "", capabilities: json!({"tools": {}}) }
        }

        fn answer(&mut self, method: &str, params: &Map<String, Value>) -> Result<Value, Fault> {
            if method == "echo" { Ok(Value::Object(params.clone())) } else { Err(Fault::Method) }
        }
    }

    fn replies(input: &str) -> Vec<Value> {
        let mut output = Vec::new();
        serve(&mut Echo, input.as_bytes(), &mut output).unwrap();
        String::from_utf8(output).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn reply(input: &str) -> Value {
        replies(input).remove(0)
    }

    #[test]
    fn answers_the_handshake_with_the_version_asked_for_or_the_newest() {
        for (wanted, given) in [("2025-06-18", "2025-06-18"), ("1999-01-01", "2025-11-25")] {
            let reply = reply(&format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{{"protocolVersion":"{wanted}"}}}}"#
            ));
            assert_eq!(reply["result"]["protocolVersion"], given);
        }
    }

    #[test]
    fn refuses_discovery_and_unknown_methods_by_their_code() {
        for method in ["server/discover", "nonsense"] {
            let reply = reply(&format!(r#"{{"jsonrpc":"2.0","id":"a","method":"{method}"}}"#));
            assert_eq!((&reply["error"]["code"], &reply["id"]), (&json!(-32601), &json!("a")));
        }
    }

    #[test]
    fn says_nothing_to_notifications_and_empty_lines() {
        assert!(replies("\n{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n").is_empty());
    }

    #[test]
    fn bad_input_is_answered_and_the_next_message_still_served() {
        let ping = r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#;
        for (bad, code) in [("{", -32700), ("[]", -32600), (r#"{"id":[],"method":"ping"}"#, -32600)] {
            let replies = replies(&format!("{bad}\n{ping}\n"));
            assert_eq!((&replies[0]["error"]["code"], &replies[1]["result"]), (&json!(code), &json!({})));
        }
    }

    #[test]
    fn a_message_too_long_is_skipped_as_a_whole() {
        let long = "x".repeat(3 * 1024 * 1024);
        let replies = replies(&format!("{long}\n{{\"id\":1,\"method\":\"ping\"}}\n"));
        assert_eq!(replies.len(), 2);
        assert_eq!(replies[0]["error"]["code"], -32700);
    }
}
