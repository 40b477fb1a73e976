//! The id of one event: which stream it was sent on, and the how manieth it was.

use super::super::error::Fault;
use super::super::headers;
use crate::limits::EVENT_ID_BYTES_MAX;
use http::{HeaderMap, StatusCode};
use std::fmt;

/// Names the last event that a client has seen.
const LAST_EVENT: &str = "last-event-id";

/// What a stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// One request (POST): it ends with the answer.
    Request,
    /// What concerns no request (GET).
    Session,
}

/// The id of one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventId {
    /// What its stream is for.
    pub purpose: Purpose,
    /// Which stream.
    pub stream: u64,
    /// Which event, counted from 0.
    pub event: u64,
}

impl fmt::Display for EventId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let purpose = match self.purpose {
            Purpose::Request => 'r',
            Purpose::Session => 's',
        };
        write!(formatter, "{purpose}{:x}-{:x}", self.stream, self.event)
    }
}

impl EventId {
    fn parse(text: &str) -> Option<Self> {
        if text.len() > EVENT_ID_BYTES_MAX {
            return None;
        }
        let (stream, event) = text.get(1..)?.split_once('-')?;
        let purpose = match text.as_bytes().first()? {
            b'r' => Purpose::Request,
            b's' => Purpose::Session,
            _ => return None,
        };
        Some(Self { purpose, stream: number(stream)?, event: number(event)? })
    }
}

fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u64::from_str_radix(text, 16).ok())?
}

/// The last event that a client has seen, as it says itself.
///
/// # Errors
/// 400 if that is no id of ours.
pub fn last_seen(headers: &HeaderMap) -> Result<Option<EventId>, Fault> {
    let Some(text) = headers::single(headers, LAST_EVENT)? else { return Ok(None) };
    let refused = || {
        let problem =
            "header Last-Event-ID is no id of an event of this endpoint: open a stream without the header";
        Fault::transport(StatusCode::BAD_REQUEST, problem)
    };
    EventId::parse(text).map(Some).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_comes_back_as_it_was_sent_and_nothing_else_is_one() {
        for id in [
            EventId { purpose: Purpose::Request, stream: 26, event: 0 },
            EventId { purpose: Purpose::Session, stream: u64::MAX, event: u64::MAX },
        ] {
            assert_eq!(EventId::parse(&id.to_string()), Some(id));
            assert!(id.to_string().len() <= EVENT_ID_BYTES_MAX);
        }
        let long = format!("r{}-1", "0".repeat(EVENT_ID_BYTES_MAX));
        for wrong in
            ["", "r", "r1", "r1-", "r-1", "x1-1", "r+1-1", "r1-1-1", "é1-1", "r1ffffffffffffffff-1", &long]
        {
            assert_eq!(EventId::parse(wrong), None, "{wrong}");
        }
    }
}
