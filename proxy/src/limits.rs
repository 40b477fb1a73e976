//! Every bound of the proxy with its name and unit, in one place: one section for each part.

use std::time::Duration;

// The front: what clients may send and hold.

/// Bytes of one message of a client: an HTTP body or a line of the relay.
pub const CLIENT_MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Nesting of arrays and objects in one message of a client.
pub const CLIENT_MESSAGE_DEPTH_MAX: usize = 100;
/// Bytes of a request's id, quotes included: it is copied into every notification of a subscription.
pub const REQUEST_ID_BYTES_MAX: usize = 1024;
/// Messages in one batch (2025-03-26 only).
pub const BATCH_MESSAGES_MAX: usize = 64;
/// Header lines of one HTTP request.
pub const HTTP_HEADERS_MAX: usize = 64;
/// Bytes of all header lines of one HTTP request together.
pub const HTTP_HEADER_BYTES_MAX: usize = 32 * 1024;
/// How long a client may take to send its header lines, and may leave a connection idle.
pub const HTTP_HEADER_TIME_MAX: Duration = Duration::from_secs(75);
/// How long a client may take to send a body.
pub const HTTP_BODY_TIME_MAX: Duration = Duration::from_secs(30);
/// TCP connections at one time; further ones wait in the kernel's queue.
pub const HTTP_CONNECTIONS_MAX: usize = 1024;
/// Requests of all HTTP clients that may be under way at one time.
pub const HTTP_REQUESTS_MAX: usize = 2048;
/// Streams that stay open (`subscriptions/listen`, and GET of a session), all clients together.
pub const OPEN_STREAMS_MAX: usize = 512;
/// Legacy sessions at one time.
pub const SESSIONS_MAX: usize = 2048;
/// How long a legacy session lives without a message or an open stream.
pub const SESSION_IDLE_MAX: Duration = Duration::from_secs(30 * 60);
/// How often idle sessions are looked for.
pub const SESSION_SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// Resources one session or one listen stream may be subscribed to.
pub const SUBSCRIPTIONS_MAX: usize = 256;
/// Time between comments on an event stream that has nothing to say.
pub const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// Relay connections at one time.
pub const RELAY_CONNECTIONS_MAX: usize = 256;
/// Requests of one relay connection that may be under way at one time.
pub const RELAY_REQUESTS_MAX: usize = 256;
/// Lines that may wait for a slow relay client.
pub const RELAY_LINES_MAX: usize = 256;
/// How long requests of a relay client may go on after it closed its sending side.
pub const RELAY_LINGER_MAX: Duration = Duration::from_secs(30);
/// Connections to the administration socket at one time.
pub const ADMIN_CONNECTIONS_MAX: usize = 16;
/// How long open connections may go on after the order to stop.
pub const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);
/// Bytes of the file that holds the token.
pub const TOKEN_BYTES_MAX: u64 = 1024;
/// Listening sockets the proxy may be handed.
pub const LISTENERS_MAX: usize = 16;
