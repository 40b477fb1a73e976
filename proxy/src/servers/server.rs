//! One configured server: its state, and what is remembered from one process to the next. Its life is in
//! [`life`], how it is asked in [`ask`].

pub mod ask;
mod life;
mod turns;

use crate::exchange::{Era, no_capabilities};
use crate::limits::{DRAIN_POLL, DRAIN_TIME, WAITING_MAX};
use crate::mcp::error::{OVERLOADED, RpcError, SERVER_UNAVAILABLE};
use crate::servers::connection::{Connection, Notices};
use crate::servers::era::Facts;
use crate::servers::pending::Reply;
use crate::servers::spawn::Spawner;
use only1mcp_policy::view::ServerView;
use only1mcp_wire::{Partition, ServerName};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use turns::Turns;

/// One configured server.
pub struct Server {
    /// Its name.
    pub name: ServerName,
    /// Whose processes they are.
    pub tenant: Tenant,
    view: RwLock<Arc<ServerView>>,
    spawner: Arc<dyn Spawner>,
    notices: Arc<dyn Notices>,
    state: watch::Sender<State>,
    stopped: CancellationToken,
    /// Wakes it when it is idle.
    wake: Notify,
    /// Whether somebody waits for news of it, so that it must not end as idle.
    is_awaited: OnceLock<Awaited>,
    last_used: Mutex<Instant>,
    /// Requests that wait for it to become ready.
    waiting: Semaphore,
    /// Whose turn it is, once it is known that it asks its clients.
    turns: Turns,
    asks: AtomicBool,
    /// The last id given to a request; 0 and 1 belong to the greeting.
    ids: AtomicU64,
    /// Requests of clients.
    calls: AtomicU64,
    /// Those of them that are not answered yet.
    unanswered: AtomicU64,
    restarts: AtomicU64,
    memory: Mutex<Memory>,
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

/// Says whether somebody waits for news of a server.
type Awaited = Box<dyn Fn() -> bool + Send + Sync>;

/// What is remembered from one process to the next.
#[derive(Debug, Default)]
struct Memory {
    /// The digest of the plan, and which era a process of that plan turned out to be.
    verdict: Option<(String, Era)>,
    facts: Option<Arc<Facts>>,
    last_error: Option<Arc<str>>,
}

/// Where a server is in its life.
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
}

/// A server's answer to a client's request.
#[derive(Clone, Debug)]
pub struct Answered {
    /// What it wrote.
    pub reply: Reply,
    /// Who wrote it.
    pub facts: Arc<Facts>,
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
            Self::Idle => "idle",
            Self::Stopped => "stopped",
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
        Arc::new(Self {
            name,
            tenant,
            view: RwLock::new(Arc::new(view)),
            spawner,
            notices,
            state: watch::Sender::new(State::Starting),
            stopped: CancellationToken::new(),
            wake: Notify::new(),
            is_awaited: OnceLock::new(),
            last_used: Mutex::new(Instant::now()),
            waiting: Semaphore::new(WAITING_MAX),
            turns: Turns::default(),
            asks: AtomicBool::new(false),
            ids: AtomicU64::new(1),
            calls: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            restarts: AtomicU64::new(0),
            memory: Mutex::default(),
        })
    }

    /// Its rules and times.
    #[must_use]
    pub fn view(&self) -> Arc<ServerView> {
        self.view.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives it other rules and times. A plan with another digest needs a process of its own.
    pub fn set_view(&self, view: ServerView) {
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(view);
    }

    /// Has it start only when it is needed, with what is known of other processes of the same plan.
    pub fn rest(&self, facts: Option<Arc<Facts>>) {
        let mut memory = self.memory();
        memory.verdict = facts.as_ref().map(|facts| (self.view().digest.clone(), facts.era));
        memory.facts = facts;
        drop(memory);
        self.state.send_replace(State::Idle);
    }

    /// Keeps it from ending as idle while this holds.
    pub fn awaited_while(&self, is_awaited: impl Fn() -> bool + Send + Sync + 'static) {
        let _ = self.is_awaited.set(Box::new(is_awaited));
    }

    /// When it was last asked something.
    #[must_use]
    pub fn last_used(&self) -> Instant {
        *self.last_used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn used(&self) {
        *self.last_used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Whether nobody would miss its process now.
    #[must_use]
    pub fn is_unused(&self) -> bool {
        self.unanswered.load(Ordering::Relaxed) == 0
            && !self.is_awaited.get().is_some_and(|awaited| awaited())
    }

    /// Where it is in its life, now and later.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Whether a process runs and may be asked.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(&*self.state.borrow(), State::Ready(_))
    }

    /// What it said of itself last, even if it is not running now.
    #[must_use]
    pub fn facts(&self) -> Option<Arc<Facts>> {
        self.memory().facts.clone()
    }

    /// Why it failed or ended last.
    #[must_use]
    pub fn last_error(&self) -> Option<Arc<str>> {
        self.memory().last_error.clone()
    }

    /// Requests of clients so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Times it was started again.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }

    /// Ends it for good.
    pub fn stop(&self) {
        self.stopped.cancel();
    }

    /// Ends it for good when clients have their answers, or after [`DRAIN_TIME`].
    pub async fn retire(&self) {
        let deadline = Instant::now() + DRAIN_TIME;
        while self.unanswered.load(Ordering::Relaxed) > 0 && Instant::now() < deadline {
            tokio::time::sleep(DRAIN_POLL).await;
        }
        self.stop();
    }

    /// An id no other request to it has.
    #[must_use]
    pub fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The running server; waits for it until `deadline` while it starts.
    ///
    /// # Errors
    /// [`RpcError`] if it cannot be asked.
    pub async fn ready(&self, deadline: Instant) -> Result<Ready, RpcError> {
        if let State::Ready(ready) = &*self.state.borrow()
            && !ready.connection.is_closed()
        {
            return Ok(ready.clone());
        }
        let Ok(_permit) = self.waiting.try_acquire() else {
            return Err(RpcError::new(
                OVERLOADED,
                format!("too many requests wait for server \"{}\"", self.name),
            ));
        };
        let mut state = self.state.subscribe();
        self.wake.notify_one();
        let settled = state.wait_for(|state| match state {
            State::Ready(ready) => !ready.connection.is_closed(),
            State::Failed(_) | State::Stopped => true,
            State::Starting | State::Restarting | State::Idle => false,
        });
        match timeout_at(deadline, settled).await {
            Ok(Ok(state)) => match &*state {
                State::Ready(ready) => Ok(ready.clone()),
                State::Failed(reason) => Err(self.unavailable(reason)),
                _ => Err(self.unavailable("it was stopped")),
            },
            Ok(Err(_)) => Err(self.unavailable("it was stopped")),
            Err(_) => Err(self.unavailable("it has not started in time")),
        }
    }

    /// Why it cannot be asked now, if it has failed.
    #[must_use]
    pub fn failure(&self) -> Option<RpcError> {
        match &*self.state.borrow() {
            State::Failed(reason) => Some(self.unavailable(reason)),
            _ => None,
        }
    }

    fn unavailable(&self, reason: &str) -> RpcError {
        RpcError::new(SERVER_UNAVAILABLE, format!("server \"{}\" is not running: {reason}", self.name))
    }
}
