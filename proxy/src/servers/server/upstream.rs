//! What all replicas of a server have in common: whose they are, their rules, and what is remembered of them.

use super::Tenant;
use crate::exchange::Era;
use crate::limits::WAITING_MAX;
use crate::servers::connection::Notices;
use crate::servers::era::Facts;
use crate::servers::spawn::Spawner;
use only1mcp_policy::view::ServerView;
use only1mcp_wire::ServerName;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

/// What all replicas of a server have in common.
pub struct Upstream {
    /// The server's name.
    pub name: ServerName,
    /// Whose processes they are.
    pub tenant: Tenant,
    /// Who starts them.
    pub spawner: Arc<dyn Spawner>,
    /// Who hears what they say unasked.
    pub notices: Arc<dyn Notices>,
    pub(super) view: RwLock<Arc<ServerView>>,
    /// Told at every change of a replica that may decide who gets a request.
    pub(super) changed: watch::Sender<()>,
    /// Told when the view is another.
    pub(super) view_changed: watch::Sender<()>,
    /// Whether somebody waits for news of it, so that it must not end as idle.
    pub(super) is_awaited: OnceLock<Awaited>,
    last_used: Mutex<Instant>,
    /// Requests of clients that are not answered yet.
    pub(super) unanswered: AtomicU64,
    /// Requests that wait for a process.
    pub(super) waiting: Semaphore,
    /// The last id given to a request; 0 and 1 belong to the greeting.
    ids: AtomicU64,
    memory: Mutex<Memory>,
}

/// Says whether somebody waits for news of a server.
type Awaited = Box<dyn Fn() -> bool + Send + Sync>;

/// What is remembered from one process to the next.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The digest of the plan, and which era a process of that plan turned out to be.
    pub(super) verdict: Option<(String, Era)>,
    pub(super) facts: Option<Arc<Facts>>,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Upstream {
    /// Of a server that has not been started.
    #[must_use]
    pub fn new(
        name: ServerName,
        view: ServerView,
        spawner: Arc<dyn Spawner>,
        notices: Arc<dyn Notices>,
        tenant: Tenant,
    ) -> Arc<Self> {
        Arc::new(Self {
            name,
            tenant,
            spawner,
            notices,
            view: RwLock::new(Arc::new(view)),
            changed: watch::Sender::new(()),
            view_changed: watch::Sender::new(()),
            is_awaited: OnceLock::new(),
            last_used: Mutex::new(Instant::now()),
            unanswered: AtomicU64::new(0),
            waiting: Semaphore::new(WAITING_MAX),
            ids: AtomicU64::new(1),
            memory: Mutex::default(),
        })
    }

    /// The server's rules and times.
    #[must_use]
    pub fn view(&self) -> Arc<ServerView> {
        self.view.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells whoever waits that a replica is another now.
    pub fn replica_changed(&self) {
        self.changed.send_replace(());
    }

    /// Tells when the view is another.
    #[must_use]
    pub fn view_changes(&self) -> watch::Receiver<()> {
        self.view_changed.subscribe()
    }

    /// When it was last asked something.
    #[must_use]
    pub fn last_used(&self) -> Instant {
        *self.last_used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is asked something now.
    pub fn used(&self) {
        *self.last_used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Whether nobody would miss its processes now.
    #[must_use]
    pub fn is_unused(&self) -> bool {
        self.unanswered.load(Ordering::Relaxed) == 0
            && !self.is_awaited.get().is_some_and(|awaited| awaited())
    }

    /// Whether requests wait for a process.
    #[must_use]
    pub fn is_waited_for(&self) -> bool {
        self.waiting.available_permits() < WAITING_MAX
    }

    /// An id no other request to the server has.
    #[must_use]
    pub fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Which era a process of this plan turned out to be.
    #[must_use]
    pub fn verdict(&self, digest: &str) -> Option<Era> {
        self.memory().verdict.as_ref().filter(|(of, _)| of == digest).map(|(_, era)| *era)
    }

    /// Remembers what a process of this plan said of itself.
    pub fn learn(&self, digest: &str, facts: &Arc<Facts>) {
        let mut memory = self.memory();
        memory.verdict = Some((digest.to_owned(), facts.era));
        memory.facts = Some(facts.clone());
    }

    pub(super) fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
