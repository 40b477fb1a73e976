//! What legacy clients were asked for their servers, by the ids we gave the requests: a server's own id may be
//! that of another server's, and no client can answer for another.

use crate::core::Core;
use crate::core::asking::Asking;
use crate::exchange::ServerEvent;
use crate::limits::CLIENT_ANSWER_TIME_MAX;
use crate::mcp::envelope::{Envelope, Outcome};
use crate::mcp::object::{Keys, Object};
use crate::mcp::request::{PROGRESS_TOKEN, message};
use crate::mcp::within::in_member;
use crate::servers::server_request::ProgressBack;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{broadcast, mpsc, oneshot};

/// All requests that wait for a client's answer.
#[derive(Debug)]
pub struct AskedClients {
    waiting: Mutex<HashMap<(u64, u64), Awaited>>,
    ids: AtomicU64,
    events: broadcast::Sender<ServerEvent>,
}

/// One answer that is waited for, and where progress toward it goes.
#[derive(Debug)]
struct Awaited {
    answer: oneshot::Sender<ClientAnswer>,
    progress: Option<ProgressBack>,
}

/// What a client answered, raw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientAnswer {
    /// A result.
    Result(String),
    /// An error.
    Error(String),
}

/// The way to one legacy client.
#[derive(Clone, Debug)]
pub struct ToClient {
    asked: Arc<AskedClients>,
    session: u64,
    /// The stream of the request it is about; without one, or once that has ended, the session's own.
    stream: Option<mpsc::Sender<Bytes>>,
}

/// A request to one client that waits for its answer; dropped, it waits no more.
#[derive(Debug)]
struct Waiting<'a> {
    client: &'a ToClient,
    id: u64,
    answer: oneshot::Receiver<ClientAnswer>,
}

impl AskedClients {
    fn lock(&self) -> MutexGuard<'_, HashMap<(u64, u64), Awaited>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing was asked yet; what belongs to no stream of a request goes to `events`.
    #[must_use]
    pub fn new(events: broadcast::Sender<ServerEvent>) -> Arc<Self> {
        Arc::new(Self { waiting: Mutex::default(), ids: AtomicU64::new(0), events })
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
            let _ = waiting.answer.send(answer);
        }
    }

    /// Takes a session's word of how far an answer is. One of nothing we asked it is dropped.
    pub fn progressed(&self, session: u64, params: &str) {
        let Ok(params) = Object::parse(params, Keys::Exact) else { return };
        let id = params.get(PROGRESS_TOKEN).and_then(|raw| raw.parse().ok());
        let waiting = self.lock();
        let awaited = id.and_then(|id| waiting.get(&(session, id)));
        if let Some(progress) = awaited.and_then(|awaited| awaited.progress.as_ref()) {
            progress.tell(&params);
        }
    }

    /// Ends all waiting for a session that has ended.
    pub fn end(&self, session: u64) {
        self.lock().retain(|(owner, _), _| *owner != session);
    }
}

impl ToClient {
    /// The way to the legacy client of a request.
    #[must_use]
    pub fn of(asking: &Asking<'_>, core: &Core) -> Self {
        Self::new(&core.asked, asking.caller.session.unwrap_or_default(), Some(asking.stream.clone()))
    }

    /// The way to the client of this session.
    #[must_use]
    pub fn new(asked: &Arc<AskedClients>, session: u64, stream: Option<mpsc::Sender<Bytes>>) -> Self {
        Self { asked: asked.clone(), session, stream }
    }

