//! A core that answers from a script, and a front to it, for the tests of the fronts.

use super::Front;
use super::era::Params;
use super::error::{Fault, code};
use super::identity::{Identity, Peer, Token, Trust};
use super::message::{self, Message};
use crate::exchange::{Answer, Audience, Caller, Exchange, List, ListKind, ServerEvent};
use axum::Router;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use only1mcp_policy::view::ToolView;
use only1mcp_wire::ServerName;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tokio::sync::{Notify, Semaphore, broadcast, mpsc};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A core that answers from a script.
pub struct Scripted {
    pub events: broadcast::Sender<ServerEvent>,
    pub requests: Mutex<Vec<(Caller, String)>>,
    pub notifications: Mutex<Vec<(Caller, String)>>,
    pub responses: Mutex<Vec<(Caller, String)>>,
    pub ended: Mutex<Vec<u64>>,
    /// Lets the tool `wait` answer.
    pub release: Notify,
    /// Lets the tool `steps` go on, once each: three notifications, then the answer.
    pub steps: Semaphore,
    /// What became of the tool `wait`.
    pub waited: Mutex<Vec<&'static str>>,
}

impl Scripted {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            events: broadcast::channel(16).0,
            requests: Mutex::default(),
            notifications: Mutex::default(),
            responses: Mutex::default(),
            ended: Mutex::default(),
            release: Notify::new(),
            steps: Semaphore::new(0),
            waited: Mutex::default(),
        })
    }

    pub fn tools_changed(&self) {
        let kind = ListKind { list: List::Tools, server: name("a"), audience: Audience::Everybody };
        self.events.send(ServerEvent::ListChanged(kind)).unwrap();
    }

    pub fn updated(&self, uri: &str) {
        let uri = uri.to_owned();
        let audience = Audience::Everybody;
        let event =
            ServerEvent::ResourceUpdated { server: name("a"), aggregate_uri: uri.clone(), uri, audience };
        self.events.send(event).unwrap();
    }

    async fn call(&self, tool: &str, stream: &mpsc::Sender<Bytes>) -> Result<Value, i64> {
        match tool {
            "echo" => Ok(json!({"content": []})),
            "progress" => {
                for step in [1, 2] {
                    let note =
                        json!({"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":step}});
                    let _ = stream.send(Bytes::from(note.to_string())).await;
                }
                Ok(json!({"content": ["done"]}))
            }
            "steps" => {
                for step in 1..=3 {
                    self.steps.acquire().await.unwrap().forget();
                    let note =
                        json!({"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":step}});
                    let _ = stream.send(Bytes::from(note.to_string())).await;
                }
                self.steps.acquire().await.unwrap().forget();
                Ok(json!({"content": ["all steps"]}))
            }
            "long" => Ok(json!({"content": ["x".repeat(64 * 1024)]})),
            "too long" => Ok(json!({"content": ["x".repeat(crate::limits::COMPRESSED_BYTES_MAX)]})),
            "large" => {
                let note = json!({"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1}});
                let _ = stream.send(Bytes::from(note.to_string())).await;
                Ok(json!({"content": ["x".repeat(1024 * 1024)]}))
            }
            "wait" => {
                let mut waiting = Waiting { scripted: self, outcome: "cancelled" };
                self.release.notified().await;
                waiting.outcome = "answered";
                Ok(json!({"content": ["waited"]}))
            }
            "capability" => Err(code::CAPABILITY_MISSING),
            _ => Err(code::INVALID_PARAMS),
        }
    }
}

struct Waiting<'a> {
    scripted: &'a Scripted,
    outcome: &'static str,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.scripted.waited.lock().unwrap().push(self.outcome);
    }
}

