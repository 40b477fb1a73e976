//! Requests one server has in its hands, by the id we gave them.

use crate::exchange::Principal;
use crate::limits::PENDING_MAX;
use crate::mcp::level::Level;
use crate::mcp::object::{Keys, Object};
use crate::servers::server_request::ServerRequest;
use bytes::Bytes;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// The table of one connection.
#[derive(Debug, Default)]
pub struct Pending {
    entries: Mutex<HashMap<u64, Entry>>,
}

/// One request.
#[derive(Debug)]
pub struct Entry {
    /// Where its answer goes.
    pub reply: oneshot::Sender<Reply>,
    /// What of it goes to its client before the answer.
    pub stream: Option<Stream>,
    /// When its server last reported progress, or its client last answered it.
    progress_at: Option<Instant>,
    /// Requests of its server that its client has not answered.
    unanswered: u32,
}

impl Entry {
    /// A request that was just asked.
    #[must_use]
    pub fn new(reply: oneshot::Sender<Reply>, stream: Option<Stream>) -> Self {
        Self { reply, stream, progress_at: None, unanswered: 0 }
    }
}

/// Whose a request of a server can be.
#[derive(Debug)]
pub enum Asker {
    /// That of this call.
    One(u64, mpsc::Sender<ServerRequest>),
    /// Nobody's: no call is in the server's hands.
    Nobody,
    /// Nobody can say: several are.
    Several,
}

/// Where notifications of one request go.
#[derive(Clone, Debug)]
pub struct Stream {
    /// To its client.
    pub sender: mpsc::Sender<Bytes>,
    /// The client's own progress token, raw.
    pub progress_token: Option<Box<str>>,
    /// From which level on the client wants log lines.
    pub log_from: Option<Level>,
    /// Where requests of the server go; nothing for a request that no server asks back about.
    pub requests: Option<mpsc::Sender<ServerRequest>>,
    /// Whose call it is.
    pub client: ClientKey,
}

/// What tells one client from another: its session or, where it has none, whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientKey {
    /// A legacy session or relay connection.
    Session(u64),
    /// All modern requests of one principal.
    Principal(Principal),
}

/// A server's answer: the line it wrote, and where in it the result or the error stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    line: Bytes,
    body: Range<usize>,
    kind: ReplyKind,
}

/// What an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyKind {
    /// A result.
    Result,
    /// An error.
    Error,
    /// Neither: the server broke the protocol.
    Invalid,
}

impl Reply {
    /// Of the line `line`, the part `body`, which must be a slice of it.
    #[must_use]
    pub fn new(line: &Bytes, body: &str, kind: ReplyKind) -> Self {
        let start = (body.as_ptr() as usize).saturating_sub(line.as_ptr() as usize);
        Self { line: line.clone(), body: start..start + body.len(), kind }
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> ReplyKind {
        self.kind
    }

    /// The same result with less time left to be kept, as whole milliseconds.
    #[must_use]
    pub fn with_time_to_live(self, left: Duration) -> Self {
        let Ok(object) = Object::parse(self.body(), Keys::Exact) else { return self };
        let mut edit = object.edit();
        edit.set("ttlMs", left.as_millis().to_string());
        let line = Bytes::from(edit.finish().into_owned());
        Self { body: 0..line.len(), line, kind: self.kind }
    }

    /// The same in memory of its own: a line is part of the buffer it was read into.
    #[must_use]
    pub fn apart(&self) -> Self {
        let line = Bytes::copy_from_slice(self.body().as_bytes());
        Self { body: 0..line.len(), line, kind: self.kind }
    }

    /// How much memory it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.line.len()
    }

    /// The result or error object, raw.
    #[must_use]
    pub fn body(&self) -> &str {
        self.line.get(self.body.clone()).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or("{}")
    }
}

impl Pending {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a request. Refuses it if there are too many.
    #[must_use]
    pub fn insert(&self, id: u64, entry: Entry) -> bool {
        let mut entries = self.lock();
        let fits = entries.len() < PENDING_MAX;
        if fits {
            entries.insert(id, entry);
        }
        fits
    }

    /// Takes a request out.
    pub fn remove(&self, id: u64) -> Option<Entry> {
        self.lock().remove(&id)
    }

    /// Requests waiting now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Drops all: whoever waits learns that there will be no answer.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// Notes progress of a request and gives its stream.
    #[must_use]
    pub fn progress(&self, id: u64) -> Option<Stream> {
        let mut entries = self.lock();
        let entry = entries.get_mut(&id)?;
        entry.progress_at = Some(Instant::now());
        entry.stream.clone()
    }

    /// When a request last showed life: its server reported progress, or its client is being asked something.
    #[must_use]
    pub fn progress_at(&self, id: u64) -> Option<Instant> {
        let entries = self.lock();
        let entry = entries.get(&id)?;
        if entry.unanswered > 0 { Some(Instant::now()) } else { entry.progress_at }
    }

    /// Notes that the server has asked the client of this call something.
    pub fn asks(&self, id: u64) {
        if let Some(entry) = self.lock().get_mut(&id) {
            entry.unanswered += 1;
        }
    }

    /// Notes that one such request was answered.
    pub fn asks_no_more(&self, id: u64) {
        if let Some(entry) = self.lock().get_mut(&id) {
            entry.unanswered = entry.unanswered.saturating_sub(1);
            entry.progress_at = Some(Instant::now());
        }
    }

    /// The call a request of the server belongs to. With calls of several clients in its hands nobody can say whose it
    /// is, and one client's question must never reach another. Where all are one client's, the newest that is not
    /// asked anything yet tells it: the answer finds its question whichever call brings it.
    #[must_use]
    pub fn asker(&self) -> Asker {
        let entries = self.lock();
        let calls = || entries.iter().filter_map(|(id, entry)| Some((*id, entry, entry.stream.as_ref()?)));
        let calls =
            || calls().filter_map(|(id, entry, stream)| Some((id, entry, stream, stream.requests.as_ref()?)));
        let Some((id, _, stream, requests)) =
            calls().max_by_key(|(id, entry, ..)| (entry.unanswered == 0, *id))
        else {
            return Asker::Nobody;
        };
        if calls().any(|(_, _, other, _)| other.client != stream.client) {
            return Asker::Several;
        }
        Asker::One(id, requests.clone())
    }

    /// Whether it holds calls of other clients that the server may ask something.
    #[must_use]
    pub fn has_calls_of_others(&self, client: &ClientKey) -> bool {
        let entries = self.lock();
        let mut calls = entries.values().filter_map(|entry| entry.stream.as_ref());
        calls.any(|stream| stream.requests.is_some() && stream.client != *client)
    }

    /// The one stream a log line of this level can belong to, if its client wants such lines.
    #[must_use]
    pub fn only_stream_for(&self, level: Level) -> Option<Stream> {
        self.only_stream().filter(|stream| stream.log_from.is_some_and(|from| level >= from))
    }

    /// The one stream something can belong to that names no request: with more than one client's request in a
    /// server's hands nobody can say whose it is.
    #[must_use]
    pub fn only_stream(&self) -> Option<Stream> {
        let entries = self.lock();
        let mut streams = entries.values().filter_map(|entry| entry.stream.as_ref());
        let stream = streams.next()?;
        streams.next().is_none().then(|| stream.clone())
    }
}
