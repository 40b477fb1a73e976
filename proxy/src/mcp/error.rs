//! Error responses, and the codes they carry.

use super::object::quote;
use bytes::Bytes;
use std::fmt::Write as _;
use std::time::Duration;

/// The message is not JSON.
pub const PARSE_ERROR: i64 = -32700;
/// The message is not a request.
pub const INVALID_REQUEST: i64 = -32600;
/// No such method.
pub const METHOD_NOT_FOUND: i64 = -32601;
/// Unknown tool, prompt, resource, cursor, or malformed parameters.
pub const INVALID_PARAMS: i64 = -32602;
/// The server broke the protocol.
pub const INTERNAL_ERROR: i64 = -32603;
/// Legacy: no such resource. Modern: [`INVALID_PARAMS`].
pub const LEGACY_RESOURCE_NOT_FOUND: i64 = -32002;

/// Legacy: the user must visit a page first. A modern server asks for input instead.
pub const LEGACY_URL_REQUIRED: i64 = -32042;
/// Modern: the client does not declare what the request needs.
pub const MISSING_CAPABILITY: i64 = -32021;

// Our own codes lie outside -32768..=-32000, which JSON-RPC and MCP keep for themselves.

/// The client cancelled the request. A front need not send it.
pub const CANCELLED: i64 = -32800;
/// The server is not running and could not be waited for.
pub const SERVER_UNAVAILABLE: i64 = -31001;
/// The server ended with the request in its hands.
pub const OUTCOME_UNKNOWN: i64 = -31002;
/// The server did not answer in time.
pub const TIMED_OUT: i64 = -31003;
/// The policy does not allow the tool.
pub const REFUSED_BY_POLICY: i64 = -31004;
/// A queue is full.
pub const OVERLOADED: i64 = -31005;
/// The server asked for something that this client cannot be asked.
pub const NOT_BRIDGED: i64 = -31006;

/// A principal calls a server too often.
pub const RATE_LIMITED: i64 = -31007;

/// An error on its way to a client or a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcError {
    /// What kind.
    pub code: i64,
    /// For people.
    pub message: String,
    /// Raw JSON.
    pub data: Option<String>,
    /// When it is worth another try.
    pub retry_after: Option<Duration>,
}

impl RpcError {
    /// An error without data.
    #[must_use]
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None, retry_after: None }
    }

    /// Malformed parameters.
    #[must_use]
    pub fn invalid_params(message: impl Into<String>) -> Self {
        Self::new(INVALID_PARAMS, message)
    }

    /// No such method.
    #[must_use]
    pub fn method_not_found(method: &str) -> Self {
        Self::new(METHOD_NOT_FOUND, format!("method not found: {method}"))
    }

    /// The same error with raw JSON `data`.
    #[must_use]
    pub fn with_data(mut self, data: impl Into<String>) -> Self {
        self.data = Some(data.into());
        self
    }

    /// The error object, raw.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = format!("{{\"code\":{},\"message\":{}", self.code, quote(&self.message));
        if let Some(data) = &self.data {
            let _ = write!(out, ",\"data\":{data}");
        }
        out.push('}');
        out
    }

    /// The whole response to the request with the raw id `id`.
    #[must_use]
    pub fn response(&self, id: &str) -> Bytes {
        error_response(id, &self.to_json())
    }
}

/// A response with the raw error object `error`.
#[must_use]
pub fn error_response(id: &str, error: &str) -> Bytes {
    response(id, ",\"error\":", error)
}

/// A response with the raw result object `result`.
#[must_use]
pub fn result_response(id: &str, result: &str) -> Bytes {
    response(id, ",\"result\":", result)
}

fn response(id: &str, kind: &str, body: &str) -> Bytes {
    const OPENING: &str = "{\"jsonrpc\":\"2.0\",\"id\":";
    let mut out = Vec::with_capacity(OPENING.len() + id.len() + kind.len() + body.len() + 1);
    for part in [OPENING, id, kind, body, "}"] {
        out.extend_from_slice(part.as_bytes());
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_echoes_the_id_byte_for_byte() {
        let error = RpcError::invalid_params("no \"x\"").with_data("{\"uri\":1.0}");
        assert_eq!(
            error.response("7.00"),
            r#"{"jsonrpc":"2.0","id":7.00,"error":{"code":-32602,"message":"no \"x\"","data":{"uri":1.0}}}"#
        );
        assert_eq!(result_response("\"\\u0041\"", "{}"), r#"{"jsonrpc":"2.0","id":"\u0041","result":{}}"#);
    }

    #[test]
    fn our_own_codes_stay_out_of_the_reserved_range() {
        for code in [
            CANCELLED,
            SERVER_UNAVAILABLE,
            OUTCOME_UNKNOWN,
            TIMED_OUT,
            REFUSED_BY_POLICY,
            OVERLOADED,
            NOT_BRIDGED,
            RATE_LIMITED,
        ] {
            assert!(!(-32768..=-32000).contains(&code), "{code}");
        }
    }
}
