//! Streams of legacy sessions that a client can come back to after its connection broke: what was said on each
//! of them and may not have arrived, and how much of that is kept.
//!
//! One stream has one reader: who comes back takes it over, so that no message is told twice at one time.

pub mod event_id;
pub mod log;
pub mod reader;

use self::event_id::{EventId, Purpose};
use self::log::{Log, Taken};
use super::session::Session;
use crate::limits::{KEPT_BYTES_MAX, KEPT_STREAMS_MAX, KEPT_STREAMS_PER_SESSION_MAX, STREAM_TURN_MIN};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::time::Instant;

/// All such streams, by their number: the oldest first.
#[derive(Debug, Default)]
pub struct Kept {
    streams: Mutex<BTreeMap<u64, Arc<Stream>>>,
    /// Bytes of the events of all of them.
    bytes: Arc<AtomicUsize>,
}

/// One of them.
#[derive(Debug)]
pub struct Stream {
    number: u64,
    session: u64,
    purpose: Purpose,
    /// Whether its client knows to come back when the stream is closed before its end: since 2025-11-25.
    polls: bool,
    log: Mutex<Log>,
    /// There is something to read, or somebody else reads now.
    changed: Notify,
    /// The reader has read something, or has gone.
    moved: Notify,
    bytes: Arc<AtomicUsize>,
}

impl Kept {
    fn locked(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Stream>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new stream of a session; nothing if there are as many as there may be, and each is in use: then
    /// the client gets a stream it cannot come back to. Unused ones make room, the oldest first.
    pub fn begin(&self, session: &Session, number: u64, purpose: Purpose) -> Option<Arc<Stream>> {
        let own = session.caller.session?;
        let mut streams = self.locked();
        if streams.values().filter(|stream| stream.session == own).count() >= KEPT_STREAMS_PER_SESSION_MAX {
            remove_oldest_idle(&mut streams, |stream| stream.session == own)?;
        }
        if streams.len() >= KEPT_STREAMS_MAX {
            remove_oldest_idle(&mut streams, |_| true)?;
        }
        let (log, changed, moved) = Default::default();
        let (polls, bytes) = (session.primes(), Arc::clone(&self.bytes));
        let stream = Stream { number, session: own, purpose, polls, log, changed, moved, bytes };
        let stream = Arc::new(stream);
        streams.insert(number, Arc::clone(&stream));
        Some(stream)
    }

    /// The stream that an event was sent on, if it is this session's. Another one's does not exist.
    pub fn find(&self, session: &Session, id: EventId) -> Option<Arc<Stream>> {
        let mut streams = self.locked();
        let stream = streams.get(&id.stream)?;
        if Some(stream.session) != session.caller.session || stream.purpose != id.purpose {
            return None;
        }
        if stream.log().has_expired(stream.purpose, Instant::now()) {
            streams.remove(&id.stream);
            return None;
        }
        Some(Arc::clone(stream))
    }

    /// Forgets the streams of a session that has ended.
    pub fn forget(&self, session: u64) {
        self.locked().retain(|_, stream| stream.session != session);
    }

    /// Forgets the streams that nobody came back to in time.
    pub fn sweep(&self) {
        let now = Instant::now();
        self.locked().retain(|_, stream| !stream.log().has_expired(stream.purpose, now));
    }

    /// Asks the client that has read its session's own stream for the longest, and not only just now, to come back
    /// later. It loses nothing: what happens meanwhile waits in its session.
    pub fn dismiss_one(&self) -> bool {
        let streams = self.locked();
        let turns = streams.values().filter(|stream| stream.purpose == Purpose::Session && stream.polls);
        let since = turns.filter_map(|stream| Some((stream.log().read_since()?, stream)));
        let longest = since.min_by_key(|(since, _)| *since);
        let Some((_, stream)) = longest.filter(|(since, _)| since.elapsed() >= STREAM_TURN_MIN) else {
            return false;
        };
        stream.change(Log::dismiss);
        stream.changed.notify_waiters();
        true
    }

    /// Says something on a stream, and makes room for it.
    pub fn push(&self, stream: &Stream, message: &[u8]) {
        stream.write(|log, id| log.push(id, message));
        self.shrink();
    }

    /// Says the last word on a stream.
    pub fn finish(&self, stream: &Stream, answer: &[u8]) {
        stream.write(|log, id| log.finish(id, answer));
        self.shrink();
    }

    /// Forgets until what is kept has no more bytes than it may: first streams that nobody uses, then what no
    /// reader waits for on the others. An answer that comes later is still kept.
    fn shrink(&self) {
        let over = || self.bytes.load(Ordering::Relaxed) > KEPT_BYTES_MAX;
        if !over() {
            return;
        }
        let mut streams = self.locked();
        while over() && remove_oldest_idle(&mut streams, |_| true).is_some() {}
        for stream in streams.values() {
            if !over() {
                return;
            }
            stream.change(Log::forget);
        }
    }

    /// How many streams and bytes are kept.
    #[cfg(test)]
    pub fn used(&self) -> (usize, usize) {
        (self.locked().len(), self.bytes.load(Ordering::Relaxed))
    }
}

fn remove_oldest_idle(
    streams: &mut BTreeMap<u64, Arc<Stream>>,
    which: impl Fn(&Stream) -> bool,
) -> Option<()> {
    let idle = |stream: &Stream| stream.log().is_idle(stream.purpose);
    let number = *streams.iter().find(|(_, stream)| which(stream) && idle(stream))?.0;
    let stream = streams.remove(&number)?;
    stream.change(Log::clear);
    Some(())
}

impl Stream {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the log and keeps count of its bytes.
    fn change<T>(&self, change: impl FnOnce(&mut Log) -> T) -> T {
        let mut log = self.log();
        let before = log.bytes();
        let changed = change(&mut log);
        let after = log.bytes();
        if after >= before {
            self.bytes.fetch_add(after - before, Ordering::Relaxed);
        } else {
            self.bytes.fetch_sub(before - after, Ordering::Relaxed);
        }
        changed
    }

