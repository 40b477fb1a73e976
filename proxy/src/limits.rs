//! Every bound of the proxy, with its unit, in one place.

use std::time::Duration;

// The core: messages, servers, lists.

/// Levels of nesting of one message.
pub const NESTING_MAX: usize = 128;
/// Bytes of one line a server writes; above it the server is ended.
pub const SERVER_LINE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes read from a server at once.
pub const READ_BYTES: usize = 16 * 1024;
/// Lines on a server's standard output that are no message; above it the server is ended.
pub const JUNK_LINES_MAX: u64 = 1000;
/// Bytes that may wait for a server that reads slowly.
pub const OUTBOX_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Requests one server may have in its hands.
pub const PENDING_MAX: usize = 4096;
/// Requests that may wait while one server starts.
pub const WAITING_MAX: usize = 1024;
/// Lines kept of what a server writes to its standard error.
pub const STDERR_LINES: usize = 20;
/// Bytes kept of one such line.
pub const STDERR_LINE_BYTES: usize = 500;
/// The longest a request may take however much progress it reports.
pub const REQUEST_TIME_MAX: Duration = Duration::from_secs(3600);
/// How long the first list waits for servers never seen.
pub const FIRST_LIST_WAIT: Duration = Duration::from_secs(10);
/// How long changes of a server's lists are gathered before they are looked at.
pub const LIST_CHANGE_QUIET: Duration = Duration::from_millis(500);
/// How long until a list that could not be fetched is asked for again.
pub const LIST_RETRY_WAIT: Duration = Duration::from_secs(30);
/// How long two `subscriptions/listen` of one server overlap when what is watched changes.
pub const LISTEN_OVERLAP: Duration = Duration::from_millis(200);
/// How long until a `subscriptions/listen` that its server has ended is opened again.
pub const LISTEN_AGAIN_WAIT: Duration = Duration::from_secs(1);
/// How long one `subscriptions/listen` of ours stays open.
pub const LISTEN_TIME_MAX: Duration = Duration::from_secs(24 * 3600);
/// Pages of one list of one server.
pub const LIST_PAGES_MAX: usize = 100;
/// Entries of one list of one server.
pub const LIST_ITEMS_MAX: usize = 10_000;
/// Bytes of one list of one server.
pub const LIST_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of one server's instructions on the aggregate endpoint.
pub const INSTRUCTIONS_BYTES_MAX: usize = 2048;
/// Resources one session or stream may be subscribed to.
pub const SUBSCRIPTIONS_MAX: usize = 1024;
/// Events that may wait for a slow front; above it the front sees a gap.
pub const EVENTS_MAX: usize = 1024;
/// The first wait before a server is started again.
pub const RESTART_WAIT_MIN: Duration = Duration::from_millis(100);
/// The longest wait before a server is started again.
pub const RESTART_WAIT_MAX: Duration = Duration::from_secs(30);
/// A server that ran this long is started again at once.
pub const RUN_COUNTED_STABLE: Duration = Duration::from_secs(30);
/// How long a server may take to end after it was asked to.
pub const STOP_GRACE: Duration = Duration::from_secs(2);
/// How long we wait to learn how a server ended.
pub const EXIT_REPORT_WAIT: Duration = Duration::from_millis(500);
/// How long the launcher may take to answer.
pub const LAUNCHER_REPLY_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest wait before the launcher is connected to again.
pub const LAUNCHER_RECONNECT_WAIT_MAX: Duration = Duration::from_secs(2);
/// Bytes of the view.
pub const VIEW_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How long a modern client may keep a list, in milliseconds; changes are announced.
pub const LIST_TTL_MS: u64 = 5000;
