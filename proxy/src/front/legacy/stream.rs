//! The streams of a session: one for each request that has more to say than its answer, and the GET stream of what
//! concerns none of its requests. Since 2025-03-26 a client whose connection broke comes back to either by GET.

use super::{ALWAYS_OK, method_not_allowed, session, session_id};
use crate::exchange::{Exchange, Who};
use crate::front::answer::{self, Work};
use crate::front::error::Fault;
use crate::front::headers::Accepts;
use crate::front::kept::event_id::{self, EventId, Purpose};
use crate::front::kept::log::From;
use crate::front::kept::reader::{Ended, Held, Reader};
use crate::front::kept::{Open, Stream};
use crate::front::session::Session;
use crate::front::subscription::{self, End, Filter, STREAM_QUEUE, Told};
use crate::front::{Front, headers};
use crate::limits::STREAM_OPEN_AFTER;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// Answers a request of a session with JSON, or with an event stream if a notification comes before the answer;
/// if nothing comes for a while, too, where that gives the client an id to come back with.
pub async fn respond<E: Exchange>(
    front: &Front<E>,
    session: &Session,
    mut work: Work,
    mut notifications: mpsc::Receiver<Bytes>,
    accepts: Accepts,
) -> Response {
    if !session.resumes() || accepts == Accepts::Json {
        return answer::respond(work, notifications, accepts, ALWAYS_OK).await;
    }
    let mut first = None;
    if accepts == Accepts::Both {
        tokio::select! {
            biased;
            Some(message) = notifications.recv() => first = Some(message),
            answer = &mut work => match notifications.try_recv() {
                Ok(message) => {
                    first = Some(message);
                    work = work.answered(answer);
                }
                Err(_) => return answer::json_of(answer, ALWAYS_OK),
            },
            () = tokio::time::sleep(STREAM_OPEN_AFTER), if session.primes() => {}
        }
    }
    let Some((stream, reader)) = begin(front, session, Purpose::Request) else {
        return answer::running(first, notifications, work);
    };
    tokio::spawn(say_all(Open::new(Arc::clone(&front.kept), stream), first, notifications, work));
    reader.respond(Held::default())
}

/// A new stream of a session that it can come back to, and its first reader.
fn begin<E: Exchange>(
    front: &Front<E>,
    session: &Session,
    purpose: Purpose,
) -> Option<(Arc<Stream>, Reader)> {
    let stream = front.kept.begin(session, front.sessions.next_number(), purpose)?;
    let (reader, _) = stream.read(None)?;
    if session.primes() {
        stream.prime();
    }
    Some((stream, reader))
}

/// Says all that belongs to a request on its stream, whether or not somebody reads it.
async fn say_all(
    stream: Open,
    first: Option<Bytes>,
    mut notifications: mpsc::Receiver<Bytes>,
    mut work: Work,
) {
    if let Some(first) = first {
        stream.push(first).await;
    }
    let answer = loop {
        tokio::select! {
            biased;
            Some(message) = notifications.recv() => stream.push(message).await,
            answer = &mut work => break answer,
        }
    };
    while let Ok(message) = notifications.try_recv() {
        stream.push(message).await;
    }
    stream.finish(answer.response).await;
}

/// Answers GET: the stream of what concerns no request of the session, or the rest of one that broke.
///
/// # Errors
/// 405 for a client that wants no stream or has no session, 404 for an unknown session, 400 for an id that
/// is none, 410 for a request's stream that is no longer kept.
pub async fn get<E: Exchange>(
    front: &Arc<Front<E>>,
    who: &Who,
    headers: &HeaderMap,
) -> Result<Response, Fault> {
    if session_id(headers)?.is_none() || !headers::takes(headers, "text/event-stream") {
        return Err(method_not_allowed());
    }
    let session = session(front, who, headers)?;
    let seen = if session.resumes() { event_id::last_seen(headers)? } else { None };
    let place = front.admit_stream_in_turn().await?;
    match seen {
        None => Ok(open(front, &session, place, Vec::new())),
        Some(seen) => come_back(front, &session, place, seen),
    }
}

