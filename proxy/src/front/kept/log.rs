//! What was said on one stream: a bounded tail of events, and how far its one reader has come.

use super::event_id::{EventId, Purpose};
use crate::front::frame;
use crate::limits::{KEPT_STREAM_BYTES_MAX, KEPT_STREAM_EVENTS_MAX, KEPT_TIME_MAX};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use tokio::time::Instant;

/// What an event takes beside its bytes.
const EVENT_OVERHEAD: usize = 64;
/// Bytes that are given to a connection at once if they wait already.
const CHUNK_BYTES: usize = 64 * 1024;

/// What a reader gets.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// What comes next.
    Events(Bytes),
    /// Nothing yet.
    Nothing,
    /// Nothing any more: all was told, or another connection tells it now.
    End,
    /// Nothing for now: the client is to come back later.
    Later,
}

/// From where a reader goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// Exactly behind the last event it has seen.
    Next,
    /// Later: what lies between is no longer kept.
    Later,
}

/// The events of one stream.
#[derive(Debug)]
pub struct Log {
    events: VecDeque<Bytes>,
    /// The number of the first event that is kept.
    first: u64,
    bytes: usize,
    /// The event that is told next.
    told: u64,
    reader: Option<u64>,
    readers: u64,
    read_since: Instant,
    dismissed: bool,
    over: bool,
    idle_since: Instant,
}

impl Default for Log {
    fn default() -> Self {
        let now = Instant::now();
        Self {
            events: VecDeque::new(),
            first: 0,
            bytes: 0,
            told: 0,
            reader: None,
            readers: 0,
            read_since: now,
            dismissed: false,
            over: false,
            idle_since: now,
        }
    }
}

fn cost(event: &Bytes) -> usize {
    event.len() + EVENT_OVERHEAD
}

impl Log {
    /// Bytes of all that is kept.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The number the next event gets.
    pub fn next_number(&self) -> u64 {
        self.first.saturating_add(self.events.len() as u64)
    }

    /// Who reads.
    pub fn reader(&self) -> Option<u64> {
        self.reader
    }

    /// Whether nobody reads it and nothing more comes until somebody does.
    pub fn is_idle(&self, purpose: Purpose) -> bool {
        self.reader.is_none() && (self.over || purpose == Purpose::Session)
    }

    /// Whether it was idle for too long.
    pub fn has_expired(&self, purpose: Purpose, now: Instant) -> bool {
        self.is_idle(purpose) && now.saturating_duration_since(self.idle_since) >= KEPT_TIME_MAX
    }

    /// Adds a message.
    pub fn push(&mut self, id: EventId, message: &[u8]) {
        self.add(frame::event_of(id, message));
    }

    /// Adds the last message.
    pub fn finish(&mut self, id: EventId, answer: &[u8]) {
        self.push(id, answer);
        self.close();
    }

    /// Adds the event that has an id and no message.
    pub fn prime(&mut self, id: EventId) {
        self.add(frame::priming(id));
    }

