//! Legacy sessions: who they belong to, what they negotiated, how many there may be, when they end.

use super::subscription::Resources;
use crate::exchange::{Caller, Era, ServerEvent, Who, no_capabilities};
use crate::limits::{SESSION_IDLE_MAX, SESSIONS_MAX};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;

/// One legacy client.
#[derive(Debug)]
pub struct Session {
    /// As the core knows it.
    pub caller: Caller,
    /// Whether it is told of changed tools.
    pub shows_changes_of_tools: bool,
    /// What it is subscribed to.
    pub resources: Resources,
    /// What happened at the servers and was not told yet. The stream that holds it tells it, so that
    /// each message goes to exactly one stream, and none is lost between two streams.
    pub events: tokio::sync::Mutex<broadcast::Receiver<ServerEvent>>,
    /// Wakes the stream that holds the events when a newer one wants them.
    pub newer_stream: Notify,
    /// Fires when the session or the proxy ends: open streams end with it.
    pub ended: CancellationToken,
    /// Requests and streams under way: such a session is not idle.
    busy: AtomicUsize,
    last_used: Mutex<Instant>,
}

impl Session {
    /// A session as `initialize` made it.
    pub fn new(caller: Caller, events: broadcast::Receiver<ServerEvent>, ended: CancellationToken) -> Self {
        Self {
            caller,
            shows_changes_of_tools: true,
            resources: Resources::default(),
            events: tokio::sync::Mutex::new(events),
            newer_stream: Notify::new(),
            ended,
            busy: AtomicUsize::new(0),
            last_used: Mutex::new(Instant::now()),
        }
    }

    /// Whether its streams have ids, so that the client can come back to them: since 2025-03-26.
    pub fn resumes(&self) -> bool {
        self.caller.version >= "2025-03-26"
    }

    /// Whether its streams begin with an event that has an id and no message, which older clients cannot read.
    pub fn primes(&self) -> bool {
        self.caller.version >= "2025-11-25"
    }

    /// Keeps the session from ending as idle while the guard lives.
    pub fn in_use(self: &Arc<Self>) -> InUse {
        self.busy.fetch_add(1, Ordering::Relaxed);
        InUse(Arc::clone(self))
    }

    fn idle_since(&self) -> Instant {
        *self.last_used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self) {
        *self.last_used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn is_idle(&self, now: Instant, limit: Duration) -> bool {
        self.busy.load(Ordering::Relaxed) == 0 && now.saturating_duration_since(self.idle_since()) >= limit
    }
}

/// Something of a session is under way.
#[derive(Debug)]
pub struct InUse(Arc<Session>);

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.touch();
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// There are as many sessions as there may be, and all are in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManySessions;

/// All legacy sessions, by their id.
#[derive(Debug, Default)]
pub struct Sessions {
    table: Mutex<HashMap<String, Arc<Session>>>,
    numbers: AtomicU64,
}

impl Sessions {
    fn locked(&self) -> MutexGuard<'_, HashMap<String, Arc<Session>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that no session, relay connection or subscription had before.
    pub fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// Whether another session fits.
    ///
    /// # Errors
    /// [`TooManySessions`].
    pub fn check_room(&self) -> Result<(), TooManySessions> {
        if self.locked().len() < SESSIONS_MAX { Ok(()) } else { Err(TooManySessions) }
    }

    /// Files a new session and gives the id its client must send: 32 random bytes in hexadecimal.
    ///
    /// # Errors
    /// [`TooManySessions`].
    pub fn open(&self, session: Session) -> Result<String, TooManySessions> {
        let mut random = [0_u8; 32];
        // Fails only where the kernel has no random numbers, and then nothing may be guessable.
        getrandom::fill(&mut random).map_err(|_| TooManySessions)?;
        let id = hex(&random);
        let mut table = self.locked();
        if table.len() >= SESSIONS_MAX {
            return Err(TooManySessions);
        }
        table.insert(id.clone(), Arc::new(session));
        Ok(id)
    }

    /// The session of this id, if it is this principal's and this endpoint's. Another one's does not exist.
    pub fn find(&self, id: &str, who: &Who) -> Option<Arc<Session>> {
        let session = self.locked().get(id).filter(|session| belongs(session, who)).cloned()?;
        session.touch();
        Some(session)
    }