impl Exchange for Scripted {
    async fn request(self: Arc<Self>, caller: Caller, body: Bytes, stream: mpsc::Sender<Bytes>) -> Answer {
        let Ok(Message::Request(request)) = message::text(&body).and_then(message::parse) else {
            panic!("the front let something else through: {body:?}");
        };
        let method = request.method.to_string();
        let params = Params::read(request.params).unwrap();
        let text = |raw| super::era::string(raw).unwrap_or_default();
        self.requests.lock().unwrap().push((caller.clone(), method.clone()));
        let result = match &*method {
            "initialize" => Ok(json!({"protocolVersion": caller.version, "capabilities": {}})),
            "ping" => Ok(json!({})),
            "tools/list" => Ok(json!({"tools": [{"name": "echo"}]})),
            "server/discover" => Ok(json!({"supportedVersions": ["2026-07-28"], "resultType": "complete"})),
            "tools/call" => self.call(&text(params.name), &stream).await,
            "prompts/get" | "resources/read" | "tasks/get" | "logging/setLevel" => Ok(json!({})),
            "resources/subscribe" if text(params.uri).starts_with("x:") => Ok(json!({})),
            "resources/unsubscribe" => Ok(json!({})),
            _ => Err(code::METHOD_NOT_FOUND),
        };
        match result {
            Ok(result) => Answer {
                response: format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, request.id).into(),
                error_code: None,
                retry_after: None,
            },
            Err(code) => {
                let response = Fault::new(code, "scripted").about(request.id).to_json();
                Answer { response, error_code: Some(code), retry_after: None }
            }
        }
    }

    async fn notification(self: Arc<Self>, caller: Caller, body: Bytes) {
        self.notifications.lock().unwrap().push((caller, String::from_utf8(body.to_vec()).unwrap()));
    }

    fn response(&self, caller: &Caller, body: &Bytes) {
        self.responses.lock().unwrap().push((caller.clone(), String::from_utf8(body.to_vec()).unwrap()));
    }

    fn events(&self) -> broadcast::Receiver<ServerEvent> {
        self.events.subscribe()
    }

    fn session_ended(&self, session: u64) {
        self.ended.lock().unwrap().push(session);
    }

    fn input_schema(&self, _: &Caller, tool: &str) -> Option<Bytes> {
        let schema = r#"{"properties":{"region":{"type":"string","x-mcp-header":"Region"}}}"#;
        (tool == "echo").then(|| Bytes::from(schema))
    }

    fn shows_changes_of_tools(&self, caller: &Caller) -> bool {
        caller.view != Some(ToolView::Search)
    }

    fn has_server(&self, name: &ServerName) -> bool {
        name.as_str() == "a"
    }

    fn is_settled(&self) -> bool {
        true
    }
}

pub fn name(text: &str) -> ServerName {
    ServerName::new(text).unwrap()
}

/// A front to a scripted core, reached as if over loopback with the token.
pub struct Bench {
    pub core: Arc<Scripted>,
    pub front: Arc<Front<Scripted>>,
    router: Router,
}

/// What came back.
pub struct Reply {
    pub status: StatusCode,
    pub headers: http::HeaderMap,
    pub body: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {:?}", self.body))
    }

    pub fn code(&self) -> Value {
        self.json()["error"]["code"].clone()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The messages of an event stream that has ended.
    pub fn events(&self) -> Vec<Value> {
        assert_eq!(self.header("content-type"), Some("text/event-stream"));
        assert_eq!(self.header("x-accel-buffering"), Some("no"));
        let lines = self.body.lines().filter_map(|line| line.strip_prefix("data: "));
        lines.filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Bench {
    pub fn new() -> Self {
        let core = Scripted::new();
        let identity = Identity::new(Trust::Nobody, Token::of(TOKEN), PathBuf::from("/state/token"));
        let front = Arc::new(Front::new(Arc::clone(&core), identity, CancellationToken::new()));
        let router = super::http::router(Arc::clone(&front));
        Self { core, front, router }
    }

    /// A request with the headers that every client sends, changed by these; an empty value removes one.
    pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Request<Body> {
        let local: SocketAddr = "127.0.0.1:8080".parse().unwrap();
        let mut request =
            Request::builder().method(method).uri(path).body(Body::from(body.to_owned())).unwrap();
        request.extensions_mut().insert(Peer { local, uid: None });
        let authorization = format!("Bearer {TOKEN}");
        let usual = [
            ("host", "localhost:8080"),
            ("authorization", &*authorization),
            ("accept", "application/json, text/event-stream"),
            ("content-type", "application/json"),
        ];
        for (name, value) in usual.iter().chain(headers) {
            let name: header::HeaderName = name.parse().unwrap();
            match *value {
                "" => drop(request.headers_mut().remove(name)),
                value => drop(request.headers_mut().insert(name, value.parse().unwrap())),
            }
        }
        request
    }

    pub async fn raw(&self, request: Request<Body>) -> Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub async fn send(&self, request: Request<Body>) -> Reply {
        let (parts, body) = self.raw(request).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Reply {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    pub async fn post(&self, headers: &[(&str, &str)], body: &str) -> Reply {
        self.send(Self::request("POST", "/mcp", headers, body)).await
    }
}

/// The next chunk of a body that stays open.
pub async fn chunk(body: &mut Body) -> Option<String> {
    let frame =
        tokio::time::timeout(std::time::Duration::from_secs(5), body.frame()).await.expect("nothing came")?;
    Some(String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap())
}

/// Waits until something is so, at most a few seconds.
pub async fn until(what: impl Fn() -> bool) {
    for _ in 0..500 {
        if what() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("it did not come about");
}
