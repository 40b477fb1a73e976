//! What is remembered of legacy sessions and relay connections: the log level each has set, and which of
//! its requests can still be cancelled.

use crate::mcp::level::Level;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// All sessions.
#[derive(Debug, Default)]
pub struct Sessions {
    levels: Mutex<HashMap<u64, Level>>,
    in_flight: Mutex<HashMap<(u64, String), CancellationToken>>,
}

/// A request of a session while it is being answered.
#[derive(Debug)]
pub struct InFlight<'a> {
    sessions: &'a Sessions,
    key: (u64, String),
    cancelled: CancellationToken,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sessions {
    /// Remembers the level a session has set.
    pub fn set_level(&self, session: u64, level: Level) {
        lock(&self.levels).insert(session, level);
    }

    /// The level a session has set.
    #[must_use]
    pub fn level(&self, session: Option<u64>) -> Option<Level> {
        let levels = lock(&self.levels);
        if levels.is_empty() { None } else { levels.get(&session?).copied() }
    }

    /// The most talkative level any session has set: what shared servers are told.
    #[must_use]
    pub fn most_talkative(&self) -> Option<Level> {
        lock(&self.levels).values().min().copied()
    }

    /// Notes that a session's request with the raw id `id` is being answered.
    #[must_use]
    pub fn begin(&self, session: u64, id: &str) -> InFlight<'_> {
        let cancelled = CancellationToken::new();
        let key = (session, id.to_owned());
        lock(&self.in_flight).insert(key.clone(), cancelled.clone());
        InFlight { sessions: self, key, cancelled }
    }

    /// Cancels a session's request.
    pub fn cancel(&self, session: u64, id: &str) {
        if let Some(request) = lock(&self.in_flight).get(&(session, id.to_owned())) {
            request.cancel();
        }
    }

    /// Forgets a session and cancels its requests.
    pub fn end(&self, session: u64) {
        lock(&self.levels).remove(&session);
        for ((owner, _), request) in lock(&self.in_flight).iter() {
            if *owner == session {
                request.cancel();
            }
        }
    }
}

impl InFlight<'_> {
    /// Waits until the client cancels the request.
    pub async fn cancelled(&self) {
        self.cancelled.cancelled().await;
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        lock(&self.sessions.in_flight).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_session_that_asked_can_cancel() {
        let sessions = Sessions::default();
        let request = sessions.begin(1, "7");
        sessions.cancel(2, "7");
        sessions.cancel(1, "\"7\"");
        assert!(!request.cancelled.is_cancelled());
        sessions.cancel(1, "7");
        request.cancelled().await;
        drop(request);
        assert!(lock(&sessions.in_flight).is_empty());
    }

    #[test]
    fn shared_servers_are_told_the_most_talkative_level() {
        let sessions = Sessions::default();
        assert_eq!(sessions.most_talkative(), None);
        sessions.set_level(1, Level::of("error").unwrap());
        sessions.set_level(2, Level::of("info").unwrap());
        assert_eq!(sessions.most_talkative(), Level::of("info"));
        sessions.end(2);
        assert_eq!(sessions.most_talkative(), Level::of("error"));
        assert_eq!(sessions.level(Some(2)), None);
    }
}
