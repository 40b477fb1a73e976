//! What the front itself refuses: a JSON-RPC error, and the HTTP status that goes with it.

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::value::RawValue;

/// The numbers of JSON-RPC and of MCP. The front's own errors carry their HTTP status as number,
/// because the reserved range must not be added to.
pub mod code {
    /// Not JSON.
    pub const PARSE_ERROR: i64 = -32700;
    /// JSON, but no message that may come here.
    pub const INVALID_REQUEST: i64 = -32600;
    /// Unknown, or removed in this revision.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// A parameter is missing or wrong.
    pub const INVALID_PARAMS: i64 = -32602;
    /// A header is missing or says something else than the body.
    pub const HEADER_MISMATCH: i64 = -32020;
    /// The request needs a capability that the client did not declare.
    pub const CAPABILITY_MISSING: i64 = -32021;
    /// A revision we do not speak.
    pub const UNSUPPORTED_VERSION: i64 = -32022;
}

/// A request that is refused before the core sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// For HTTP clients.
    pub status: StatusCode,
    /// The JSON-RPC error code.
    pub code: i64,
    message: Box<str>,
    data: Option<Box<serde_json::Value>>,
    id: Option<Box<str>>,
}

impl Fault {
    /// A refusal with HTTP status 400, or 404 for an unknown method.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        let status =
            if code == code::METHOD_NOT_FOUND { StatusCode::NOT_FOUND } else { StatusCode::BAD_REQUEST };
        Self { status, code, message: message.into().into(), data: None, id: None }
    }

    /// The body is not JSON.
    pub fn parse(message: &str) -> Self {
        Self::new(code::PARSE_ERROR, message)
    }

    /// A refusal of the transport, with the status as its code.
    pub fn transport(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            code: i64::from(status.as_u16()),
            message: message.into().into(),
            data: None,
            id: None,
        }
    }

    /// Names the request that is refused.
    #[must_use]
    pub fn about(mut self, id: &RawValue) -> Self {
        self.id = Some(id.get().into());
        self
    }

    /// Adds what a program may read.
    #[must_use]
    pub fn with(mut self, data: serde_json::Value) -> Self {
        self.data = Some(Box::new(data));
        self
    }

    /// The JSON-RPC error. Without `id` if the request had none that could be read, as the schema wants it.
    pub fn to_json(&self) -> Bytes {
        let id = self.id.as_deref().and_then(|id| serde_json::from_str::<&RawValue>(id).ok());
        let error = ErrorBody { code: self.code, message: &self.message, data: self.data.as_deref() };
        let response = ErrorResponse { jsonrpc: "2.0", id, error };
        serde_json::to_vec(&response).map(Bytes::from).unwrap_or_default()
    }
}

#[derive(Serialize)]
struct ErrorResponse<'a> {
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a RawValue>,
    error: ErrorBody<'a>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    code: i64,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a serde_json::Value>,
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let mut response = match self.status {
            // For the person who finds that a header is missing in a client's settings.
            StatusCode::UNAUTHORIZED => format!("{}\n", self.message).into_response(),
            status => json(status, self.to_json()),
        };
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        match self.status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                headers.insert(header::ALLOW, HeaderValue::from_static("POST, GET, DELETE"));
            }
            _ => {}
        }
        response
    }
}

/// A JSON answer.
pub fn json(status: StatusCode, body: Bytes) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The HTTP status of a modern answer by its error code; the legacy wire always says 200.
pub fn status_of(error_code: Option<i64>) -> StatusCode {
    match error_code {
        Some(code::METHOD_NOT_FOUND) => StatusCode::NOT_FOUND,
        Some(
            code::HEADER_MISMATCH
            | code::CAPABILITY_MISSING
            | code::UNSUPPORTED_VERSION
            | code::INVALID_REQUEST
            | code::PARSE_ERROR,
        ) => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    }
}
