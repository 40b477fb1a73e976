//! A JSON-RPC message whose parts are slices of its text.

use super::object::{Keys, Object, ObjectError, text_of};
use crate::limits::NESTING_MAX;
use std::borrow::Cow;

/// A message, classified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Envelope<'a> {
    /// Asks for a response.
    Request {
        /// Raw, to be echoed byte for byte.
        id: &'a str,
        /// What is asked.
        method: Cow<'a, str>,
        /// An object, raw.
        params: Option<&'a str>,
    },
    /// Asks for nothing.
    Notification {
        /// What is said.
        method: Cow<'a, str>,
        /// An object, raw.
        params: Option<&'a str>,
    },
    /// Answers a request.
    Response {
        /// Raw; nothing if the other side could not read the request's.
        id: Option<&'a str>,
        /// What it says.
        outcome: Outcome<'a>,
    },
}

/// What a response says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// An object, raw.
    Result(&'a str),
    /// An object, raw.
    Error(&'a str),
    /// Both, or neither, or not an object: not to be passed on.
    Invalid,
}

/// Why bytes are not a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Not UTF-8.
    #[error("the message is not UTF-8")]
    NotUtf8,
    /// Nested deeper than [`NESTING_MAX`].
    #[error("the message is nested deeper than {NESTING_MAX} levels")]
    TooDeep,
    /// A batch: no revision we speak has them.
    #[error("batches are not supported")]
    Batch,
    /// Not an object, or a key twice.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// `jsonrpc` is not `"2.0"`.
    #[error("\"jsonrpc\" must be \"2.0\"")]
    Version,
    /// `method` is not a string.
    #[error("\"method\" must be a string")]
    Method,
    /// `id` is neither a string nor a number.
    #[error("\"id\" must be a string or a number")]
    Id,
    /// `params` is not an object.
    #[error("\"params\" must be an object")]
    Params,
    /// Neither a method nor a result nor an error.
    #[error("the message is neither a request nor a notification nor a response")]
    Shapeless,
}

impl<'a> Envelope<'a> {
    /// Reads one message. Depth is bounded first; size is bounded by whoever read the bytes.
    ///
    /// # Errors
    /// [`EnvelopeError`] if it is not one JSON-RPC message.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, EnvelopeError> {
        check_nesting(bytes)?;
        let text = std::str::from_utf8(bytes).map_err(|_| EnvelopeError::NotUtf8)?;
        if text.trim_ascii_start().starts_with('[') {
            return Err(EnvelopeError::Batch);
        }
        let object = Object::parse(text, Keys::Folded)?;
        if object.get_text("jsonrpc").as_deref() != Some("2.0") {
            return Err(EnvelopeError::Version);
        }
        let id = object.get("id");
        match object.get("method") {
            Some(method) => Self::asking(id, method, object.get("params")),
            None => Self::answering(id, &object),
        }
    }

    fn asking(id: Option<&'a str>, method: &'a str, params: Option<&'a str>) -> Result<Self, EnvelopeError> {
        let method = text_of(method).ok_or(EnvelopeError::Method)?;
        let params = match params {
            None | Some("null") => None,
            Some(params) if params.starts_with('{') => Some(params),
            Some(_) => return Err(EnvelopeError::Params),
        };
        match id {
            None => Ok(Self::Notification { method, params }),
            Some(id) if is_id(id) => Ok(Self::Request { id, method, params }),
            Some(_) => Err(EnvelopeError::Id),
        }
    }

    fn answering(id: Option<&'a str>, object: &Object<'a>) -> Result<Self, EnvelopeError> {
        let outcome = match (object.get("result"), object.get("error")) {
            (None, None) => return Err(EnvelopeError::Shapeless),
            (Some(result), None) if result.starts_with('{') => Outcome::Result(result),
            (None, Some(error)) if error.starts_with('{') => Outcome::Error(error),
            _ => Outcome::Invalid,
        };
        match id {
            None | Some("null") => Ok(Self::Response { id: None, outcome }),
            Some(id) if is_id(id) => Ok(Self::Response { id: Some(id), outcome }),
            Some(_) => Err(EnvelopeError::Id),
        }
    }
}

fn is_id(raw: &str) -> bool {
    raw.starts_with(|c: char| c == '"' || c == '-' || c.is_ascii_digit())
}

