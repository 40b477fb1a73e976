//! The legacy wire over HTTP (2025-11-25 and earlier): a handshake, and a session named by a header.

pub mod batch;
pub mod stream;

use super::Front;
use super::answer::{self, Abandoned, Work};
use super::era::{self, LEGACY_VERSIONS, Params};
use super::error::{Fault, code};
use super::headers::{self, Accepts};
use super::message::{Message, Request};
use super::session::{InUse, Session, TooManySessions, legacy_caller};
use super::subscription;
use crate::exchange::{Answer, Exchange, STREAM_MESSAGES_MAX, Who};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use std::sync::Arc;
use tokio::sync::mpsc;

/// A legacy answer is 200 whatever it says.
const ALWAYS_OK: fn(Option<i64>) -> StatusCode = |_| StatusCode::OK;

/// Answers one POST of the legacy wire that holds one message.
///
/// # Errors
/// A fault that names the request.
pub async fn post<E: Exchange>(
    front: &Arc<Front<E>>,
    who: Who,
    headers: &HeaderMap,
    body: Bytes,
    message: Message<'_>,
) -> Result<Response, Fault> {
    let request = match message {
        Message::Request(request) => request,
        Message::Notification(_) => {
            let session = session(front, &who, headers)?;
            Arc::clone(&front.exchange).notification(session.caller.clone(), body).await;
            return Ok(StatusCode::ACCEPTED.into_response());
        }
        Message::Response => {
            let session = session(front, &who, headers)?;
            front.exchange.response(&session.caller, &body);
            return Ok(StatusCode::ACCEPTED.into_response());
        }
    };
    let answered = async {
        let accepts = headers::accept(headers)?;
        if request.method == "initialize" {
            return initialize(front, who, body, &request, accepts).await;
        }
        let session = session(front, &who, headers)?;
        let (sender, notifications) = mpsc::channel(STREAM_MESSAGES_MAX);
        let future = run(front, &session, body, &request, sender)?;
        let work = Work::new(Abandoned::GoOn, future);
        Ok(stream::respond(front, &session, work, notifications, accepts).await)
    };
    answered.await.map_err(|fault| fault.about(request.id))
}

/// Has the core answer a request of a session, and keeps what it is subscribed to.
fn run<E: Exchange>(
    front: &Arc<Front<E>>,
    session: &Arc<Session>,
    body: Bytes,
    request: &Request<'_>,
    sender: mpsc::Sender<Bytes>,
) -> Result<impl Future<Output = Answer> + Send + use<E>, Fault> {
    let place = front.admit_request()?;
    let watch = Watch::of(request)?;
    if matches!(watch, Watch::Begin(_)) && !session.resources.has_room() {
        return Err(Fault::new(code::INVALID_PARAMS, "too many resources are subscribed to"));
    }
    let (exchange, in_use) = (Arc::clone(&front.exchange), session.in_use());
    let (caller, resources) = (session.caller.clone(), session.resources.clone());
    Ok(async move {
        let _held: (_, InUse) = (place, in_use);
        let answer = exchange.request(caller, body, sender).await;
        watch.keep(&resources, &answer);
        answer
    })
}

/// What a request does to the resources a client is subscribed to.
pub enum Watch {
    /// Adds one.
    Begin(String),
    /// Takes one away.
    End(String),
    /// Nothing.
    Nothing,
}

impl Watch {
    /// What this request does.
    ///
    /// # Errors
    /// -32602 if its parameters cannot be read.
    pub fn of(request: &Request<'_>) -> Result<Self, Fault> {
        let make = match &*request.method {
            "resources/subscribe" => Self::Begin,
            "resources/unsubscribe" => Self::End,
            _ => return Ok(Self::Nothing),
        };
        Ok(subscription::subject(&Params::read(request.params)?).map_or(Self::Nothing, make))
    }

    /// Does it, if the server agreed.
    pub fn keep(self, resources: &subscription::Resources, answer: &Answer) {
        match self {
            _ if answer.error_code.is_some() => {}
            Self::Begin(uri) => resources.add(uri),
            Self::End(uri) => resources.remove(&uri),
            Self::Nothing => {}
        }
    }
}

