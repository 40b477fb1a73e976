//! One configured server: its replicas, and what is remembered from one process to the next. Which replica gets a
//! request is decided in [`pick`], how it is asked in [`ask`].

mod admission;
pub mod ask;
mod homes;
mod pick;
mod upstream;

use crate::exchange::no_capabilities;
use crate::limits::{DRAIN_POLL, DRAIN_TIME};
use crate::mcp::error::{RpcError, SERVER_UNAVAILABLE};
use crate::servers::balancer::Balancer;
use crate::servers::budget::RetryBudget;
use crate::servers::connection::{Connection, Notices};
use crate::servers::durations::{Durations, Snapshot};
use crate::servers::era::Facts;
use crate::servers::pending::Reply;
use crate::servers::replica::Replica;
use crate::servers::spawn::Spawner;
use admission::Admission;
use homes::Homes;
use only1mcp_policy::view::ServerView;
use only1mcp_wire::{Partition, ServerName};
use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio::sync::watch;
use tokio::time::Instant;
pub use upstream::Upstream;

/// One configured server.
pub struct Server {
    /// Its name.
    pub name: ServerName,
    /// Whose processes they are.
    pub tenant: Tenant,
    upstream: Arc<Upstream>,
    pool: RwLock<Arc<Pool>>,
    is_running: AtomicBool,
    /// The process that is asked for lists and told what is watched.
    lead: Mutex<Option<Ready>>,
    admission: Admission,
    homes: Homes,
    /// Tools of which the server says that they may be called twice.
    repeatable: RwLock<HashSet<String>>,
    budget: RetryBudget,
    durations: Durations,
    /// Requests of clients.
    calls: AtomicU64,
    /// Those of them that failed without an answer of the server.
    failures: AtomicU64,
    /// Requests that were given to a second process.
    retries: AtomicU64,
}

/// The replicas, and who chooses among them.
#[derive(Debug)]
pub struct Pool {
    /// In the order of their numbers.
    pub replicas: Vec<Arc<Replica>>,
    balancer: Balancer,
}

/// Whose processes of a server these are.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Whose state they have.
    pub partition: Partition,
    /// What they are told their client can do, a raw JSON object.
    pub capabilities: Arc<str>,
    /// What is given back when the last process has ended.
    pub lease: Option<Arc<dyn fmt::Debug + Send + Sync>>,
}

impl Tenant {
    /// Everybody: no client's capabilities are those of all, so none are told.
    #[must_use]
    pub fn everybody() -> Self {
        Self { partition: Partition::SHARED, capabilities: no_capabilities(), lease: None }
    }
}

/// Where a replica is in its life.
#[derive(Clone, Debug)]
pub enum State {
    /// Its first process is being started.
    Starting,
    /// It can be asked.
    Ready(Ready),
    /// Its process ended and is being started again.
    Restarting,
    /// It could not be started, and why. It is tried again from time to time.
    Failed(Arc<str>),
    /// It failed again and again, and why. It is tried again after a long while, or when its plan is another.
    Quarantined(Arc<str>),
    /// It was idle for long enough, or was never needed; the next request starts it.
    Idle,
    /// It was ended by us.
    Stopped,
}

/// A server that can be asked.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Its process.
    pub connection: Arc<Connection>,
    /// What it says of itself.
    pub facts: Arc<Facts>,
    /// The digest of its plan.
    pub digest: Arc<str>,
}

/// A server's answer to a client's request.
#[derive(Clone, Debug)]
pub struct Answered {
    /// What it wrote.
    pub reply: Reply,
    /// Who wrote it.
    pub facts: Arc<Facts>,
    /// The number of the replica that did.
    pub replica: u32,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("name", &self.name).finish_non_exhaustive()
    }
}

impl State {
    /// As `status` shows it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready(_) => "ready",
            Self::Restarting => "restarting",
            Self::Failed(_) => "failed",
            Self::Quarantined(_) => "quarantined",
            Self::Idle => "idle",
            Self::Stopped => "stopped",
        }
    }

    /// Why there is no process, if it could not be started.
    #[must_use]
    pub fn failure(&self) -> Option<&Arc<str>> {
        match self {
            Self::Failed(reason) | Self::Quarantined(reason) => Some(reason),
            _ => None,
        }
    }
}

