//! MCP over HTTP, request by request, in both eras. Every header and member can be changed by a test.

use crate::http::{self, Response, Stream};
use serde_json::{Value, json};

/// The modern revision.
pub const MODERN: &str = "2026-07-28";
/// The newest legacy revision.
pub const LEGACY: &str = "2025-11-25";
const ACCEPT: &str = "application/json, text/event-stream";

/// Where a client sends its requests, and as whom.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Address and port.
    pub address: String,
    /// `/mcp` or `/mcp/SERVER`.
    pub path: String,
    /// The bearer token, if one is sent.
    pub token: Option<String>,
}

/// The members of a modern request's `_meta`.
#[must_use]
pub fn modern_meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "only1mcp-tests", "version": "1"},
    })
}

/// A request message.
#[must_use]
pub fn message(id: u64, method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

impl Endpoint {
    /// The same daemon, one server without prefixes.
    #[must_use]
    pub fn server(&self, id: &str) -> Self {
        Self { path: format!("/mcp/{id}"), ..self.clone() }
    }

    /// Sends bytes as the body of a POST with these headers (and the token).
    ///
    /// # Panics
    /// If the daemon does not answer.
    #[must_use]
    pub fn post(&self, headers: &[(&str, &str)], body: &[u8]) -> Response {
        http::raw(&self.address, &self.request("POST", headers, body)).expect("an answer over HTTP")
    }

    /// The bytes of a request with the usual headers (unless given) and the token.
    #[must_use]
    pub fn request(&self, method: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
        let bearer = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let mut all = headers.to_vec();
        let defaults = [("Content-Type", "application/json"), ("Accept", ACCEPT)];
        for (name, value) in defaults {
            if !headers.iter().any(|(key, _)| key.eq_ignore_ascii_case(name)) {
                all.push((name, value));
            }
        }
        if let Some(bearer) = &bearer {
            all.push(("Authorization", bearer));
        }
        http::request(method, &self.path, &self.address, &all, body)
    }

    /// The headers and body of a modern request, for a test to change.
    #[must_use]
    pub fn modern_parts(method: &str, params: &Value) -> (Vec<(&'static str, String)>, Value) {
        let mut params = if params.is_object() { params.clone() } else { json!({}) };
        let given = params.get("_meta").cloned();
        params["_meta"] = modern_meta();
        if let Some(Value::Object(given)) = given {
            given.into_iter().for_each(|(key, value)| params["_meta"][key] = value);
        }
        let mut headers =
            vec![("MCP-Protocol-Version", MODERN.to_owned()), ("Mcp-Method", method.to_owned())];
        if matches!(method, "tools/call" | "prompts/get" | "resources/read") || method.starts_with("tasks/") {
            let name = ["name", "uri", "taskId"].iter().find_map(|key| params.get(*key)?.as_str());
            headers.push(("Mcp-Name", name.unwrap_or_default().to_owned()));
        }
        (headers, message(1, method, &params))
    }

    /// One modern request, as a correct client sends it.
    #[must_use]
    pub fn modern(&self, method: &str, params: &Value) -> Response {
        let (headers, body) = Self::modern_parts(method, params);
        self.send(&headers, &body)
    }

    /// One modern request whose answer is read event by event.
    ///
    /// # Panics
    /// If the daemon does not answer.
    #[must_use]
    pub fn modern_stream(&self, method: &str, params: &Value) -> Stream {
        let (headers, body) = Self::modern_parts(method, params);
        let headers: Vec<(&str, &str)> = headers.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let bytes = self.request("POST", &headers, body.to_string().as_bytes());
        Stream::open(&self.address, &bytes).expect("an answer over HTTP")
    }

    /// Sends a message with these headers.
    #[must_use]
    pub fn send(&self, headers: &[(&'static str, String)], body: &Value) -> Response {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(key, value)| (*key, value.as_str())).collect();
        self.post(&headers, body.to_string().as_bytes())
    }

    /// One modern tool call.
    #[must_use]
    pub fn call(&self, tool: &str, arguments: &Value) -> Response {
        self.modern("tools/call", &json!({"name": tool, "arguments": arguments}))
    }

    /// The text a modern tool call gives.
    ///
    /// # Panics
    /// If it gives none.
    #[must_use]
    pub fn call_text(&self, tool: &str, arguments: &Value) -> String {
        let response = self.call(tool, arguments);
        let answer = response.json();
        let text = answer.pointer("/result/content/0/text").and_then(Value::as_str);
        text.unwrap_or_else(|| panic!("{tool} gave no text: {response:?}")).to_owned()
    }

    /// A legacy handshake: the session.
    ///
    /// # Panics
    /// If there is no session.
    #[must_use]
    pub fn legacy(&self) -> Session {
        self.legacy_version(LEGACY)
    }

    /// A legacy handshake that asks for this revision.
    ///
    /// # Panics
    /// If there is no session.
    #[must_use]
    pub fn legacy_version(&self, version: &str) -> Session {
        self.legacy_able(version, &json!({}))
    }

    /// A legacy handshake of a client with these capabilities.
    ///
    /// # Panics
    /// If there is no session.
    #[must_use]
    pub fn legacy_able(&self, version: &str, capabilities: &Value) -> Session {
        let client = json!({"name": "only1mcp-tests", "version": "1"});
        let params = json!({"protocolVersion": version, "capabilities": capabilities, "clientInfo": client});
        let response = self.send(&[], &message(0, "initialize", &params));
        let id = response.header("mcp-session-id").unwrap_or_else(|| panic!("no session: {response:?}"));
        let session = Session { endpoint: self.clone(), id: id.to_owned(), initialized: response.json() };
        let done = session.post(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        assert_eq!((done.status, done.body.as_str()), (202, ""), "a notification is accepted without a body");
        session
    }
}

/// A legacy session.
#[derive(Clone, Debug)]
pub struct Session {
    /// Where it is.
    pub endpoint: Endpoint,
    /// Its id.
    pub id: String,
    /// The answer to `initialize`.
    pub initialized: Value,
}

impl Session {
    /// Sends any message in this session.
    #[must_use]
    pub fn post(&self, body: &Value) -> Response {
        self.endpoint.send(&self.headers(), body)
    }

    /// The headers of this session.
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let version = self.initialized["result"]["protocolVersion"].as_str().unwrap_or(LEGACY);
        vec![("Mcp-Session-Id", self.id.clone()), ("MCP-Protocol-Version", version.to_owned())]
    }

    /// One request.
    #[must_use]
    pub fn request(&self, id: u64, method: &str, params: &Value) -> Response {
        self.post(&message(id, method, params))
    }

    /// One tool call.
    #[must_use]
    pub fn call(&self, tool: &str, arguments: &Value) -> Response {
        self.request(7, "tools/call", &json!({"name": tool, "arguments": arguments}))
    }

    /// Sends a request without a body in this session (`GET`, `DELETE`).
    ///
    /// # Panics
    /// If the daemon does not answer.
    #[must_use]
    pub fn bare(&self, method: &str) -> Response {
        http::raw(&self.endpoint.address, &self.bytes(method, b"")).expect("an answer over HTTP")
    }

    /// Opens the session's own stream (`GET`).
    ///
    /// # Panics
    /// If the daemon does not answer.
    #[must_use]
    pub fn stream(&self) -> Stream {
        Stream::open(&self.endpoint.address, &self.bytes("GET", b"")).expect("an answer over HTTP")
    }

    /// The bytes of a request in this session.
    #[must_use]
    pub fn bytes(&self, method: &str, body: &[u8]) -> Vec<u8> {
        let headers = self.headers();
        let mut headers: Vec<(&str, &str)> =
            headers.iter().map(|(key, value)| (*key, value.as_str())).collect();
        if method == "GET" {
            headers.push(("Accept", "text/event-stream"));
        }
        self.endpoint.request(method, &headers, body)
    }
}
