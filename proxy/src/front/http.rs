//! HTTP: one URL for both families of the protocol, `/mcp` for all servers and `/mcp/SERVER` for one. `/view/VIEW` before
//! either, or `?view=VIEW` behind it, says how tools are shown.

use super::era::{self, Params};
use super::error::Fault;
use super::headers;
use super::identity::Peer;
use super::message::{self, Message};
use super::porch::Guest;
use super::{Front, legacy, modern, origin};
use crate::exchange::{Endpoint, Era, Exchange, Who};
use crate::limits::{CLIENT_MESSAGE_BYTES_MAX, HTTP_BODY_TIME_MAX};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Extension, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, Request, StatusCode, Version, header};
use http_body_util::BodyExt;
use only1mcp_policy::view::ToolView;
use only1mcp_wire::ServerName;
use serde::Deserialize;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// Everything that is answered over TCP. Each request must carry its [`Peer`] as an extension.
pub fn router<E: Exchange>(front: Arc<Front<E>>) -> Router {
    Router::new()
        .route("/mcp", any(endpoint::<E>))
        .route("/mcp/{server}", any(endpoint::<E>))
        .route("/view/{view}/mcp", any(endpoint::<E>))
        .route("/view/{view}/mcp/{server}", any(endpoint::<E>))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready::<E>))
        .fallback(async || {
            (StatusCode::NOT_FOUND, "the endpoints are /mcp and /mcp/SERVER, or /view/VIEW before them\n")
        })
        .with_state(front)
}

/// Whether new clients are welcome: every server has had its time to start, and we are not about to end.
async fn ready<E: Exchange>(State(front): State<Arc<Front<E>>>) -> (StatusCode, &'static str) {
    match (front.stop.is_cancelled(), front.exchange.is_settled()) {
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "ending\n"),
        (false, false) => (StatusCode::SERVICE_UNAVAILABLE, "servers are starting\n"),
        (false, true) => (StatusCode::OK, "ready\n"),
    }
}

/// What the path of a URL names.
#[derive(Debug, Deserialize)]
struct Named {
    view: Option<String>,
    server: Option<String>,
}

async fn endpoint<E: Exchange>(
    State(front): State<Arc<Front<E>>>,
    Extension(peer): Extension<Peer>,
    Path(named): Path<Named>,
    request: Request<Body>,
) -> Response {
    answer(&front, &peer, named, request).await.unwrap_or_else(refused)
}

fn refused(fault: Fault) -> Response {
    tracing::debug!(status = fault.status.as_u16(), code = fault.code, "refused a request");
    fault.into_response()
}

/// The story of one request: where from, who, what to, and then by method and family.
async fn answer<E: Exchange>(
    front: &Arc<Front<E>>,
    peer: &Peer,
    named: Named,
    request: Request<Body>,
) -> Result<Response, Fault> {
    let (parts, body) = request.into_parts();
    origin::check(&parts.headers, peer.local.ip())?;
    let principal = front.identity.principal(peer, &parts.headers)?;
    if let Some(guest) = parts.extensions.get::<Arc<Guest>>() {
        guest.admit()?;
    }
    let place = match parts.version {
        Version::HTTP_2 => Some(front.admit_exchange()?),
        _ => None,
    };
    let view = view(named.view, parts.uri.query())?;
    let who = Who { endpoint: reached(front, named.server)?, view, principal };
    let response = admitted(front, who, &parts, body).await?;
    Ok(match place {
        Some(place) => response.map(|body| until_sent(body, place)),
        None => response,
    })
}

/// A body that holds a place until it is sent, or nobody wants it any more.
fn until_sent(body: Body, place: OwnedSemaphorePermit) -> Body {
    Body::new(body.map_frame(move |frame| {
        let _held = &place;
        frame
    }))
}

/// The rest of the story, for one who may come in.
async fn admitted<E: Exchange>(
    front: &Arc<Front<E>>,
    who: Who,
    parts: &Parts,
    body: Body,
) -> Result<Response, Fault> {
    if parts.method == Method::POST {
        headers::content_type(&parts.headers)?;
        headers::content_coding(&parts.headers)?;
        let body = read(&parts.headers, body).await?;
        return post(front, who, &parts.headers, body).await;
    }
    let version = headers::single(&parts.headers, headers::VERSION)?;
    match (era::of_header(version), &parts.method) {
        (Era::Legacy, &Method::GET) => legacy::stream::get(front, &who, &parts.headers).await,
        (Era::Legacy, &Method::DELETE) => legacy::end(front, &who, &parts.headers),
        _ => Err(legacy::method_not_allowed()),
    }
}

/// How tools shall be shown: as the path says, else as the query says.
fn view(named: Option<String>, query: Option<&str>) -> Result<Option<ToolView>, Fault> {
    let asked = |pair: &str| pair.strip_prefix("view=").map(str::to_owned);
    let Some(word) = named.or_else(|| query?.split('&').find_map(asked)) else { return Ok(None) };
    let known = ToolView::ALL.map(ToolView::word).join(", ");
    let problem = || format!("{word:?} is not a view; there are {known}");
    ToolView::of(&word).map(Some).ok_or_else(|| Fault::transport(StatusCode::NOT_FOUND, problem()))
}

fn reached<E: Exchange>(front: &Front<E>, server: Option<String>) -> Result<Endpoint, Fault> {
    let Some(text) = server else { return Ok(Endpoint::Aggregate) };
    match ServerName::new(&text) {
        Ok(name) if front.exchange.has_server(&name) => Ok(Endpoint::Server(name)),
        _ => Err(Fault::transport(
            StatusCode::NOT_FOUND,
            format!("no server of the name {text:?} is configured"),
        )),
    }
}

/// Reads a body, as long and as slow as it may be.
async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Fault> {
    let too_long = || {
        let problem = format!("a message may have {CLIENT_MESSAGE_BYTES_MAX} bytes at most");
        Fault::transport(StatusCode::PAYLOAD_TOO_LARGE, problem)
    };
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: usize| length > CLIENT_MESSAGE_BYTES_MAX) {
        return Err(too_long());
    }
    let read = tokio::time::timeout(HTTP_BODY_TIME_MAX, to_bytes(body, CLIENT_MESSAGE_BYTES_MAX)).await;
    let slow = |_| Fault::transport(StatusCode::REQUEST_TIMEOUT, "the body took too long");
    read.map_err(slow)?.map_err(|_| too_long())
}

/// Answers one POST by the family its message belongs to.
async fn post<E: Exchange>(
    front: &Arc<Front<E>>,
    who: Who,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Response, Fault> {
    // A second handle to the same bytes, so that what was parsed may be handed on.
    let shared = body.clone();
    let text = message::text(&shared)?;
    if let Some(elements) = message::batch(text)? {
        return legacy::batch::post(front, who, headers, &body, elements).await;
    }
    let message = message::parse(text)?;
    let version = headers::single(headers, headers::VERSION)?;
    let era = match &message {
        Message::Request(request) => {
            let params = Params::read(request.params).map_err(|fault| fault.about(request.id))?;
            era::of_message(version, Some(&request.method), &params)
        }
        Message::Notification(notification) => {
            era::of_message(version, Some(&notification.method), &Params::read(notification.params)?)
        }
        Message::Response => era::of_header(version),
    };
    match era {
        Era::Modern => modern::post(front, who, headers, body, message).await,
        Era::Legacy => legacy::post(front, who, headers, body, message).await,
    }
}
