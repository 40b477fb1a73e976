//! One connection over which HTTP is spoken, 1.1 or 2: which one, its first bytes say (there is no TLS to agree it in).
//!
//! What bounds both: how long header lines may take, how many there may be, how long it may be idle. What bounds
//! HTTP/2 alone: requests at one time, requests taken back, bytes that wait for a slow client.

use super::error::Fault;
use super::identity::Peer;
use super::porch::Guest;
use crate::limits::{
    HTTP_GOODBYE_TIME_MAX, HTTP_HEADER_BYTES_MAX, HTTP_HEADER_TIME_MAX, HTTP_HEADERS_MAX,
    HTTP2_PING_INTERVAL, HTTP2_PING_TIME_MAX, HTTP2_REFUSALS_MAX, HTTP2_RESETS_MAX, HTTP2_SEND_BYTES_MAX,
    HTTP2_STREAMS_MAX, HTTP2_WINDOW_BYTES,
};
use axum::Router;
use axum::body::{Body, HttpBody};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, Version, header};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// How often an idle connection is looked at before it has been idle for too long.
const LOOKS: u32 = 8;

/// What requests are told of the connection they come on.
#[derive(Clone, Debug, Default)]
pub struct Visitor {
    /// Whose it is; only over TCP.
    pub peer: Option<Peer>,
    /// Whom its first request with a token lets in; only if it did not come in already.
    pub guest: Option<Arc<Guest>>,
}

/// Serves one connection. When the proxy stops, the requests under way are still answered.
pub async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    router: Router,
    visitor: Visitor,
    stop: CancellationToken,
) {
    let activity = Arc::new(Activity::default());
    let (counted, visitor) = (Arc::clone(&activity), Arc::new(visitor));
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let under_way = UnderWay::begin(&counted);
        let (router, visitor) = (router.clone(), Arc::clone(&visitor));
        async move {
            let response = answer(router, &visitor, request).await;
            Ok::<_, Infallible>(response.map(|body| Counted { body, _under_way: under_way }))
        }
    });
    let builder = builder();
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        () = activity.idle_for(HTTP_HEADER_TIME_MAX) => {
            connection.as_mut().graceful_shutdown();
            // Who never finishes a request's head, or the first bytes that say which HTTP this is, is not waited for.
            tokio::time::timeout(HTTP_GOODBYE_TIME_MAX, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HTTP_HEADER_TIME_MAX)
        .max_headers(HTTP_HEADERS_MAX)
        .max_buf_size(HTTP_HEADER_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(HTTP2_STREAMS_MAX)
        .max_header_list_size(u32::try_from(HTTP_HEADER_BYTES_MAX).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(HTTP2_RESETS_MAX)
        .max_local_error_reset_streams(HTTP2_REFUSALS_MAX)
        .initial_connection_window_size(HTTP2_WINDOW_BYTES)
        .initial_stream_window_size(HTTP2_WINDOW_BYTES)
        .max_send_buf_size(HTTP2_SEND_BYTES_MAX)
        .keep_alive_interval(HTTP2_PING_INTERVAL)
        .keep_alive_timeout(HTTP2_PING_TIME_MAX);
    builder
}

async fn answer(router: Router, visitor: &Visitor, mut request: Request<Incoming>) -> Response {
    if request.version() == Version::HTTP_2
        && let Err(fault) = like_http1(&mut request)
    {
        return fault.into_response();
    }
    if let Some(peer) = visitor.peer {
        request.extensions_mut().insert(peer);
    }
    if let Some(guest) = &visitor.guest {
        request.extensions_mut().insert(Arc::clone(guest));
    }
    let Ok(response) = router.oneshot(request.map(Body::new)).await;
    response
}

/// Gives an HTTP/2 request what an HTTP/1.1 request has: as few header lines, and its destination as `Host`.
fn like_http1(request: &mut Request<Incoming>) -> Result<(), Fault> {
    if request.headers().len() > HTTP_HEADERS_MAX {
        let problem = format!("a request may have {HTTP_HEADERS_MAX} header lines at most");
        return Err(Fault::transport(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, problem));
    }
    let Some(authority) = request.uri().authority() else { return Ok(()) };
    let malformed = |_| Fault::transport(StatusCode::BAD_REQUEST, ":authority is malformed");
    let authority = HeaderValue::from_str(authority.as_str()).map_err(malformed)?;
    // Two names of one destination: a check of the one would say nothing of the other.
    if request.headers().get_all(header::HOST).iter().any(|host| host != authority) {
        let problem = "header Host says something else than :authority";
        return Err(Fault::transport(StatusCode::BAD_REQUEST, problem));
    }
    request.headers_mut().insert(header::HOST, authority);
    Ok(())
}

/// The requests of a connection: how many there were, and how many of them have come to their end. Counted without a
/// look at the clock, which each request would pay for.
#[derive(Debug, Default)]
struct Activity {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Activity {
    /// Waits until nothing was under way for this long, and at most an eighth longer.
    async fn idle_for(&self, limit: Duration) {
        let (mut quiet, mut before) = (0, self.counts());
        while quiet < LOOKS {
            tokio::time::sleep(limit / LOOKS).await;
            let now = self.counts();
            quiet = if now == before && now.0 == now.1 { quiet + 1 } else { 0 };
            before = now;
        }
    }

    fn counts(&self) -> (u64, u64) {
        (self.begun.load(Ordering::Acquire), self.ended.load(Ordering::Acquire))
    }
}

/// One request, from its head until its answer is sent.
struct UnderWay(Arc<Activity>);

impl UnderWay {
    fn begin(activity: &Arc<Activity>) -> Self {
        activity.begun.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(activity))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::AcqRel);
    }
}

/// The body of an answer, which is under way until it is sent.
struct Counted {
    body: Body,
    _under_way: UnderWay,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
