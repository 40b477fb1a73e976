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
/// Bytes of a text of a server that stand in a log line or a message.
pub const QUOTED_BYTES_MAX: usize = 200;
/// Bytes of the reason why a server failed.
pub const REASON_BYTES_MAX: usize = 2000;
/// Requests one server may have in its hands.
pub const PENDING_MAX: usize = 4096;
/// Bytes of the answers of one process that are kept.
pub const CACHE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Answers of one process that are kept: small ones cost more than their bytes.
pub const CACHE_ENTRIES_MAX: usize = 1024;
/// The longest an answer is kept, whatever its server allows.
pub const CACHE_TIME_MAX: Duration = Duration::from_secs(3600);
/// Processes that clients do not share, of all servers.
pub const INSTANCES_MAX: usize = 192;
/// Processes of one server that clients do not share. The launcher allows each a successor.
pub const INSTANCES_PER_SERVER_MAX: usize = 32;
/// How often a process is looked at that may have become idle.
pub const IDLE_LOOK: Duration = Duration::from_secs(10);
/// Lists of servers that are remembered for processes that do not run.
pub const REMEMBERED_LISTS_MAX: usize = 64;
/// How often we look whether the client of a shared process has answered what it was asked.
pub const TURN_POLL: Duration = Duration::from_millis(20);
/// Requests of one process to its clients that may be unanswered.
pub const SERVER_REQUESTS_MAX: usize = 64;
/// Requests of a server that may wait for one call of a client to look at them.
pub const SERVER_REQUESTS_QUEUE: usize = 8;
/// How long after one request of a server others count as asked together with it.
pub const REQUESTS_TOGETHER_WAIT: Duration = Duration::from_millis(10);
/// How long a client may take to answer a request of a server: a person may have to decide.
pub const CLIENT_ANSWER_TIME_MAX: Duration = Duration::from_secs(10 * 60);
/// Rounds of questions one call of a legacy client may take at a modern server.
pub const INPUT_ROUNDS_MAX: usize = 16;
/// Calls of modern clients that wait parked for an answer, all together.
pub const PARKED_CALLS_MAX: usize = 256;
/// Calls of one principal that wait parked for an answer.
pub const PARKED_CALLS_PER_PRINCIPAL_MAX: usize = 64;
/// How long a parked call waits for its client.
pub const PARKED_TIME_MAX: Duration = Duration::from_secs(10 * 60);
/// How long the `requestState` of a modern server may be brought back.
pub const REQUEST_STATE_TIME_MAX: Duration = Duration::from_secs(3600);
/// Bytes of a `requestState` that a client brings back; a server's own may be large.
pub const REQUEST_STATE_BYTES_MAX: usize = 8 * 1024 * 1024;
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
/// Bytes of the URI of a resource that is watched: each of its updates waits with it.
pub const WATCHED_URI_BYTES_MAX: usize = 8 * 1024;
/// Bytes of progress and log lines of one server that may wait for slow clients; what is above is dropped.
pub const NOTIFICATIONS_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Messages of one process that belong to no one call and may wait: a part of [`EVENTS_MAX`].
pub const NOTIFICATIONS_APART_MAX: usize = 32;
/// Events that may wait for a slow front; above it the front sees a gap.
pub const EVENTS_MAX: usize = 1024;
/// The first wait before a server is started again.
pub const RESTART_WAIT_MIN: Duration = Duration::from_millis(100);
/// The longest wait before a server is started again.
pub const RESTART_WAIT_MAX: Duration = Duration::from_secs(30);
/// A server that ran this long, or has answered a client, is started again at once.
pub const RUN_COUNTED_STABLE: Duration = Duration::from_secs(30);
/// How long until a process that shall take over is asked for again, for which there was no room just then.
pub const ROOM_WAIT: Duration = Duration::from_secs(2);
/// How long until a process is asked for again that the launcher could not start just then.
pub const PUT_OFF_WAIT: Duration = Duration::from_millis(250);
/// Setbacks of one replica in a row, until it is given up for [`QUARANTINE_TIME`].
pub const SETBACKS_MAX: u32 = 12;
/// How long a replica in quarantine is not started.
pub const QUARANTINE_TIME: Duration = Duration::from_secs(5 * 60);
/// How often we look how much memory a process uses that may use only so much.
pub const MEMORY_LOOK: Duration = Duration::from_secs(10);
/// The longest time between two checks of a process that has missed one.
pub const HEALTH_INTERVAL_ILL_MAX: Duration = Duration::from_secs(1);
/// How long a circuit is open for the first time, and twice as long each further time in a row.
pub const CIRCUIT_OPEN_MIN: Duration = Duration::from_secs(1);
/// The longest a circuit is open.
pub const CIRCUIT_OPEN_MAX: Duration = Duration::from_secs(60);
/// Requests that may be repeated for a hundred that clients make.
pub const RETRIES_PER_HUNDRED: u32 = 20;
/// Requests that may be repeated at once, kept from quieter times.
pub const RETRIES_KEPT_MAX: u32 = 256;
/// Pairs of principal and server whose rate is remembered; above it those that are not ahead are forgotten.
pub const RATES_KEPT_MAX: usize = 4096;
/// Tasks of one server of which is remembered at which replica they are.
pub const TASK_HOMES_MAX: usize = 4096;
/// How long a server that closed its standard input may go on answering what it has read.
pub const LAST_ANSWERS_WAIT: Duration = Duration::from_millis(500);
/// How long we wait for the end of a server that closed its standard output, to learn what it has not read.
pub const READER_GONE_WAIT: Duration = Duration::from_millis(100);
/// How often we look meanwhile.
pub const READER_GONE_POLL: Duration = Duration::from_millis(2);
/// How long a server whose plan is no longer in force may go on answering what it was asked.
pub const DRAIN_TIME: Duration = Duration::from_secs(50);
/// How often we look whether it has.
pub const DRAIN_POLL: Duration = Duration::from_millis(50);
/// How long a server may take to end after it was asked to.
pub const STOP_GRACE: Duration = Duration::from_secs(2);
/// How long we wait to learn how a server ended, before it is started again: longer than [`STOP_GRACE`], so
/// that two processes of one server never run at once.
pub const EXIT_REPORT_WAIT: Duration = Duration::from_secs(4);
/// How long a client whose call was in the hands of a server that ended waits to be told why. Longer than
/// `LAST_ANSWERS_WAIT` plus the reaping of a server that the kernel has killed already.
pub const END_REPORT_WAIT: Duration = Duration::from_millis(500);
/// How long `status` waits to learn what a server uses of its limits.
pub const USAGE_WAIT: Duration = Duration::from_secs(1);
/// How long the launcher may take to answer.
pub const LAUNCHER_REPLY_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest wait before the launcher is connected to again.
pub const LAUNCHER_RECONNECT_WAIT_MAX: Duration = Duration::from_secs(2);
/// Bytes of the view.
pub const VIEW_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How long a modern client may keep a list, in milliseconds; changes are announced.
pub const LIST_TTL_MS: u64 = 5000;

