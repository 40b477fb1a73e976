//! The modern wire (2026-07-28 and later): every request stands alone and says everything itself.

use super::Front;
use super::answer::{self, Abandoned, Work};
use super::era::{self, Params};
use super::error::{Fault, code, status_of};
use super::frame;
use super::headers::{self, Accepts};
use super::message::{Message, Notification, Request};
use super::parameters;
use super::subscription::{self, Filter, STREAM_QUEUE};
use crate::exchange::{Caller, Endpoint, Era, Exchange, STREAM_MESSAGES_MAX, Who, no_capabilities};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long servers may take to agree to watch the resources of a listen request.
const SUBSCRIBE_TIME_MAX: Duration = Duration::from_secs(10);

/// Answers one POST of the modern wire.
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
    match message {
        Message::Request(request) => {
            let answered = answer_request(front, who, headers, body, &request).await;
            answered.map_err(|fault| fault.about(request.id))
        }
        Message::Notification(notification) => notify(front, who, headers, body, &notification).await,
        Message::Response => {
            Err(Fault::new(code::INVALID_REQUEST, "clients send no responses in this protocol version"))
        }
    }
}

async fn answer_request<E: Exchange>(
    front: &Arc<Front<E>>,
    who: Who,
    headers: &HeaderMap,
    body: Bytes,
    request: &Request<'_>,
) -> Result<Response, Fault> {
    let accepts = headers::accept(headers)?;
    let caller = check(front, who, headers, request)?;
    match &*request.method {
        "subscriptions/listen" => listen_stream(front, caller, request).await,
        _ => forward(front, caller, body, accepts).await,
    }
}

/// Checks all that a modern request must say of itself, and gives who asks.
fn check<E: Exchange>(
    front: &Front<E>,
    who: Who,
    headers: &HeaderMap,
    request: &Request<'_>,
) -> Result<Caller, Fault> {
    let params = Params::read(request.params)?;
    let declared = era::declared_version(&params)?;
    headers::expect(headers::VERSION, headers::single(headers, headers::VERSION)?, &declared)?;
    let version = era::modern_version(&params)?;
    headers::repeat_body(headers, &request.method, &params)?;
    era::refuse_removed(&request.method)?;
    let capabilities = params.client_capabilities();
    let caller = caller(who, version, capabilities);
    if request.method == "tools/call"
        && let Some(tool) = era::string(params.name)
        && let Some(schema) = front.exchange.input_schema(&caller, &tool)
    {
        parameters::check(headers, &schema, &params)?;
    }
    Ok(caller)
}

fn caller(who: Who, version: &'static str, capabilities: Arc<str>) -> Caller {
    let Who { endpoint, view, principal } = who;
    Caller { endpoint, view, era: Era::Modern, version, principal, session: None, relay: None, capabilities }
}

async fn forward<E: Exchange>(
    front: &Arc<Front<E>>,
    caller: Caller,
    body: Bytes,
    accepts: Accepts,
) -> Result<Response, Fault> {
    let place = front.admit_request()?;
    let (sender, notifications) = mpsc::channel(STREAM_MESSAGES_MAX);
    let exchange = Arc::clone(&front.exchange);
    let work = Work::new(Abandoned::Cancel, async move {
        let _place = place;
        exchange.request(caller, body, sender).await
    });
    Ok(answer::respond(work, notifications, accepts, status_of).await)
}

/// The modern wire has no client notifications over HTTP but those of extensions. A cancellation is
/// the end of a request's own stream; one by message could end another client's request.
async fn notify<E: Exchange>(
    front: &Arc<Front<E>>,
    who: Who,
    headers: &HeaderMap,
    body: Bytes,
    notification: &Notification<'_>,
) -> Result<Response, Fault> {
    if let Some(method) = headers::single(headers, "mcp-method")? {
        headers::expect("mcp-method", Some(method), &notification.method)?;
    }
    let [version, ..] = era::MODERN_VERSIONS;
    if notification.method != "notifications/cancelled" {
        let caller = caller(who, version, no_capabilities());
        Arc::clone(&front.exchange).notification(caller, body).await;
    }
    Ok(StatusCode::ACCEPTED.into_response())
}

/// Opens the stream of a `subscriptions/listen` request.
async fn listen_stream<E: Exchange>(
    front: &Arc<Front<E>>,
    caller: Caller,
    request: &Request<'_>,
) -> Result<Response, Fault> {
    let (sender, messages) = mpsc::channel(STREAM_QUEUE);
    let listening = listen(front, caller, request).await?;
    let first = frame::event(&listening.acknowledgement());
    tokio::spawn(listening.tell(sender));
    Ok(answer::open_stream(Some(first), messages))
}

/// A subscription that its client was not told of yet.
pub struct Listening<E: Exchange> {
    front: Arc<Front<E>>,
    endpoint: Endpoint,
    filter: Filter,
    events: tokio::sync::broadcast::Receiver<crate::exchange::ServerEvent>,
    number: u64,
    _place: tokio::sync::OwnedSemaphorePermit,
}

/// Subscribes to what a `subscriptions/listen` request asks for, as far as the servers agree.
///
/// # Errors
/// -32602 for a wrong filter, 503 if too many streams are open.
pub async fn listen<E: Exchange>(
    front: &Arc<Front<E>>,
    caller: Caller,
    request: &Request<'_>,
) -> Result<Listening<E>, Fault> {
    let params = Params::read(request.params)?;
    let (mut filter, uris) = Filter::asked(request.id, params.notifications, &caller)?;
    if !front.exchange.shows_changes_of_tools(&caller) {
        filter = filter.without_tools();
    }
    let listening = Listening {
        front: Arc::clone(front),
        endpoint: caller.endpoint.clone(),
        filter,
        events: front.exchange.events(),
        number: front.sessions.next_number(),
        _place: front.admit_stream_in_turn().await?,
    };
    let all = uris.into_iter().map(|uri| listening.watch(&caller, uri));
    // Those that did not agree in time are missing from the acknowledgement.
    let _ = tokio::time::timeout(SUBSCRIBE_TIME_MAX, futures_util::future::join_all(all)).await;
    Ok(listening)
}

impl<E: Exchange> Listening<E> {
    /// What the client is told first.
    pub fn acknowledgement(&self) -> Bytes {
        self.filter.acknowledgement()
    }

    /// Has the owner of a resource watch it: to the core this stream is a client with a number that subscribes.
    async fn watch(&self, caller: &Caller, uri: String) {
        let caller = Caller { session: Some(self.number), ..caller.clone() };
        let request = serde_json::json!({
            "jsonrpc": "2.0", "id": 1, "method": "resources/subscribe", "params": { "uri": uri },
        });
        let (sender, _) = mpsc::channel(1);
        let exchange = Arc::clone(&self.front.exchange);
        let answer = exchange.request(caller, Bytes::from(request.to_string()), sender).await;
        if answer.error_code.is_none() {
            self.filter.honour(uri);
        }
    }

    /// Tells the client what happens until it goes away or the proxy stops.
    pub async fn tell(mut self, client: mpsc::Sender<Bytes>) {
        subscription::tell(&self.filter, &self.endpoint, &mut self.events, &client, &self.front.stop).await;
    }
}

impl<E: Exchange> Drop for Listening<E> {
    fn drop(&mut self) {
        self.front.exchange.session_ended(self.number);
    }
}

/// The id of a request that a cancellation names.
pub fn cancelled_request<'a>(notification: &Notification<'a>) -> Option<&'a RawValue> {
    Params::read(notification.params).ok()?.request
}
