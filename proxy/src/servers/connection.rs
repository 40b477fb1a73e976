//! One running server: lines out, lines in, and who waits for which answer.
//!
//! A call costs two task switches: caller → server's pipe, reader task → caller.

use crate::exchange::List;
use crate::limits::{LAST_ANSWERS_WAIT, REQUEST_TIME_MAX, STOP_GRACE};
use crate::mcp::request::message;
use crate::servers::backlog::Backlog;
use crate::servers::cache::Cache;
use crate::servers::outbox::{Outbox, OutboxError};
use crate::servers::pending::{ClientKey, Entry, Pending, Reply, Stream};
use crate::servers::reader;
use crate::servers::server_request::{OpenRequests, ServerRequest};
use crate::servers::spawn::{Leash, Process};
use crate::servers::stderr::StderrTail;
use bytes::Bytes;
use only1mcp_wire::{Exit, Spawned, Usage};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// Who is told what a server says unasked. Called on the reader's task: must not block.
pub trait Notices: Send + Sync + 'static {
    /// One of its lists changed.
    fn list_changed(&self, list: List);
    /// One of its resources changed.
    fn resource_updated(&self, uri: &str);
    /// It asks a client something that belongs to no one call. Dropped, it is declined.
    fn asked(&self, request: ServerRequest);
    /// It says something that belongs to no one call, as a whole message.
    fn said(&self, message: Bytes);
}

/// One process of one server, and the conversation with it.
pub struct Connection {
    /// What the launcher said of the process.
    pub spawned: Spawned,
    pub(super) outbox: Outbox,
    pub(super) pending: Pending,
    pub(super) open_requests: OpenRequests,
    pub(super) counters: Counters,
    pub(super) notices: Arc<dyn Notices>,
    pub(super) backlog: Backlog,
    pub(super) cache: Cache,
    stderr: StderrTail,
    leash: Box<dyn Leash>,
    /// How the process ended, once that is known: `Some(None)` if the launcher went away without a word.
    exit: watch::Receiver<Option<Option<Exit>>>,
    closed: CancellationToken,
    reason: OnceLock<String>,
}

/// What a server did that it should not.
#[derive(Debug, Default)]
pub struct Counters {
    /// Lines that are no message.
    pub junk_lines: AtomicU64,
    /// Answers to nothing we asked, or to something already answered.
    pub unknown_answers: AtomicU64,
    /// Requests of it to clients.
    pub requests: AtomicU64,
    /// Those of them that were declined.
    pub declined: AtomicU64,
    /// Notifications nobody could be given.
    pub dropped_notifications: AtomicU64,
    /// Messages of any kind.
    pub messages: AtomicU64,
}

/// A request ready to be written.
#[derive(Debug)]
pub struct Call {
    /// The id inside `line`.
    pub id: u64,
    /// The whole line.
    pub line: Vec<u8>,
    /// Where its notifications go.
    pub stream: Option<Stream>,
    /// How long it may take without progress.
    pub timeout: Duration,
    /// Whether the server is told when nobody waits any more.
    pub on_drop: OnDrop,
}

/// What happens to a request nobody waits for any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDrop {
    /// The server gets `notifications/cancelled`.
    TellServer,
    /// Nothing: it may not be cancelled (`initialize`), or the server is about to be ended.
    SayNothing,
}

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallFailure {
    /// The server did not answer in time.
    TimedOut,
    /// The server ended before a byte of it was written.
    NotWritten,
    /// The server ended with it in its hands.
    Unanswered,
    /// Too many requests wait for the server.
    Overloaded,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("spawned", &self.spawned).finish_non_exhaustive()
    }
}

impl Connection {
    /// Takes over the pipes of `process` and starts the tasks that read and write them.
    #[must_use]
    pub fn open(process: Process, notices: Arc<dyn Notices>) -> Arc<Self> {
        let Process { stdin, stdout, stderr, spawned, exit, leash } = process;
        let (report, told) = watch::channel(None);
        tokio::spawn(async move { report.send_replace(Some(exit.await.ok())) });
        let connection = Arc::new(Self {
            spawned,
            outbox: Outbox::new(stdin),
            pending: Pending::default(),
            open_requests: OpenRequests::default(),
            counters: Counters::default(),
            notices,
            backlog: Backlog::default(),
            cache: Cache::default(),
            stderr: StderrTail::default(),
            leash,
            exit: told,
            closed: CancellationToken::new(),
            reason: OnceLock::new(),
        });
        tokio::spawn(reader::run(connection.clone(), stdout));
        let writing = connection.clone();
        tokio::spawn(async move { writing.closed.run_until_cancelled(writing.write_to_the_end()).await });
        let tailing = connection.clone();
        tokio::spawn(async move { tailing.stderr.run(stderr).await });
        connection
    }

    /// Writes what waits until the server reads no more. Then it ends, even if it goes on writing: nobody could
    /// ask it anything. What it has answered already is taken first.
    async fn write_to_the_end(&self) {
        self.outbox.run().await;
        tokio::time::sleep(LAST_ANSWERS_WAIT).await;
        self.close("it closed its standard input");
    }

