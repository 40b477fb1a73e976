//! One connection that reads a stream: what was said and was not seen, then what is said.

use super::event_id::EventId;
use super::log::{From, Taken};
use super::{Kept, Stream};
use crate::front::answer::{self, keep_alive};
use crate::front::frame;
use crate::front::session::InUse;
use crate::front::subscription::Told;
use crate::limits::{STREAM_RETRY, STREAM_TURN_RETRY};
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::unfold;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Interval;
use tokio_util::sync::CancellationToken;

/// What a connection holds while it is open.
#[derive(Debug, Default)]
pub struct Held {
    /// A place among the open streams, and its session.
    pub place: Option<(OwnedSemaphorePermit, InUse)>,
    /// What ends it before its end: only a stream that does not end by itself has this.
    pub ended: Option<Ended>,
    /// Sent first.
    pub first: Option<Bytes>,
}

/// What ends a stream.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The end of its session.
    pub session: CancellationToken,
    /// The order to the proxy to stop, which ends sessions, too: a client may come back to the next proxy.
    pub stop: CancellationToken,
}

/// Reads a stream while it lives.
#[derive(Debug)]
pub struct Reader {
    stream: Arc<Stream>,
    number: u64,
}

impl Stream {
    /// Reads from the beginning, or behind the last event seen, instead of whoever did.
    pub fn read(self: &Arc<Self>, seen: Option<u64>) -> Option<(Reader, From)> {
        let (number, from) = self.change(|log| log.attach(seen))?;
        self.moved.notify_waiters();
        self.changed.notify_waiters();
        Some((Reader { stream: Arc::clone(self), number }, from))
    }

    /// The event that a client of 2025-11-25 sees first when it comes back: where it was.
    pub fn primed_again(&self, seen: u64) -> Bytes {
        frame::priming(EventId { event: seen, ..self.id(0) })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stream.detach(self.number);
    }
}

struct Open {
    reader: Reader,
    held: Held,
    keep_alive: Interval,
    closing: bool,
}

impl Reader {
    /// A way to say something on this stream while this connection reads it.
    pub fn feed(&self, kept: &Arc<Kept>) -> Feed {
        Feed { kept: Arc::clone(kept), stream: Arc::clone(&self.stream), reader: self.number }
    }

    /// The answer that tells it all.
    pub fn respond(self, held: Held) -> Response {
        let open = Open { reader: self, held, keep_alive: keep_alive(), closing: false };
        answer::events(Body::from_stream(unfold(open, |mut open| async move {
            let chunk = open.next().await?;
            Some((Ok::<_, Infallible>(chunk), open))
        })))
    }
}

impl Open {
    async fn next(&mut self) -> Option<Bytes> {
        if self.closing {
            return None;
        }
        if let Some(first) = self.held.first.take() {
            return Some(first);
        }
        let stream = &self.reader.stream;
        loop {
            let mut changed = std::pin::pin!(stream.changed.notified());
            changed.as_mut().enable();
            match stream.take(self.reader.number) {
                Taken::Events(chunk) => return Some(chunk),
                Taken::End => return None,
                Taken::Later => {
                    self.closing = true;
                    return Some(frame::retry(STREAM_TURN_RETRY));
                }
                Taken::Nothing => {}
            }
            let ended = async {
                let Some(ended) = &self.held.ended else { return std::future::pending().await };
                ended.session.cancelled().await;
                ended.stop.is_cancelled().then(|| frame::retry(STREAM_RETRY))
            };
            tokio::select! {
                () = changed => {}
                last = ended => {
                    self.closing = true;
                    return last;
                }
                _ = self.keep_alive.tick() => return Some(frame::KEEP_ALIVE),
            }
        }
    }
}

/// Says something on a stream while one connection reads it. What was said stays when the connection breaks.
#[derive(Debug)]
pub struct Feed {
    kept: Arc<Kept>,
    stream: Arc<Stream>,
    reader: u64,
}

impl Told for Feed {
    async fn closed(&self) {
        self.stream.left(self.reader).await;
    }

    async fn room(&self) {
        self.stream.room().await;
    }

    async fn say(&self, message: Bytes) -> bool {
        self.kept.push(&self.stream, &message);
        true
    }

    fn say_last(&self, message: Bytes) {
        self.kept.push(&self.stream, &message);
    }
}
