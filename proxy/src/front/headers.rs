//! The headers that MCP gives a meaning, read strictly: one value each, trimmed, visible characters.

use super::era::{self, Params};
use super::error::{Fault, code};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, StatusCode, header};

/// Names a legacy session.
pub const SESSION: &str = "mcp-session-id";
/// Names the protocol revision.
pub const VERSION: &str = "mcp-protocol-version";
/// Repeats the method of a modern request.
const METHOD: &str = "mcp-method";
/// Repeats what a modern request is about.
const NAME: &str = "mcp-name";

/// What a client takes as an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepts {
    /// JSON, or an event stream if there is more than the answer.
    Both,
    /// JSON alone: notifications of the request are left out.
    Json,
    /// An event stream alone.
    Events,
}

/// The one value of a header.
///
/// # Errors
/// -32020 if it comes twice or is not made of visible ASCII characters.
pub fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Fault> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Fault::new(code::HEADER_MISMATCH, format!("header {name} comes twice")));
    }
    let text = value.to_str().map_err(|_| malformed(name))?;
    Ok(Some(text.trim_matches([' ', '\t'])))
}

fn malformed(name: &str) -> Fault {
    Fault::new(code::HEADER_MISMATCH, format!("header {name} is malformed"))
}

/// Checks that the headers of a modern request say what its body says.
///
/// # Errors
/// -32020 if one is missing, malformed or different.
pub fn repeat_body(headers: &HeaderMap, method: &str, params: &Params<'_>) -> Result<(), Fault> {
    expect(METHOD, single(headers, METHOD)?, method)?;
    let subject = match method {
        "tools/call" | "prompts/get" => params.name,
        "resources/read" => params.uri,
        _ if method.starts_with("tasks/") => params.task,
        _ => return Ok(()),
    };
    // Without a subject the core answers that a parameter is missing.
    let Some(subject) = era::string(subject) else { return Ok(()) };
    let value = single(headers, NAME)?.map(|value| decode(NAME, value)).transpose()?;
    expect(NAME, value.as_deref(), &subject)
}

/// Checks that a header has this value.
///
/// # Errors
/// -32020 if not.
pub fn expect(name: &str, value: Option<&str>, expected: &str) -> Result<(), Fault> {
    match value {
        Some(value) if value == expected => Ok(()),
        Some(_) => Err(Fault::new(
            code::HEADER_MISMATCH,
            format!("header {name} does not say what the body says: {expected:?}"),
        )),
        None => Err(Fault::new(code::HEADER_MISMATCH, format!("header {name} is missing"))),
    }
}

/// A value that may be wrapped as `=?base64?…?=`. One that lacks an end of the wrapper stands for itself.
///
/// # Errors
/// -32020 if what is wrapped is no Base64 of UTF-8.
pub fn decode(name: &str, value: &str) -> Result<String, Fault> {
    let Some(encoded) = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) else {
        return Ok(value.to_owned());
    };
    let bytes = STANDARD.decode(encoded).map_err(|_| malformed(name))?;
    String::from_utf8(bytes).map_err(|_| malformed(name))
}

/// Checks that the body is JSON.
///
/// # Errors
/// 415.
pub fn content_type(headers: &HeaderMap) -> Result<(), Fault> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = value.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Fault::transport(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type must be application/json"))
}

/// Checks that the body is not compressed: a few bytes could become very many.
///
/// # Errors
/// 415.
pub fn content_coding(headers: &HeaderMap) -> Result<(), Fault> {
    let values = headers.get_all(header::CONTENT_ENCODING).iter();
    let mut codings = values.flat_map(|value| value.to_str().unwrap_or("?").split(','));
    if codings.all(|coding| coding.trim().eq_ignore_ascii_case("identity")) {
        return Ok(());
    }
    let problem = "Content-Encoding: compressed requests are not taken, send the message as it is";
    Err(Fault::transport(StatusCode::UNSUPPORTED_MEDIA_TYPE, problem))
}

/// What the client takes. One that names only one of the two types gets that one.
///
/// # Errors
/// 406 if it takes neither.
pub fn accept(headers: &HeaderMap) -> Result<Accepts, Fault> {
    match (takes(headers, "application/json"), takes(headers, "text/event-stream")) {
        (true, true) => Ok(Accepts::Both),
        (true, false) => Ok(Accepts::Json),
        (false, true) => Ok(Accepts::Events),
        (false, false) => Err(Fault::transport(
            StatusCode::NOT_ACCEPTABLE,
            "Accept must list application/json and text/event-stream",
        )),
    }
}

/// Whether the client takes this type. No `Accept` at all takes everything.
pub fn takes(headers: &HeaderMap, wanted: &str) -> bool {
    let mut values = headers.get_all(header::ACCEPT).iter().peekable();
    if values.peek().is_none() {
        return true;
    }
    let group = wanted.split('/').next().unwrap_or_default();
    values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(|entry| {
        let mut parts = entry.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let refused = parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
        !refused && (kind == wanted || kind == "*/*" || kind.strip_suffix("/*") == Some(group))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn accepting(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(value))])
    }

    #[test]
    fn gives_a_client_only_what_it_takes() {
        assert_eq!(accept(&HeaderMap::new()), Ok(Accepts::Both));
        assert_eq!(accept(&accepting("*/*")), Ok(Accepts::Both));
        assert_eq!(accept(&accepting("application/json, text/event-stream")), Ok(Accepts::Both));
        assert_eq!(accept(&accepting("application/json; charset=utf-8")), Ok(Accepts::Json));
        assert_eq!(accept(&accepting("Text/*")), Ok(Accepts::Events));
        assert_eq!(accept(&accepting("text/event-stream;q=0, application/json")), Ok(Accepts::Json));
        assert_eq!(accept(&accepting("text/html")).unwrap_err().status, StatusCode::NOT_ACCEPTABLE);
    }

    #[test]
    fn decodes_wrapped_values_and_takes_half_wrapped_ones_literally() {
        assert_eq!(decode(NAME, "=?base64?SGVsbG8=?=").unwrap(), "Hello");
        assert_eq!(decode(NAME, "=?base64?SGVsbG8=").unwrap(), "=?base64?SGVsbG8=");
        assert_eq!(decode(NAME, "SGVsbG8=").unwrap(), "SGVsbG8=");
        for wrong in ["=?base64?SGVsbG8?=", "=?base64?SGVs!!!bG8=?=", "=?base64?/w==?="] {
            assert_eq!(decode(NAME, wrong).unwrap_err().code, code::HEADER_MISMATCH, "{wrong}");
        }
    }
}