impl Server {
    /// A server that is not started yet.
    #[must_use]
    pub fn new(
        name: ServerName,
        view: ServerView,
        spawner: Arc<dyn Spawner>,
        notices: Arc<dyn Notices>,
        tenant: Tenant,
    ) -> Arc<Self> {
        let upstream = Upstream::new(name.clone(), view, spawner, notices, tenant.clone());
        let pool = RwLock::new(Arc::new(Pool::of(&upstream, &[], State::Starting)));
        Arc::new(Self {
            name,
            tenant,
            upstream,
            pool,
            is_running: AtomicBool::new(false),
            lead: Mutex::default(),
            admission: Admission::default(),
            homes: Homes::default(),
            repeatable: RwLock::default(),
            budget: RetryBudget::default(),
            durations: Durations::default(),
            calls: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            retries: AtomicU64::new(0),
        })
    }

    /// Its rules and times.
    #[must_use]
    pub fn view(&self) -> Arc<ServerView> {
        self.upstream.view()
    }

    /// Gives it other rules and times. Processes of another plan are replaced, one by one and without a gap; replicas
    /// there are too few of are started, those there are too many of are ended when they have answered.
    pub fn set_view(&self, view: ServerView) {
        *self.upstream.view.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(view);
        let mut pool = self.pool.write().unwrap_or_else(PoisonError::into_inner);
        let old = pool.clone();
        let rests = old.replicas.iter().all(|replica| matches!(*replica.state().borrow(), State::Idle));
        let state = if rests { State::Idle } else { State::Starting };
        let new = Arc::new(Pool::of(&self.upstream, &old.replicas, state));
        *pool = new.clone();
        drop(pool);
        if self.is_running.load(Ordering::Acquire) {
            for replica in new.replicas.get(old.replicas.len()..).unwrap_or_default() {
                tokio::spawn(replica.clone().run());
            }
        }
        for replica in old.replicas.get(new.replicas.len()..).unwrap_or_default() {
            let replica = replica.clone();
            tokio::spawn(async move { replica.retire().await });
        }
        self.upstream.view_changed.send_replace(());
        self.upstream.replica_changed();
    }

    /// Runs its replicas until [`Server::stop`].
    pub fn run(&self) {
        self.is_running.store(true, Ordering::Release);
        for replica in &self.pool().replicas {
            tokio::spawn(replica.clone().run());
        }
    }

    /// Has it start only when it is needed, with what is known of other processes of the same plan. Before
    /// [`Server::run`].
    pub fn rest(&self, facts: Option<Arc<Facts>>) {
        let digest = self.view().digest.clone();
        let mut memory = self.upstream.memory();
        memory.verdict = facts.as_ref().map(|facts| (digest, facts.era));
        memory.facts = facts;
        drop(memory);
        self.pool().replicas.iter().for_each(|replica| replica.set_state(State::Idle));
    }

    /// Its replicas now.
    #[must_use]
    pub fn pool(&self) -> Arc<Pool> {
        self.pool.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps it from ending as idle while this holds.
    pub fn awaited_while(&self, is_awaited: impl Fn() -> bool + Send + Sync + 'static) {
        let _ = self.upstream.is_awaited.set(Box::new(is_awaited));
    }

    /// When it was last asked something.
    #[must_use]
    pub fn last_used(&self) -> Instant {
        self.upstream.last_used()
    }

    /// Whether nobody would miss its processes now.
    #[must_use]
    pub fn is_unused(&self) -> bool {
        self.upstream.is_unused()
    }

    /// Tells at every change of a replica.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.upstream.changed.subscribe()
    }

    /// Where it is in its life: what its ablest replica is.
    #[must_use]
    pub fn state(&self) -> State {
        let pool = self.pool();
        let mut states = pool.replicas.iter().map(|replica| replica.state().borrow().clone());
        let rank = |state: &State| match state {
            State::Ready(_) => 0,
            State::Starting => 1,
            State::Restarting => 2,
            State::Idle => 3,
            State::Failed(_) => 4,
            State::Quarantined(_) => 5,
            State::Stopped => 6,
        };
        let first = states.next().unwrap_or(State::Stopped);
        states.fold(first, |best, state| if rank(&state) < rank(&best) { state } else { best })
    }

