//! What legacy clients were asked for their servers, by the ids we gave the requests: a server's own id may be
//! that of another server's, and no client can answer for another.

use crate::mcp::envelope::{Envelope, Outcome};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// All requests that wait for a client's answer.
#[derive(Debug, Default)]
pub struct Asked {
    waiting: Mutex<HashMap<(u64, u64), oneshot::Sender<ClientAnswer>>>,
    ids: AtomicU64,
}

/// What a client answered, raw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientAnswer {
    /// A result.
    Result(String),
    /// An error.
    Error(String),
}

/// A request to one client that waits for its answer; dropped, it waits no more.
#[derive(Debug)]
pub struct Waiting<'a> {
    asked: &'a Asked,
    key: (u64, u64),
    answer: oneshot::Receiver<ClientAnswer>,
}

impl Asked {
    fn lock(&self) -> MutexGuard<'_, HashMap<(u64, u64), oneshot::Sender<ClientAnswer>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to wait for an answer of this session.
    #[must_use]
    pub fn begin(&self, session: u64) -> Waiting<'_> {
        let key = (session, self.ids.fetch_add(1, Ordering::Relaxed) + 1);
        let (sender, answer) = oneshot::channel();
        self.lock().insert(key, sender);
        Waiting { asked: self, key, answer }
    }

    /// Takes a response of this session. One to nothing we asked it is dropped.
    pub fn answered(&self, session: u64, body: &[u8]) {
        let Ok(Envelope::Response { id: Some(id), outcome }) = Envelope::parse(body) else { return };
        let answer = match outcome {
            Outcome::Result(result) => ClientAnswer::Result(result.to_owned()),
            Outcome::Error(error) => ClientAnswer::Error(error.to_owned()),
            Outcome::Invalid => return,
        };
        let waiting = id.parse().ok().and_then(|id| self.lock().remove(&(session, id)));
        if let Some(waiting) = waiting {
            // Whoever waited may have gone in this very moment.
            let _ = waiting.send(answer);
        }
    }

    /// Ends all waiting for a session that has ended.
    pub fn end(&self, session: u64) {
        self.lock().retain(|(owner, _), _| *owner != session);
    }
}

impl Waiting<'_> {
    /// The id of the request.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.key.1
    }

    /// The answer; nothing if the session has ended.
    pub async fn answer(&mut self) -> Option<ClientAnswer> {
        (&mut self.answer).await.ok()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.asked.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] = br#"{"jsonrpc":"2.0","id":1,"result":{"x":1.0}}"#;

    #[tokio::test]
    async fn only_the_session_that_was_asked_can_answer_and_only_once() {
        let asked = Asked::default();
        let mut waiting = asked.begin(7);
        assert_eq!(waiting.id(), 1);
        asked.answered(8, ANSWER);
        asked.answered(7, br#"{"jsonrpc":"2.0","id":"1","result":{}}"#);
        asked.answered(7, br#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#);
        assert_eq!(asked.lock().len(), 1);
        asked.answered(7, ANSWER);
        asked.answered(7, ANSWER);
        assert_eq!(waiting.answer().await, Some(ClientAnswer::Result(r#"{"x":1.0}"#.into())));
    }

    #[tokio::test]
    async fn nobody_waits_for_a_session_that_has_ended_or_a_request_that_was_given_up() {
        let asked = Asked::default();
        let mut waiting = asked.begin(7);
        drop(asked.begin(7));
        assert_eq!(asked.lock().len(), 1);
        asked.end(7);
        assert_eq!(waiting.answer().await, None);
        assert!(asked.lock().is_empty());
    }
}