/// Counts brackets outside strings, so that nothing recursive ever sees a deep text.
///
/// # Errors
/// [`EnvelopeError::TooDeep`] above [`NESTING_MAX`].
pub fn check_nesting(bytes: &[u8]) -> Result<(), EnvelopeError> {
    let mut depth = 0_usize;
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'{' | b'[' => {
                depth += 1;
                if depth > NESTING_MAX {
                    return Err(EnvelopeError::TooDeep);
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => rest = after_string(rest),
            _ => {}
        }
    }
    Ok(())
}

/// What follows the closing quote of the string whose first character is the first of `rest`.
fn after_string(mut rest: &[u8]) -> &[u8] {
    loop {
        let Some(stop) = memchr::memchr2(b'"', b'\\', rest) else { return &[] };
        let skip = if rest.get(stop) == Some(&b'"') { 1 } else { 2 };
        let closed = skip == 1;
        rest = rest.get(stop + skip..).unwrap_or_default();
        if closed {
            return rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Envelope<'_>, EnvelopeError> {
        Envelope::parse(text.as_bytes())
    }

    #[test]
    fn tells_requests_notifications_and_responses_apart() {
        assert_eq!(
            parse(r#"{"jsonrpc":"2.0","id":7.0,"method":"a\/b","params":{"x":1}}"#),
            Ok(Envelope::Request { id: "7.0", method: "a/b".into(), params: Some(r#"{"x":1}"#) })
        );
        assert_eq!(
            parse(r#"{"jsonrpc":"2.0","method":"n","params":null}"#),
            Ok(Envelope::Notification { method: "n".into(), params: None })
        );
        assert_eq!(
            parse(r#"{"id":"x","result":{},"jsonrpc":"2.0"}"#),
            Ok(Envelope::Response { id: Some("\"x\""), outcome: Outcome::Result("{}") })
        );
        assert_eq!(
            parse(r#"{"id":null,"error":{"code":1},"jsonrpc":"2.0"}"#),
            Ok(Envelope::Response { id: None, outcome: Outcome::Error(r#"{"code":1}"#) })
        );
    }

    #[test]
    fn a_response_has_exactly_one_of_result_and_error() {
        for body in [r#""result":{},"error":{}"#, r#""result":1"#, r#""error":"text""#] {
            let text = format!(r#"{{"jsonrpc":"2.0","id":1,{body}}}"#);
            assert_eq!(
                parse(&text),
                Ok(Envelope::Response { id: Some("1"), outcome: Outcome::Invalid }),
                "{text}"
            );
        }
        assert_eq!(parse(r#"{"jsonrpc":"2.0","id":1}"#), Err(EnvelopeError::Shapeless));
    }

    #[test]
    fn refuses_what_is_not_one_message() {
        let cases = [
            (r#"[{"jsonrpc":"2.0","id":1,"method":"a"}]"#, EnvelopeError::Batch),
            (r#"{"id":1,"method":"a"}"#, EnvelopeError::Version),
            (r#"{"jsonrpc":"1.0","id":1,"method":"a"}"#, EnvelopeError::Version),
            (r#"{"jsonrpc":"2.0","id":1,"method":5}"#, EnvelopeError::Method),
            (r#"{"jsonrpc":"2.0","id":null,"method":"a"}"#, EnvelopeError::Id),
            (r#"{"jsonrpc":"2.0","id":{},"method":"a"}"#, EnvelopeError::Id),
            (r#"{"jsonrpc":"2.0","id":true,"method":"a"}"#, EnvelopeError::Id),
            (r#"{"jsonrpc":"2.0","id":1,"method":"a","params":[1]}"#, EnvelopeError::Params),
            (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"a"}"#, ObjectError::Duplicate("id".into()).into()),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"a","Method":"b"}"#,
                ObjectError::Duplicate("Method".into()).into(),
            ),
        ];
        for (text, error) in cases {
            assert_eq!(parse(text), Err(error), "{text}");
        }
        assert_eq!(Envelope::parse(b"\xff{}"), Err(EnvelopeError::NotUtf8));
    }

    #[test]
    fn refuses_nesting_over_the_limit_and_ignores_brackets_in_strings() {
        let nested = |depth: usize| {
            let inner = format!("{}1{}", "[".repeat(depth - 2), "]".repeat(depth - 2));
            format!(r#"{{"jsonrpc":"2.0","method":"a","params":{{"x":{inner}}}}}"#)
        };
        assert!(parse(&nested(NESTING_MAX)).is_ok());
        assert_eq!(parse(&nested(NESTING_MAX + 1)), Err(EnvelopeError::TooDeep));
        let quoted = format!(r#"{{"jsonrpc":"2.0","method":"a","params":{{"x":"\"{}"}}}}"#, "[{".repeat(500));
        assert!(parse(&quoted).is_ok());
    }
}