    /// Asks and waits for the answer. Dropping the future takes the request back.
    ///
    /// # Errors
    /// [`CallFailure`] if there is none.
    pub async fn call(&self, call: Call) -> Result<Reply, CallFailure> {
        let Call { id, line, stream, timeout, on_drop } = call;
        let (reply, mut answer) = oneshot::channel();
        if !self.pending.insert(id, Entry::new(reply, stream)) {
            return Err(CallFailure::Overloaded);
        }
        let mut waiting = Waiting { connection: self, id, on_drop };
        let start = match self.outbox.push(&line) {
            Ok(start) => start,
            Err(error) => {
                waiting.on_drop = OnDrop::SayNothing;
                return Err(match error {
                    OutboxError::Full => CallFailure::Overloaded,
                    OutboxError::Closed => CallFailure::NotWritten,
                });
            }
        };
        let latest = Instant::now() + REQUEST_TIME_MAX;
        let mut deadline = Instant::now() + timeout;
        loop {
            tokio::select! {
                biased;
                reply = &mut answer => {
                    waiting.on_drop = OnDrop::SayNothing;
                    return reply.map_err(|_| self.unanswered(start));
                }
                () = sleep_until(deadline) => match self.pending.progress_at(id) {
                    Some(at) if at + timeout > deadline && deadline < latest => {
                        deadline = (at + timeout).min(latest);
                    }
                    _ => return Err(CallFailure::TimedOut),
                }
            }
        }
    }

    fn unanswered(&self, start: u64) -> CallFailure {
        if self.outbox.has_begun(start) { CallFailure::Unanswered } else { CallFailure::NotWritten }
    }

    /// Says something that asks for no answer.
    pub fn notify(&self, method: &str, params: Option<&str>) {
        self.write(&message(None, method, params));
    }

    /// Writes a whole line. One that is not accepted is dropped: the server reads nothing any more.
    pub(super) fn write(&self, line: &[u8]) {
        if self.outbox.push(line).is_err() {
            self.counters.dropped_notifications.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Ends the conversation and the process, and says why. Only the first reason counts.
    pub fn close(&self, reason: &str) {
        let _ = self.reason.set(reason.to_owned());
        self.closed.cancel();
        // In this order: a call is in the table before its line is accepted, so none can be missed.
        self.outbox.close();
        self.pending.clear();
        self.leash.stop(STOP_GRACE);
    }

    /// Waits until the conversation has ended.
    pub async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// Whether the conversation has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }

    /// Whether the conversation ended because the server ended it.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.reason.get().map_or("it is running", String::as_str)
    }

    /// How the process ended, as far as it becomes known within `limit`.
    pub async fn exit(&self, limit: Duration) -> Option<Exit> {
        let mut told = self.exit.clone();
        let exit = tokio::time::timeout(limit, told.wait_for(Option::is_some)).await.ok()?;
        exit.ok().and_then(|exit| (*exit).flatten())
    }

    /// Whether it ended because the launcher did, as far as that becomes known within `limit`: all others ended too,
    /// and none of them by its own doing.
    pub async fn ended_with_the_launcher(&self, limit: Duration) -> bool {
        let mut told = self.exit.clone();
        let exit = tokio::time::timeout(limit, told.wait_for(Option::is_some)).await;
        exit.is_ok_and(|exit| exit.is_ok_and(|exit| *exit == Some(None)))
    }

    /// What it uses of its limits, if the launcher counts that.
    pub async fn usage(&self) -> Option<Usage> {
        self.leash.usage().await
    }

    /// The last lines of its standard error.
    #[must_use]
    pub fn stderr_lines(&self) -> Vec<String> {
        self.stderr.lines()
    }

    /// How many messages it has written.
    #[must_use]
    pub fn heard(&self) -> u64 {
        self.counters.messages.load(Ordering::Relaxed)
    }

    /// Whether it has asked a client anything so far.
    #[must_use]
    pub fn has_asked(&self) -> bool {
        self.counters.requests.load(Ordering::Relaxed) > 0
    }

    /// Whether it has calls of other clients in its hands about which it may ask something.
    #[must_use]
    pub fn has_calls_of_others(&self, client: &ClientKey) -> bool {
        self.pending.has_calls_of_others(client)
    }

    /// Whether it waits for an answer of a client.
    #[must_use]
    pub fn waits_for_a_client(&self) -> bool {
        self.open_requests.is_any()
    }

    /// Requests in its hands.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.pending.len()
    }
}

/// Takes a request back when nobody waits for it any more.
struct Waiting<'a> {
    connection: &'a Connection,
    id: u64,
    on_drop: OnDrop,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let was_waiting = self.connection.pending.remove(self.id).is_some();
        if was_waiting && self.on_drop == OnDrop::TellServer && !self.connection.is_closed() {
            let params = format!("{{\"requestId\":{}}}", self.id);
            self.connection.notify("notifications/cancelled", Some(&params));
        }
    }
}
