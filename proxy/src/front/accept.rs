//! Takes connections: TCP for clients, Unix for the relay and the operator. A place is taken before
//! a connection is accepted, so that what we cannot serve waits in the kernel's queue; who is not known
//! yet gives it back, and waits on the porch.

use super::Front;
use super::identity::Peer;
use super::porch::{Guest, Porch};
use crate::exchange::Exchange;
use crate::limits::{HTTP_CONNECTIONS_MAX, HTTP_HEADER_BYTES_MAX, HTTP_HEADER_TIME_MAX, HTTP_HEADERS_MAX};
use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// How long to wait after an error of accept: most likely we are out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves clients over TCP until the proxy stops.
pub async fn tcp<E: Exchange>(
    front: Arc<Front<E>>,
    listener: TcpListener,
    router: Router,
    tasks: TaskTracker,
) {
    let places = Arc::new(Semaphore::new(HTTP_CONNECTIONS_MAX));
    let porch = Arc::new(Porch::default());
    let stop = front.stop.clone();
    while let Some((place, (stream, remote))) =
        next(&places, &stop, |context| listener.poll_accept(context)).await
    {
        let (Ok(()), Ok(local)) = (stream.set_nodelay(true), stream.local_addr()) else { continue };
        let peer = front.identity.peer(remote, local);
        let (router, stop) = (router.clone(), stop.clone());
        if front.identity.is_own(&peer) {
            tasks.spawn(async move {
                let _place = place;
                http(stream, router, Visitor { peer: Some(peer), guest: None }, stop).await;
            });
        } else {
            let guest = porch.enter(Arc::clone(&places));
            tasks.spawn(async move {
                let visitor = Visitor { peer: Some(peer), guest: Some(Arc::clone(&guest)) };
                tokio::select! {
                    () = http(stream, router, visitor, stop) => {}
                    () = guest.sent_away() => {}
                }
            });
        }
    }
}

/// Whose local connections are served: our own user's and root's.
#[derive(Clone, Copy, Debug)]
pub struct LocalUsers {
    /// Our uid.
    pub own: u32,
    /// How root's uid reads here: 0, or in a user namespace without root the overflow uid, 65534.
    pub root: u32,
}

impl LocalUsers {
    /// The socket's mode already says who may connect; this holds even if somebody changed it.
    fn include(self, stream: &UnixStream) -> bool {
        match stream.peer_cred() {
            Ok(peer) if peer.uid() == self.own || peer.uid() == self.root => true,
            Ok(peer) => {
                tracing::warn!(uid = peer.uid(), "refused a local connection of another user");
                false
            }
            Err(_) => false,
        }
    }
}

/// A Unix socket with all that serving it needs.
#[derive(Debug)]
pub struct LocalDoor {
    /// The socket.
    pub listener: UnixListener,
    /// Who may come in.
    pub users: LocalUsers,
    /// Connections at one time.
    pub connections_max: usize,
    /// Fires when the proxy stops.
    pub stop: CancellationToken,
    /// Where connections are counted.
    pub tasks: TaskTracker,
}

/// Serves connections to a Unix socket until the proxy stops.
pub async fn unix<F, S>(door: LocalDoor, serve: F)
where
    F: Fn(UnixStream) -> S,
    S: Future<Output = ()> + Send + 'static,
{
    let LocalDoor { listener, users, connections_max, stop, tasks } = door;
    let places = Arc::new(Semaphore::new(connections_max));
    while let Some((place, (stream, _))) = next(&places, &stop, |context| listener.poll_accept(context)).await
    {
        if !users.include(&stream) {
            continue;
        }
        let serving = serve(stream);
        tasks.spawn(async move {
            let _place = place;
            serving.await;
        });
    }
}

/// The next connection with a place for it; nothing when the proxy stops.
async fn next<T>(
    places: &Arc<Semaphore>,
    stop: &CancellationToken,
    mut accept: impl FnMut(&mut Context<'_>) -> Poll<std::io::Result<T>>,
) -> Option<(OwnedSemaphorePermit, T)> {
    stop.run_until_cancelled(async {
        let place = Arc::clone(places).acquire_owned().await.ok()?;
        loop {
            match poll_fn(&mut accept).await {
                Ok(connection) => return Some((place, connection)),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    })
    .await?
}

/// What requests are told of the connection they come on.
#[derive(Clone, Debug, Default)]
pub struct Visitor {
    /// Whose it is; only over TCP.
    pub peer: Option<Peer>,
    /// Whom its first request with a token lets in; only if it did not come in already.
    pub guest: Option<Arc<Guest>>,
}

/// Serves HTTP/1.1 on one connection. When the proxy stops, the request under way is still answered.
pub async fn http(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    router: Router,
    visitor: Visitor,
    stop: CancellationToken,
) {
    let service = hyper::service::service_fn(move |mut request: http::Request<Incoming>| {
        if let Some(peer) = visitor.peer {
            request.extensions_mut().insert(peer);
        }
        if let Some(guest) = &visitor.guest {
            request.extensions_mut().insert(Arc::clone(guest));
        }
        router.clone().oneshot(request.map(Body::new))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HTTP_HEADER_TIME_MAX)
        .max_headers(HTTP_HEADERS_MAX)
        .max_buf_size(HTTP_HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
