//! The seam between the fronts (who speak to clients) and the core (which speaks to servers).
//!
//! A front checks transport rules (headers, sessions, origin, identity) and hands the core one raw
//! JSON-RPC message at a time with the [`Caller`] it came from. The core answers with raw JSON.

use bytes::Bytes;
use only1mcp_policy::view::ToolView;
use only1mcp_wire::ServerName;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc};

/// Messages of one request's own stream that may wait for a slow client.
pub const STREAM_MESSAGES_MAX: usize = 256;

/// Which of the two families of the protocol a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Era {
    /// 2025-11-25 and earlier: handshake and sessions.
    Legacy,
    /// 2026-07-28 and later: every request stands alone.
    Modern,
}

/// What a client reaches under one URL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `/mcp`: all servers, names prefixed.
    Aggregate,
    /// `/mcp/SERVER`: one server, nothing prefixed.
    Server(ServerName),
}

/// Who is calling, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Principal {
    /// A process of this uid on this machine.
    LocalUser(u32),
    /// The bearer of the token made at first start.
    TokenBearer,
}

/// Where a message comes in, and from whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Who {
    /// What it reaches.
    pub endpoint: Endpoint,
    /// How the URL says that tools shall be shown; nothing if it does not.
    pub view: Option<ToolView>,
    /// Who it is.
    pub principal: Principal,
}

impl Who {
    /// A principal that reaches all servers, shown as the configuration says.
    #[must_use]
    pub fn at_all(principal: Principal) -> Self {
        Self { endpoint: Endpoint::Aggregate, view: None, principal }
    }
}

/// The client behind a message. One per legacy session, relay connection or modern request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// What it reaches.
    pub endpoint: Endpoint,
    /// How it wants tools shown: what the URL said when it began. Nothing if that is left to us.
    pub view: Option<ToolView>,
    /// Which family of the protocol it speaks.
    pub era: Era,
    /// The revision: negotiated (legacy) or named by the request (modern).
    pub version: &'static str,
    /// Who it is.
    pub principal: Principal,
    /// The legacy session or relay connection; unique while the proxy runs. None for modern requests.
    pub session: Option<u64>,
    /// The relay connection a modern request came over: the one thing that tells such clients of one principal apart.
    pub relay: Option<u64>,
    /// What the client says it can do, a raw JSON object: said in the handshake (legacy), or by the request (modern).
    pub capabilities: Arc<str>,
}

/// What a client can do that says nothing of it.
#[must_use]
pub fn no_capabilities() -> Arc<str> {
    Arc::from("{}")
}

/// Whom something concerns.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Audience {
    /// Everybody: it happened in a process that all share.
    Everybody,
    /// One legacy session or relay connection.
    Session(u64),
    /// The modern client of one relay connection.
    Relay(u64),
    /// One principal.
    Principal(Principal),
}

/// Something that happened at a server and concerns clients beyond one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerEvent {
    /// A server's list changed, and the bytes clients see with it.
    ListChanged(ListKind),
    /// A resource changed: the URI as clients of the aggregate see it, and as its owner names it.
    ResourceUpdated {
        /// Whose resource.
        server: ServerName,
        /// As the server names it.
        uri: String,
        /// As clients of the aggregate see it.
        aggregate_uri: String,
        /// Whose process said so.
        audience: Audience,
    },
    /// A message for one legacy client that belongs to none of its requests: a whole JSON-RPC request or notification.
    ForSession {
        /// Whose it is.
        session: u64,
        /// The message.
        message: Bytes,
    },
}

/// Which list changed, and on which endpoint it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListKind {
    /// Which list.
    pub list: List,
    /// At whose server.
    pub server: ServerName,
    /// Whose process said so.
    pub audience: Audience,
}

/// The lists of the protocol that can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum List {
    /// `tools/list`.
    Tools,
    /// `prompts/list`.
    Prompts,
    /// `resources/list` and `resources/templates/list`.
    Resources,
}

/// What a front gets back for one request.
#[derive(Debug)]
pub struct Answer {
    /// The whole JSON-RPC response, with the client's id byte for byte.
    pub response: Bytes,
    /// The error code of the response, if it is an error: a front may need it for the HTTP status.
    pub error_code: Option<i64>,
    /// When it is worth another try, of a request that came too early.
    pub retry_after: Option<Duration>,
}

/// The core, as the fronts see it. Implemented by `crate::core::Core` alone; a trait so that fronts
/// can be tested against a scripted core.
pub trait Exchange: Send + Sync + 'static {
    /// Answers one request. `body` is one JSON-RPC request object, already parsed once by the front
    /// and known to be well-formed. Notifications that belong to this request (progress, log lines)
    /// go to `stream` as whole JSON-RPC notifications before the answer; so do requests of its server to a legacy client.
    ///
    /// Dropping the future cancels the request at the server (modern: the client closed its stream).
    fn request(
        self: Arc<Self>,
        caller: Caller,
        body: Bytes,
        stream: mpsc::Sender<Bytes>,
    ) -> impl Future<Output = Answer> + Send;

    /// Takes one notification of a client (`notifications/cancelled`, `notifications/progress`, …).
    fn notification(self: Arc<Self>, caller: Caller, body: Bytes) -> impl Future<Output = ()> + Send;

    /// Takes a legacy client's answer to a request that reached it as a message of [`Exchange::request`]'s `stream`
    /// or as [`ServerEvent::ForSession`]. One that answers nothing is dropped.
    fn response(&self, caller: &Caller, body: &Bytes);

    /// Subscribes to what happens at the servers.
    fn events(&self) -> broadcast::Receiver<ServerEvent>;

    /// Tells the core that a legacy session or relay connection has ended.
    fn session_ended(&self, session: u64);

    /// The input schema of a tool as this client sees it, if it is known: a front checks the headers of a modern
    /// call by it that repeat arguments.
    fn input_schema(&self, caller: &Caller, tool: &str) -> Option<Bytes>;

    /// Whether this client's list of tools can change with those of the servers.
    fn shows_changes_of_tools(&self, caller: &Caller) -> bool;

    /// Whether a server of this name is configured.
    fn has_server(&self, name: &ServerName) -> bool;

    /// Whether each server has become ready, has failed, or waits until it is needed.
    fn is_settled(&self) -> bool;
}