    /// Asks the client and waits for its answer; `progress` is where it may say how far it is. Nothing if it does not
    /// answer in time, or its session ends. The client is told if nobody waits any more.
    pub async fn ask(
        &self,
        method: &str,
        params: Option<&str>,
        progress: Option<ProgressBack>,
    ) -> Option<ClientAnswer> {
        let id = self.asked.ids.fetch_add(1, Ordering::Relaxed) + 1;
        let (sender, answer) = oneshot::channel();
        // Its token is our id: a server's own may be that of another server's.
        let own_token = |meta: &str| in_member(meta, PROGRESS_TOKEN, |_| Some(id.to_string()));
        let renamed =
            params.filter(|_| progress.is_some()).and_then(|raw| in_member(raw, "_meta", own_token));
        let params = renamed.as_deref().or(params);
        self.asked.lock().insert((self.session, id), Awaited { answer: sender, progress });
        let mut waiting = Waiting { client: self, id, answer };
        let mut request = message(Some(id), method, params);
        request.pop();
        self.send(request.into()).await;
        tokio::time::timeout(CLIENT_ANSWER_TIME_MAX, &mut waiting.answer).await.ok()?.ok()
    }

    async fn send(&self, message: Bytes) {
        let rest = match &self.stream {
            Some(stream) => stream.send(message).await.err().map(|unsent| unsent.0),
            None => Some(message),
        };
        if let Some(message) = rest {
            self.send_apart(message);
        }
    }

    /// On the session's own stream. Without a front nobody listens.
    fn send_apart(&self, message: Bytes) {
        let _ = self.asked.events.send(ServerEvent::ForSession { session: self.session, message });
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let ToClient { asked, session, stream } = self.client;
        if asked.lock().remove(&(*session, self.id)).is_none() {
            return;
        }
        let params = format!("{{\"requestId\":{}}}", self.id);
        let mut cancelled = message(None, "notifications/cancelled", Some(&params));
        cancelled.pop();
        let cancelled = Bytes::from(cancelled);
        let sent = stream.as_ref().is_some_and(|stream| stream.try_send(cancelled.clone()).is_ok());
        if !sent {
            self.client.send_apart(cancelled);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] = br#"{"jsonrpc":"2.0","id":1,"result":{"x":1.0}}"#;

    fn asked() -> (Arc<AskedClients>, broadcast::Receiver<ServerEvent>) {
        let (sender, events) = broadcast::channel(8);
        (AskedClients::new(sender), events)
    }

    #[tokio::test]
    async fn only_the_session_that_was_asked_can_answer_and_only_once() {
        let (asked, _events) = asked();
        let (sender, mut stream) = mpsc::channel(1);
        let client = ToClient::new(&asked, 7, Some(sender));
        let answer = tokio::spawn(async move { client.ask("roots/list", None, None).await });
        assert_eq!(stream.recv().await.unwrap(), r#"{"jsonrpc":"2.0","id":1,"method":"roots/list"}"#);
        asked.answered(8, ANSWER);
        asked.answered(7, br#"{"jsonrpc":"2.0","id":"1","result":{}}"#);
        asked.answered(7, br#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#);
        assert_eq!(asked.lock().len(), 1);
        asked.answered(7, ANSWER);
        asked.answered(7, ANSWER);
        assert_eq!(answer.await.unwrap(), Some(ClientAnswer::Result(r#"{"x":1.0}"#.into())));
    }

    #[tokio::test]
    async fn without_a_stream_of_a_request_the_session_is_told() {
        let (asked, mut events) = asked();
        let client = ToClient::new(&asked, 7, Some(mpsc::channel(1).0));
        let answer = tokio::spawn(async move { client.ask("roots/list", None, None).await });
        let ServerEvent::ForSession { session: 7, message } = events.recv().await.unwrap() else { panic!() };
        assert_eq!(message, r#"{"jsonrpc":"2.0","id":1,"method":"roots/list"}"#);
        asked.end(7);
        assert_eq!(answer.await.unwrap(), None);
        assert!(events.is_empty(), "a session that has ended is told nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_is_no_longer_waited_for_is_told() {
        let (asked, _events) = asked();
        let (sender, mut stream) = mpsc::channel(4);
        let client = ToClient::new(&asked, 7, Some(sender));
        assert_eq!(client.ask("roots/list", None, None).await, None);
        stream.recv().await.unwrap();
        let cancelled = stream.recv().await.unwrap();
        assert_eq!(
            cancelled,
            r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#
        );
        assert!(asked.lock().is_empty());
    }
}