    fn write(&self, write: impl FnOnce(&mut Log, EventId)) {
        self.change(|log| {
            let id = self.id(log.next_number());
            write(log, id);
        });
        self.changed.notify_waiters();
    }

    fn id(&self, event: u64) -> EventId {
        EventId { purpose: self.purpose, stream: self.number, event }
    }

    /// Says that nothing more comes, whether or not there was a last word.
    pub fn close(&self) {
        self.change(Log::close);
        self.changed.notify_waiters();
    }

    /// Puts the event without a message first that gives its client an id to come back with.
    pub fn prime(&self) {
        self.write(|log, id| log.prime(id));
    }

    /// Waits until something may be said: while a client reads, what it has not read yet is bounded.
    pub async fn room(&self) {
        loop {
            let mut moved = std::pin::pin!(self.moved.notified());
            moved.as_mut().enable();
            if self.change(Log::has_room) {
                return;
            }
            moved.await;
        }
    }

    /// Waits until this reader has gone.
    pub async fn left(&self, reader: u64) {
        loop {
            let mut moved = std::pin::pin!(self.moved.notified());
            moved.as_mut().enable();
            if self.log().reader() != Some(reader) {
                return;
            }
            moved.await;
        }
    }

    fn take(&self, reader: u64) -> Taken {
        let taken = self.change(|log| log.take(reader));
        self.moved.notify_waiters();
        taken
    }

    fn detach(&self, reader: u64) {
        self.change(|log| log.detach(reader));
        self.moved.notify_waiters();
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let bytes = self.log().bytes();
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// A request's own stream while its request is under way: closed whatever becomes of it.
pub struct Open {
    kept: Arc<Kept>,
    stream: Arc<Stream>,
}

impl Open {
    /// This stream.
    pub fn new(kept: Arc<Kept>, stream: Arc<Stream>) -> Self {
        Self { kept, stream }
    }

    /// Says something, when there is room for it.
    pub async fn push(&self, message: Bytes) {
        self.stream.room().await;
        self.kept.push(&self.stream, &message);
    }

    /// Says the last word.
    pub async fn finish(self, answer: Bytes) {
        self.stream.room().await;
        self.kept.finish(&self.stream, &answer);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.stream.close();
    }
}

#[cfg(test)]
mod tests {
    use super::super::session::legacy_caller;
    use super::*;
    use crate::exchange::{Principal, Who};
    use crate::limits::KEPT_STREAM_BYTES_MAX;
    use tokio::sync::broadcast;
    use tokio_util::sync::CancellationToken;

    fn session(number: u64) -> Session {
        let caller = legacy_caller(Who::at_all(Principal::TokenBearer), "2025-11-25", number);
        Session::new(caller, broadcast::channel(1).1, CancellationToken::new())
    }

    #[test]
    fn calls_under_way_that_nobody_reads_are_within_the_bound_too() {
        let (kept, session) = (Kept::default(), session(1));
        let message = vec![b'x'; KEPT_STREAM_BYTES_MAX / 4];
        let streams: Vec<_> = (0..KEPT_STREAMS_PER_SESSION_MAX as u64)
            .map(|number| kept.begin(&session, number, Purpose::Request).unwrap())
            .collect();
        for stream in streams.iter().chain(&streams) {
            kept.push(stream, &message);
            assert!(kept.used().1 <= KEPT_BYTES_MAX);
        }
        kept.finish(&streams[0], b"the answer");
        let (_reader, from) = streams[0].read(Some(0)).unwrap();
        assert_eq!(from, log::From::Later, "what was said is lost, its answer is not");
    }

    #[test]
    fn what_a_reader_waits_for_is_not_forgotten() {
        let kept = Kept::default();
        let message = vec![b'x'; KEPT_STREAM_BYTES_MAX / 2];
        let sessions = [session(1), session(2)];
        let begin = |number: u64| {
            let stream = kept.begin(&sessions[(number % 2) as usize], number, Purpose::Request).unwrap();
            (stream.read(None).unwrap(), stream)
        };
        let read: Vec<_> = (0..2 * KEPT_STREAMS_PER_SESSION_MAX as u64).map(begin).collect();
        for ((reader, _), stream) in &read {
            kept.push(stream, &message);
            let _ = reader;
        }
        let all = kept.used().1;
        assert!(all > KEPT_BYTES_MAX && all <= read.len() * KEPT_STREAM_BYTES_MAX, "{all}");
        drop(read);
        kept.push(&kept.begin(&session(3), 1000, Purpose::Request).unwrap(), b"x");
        assert!(kept.used().1 <= KEPT_BYTES_MAX);
    }
}