    /// Whether a process runs and may be asked.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self.state(), State::Ready(_))
    }

    /// All processes that run.
    #[must_use]
    pub fn running(&self) -> Vec<Ready> {
        self.pool().replicas.iter().filter_map(|replica| replica.running()).collect()
    }

    /// The process that is asked for lists and told what is watched: one of them, for as long as it is well.
    #[must_use]
    pub fn lead(&self) -> Option<Ready> {
        let mut lead = self.lead.lock().unwrap_or_else(PoisonError::into_inner);
        let mut running: Vec<Ready> =
            self.pool().replicas.iter().filter_map(|replica| replica.able()).collect();
        if running.is_empty() {
            running = self.running();
        }
        let same = |ready: &&Ready| {
            lead.as_ref().is_some_and(|lead| Arc::ptr_eq(&lead.connection, &ready.connection))
        };
        *lead = running.iter().find(same).or(running.first()).cloned();
        lead.clone()
    }

    /// What it said of itself last, even if it is not running now.
    #[must_use]
    pub fn facts(&self) -> Option<Arc<Facts>> {
        self.upstream.memory().facts.clone()
    }

    /// Why a process of it failed or ended last.
    #[must_use]
    pub fn last_error(&self) -> Option<Arc<str>> {
        let pool = self.pool();
        let mut errors: Vec<_> = pool.replicas.iter().filter_map(|replica| replica.last_error()).collect();
        errors.sort_by_key(|(at, _)| *at);
        errors.pop().map(|(_, reason)| reason)
    }

    /// Requests of clients so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Those of them that failed without an answer of the server.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// How long they took.
    #[must_use]
    pub fn durations(&self) -> Snapshot {
        self.durations.snapshot()
    }

    /// Requests that were given to a second process.
    #[must_use]
    pub fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Requests of clients that are not answered yet.
    #[must_use]
    pub fn unanswered(&self) -> u64 {
        self.upstream.unanswered.load(Ordering::Relaxed)
    }

    /// Requests of clients that wait for others to end.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.admission.waiting()
    }

    /// Times a process of it was started again.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.pool().replicas.iter().map(|replica| replica.restarts()).sum()
    }

    /// Ends it for good.
    pub fn stop(&self) {
        self.pool().replicas.iter().for_each(|replica| replica.stop());
    }

    /// Waits until all its processes have ended.
    pub async fn stopped(&self) {
        for replica in &self.pool().replicas {
            let mut state = replica.state();
            let _ = state.wait_for(|state| matches!(state, State::Stopped)).await;
        }
    }

    /// Ends it for good when clients have their answers, or after [`DRAIN_TIME`].
    pub async fn retire(&self) {
        let deadline = Instant::now() + DRAIN_TIME;
        while self.unanswered() > 0 && Instant::now() < deadline {
            tokio::time::sleep(DRAIN_POLL).await;
        }
        self.stop();
    }

    /// An id no other request to it has.
    #[must_use]
    pub fn next_id(&self) -> u64 {
        self.upstream.next_id()
    }

    /// Remembers of which tools the server says that they may be called twice.
    pub fn set_repeatable(&self, tools: HashSet<String>) {
        *self.repeatable.write().unwrap_or_else(PoisonError::into_inner) = tools;
    }

    fn says_repeatable(&self, tool: &str) -> bool {
        self.repeatable.read().unwrap_or_else(PoisonError::into_inner).contains(tool)
    }

    /// Why it cannot be asked now, if it has failed.
    #[must_use]
    pub fn failure(&self) -> Option<RpcError> {
        self.state().failure().map(|reason| self.unavailable(reason))
    }

    fn unavailable(&self, reason: &str) -> RpcError {
        RpcError::new(SERVER_UNAVAILABLE, format!("server \"{}\" is not running: {reason}", self.name))
    }
}

impl Pool {
    /// As many replicas as the view says: those there are, and new ones in this state.
    fn of(upstream: &Arc<Upstream>, before: &[Arc<Replica>], state: State) -> Self {
        let view = upstream.view();
        let fresh = |number| Replica::new(number, upstream.clone(), state.clone());
        let replicas = (0..view.replicas.max(1)).map(|number| {
            let kept = before.iter().find(|replica| replica.number == number);
            kept.cloned().unwrap_or_else(|| fresh(number))
        });
        Self { replicas: replicas.collect(), balancer: Balancer::new(view.routing, view.replicas.max(1)) }
    }
}