/// The handshake: a new session, named in the answer's header.
async fn initialize<E: Exchange>(
    front: &Arc<Front<E>>,
    who: Who,
    body: Bytes,
    request: &Request<'_>,
    accepts: Accepts,
) -> Result<Response, Fault> {
    front.sessions.check_room().map_err(too_many)?;
    let place = front.admit_request()?;
    let params = Params::read(request.params)?;
    let version = era::negotiate(era::string(params.version).as_deref());
    let mut caller = legacy_caller(who, version, front.sessions.next_number());
    caller.capabilities = params.client_capabilities();
    let ended = front.stop.child_token();
    let mut session = Session::new(caller.clone(), front.exchange.events(), ended);
    session.shows_changes_of_tools = front.exchange.shows_changes_of_tools(&caller);
    let opening = Opening { front, session: Some(session) };
    let (sender, _) = mpsc::channel(1);
    let answer = Arc::clone(&front.exchange).request(caller, body, sender).await;
    drop(place);
    let id = match answer.error_code {
        None => opening.open()?,
        Some(_) => None,
    };
    // Behind a finished request there are no notifications to wait for.
    let work = Work::new(Abandoned::GoOn, std::future::ready(answer));
    let mut response = answer::respond(work, mpsc::channel(1).1, accepts, ALWAYS_OK).await;
    if let Some(id) = id.and_then(|id| HeaderValue::from_str(&id).ok()) {
        response.headers_mut().insert(headers::SESSION, id);
    }
    Ok(response)
}

/// A session that its client does not know yet: it ends if the handshake comes to nothing.
struct Opening<'a, E: Exchange> {
    front: &'a Front<E>,
    session: Option<Session>,
}

impl<E: Exchange> Opening<'_, E> {
    fn open(mut self) -> Result<Option<String>, Fault> {
        self.session.take().map(|session| self.front.sessions.open(session)).transpose().map_err(too_many)
    }
}

impl<E: Exchange> Drop for Opening<'_, E> {
    fn drop(&mut self) {
        if let Some(session) = &self.session {
            self.front.end_session(session);
        }
    }
}

fn too_many(_: TooManySessions) -> Fault {
    Fault::transport(StatusCode::SERVICE_UNAVAILABLE, "too many sessions are open: end one with DELETE")
}

/// The session that the headers name.
fn session<E: Exchange>(front: &Front<E>, who: &Who, headers: &HeaderMap) -> Result<Arc<Session>, Fault> {
    let id = session_id(headers)?.ok_or_else(|| {
        Fault::transport(StatusCode::BAD_REQUEST, "header Mcp-Session-Id is missing: begin with initialize")
    })?;
    check_version(headers)?;
    front.sessions.find(id, who).ok_or_else(unknown_session)
}

fn session_id(headers: &HeaderMap) -> Result<Option<&str>, Fault> {
    headers::single(headers, headers::SESSION)
}

fn unknown_session() -> Fault {
    Fault::transport(StatusCode::NOT_FOUND, "the session does not exist or has ended: begin with initialize")
}

/// An absent header stands for 2025-03-26, which had none; what counts is what was negotiated.
fn check_version(headers: &HeaderMap) -> Result<(), Fault> {
    match headers::single(headers, headers::VERSION)? {
        Some(version) if !LEGACY_VERSIONS.contains(&version) => Err(Fault::transport(
            StatusCode::BAD_REQUEST,
            format!("header MCP-Protocol-Version: {version:?} is not supported, only {LEGACY_VERSIONS:?}"),
        )),
        _ => Ok(()),
    }
}

/// Answers DELETE: ends the session.
///
/// # Errors
/// 405 without a session header, 404 for an unknown session.
pub fn end<E: Exchange>(front: &Front<E>, who: &Who, headers: &HeaderMap) -> Result<Response, Fault> {
    let id = session_id(headers)?.ok_or_else(method_not_allowed)?;
    let session = front.sessions.close(id, who).ok_or_else(unknown_session)?;
    front.end_session(&session);
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// 405.
pub fn method_not_allowed() -> Fault {
    Fault::transport(StatusCode::METHOD_NOT_ALLOWED, "only POST is answered here")
}
