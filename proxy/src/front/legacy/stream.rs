//! The GET stream of a session: what concerns none of its requests.

use super::{Who, method_not_allowed, session, session_id};
use crate::exchange::Exchange;
use crate::front::era::LEGACY_VERSIONS;
use crate::front::error::Fault;
use crate::front::session::Session;
use crate::front::subscription::{self, End, Filter, STREAM_QUEUE};
use crate::front::{Front, answer, frame, headers};
use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Answers GET: the stream of what concerns no request of the session.
///
/// # Errors
/// 405 for a client that wants no stream or has no session, 404 for an unknown session.
pub fn get<E: Exchange>(front: &Arc<Front<E>>, who: &Who, headers: &HeaderMap) -> Result<Response, Fault> {
    if session_id(headers)?.is_none() || !headers::takes(headers, "text/event-stream") {
        return Err(method_not_allowed());
    }
    let session = session(front, who, headers)?;
    let place = front.admit_stream()?;
    let (sender, messages) = mpsc::channel(STREAM_QUEUE);
    let [newest, ..] = LEGACY_VERSIONS;
    let priming = (session.caller.version == newest).then(|| frame::priming(front.sessions.next_number()));
    tokio::spawn(async move {
        let _held = (place, session.in_use());
        tell_session(&session, &sender).await;
    });
    Ok(answer::open_stream(priming, messages))
}

/// Holds the session's events until the client goes away, and hands them to a newer stream if one comes.
async fn tell_session(session: &Arc<Session>, client: &mpsc::Sender<Bytes>) {
    let filter = Filter::legacy(session.resources.clone(), &session.caller);
    session.newer_stream.notify_waiters();
    loop {
        let mut events = tokio::select! {
            () = client.closed() => return,
            () = session.ended.cancelled() => return,
            events = session.events.lock() => events,
        };
        let endpoint = &session.caller.endpoint;
        tokio::select! {
            end = subscription::tell(&filter, endpoint, &mut events, client, &session.ended) => match end {
                End::Client | End::Stopping => return,
            },
            () = session.newer_stream.notified() => {}
        }
    }
}
