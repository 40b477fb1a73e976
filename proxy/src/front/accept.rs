//! Takes connections: TCP for clients, Unix for the relay and the operator. A place is taken before
//! a connection is accepted, so that what we cannot serve waits in the kernel's queue; who is not known
//! yet gives it back, and waits on the porch.

use super::Front;
use super::compression::Routers;
use super::connection::{Visitor, serve};
use super::porch::Porch;
use crate::exchange::Exchange;
use crate::limits::HTTP_CONNECTIONS_MAX;
use axum::Router;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

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
    let (stop, routers) = (front.stop.clone(), Routers::new(router));
    while let Some((place, (stream, remote))) =
        next(&places, &stop, |context| listener.poll_accept(context)).await
    {
        let (Ok(()), Ok(local)) = (stream.set_nodelay(true), stream.local_addr()) else { continue };
        let peer = front.identity.peer(remote, local);
        let (router, stop) = (routers.of(&peer), stop.clone());
        if front.identity.is_own(&peer) {
            tasks.spawn(async move {
                let _place = place;
                serve(stream, router, Visitor { peer: Some(peer), guest: None }, stop).await;
            });
        } else {
            let guest = porch.enter(Arc::clone(&places));
            tasks.spawn(async move {
                let visitor = Visitor { peer: Some(peer), guest: Some(Arc::clone(&guest)) };
                tokio::select! {
                    () = serve(stream, router, visitor, stop) => {}
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