    /// Ends the session of this id, if it is this principal's and this endpoint's.
    pub fn close(&self, id: &str, who: &Who) -> Option<Arc<Session>> {
        let mut table = self.locked();
        table.get(id).filter(|session| belongs(session, who))?;
        table.remove(id)
    }

    /// Ends all sessions that were idle for too long, and gives them.
    pub fn sweep(&self) -> Vec<Arc<Session>> {
        self.sweep_after(SESSION_IDLE_MAX)
    }

    fn sweep_after(&self, limit: Duration) -> Vec<Arc<Session>> {
        let now = Instant::now();
        self.locked()
            .extract_if(|_, session| session.is_idle(now, limit))
            .map(|(_, session)| session)
            .collect()
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The view is the one it began with, whatever the URL says now.
fn belongs(session: &Session, who: &Who) -> bool {
    session.caller.principal == who.principal && session.caller.endpoint == who.endpoint
}

/// What the core is told about a legacy client.
pub fn legacy_caller(who: Who, version: &'static str, number: u64) -> Caller {
    let Who { endpoint, view, principal } = who;
    let capabilities = no_capabilities();
    Caller {
        endpoint,
        view,
        era: Era::Legacy,
        version,
        principal,
        session: Some(number),
        relay: None,
        capabilities,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{Endpoint, Principal};
    use only1mcp_policy::view::ToolView;

    fn open(sessions: &Sessions, principal: Principal) -> Result<String, TooManySessions> {
        let caller = legacy_caller(Who::at_all(principal), "2025-11-25", sessions.next_number());
        sessions.open(Session::new(caller, broadcast::channel(1).1, CancellationToken::new()))
    }

    #[test]
    fn a_session_exists_only_for_its_principal_and_endpoint() {
        let sessions = Sessions::default();
        let id = open(&sessions, Principal::LocalUser(7)).unwrap();
        let endpoint = Endpoint::Server(only1mcp_wire::ServerName::new("a").unwrap());
        let server = Who { endpoint, ..Who::at_all(Principal::LocalUser(7)) };
        let in_another_view = Who { view: Some(ToolView::Search), ..Who::at_all(Principal::LocalUser(7)) };
        assert!(sessions.find(&id, &in_another_view).is_some_and(|session| session.caller.view.is_none()));
        assert!(sessions.find(&id, &Who::at_all(Principal::LocalUser(7))).is_some());
        assert!(sessions.find(&id, &Who::at_all(Principal::TokenBearer)).is_none());
        assert!(sessions.find(&id, &server).is_none());
        assert!(sessions.close(&id, &Who::at_all(Principal::TokenBearer)).is_none());
        assert!(sessions.close(&id, &Who::at_all(Principal::LocalUser(7))).is_some());
        assert!(sessions.find(&id, &Who::at_all(Principal::LocalUser(7))).is_none());
    }

    #[test]
    fn ids_are_long_visible_and_different() {
        let sessions = Sessions::default();
        let (one, two) = (open(&sessions, Principal::TokenBearer), open(&sessions, Principal::TokenBearer));
        assert_ne!(one, two);
        assert!(one.unwrap().bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(two.unwrap().len(), 64);
    }

    #[test]
    fn only_idle_sessions_are_swept() {
        let sessions = Sessions::default();
        let id = open(&sessions, Principal::TokenBearer).unwrap();
        let session = sessions.find(&id, &Who::at_all(Principal::TokenBearer)).unwrap();
        let guard = session.in_use();
        assert!(sessions.sweep_after(Duration::ZERO).is_empty());
        drop(guard);
        assert!(sessions.sweep_after(Duration::from_secs(60)).is_empty());
        assert_eq!(sessions.sweep_after(Duration::ZERO).len(), 1);
        assert!(sessions.find(&id, &Who::at_all(Principal::TokenBearer)).is_none());
    }

    #[test]
    fn the_number_of_sessions_is_bounded() {
        let sessions = Sessions::default();
        (0..SESSIONS_MAX).for_each(|_| drop(open(&sessions, Principal::TokenBearer).unwrap()));
        assert_eq!(sessions.check_room(), Err(TooManySessions));
        assert_eq!(open(&sessions, Principal::TokenBearer), Err(TooManySessions));
    }
}
