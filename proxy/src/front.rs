//! Who speaks to clients: checks what the transport rules, and hands the core one message at a time.
//!
//! A front never looks at what a tool is asked or answers, and never starts or names a process.
//!
//! Reading order: [`http`] (answer one request), [`era`], [`headers`], [`parameters`], [`message`] (what came in),
//! [`modern`], [`legacy`] (what each family makes of it), [`answer`], [`subscription`], [`session`], [`kept`],
//! [`frame`], [`error`]; [`origin`] and [`identity`] (who may come in); [`accept`], [`porch`], [`connection`], [`compression`] (connections);
//! [`relay`] (the same without HTTP), [`admin`] (for the operator).

pub mod accept;
pub mod admin;
pub mod answer;
pub mod compression;
pub mod connection;
pub mod era;
pub mod error;
pub mod frame;
pub mod headers;
pub mod http;
pub mod identity;
pub mod kept;
pub mod legacy;
pub mod message;
pub mod modern;
pub mod origin;
pub mod parameters;
pub mod porch;
pub mod relay;
pub mod session;
pub mod subscription;

use self::error::Fault;
use self::identity::Identity;
use self::kept::Kept;
use self::session::Sessions;
use crate::exchange::Exchange;
use crate::limits::{
    HTTP_REQUESTS_MAX, HTTP2_EXCHANGES_MAX, OPEN_STREAMS_MAX, SESSION_SWEEP_INTERVAL, STREAM_TURN_WAIT,
};
use ::http::StatusCode;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// All that the fronts share: the core, who may come in, the sessions and the bounds.
pub struct Front<E> {
    /// Where messages go.
    pub exchange: Arc<E>,
    /// Who may come in.
    pub identity: Identity,
    /// The legacy sessions.
    pub sessions: Sessions,
    /// The streams of theirs that a client can come back to.
    pub kept: Arc<Kept>,
    /// Fires when the proxy is told to stop.
    pub stop: CancellationToken,
    requests: Arc<Semaphore>,
    exchanges: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

impl<E: Exchange> Front<E> {
    /// A front to this core.
    pub fn new(exchange: Arc<E>, identity: Identity, stop: CancellationToken) -> Self {
        Self {
            exchange,
            identity,
            sessions: Sessions::default(),
            kept: Arc::default(),
            stop,
            requests: Arc::new(Semaphore::new(HTTP_REQUESTS_MAX)),
            exchanges: Arc::new(Semaphore::new(HTTP2_EXCHANGES_MAX)),
            streams: Arc::new(Semaphore::new(OPEN_STREAMS_MAX)),
        }
    }

    /// Takes a place for one request.
    ///
    /// # Errors
    /// 503 if all are taken.
    pub fn admit_request(&self) -> Result<OwnedSemaphorePermit, Fault> {
        take(&self.requests, "too many requests are under way")
    }

    /// Takes a place for one request of an HTTP/2 connection, from its body until its answer is sent: over
    /// HTTP/1.1 each connection is such a place.
    ///
    /// # Errors
    /// 503 if all are taken.
    pub fn admit_exchange(&self) -> Result<OwnedSemaphorePermit, Fault> {
        take(&self.exchanges, "too many requests over HTTP/2 are under way")
    }

    /// Takes a place for one stream that stays open.
    ///
    /// # Errors
    /// 503 if all are taken.
    pub fn admit_stream(&self) -> Result<OwnedSemaphorePermit, Fault> {
        take(&self.streams, "too many event streams are open")
    }

    /// Takes a place for one stream that stays open; if all are taken, one whose client will come back makes room.
    ///
    /// # Errors
    /// 503 if none can, or does in time.
    pub async fn admit_stream_in_turn(&self) -> Result<OwnedSemaphorePermit, Fault> {
        let taken = self.admit_stream();
        if taken.is_ok() || !self.kept.dismiss_one() {
            return taken;
        }
        let freed = tokio::time::timeout(STREAM_TURN_WAIT, Arc::clone(&self.streams).acquire_owned()).await;
        freed.ok().and_then(Result::ok).map_or(taken, Ok)
    }

    /// Ends idle sessions, and forgets old streams, until the proxy stops.
    pub async fn sweep_sessions(&self) {
        while self.stop.run_until_cancelled(tokio::time::sleep(SESSION_SWEEP_INTERVAL)).await.is_some() {
            for session in self.sessions.sweep() {
                self.end_session(&session);
            }
            self.kept.sweep();
        }
    }

    /// Tells everyone that a session is over.
    pub fn end_session(&self, session: &session::Session) {
        session.ended.cancel();
        if let Some(number) = session.caller.session {
            self.kept.forget(number);
            self.exchange.session_ended(number);
        }
    }
}

fn take(places: &Arc<Semaphore>, problem: &str) -> Result<OwnedSemaphorePermit, Fault> {
    let place = Arc::clone(places).try_acquire_owned();
    place.map_err(|_| Fault::transport(StatusCode::SERVICE_UNAVAILABLE, problem))
}

#[cfg(test)]
mod scripted;
#[cfg(test)]
mod tests;