// Context: what views are made of.

/// Bytes of each text of one definition that can be found by search.
pub const SEARCHED_BYTES_MAX: usize = 16 * 1024;
/// Parts of one schema that arguments are held against, each as often as it is referred to.
pub const CHECKED_NODES_MAX: usize = 4000;
/// Patterns among them.
pub const CHECKED_PATTERNS_MAX: usize = 32;
/// Bytes that one pattern may take when it is made ready.
pub const PATTERN_BYTES_MAX: usize = 256 * 1024;
/// Schemas of one catalogue that are kept ready.
pub const VALIDATORS_KEPT_MAX: usize = 128;
/// Bytes of arguments that are held against a schema; those of longer ones are left to the server.
pub const CHECKED_ARGUMENTS_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a name to which similar ones are looked for.
pub const NEAR_NAME_BYTES_MAX: usize = 128;
/// Words of a question that are taken for misspelt.
pub const RESPELT_WORDS_MAX: usize = 5;
/// Bytes of a word that is a term: what is longer is no word.
pub const TERM_BYTES_MAX: usize = 64;
/// Bytes of one description that say what a tool is about.
pub const ABOUT_BYTES_MAX: usize = 600;
/// Words of one question that are looked for.
pub const SEARCH_TERMS_MAX: usize = 256;
/// Levels of one schema that are looked at.
pub const SCHEMA_DEPTH_MAX: usize = 32;
/// Bytes of a description beside the signature of a tool that was found.
pub const FOUND_DESCRIPTION_BYTES: usize = 120;
/// Bytes of definitions that are given at once.
pub const DESCRIBED_BYTES_MAX: usize = 64 * 1024;
/// Bytes of what a server says of itself in the list of servers.
pub const SERVER_ABOUT_BYTES: usize = 200;
/// Results of which the rest is kept.
pub const RESULTS_KEPT_MAX: usize = 256;
/// Bytes of all that is kept of results; the newest is kept whatever it has.
pub const RESULTS_BYTES_MAX: usize = 32 * 1024 * 1024;
/// How long the rest of a result is kept.
pub const RESULT_TIME_MAX: Duration = Duration::from_secs(30 * 60);
/// Flags of one server that `status` keeps word for word; further ones are counted.
pub const FLAGS_SHOWN_MAX: usize = 20;
/// Bytes of one definition above which it is flagged.
pub const FLAGGED_DEFINITION_BYTES: usize = 16 * 1024;
/// Bytes of one description above which it is flagged.
pub const FLAGGED_DESCRIPTION_BYTES: usize = 8 * 1024;
/// Tools of one server above which it is flagged.
pub const FLAGGED_TOOLS: usize = 200;
/// Bytes of one definition that is looked into for flags; a longer one is flagged as that.
pub const LOOKED_INTO_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of what a flag quotes, and of the name of its tool.
pub const FLAG_QUOTED_BYTES_MAX: usize = 80;
/// Bytes of a schema up to which it is shown shorter.
pub const SHORTENED_SCHEMA_BYTES_MAX: usize = 256 * 1024;
/// Bytes of a tool's description when it is shown shorter.
pub const TOOL_DESCRIPTION_BYTES: usize = 230;
/// Bytes of the first sentence of a tool's description: it stays whole up to here.
pub const TOOL_SENTENCE_BYTES_MAX: usize = 500;
/// Bytes of a parameter's description when it is shown shorter.
pub const PARAMETER_DESCRIPTION_BYTES: usize = 60;
/// Bytes of the first sentence of a parameter's description.
pub const PARAMETER_SENTENCE_BYTES_MAX: usize = 84;
/// Bytes that saying a repeated subschema once must save.
pub const REPEATED_BYTES_MIN: usize = 40;
/// Bytes of the line that shows how a tool is called.
pub const SIGNATURE_BYTES_MAX: usize = 400;
/// Bytes of an enumeration in such a line; a longer one is shown by its type.
pub const SIGNATURE_ENUM_BYTES_MAX: usize = 80;
/// Bytes of the sentence that says what such a tool does.
pub const BRIEF_SENTENCE_BYTES_MAX: usize = 140;

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
/// TCP connections at one time that have shown no token yet; above it the oldest is closed.
pub const HTTP_GUESTS_MAX: usize = 256;
/// How long a connection may be open without having shown a token.
pub const HTTP_GUEST_TIME_MAX: Duration = Duration::from_secs(10);
/// How long a connection that was told to end may take for what is under way on it, once it has been idle.
pub const HTTP_GOODBYE_TIME_MAX: Duration = Duration::from_secs(5);
/// Requests of one HTTP/2 connection at one time.
pub const HTTP2_STREAMS_MAX: u32 = 64;
/// Requests of all HTTP/2 connections that are read, answered, or whose answer is being sent. Over HTTP/1.1 there is
/// one for each connection.
pub const HTTP2_EXCHANGES_MAX: usize = 1024;
/// Bytes of the answers of one HTTP/2 request that may wait for its client.
pub const HTTP2_SEND_BYTES_MAX: usize = 64 * 1024;
/// Bytes of bodies that one HTTP/2 connection may send before we have read them, and one request of it.
pub const HTTP2_WINDOW_BYTES: u32 = 1024 * 1024;
/// Requests of one HTTP/2 connection that its client has taken back before we have looked at them; above it the
/// connection is closed ("rapid reset").
pub const HTTP2_RESETS_MAX: usize = 20;
/// Requests of one HTTP/2 connection that we have refused as malformed; above it the connection is closed.
pub const HTTP2_REFUSALS_MAX: usize = 64;
/// How often an HTTP/2 client is asked whether it is still there.
pub const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(30);
/// How long it may take to say so.
pub const HTTP2_PING_TIME_MAX: Duration = Duration::from_secs(20);
/// Bytes of a JSON answer from which on it is compressed for clients on other machines.
pub const COMPRESSED_BYTES_MIN: usize = 8 * 1024;
/// Bytes of a JSON answer up to which it is compressed: what is longer would keep a processor busy for too long.
pub const COMPRESSED_BYTES_MAX: usize = 4 * 1024 * 1024;
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
/// Time between comments on an event stream that has nothing to say.
pub const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// How long a request of a 2025-11-25 client may go without a word until it is answered by an event stream: only
/// then has the client an id to come back with.
pub const STREAM_OPEN_AFTER: Duration = Duration::from_secs(1);
/// When a client is asked to come back after a stream broke or was closed.
pub const STREAM_RETRY: Duration = Duration::from_secs(1);
/// How long a stream must have been open before its 2025-11-25 client may be asked to come back later, because all
/// [`OPEN_STREAMS_MAX`] are taken.
pub const STREAM_TURN_MIN: Duration = Duration::from_secs(10);
/// When that client is asked to come back.
pub const STREAM_TURN_RETRY: Duration = Duration::from_secs(5);
/// How long who needs the place waits for it.
pub const STREAM_TURN_WAIT: Duration = Duration::from_secs(2);
/// Streams that legacy clients can come back to, all together; further ones are streams like before, without ids.
/// Clients of 2024-11-05 and of 2026-07-28 have none.
pub const KEPT_STREAMS_MAX: usize = 512;
/// Such streams of one session.
pub const KEPT_STREAMS_PER_SESSION_MAX: usize = 32;
/// Events that are kept of one such stream, or wait for its client.
pub const KEPT_STREAM_EVENTS_MAX: usize = 256;
/// Bytes that are kept of one such stream, or wait for its client: one message more while it waits.
pub const KEPT_STREAM_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes that are kept of all such streams together. What clients that read are still to be told is not dropped, and
/// waits for slow ones outside of this bound as it does on streams without ids. A stream that nobody reads while its
/// request is under way counts; so at the worst this and `KEPT_STREAM_BYTES_MAX` for each connection that reads.
pub const KEPT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// How long a stream that has ended, or that nobody reads, waits for its client to come back.
pub const KEPT_TIME_MAX: Duration = Duration::from_secs(5 * 60);
/// Bytes of the id of an event.
pub const EVENT_ID_BYTES_MAX: usize = 64;
/// Relay connections at one time.
pub const RELAY_CONNECTIONS_MAX: usize = 256;
/// Requests of one relay connection that may be under way at one time.
pub const RELAY_REQUESTS_MAX: usize = 256;
/// Lines that may wait for a slow relay client.
pub const RELAY_LINES_MAX: usize = 256;
/// How long requests of a relay client may go on after it closed its sending side.
pub const RELAY_LINGER_MAX: Duration = Duration::from_secs(30);
/// How often we look meanwhile whether it is still there to read the answers.
pub const RELAY_HANG_UP_POLL: Duration = Duration::from_millis(100);
/// How long a relay client may read nothing of what is written to it.
pub const RELAY_WRITE_TIME_MAX: Duration = Duration::from_secs(120);
/// Connections to the administration socket at one time.
pub const ADMIN_CONNECTIONS_MAX: usize = 16;
/// How long open connections may go on after the order to stop.
pub const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);
/// Bytes of the file that holds the token.
pub const TOKEN_BYTES_MAX: u64 = 1024;
/// Listening sockets the proxy may be handed.
pub const LISTENERS_MAX: usize = 16;
/// How long the start screen waits for servers that have not answered yet.
pub const START_SCREEN_WAIT_MAX: Duration = Duration::from_secs(35);
