//! Requests one server has in its hands, by the id we gave them.

use crate::limits::PENDING_MAX;
use crate::mcp::level::Level;
use bytes::Bytes;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
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
    /// When its server last reported progress.
    pub progress_at: Option<Instant>,
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

    /// When the server last reported progress of a request.
    #[must_use]
    pub fn progress_at(&self, id: u64) -> Option<Instant> {
        self.lock().get(&id)?.progress_at
    }

    /// The one stream a log line of this level can belong to: with more than one client's request in a
    /// server's hands nobody can say whose it is.
    #[must_use]
    pub fn only_stream(&self, level: Level) -> Option<Stream> {
        let entries = self.lock();
        let mut streams = entries.values().filter_map(|entry| entry.stream.as_ref());
        let stream = streams.next()?;
        let wanted = stream.log_from.is_some_and(|from| level >= from);
        (streams.next().is_none() && wanted).then(|| stream.clone())
    }
}