    /// Nothing more comes.
    pub fn close(&mut self) {
        if !self.over {
            self.over = true;
            self.idle_since = Instant::now();
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.first = self.next_number();
        self.told = self.first;
        self.events.clear();
        self.bytes = 0;
    }

    fn add(&mut self, event: Bytes) {
        self.bytes += cost(&event);
        self.events.push_back(event);
        self.trim();
    }

    fn is_full(&self) -> bool {
        self.events.len() > KEPT_STREAM_EVENTS_MAX || self.bytes > KEPT_STREAM_BYTES_MAX
    }

    /// Forgets the oldest events over the limit, but none that a reader is still to be told.
    fn trim(&mut self) {
        while self.is_full() && self.drop_first() {}
    }

    fn drop_first(&mut self) -> bool {
        if self.reader.is_some() && self.first >= self.told {
            return false;
        }
        let Some(event) = self.events.pop_front() else { return false };
        self.bytes -= cost(&event);
        self.first += 1;
        self.told = self.told.max(self.first);
        true
    }

    /// Forgets what no reader waits for: what the one there is was told, or else everything.
    pub fn forget(&mut self) {
        while self.drop_first() {}
    }

    /// Whether something may be added: not while a reader is still to be told as much as is kept.
    pub fn has_room(&mut self) -> bool {
        self.trim();
        let waiting = self.next_number() - self.told;
        self.reader.is_none()
            || (waiting < KEPT_STREAM_EVENTS_MAX as u64 && self.bytes <= KEPT_STREAM_BYTES_MAX)
    }

    /// Has somebody read from the beginning, or behind the last event seen, instead of whoever did. Nothing if
    /// that event was never sent, or if all is over and the end is no longer kept.
    pub fn attach(&mut self, seen: Option<u64>) -> Option<(u64, From)> {
        let next = seen.map_or(Some(0), |seen| seen.checked_add(1))?;
        if next > self.next_number() || (self.over && next < self.first && self.events.is_empty()) {
            return None;
        }
        let from = if next < self.first { From::Later } else { From::Next };
        self.told = next.max(self.first);
        self.readers += 1;
        self.dismissed = false;
        self.read_since = Instant::now();
        self.reader = Some(self.readers);
        Some((self.readers, from))
    }

    /// Since when one reader reads, if it has not been asked to come back later.
    pub fn read_since(&self) -> Option<Instant> {
        self.reader.filter(|_| !self.dismissed).map(|_| self.read_since)
    }

    /// Has the reader come back later.
    pub fn dismiss(&mut self) {
        self.dismissed = true;
    }

    /// This reader goes away, if it has not been replaced.
    pub fn detach(&mut self, reader: u64) {
        if self.reader == Some(reader) {
            self.reader = None;
            self.idle_since = Instant::now();
            self.trim();
        }
    }

    /// What comes next for this reader.
    pub fn take(&mut self, reader: u64) -> Taken {
        if self.reader != Some(reader) {
            return Taken::End;
        }
        let index = usize::try_from(self.told - self.first).unwrap_or(usize::MAX);
        let mut waiting = self.events.iter().skip(index);
        let Some(first) = waiting.next() else {
            return match (self.over, self.dismissed) {
                (true, _) => Taken::End,
                (_, true) => Taken::Later,
                _ => Taken::Nothing,
            };
        };
        self.told += 1;
        let Some(second) = waiting.next() else {
            let only = first.clone();
            self.trim();
            return Taken::Events(only);
        };
        let mut out = BytesMut::from(&first[..]);
        for event in std::iter::once(second).chain(waiting) {
            if out.len() >= CHUNK_BYTES {
                break;
            }
            out.extend_from_slice(event);
            self.told += 1;
        }
        self.trim();
        Taken::Events(out.freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(log: &Log) -> EventId {
        EventId { purpose: Purpose::Request, stream: 1, event: log.next_number() }
    }

    fn said(count: usize, bytes: usize) -> Log {
        let mut log = Log::default();
        for _ in 0..count {
            log.push(id(&log), &vec![b'x'; bytes]);
        }
        log
    }

    #[test]
    fn what_nobody_reads_is_bounded_in_events_and_in_bytes() {
        let log = said(KEPT_STREAM_EVENTS_MAX * 3, 1);
        assert_eq!(log.events.len(), KEPT_STREAM_EVENTS_MAX);
        let log = said(10, KEPT_STREAM_BYTES_MAX / 2);
        assert_eq!((log.events.len(), log.first), (1, 9));
        let log = said(1, KEPT_STREAM_BYTES_MAX + 1);
        assert_eq!((log.events.len(), log.bytes), (0, 0));
    }

    #[test]
    fn nothing_is_dropped_before_its_reader_was_told() {
        let mut log = Log::default();
        let (reader, _) = log.attach(None).unwrap();
        for _ in 0..KEPT_STREAM_EVENTS_MAX {
            assert!(log.has_room());
            log.push(id(&log), b"x");
        }
        assert!(!log.has_room());
        let Taken::Events(all) = log.take(reader) else { panic!() };
        assert_eq!(all.iter().filter(|byte| **byte == b'x').count(), KEPT_STREAM_EVENTS_MAX);
        assert!(log.has_room());
        log.push(id(&log), &vec![b'y'; KEPT_STREAM_BYTES_MAX + 1]);
        assert!(!log.has_room(), "it waits to be told");
        assert!(matches!(log.take(reader), Taken::Events(_)));
        assert_eq!(log.bytes, 0, "what is told and too long is not kept");
    }

    #[test]
    fn who_comes_back_gets_exactly_the_rest_and_the_other_one_nothing() {
        let mut log = Log::default();
        let (old, _) = log.attach(None).unwrap();
        for number in 0..4 {
            log.push(id(&log), format!("m{number}").as_bytes());
        }
        assert!(matches!(log.take(old), Taken::Events(_)));
        let (new, from) = log.attach(Some(1)).unwrap();
        assert_eq!(from, From::Next);
        log.push(id(&log), b"m4");
        assert_eq!(log.take(old), Taken::End);
        let rest = "id: r1-2\ndata: m2\n\nid: r1-3\ndata: m3\n\nid: r1-4\ndata: m4\n\n";
        assert_eq!(log.take(new), Taken::Events(Bytes::from(rest)));
        log.detach(old);
        assert_eq!((log.take(new), log.reader()), (Taken::Nothing, Some(new)), "the older one ends nothing");
        log.close();
        assert_eq!(log.take(new), Taken::End);
    }

    #[test]
    fn an_event_that_was_never_sent_is_no_place_to_go_on_from() {
        let mut log = said(2, 1);
        assert!(log.attach(Some(2)).is_none());
        assert!(log.attach(Some(u64::MAX)).is_none());
        assert_eq!(log.attach(Some(1)).unwrap().1, From::Next);
        log.clear();
        assert_eq!(log.attach(Some(0)).unwrap().1, From::Later);
        log.close();
        assert!(log.attach(Some(0)).is_none(), "its end is lost");
    }
}