/// Goes on where a stream broke.
///
/// A stream of a request that is unknown, another session's or no longer kept is an error: its answer does not come,
/// and the client must not wait for it. The session's own stream begins anew instead, with the word that
/// everything may have changed: all that it tells is told by that.
fn come_back<E: Exchange>(
    front: &Arc<Front<E>>,
    session: &Arc<Session>,
    place: OwnedSemaphorePermit,
    seen: EventId,
) -> Result<Response, Fault> {
    let stream = front.kept.find(session, seen);
    let read = stream.and_then(|stream| Some((stream.read(Some(seen.event))?, stream)));
    let first = |stream: &Stream| session.primes().then(|| stream.primed_again(seen.event));
    match (seen.purpose, read) {
        (Purpose::Request, None) => Err(Fault::transport(
            StatusCode::GONE,
            "the stream of this Last-Event-ID is not kept, and its answer is lost: ask again if that is safe",
        )),
        // Of what is missing in between, the answer counts: it is still to come.
        (Purpose::Request, Some(((reader, _), stream))) => {
            let place = Some((place, session.in_use()));
            Ok(reader.respond(Held { place, ended: None, first: first(&stream) }))
        }
        (Purpose::Session, None) => Ok(open(front, session, place, filter(session).everything())),
        (Purpose::Session, Some(((reader, from), stream))) => {
            if from == From::Later {
                filter(session).everything().iter().for_each(|message| front.kept.push(&stream, message));
            }
            let first = first(&stream);
            Ok(tell(front, session, place, reader, first))
        }
    }
}

/// Opens the stream of what concerns no request, and says these messages on it first.
fn open<E: Exchange>(
    front: &Front<E>,
    session: &Arc<Session>,
    place: OwnedSemaphorePermit,
    messages: Vec<Bytes>,
) -> Response {
    let begun = if session.resumes() { begin(front, session, Purpose::Session) } else { None };
    let Some((stream, reader)) = begun else { return open_queue(session, place) };
    messages.iter().for_each(|message| front.kept.push(&stream, message));
    tell(front, session, place, reader, None)
}

/// Tells this reader what concerns no request, from now on.
fn tell<E: Exchange>(
    front: &Front<E>,
    session: &Arc<Session>,
    place: OwnedSemaphorePermit,
    reader: Reader,
    first: Option<Bytes>,
) -> Response {
    let place = Some((place, session.in_use()));
    let ended = Some(Ended { session: session.ended.clone(), stop: front.stop.clone() });
    let (feed, session) = (reader.feed(&front.kept), Arc::clone(session));
    tokio::spawn(async move { tell_session(&session, &feed).await });
    reader.respond(Held { place, ended, first })
}

/// Opens the stream of what concerns no request, without a way to come back to it.
fn open_queue(session: &Arc<Session>, place: OwnedSemaphorePermit) -> Response {
    let (sender, messages) = mpsc::channel(STREAM_QUEUE);
    let session = Arc::clone(session);
    tokio::spawn(async move {
        let _held = (place, session.in_use());
        tell_session(&session, &sender).await;
    });
    answer::open_stream(None, messages)
}

fn filter(session: &Session) -> Filter {
    let filter = Filter::legacy(session.resources.clone(), &session.caller);
    if session.shows_changes_of_tools { filter } else { filter.without_tools() }
}

/// Holds the session's events until the client goes away, and hands them to a newer stream if one comes.
async fn tell_session(session: &Arc<Session>, client: &impl Told) {
    let filter = filter(session);
    session.newer_stream.notify_waiters();
    loop {
        // From before it holds the events, so that no newer stream is overheard.
        let mut newer = std::pin::pin!(session.newer_stream.notified());
        newer.as_mut().enable();
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
            () = newer => {}
        }
    }
}
