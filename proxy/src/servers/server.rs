//! One configured server: started, greeted, watched and started again, and asked.

use crate::exchange::Era;
use crate::limits::{EXIT_REPORT_WAIT, RESTART_WAIT_MAX, RESTART_WAIT_MIN, RUN_COUNTED_STABLE, WAITING_MAX};
use crate::mcp::error::{
    INTERNAL_ERROR, OUTCOME_UNKNOWN, OVERLOADED, RpcError, SERVER_UNAVAILABLE, TIMED_OUT,
};
use crate::mcp::method::Method;
use crate::mcp::request::Asked;
use crate::servers::connection::{Call, CallFailure, Connection, Notices, OnDrop};
use crate::servers::era::{Facts, Greeting, greet};
use crate::servers::pending::{Reply, Stream};
use crate::servers::spawn::Spawner;
use bytes::Bytes;
use only1mcp_policy::view::ServerView;
use only1mcp_wire::{Exit, ServerName};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// One configured server.
pub struct Server {
    /// Its name.
    pub name: ServerName,
    view: RwLock<Arc<ServerView>>,
    spawner: Arc<dyn Spawner>,
    notices: Arc<dyn Notices>,
    state: watch::Sender<State>,
    stopped: CancellationToken,
    /// Requests that wait for it to become ready.
    waiting: Semaphore,
    /// The last id given to a request; 0 and 1 belong to the greeting.
    ids: AtomicU64,
    /// Requests of clients.
    calls: AtomicU64,
    restarts: AtomicU64,
    memory: Mutex<Memory>,
}

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
    ) -> Arc<Self> {
        Arc::new(Self {
            name,
            view: RwLock::new(Arc::new(view)),
            spawner,
            notices,
            state: watch::Sender::new(State::Starting),
            stopped: CancellationToken::new(),
            waiting: Semaphore::new(WAITING_MAX),
            ids: AtomicU64::new(1),
            calls: AtomicU64::new(0),
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

    /// Where it is in its life, now and later.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<State> {
        self.state.subscribe()
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

    /// An id no other request to it has.
    #[must_use]
    pub fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its whole life: start, greet, watch, start again; until [`Server::stop`].
    pub async fn run(self: Arc<Self>) {
        let mut wait = RESTART_WAIT_MIN;
        loop {
            let started = tokio::select! {
                started = self.start() => started,
                () = self.stopped.cancelled() => break,
            };
            match started {
                Ok(ready) => {
                    let began = Instant::now();
                    self.watch(ready).await;
                    if self.stopped.is_cancelled() {
                        break;
                    }
                    if began.elapsed() >= RUN_COUNTED_STABLE {
                        wait = RESTART_WAIT_MIN;
                        continue;
                    }
                }
                Err(reason) => self.fail(&reason),
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.stopped.cancelled() => break,
            }
            wait = (wait * 2).min(RESTART_WAIT_MAX);
        }
        self.state.send_replace(State::Stopped);
    }

    /// Starts a process and says the first words; a second process if the first did not answer the probe.
    async fn start(&self) -> Result<Ready, String> {
        let view = self.view();
        let timeout = Duration::from_millis(view.startup_timeout_ms);
        let mut known =
            self.memory().verdict.clone().filter(|(digest, _)| *digest == view.digest).map(|(_, era)| era);
        loop {
            let process = self.spawner.spawn(&self.name).await.map_err(|error| error.to_string())?;
            let connection = Connection::open(process, self.notices.clone());
            let mut guard = CloseOnDrop { connection: Some(connection.clone()) };
            let reason = match greet(&connection, known, timeout).await {
                Greeting::Ready(facts) => {
                    guard.connection = None;
                    let facts = Arc::new(*facts);
                    let mut memory = self.memory();
                    memory.verdict = Some((view.digest.clone(), facts.era));
                    memory.facts = Some(facts.clone());
                    return Ok(Ready { connection, facts });
                }
                Greeting::Silent => {
                    tracing::info!(server = %self.name, "no answer to the probe; greeting a fresh process as legacy");
                    known = Some(Era::Legacy);
                    drop(guard);
                    connection.exit(EXIT_REPORT_WAIT).await;
                    continue;
                }
                Greeting::Failed(reason) => reason,
            };
            drop(guard);
            return Err(describe_end(&connection, &reason).await);
        }
    }

    /// Waits while it is ready.
    async fn watch(&self, ready: Ready) {
        let connection = ready.connection.clone();
        tracing::info!(server = %self.name, version = %ready.facts.version, pid = connection.spawned.pid, "ready");
        self.state.send_replace(State::Ready(ready));
        tokio::select! {
            () = connection.closed() => {}
            () = self.stopped.cancelled() => {
                connection.close("it was stopped");
                connection.exit(EXIT_REPORT_WAIT).await;
                return;
            }
        }
        self.state.send_replace(State::Restarting);
        self.restarts.fetch_add(1, Ordering::Relaxed);
        let reason: Arc<str> = describe_end(&connection, connection.reason()).await.into();
        tracing::warn!(server = %self.name, ?reason, "ended; starting it again");
        self.memory().last_error = Some(reason);
    }

    fn fail(&self, reason: &str) {
        let reason: Arc<str> = reason.into();
        let before = self.memory().last_error.replace(reason.clone());
        if before.as_ref() == Some(&reason) {
            tracing::debug!(server = %self.name, ?reason, "still cannot be started");
        } else {
            tracing::warn!(server = %self.name, ?reason, "cannot be started; it is tried again from time to time");
        }
        self.state.send_replace(State::Failed(reason));
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
        let settled = state.wait_for(|state| match state {
            State::Ready(ready) => !ready.connection.is_closed(),
            State::Failed(_) | State::Stopped => true,
            State::Starting | State::Restarting => false,
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

    /// Asks it for a client. A request of which nothing was written goes to the next process, one that was
    /// is repeated once if that is harmless.
    ///
    /// # Errors
    /// [`RpcError`] if there is no answer.
    pub async fn ask(
        &self,
        asked: &Asked<'_>,
        stream: Option<&mpsc::Sender<Bytes>>,
    ) -> Result<Answered, RpcError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.ask_uncounted(asked, stream).await
    }

    /// [`Server::ask`] for ourselves.
    ///
    /// # Errors
    /// [`RpcError`] if there is no answer.
    pub async fn ask_uncounted(
        &self,
        asked: &Asked<'_>,
        stream: Option<&mpsc::Sender<Bytes>>,
    ) -> Result<Answered, RpcError> {
        let view = self.view();
        let timeout = Duration::from_millis(view.request_timeout_ms);
        let deadline = Instant::now() + timeout;
        let id = self.next_id();
        let mut repeats_left = u8::from(Method::of(asked.method).is_repeatable());
        loop {
            let Ready { connection, facts } = self.ready(deadline).await?;
            let line =
                asked.line(id, facts.era).map_err(|error| RpcError::invalid_params(error.to_string()))?;
            let stream = stream.map(|sender| Stream {
                sender: sender.clone(),
                progress_token: line.progress_token,
                log_from: line.log_from,
            });
            let call = Call { id, line: line.bytes, stream, timeout, on_drop: OnDrop::TellServer };
            let failure = match connection.call(call).await {
                Ok(reply) => return Ok(Answered { reply, facts }),
                Err(failure) => failure,
            };
            match failure {
                CallFailure::NotWritten => {}
                CallFailure::Unanswered if repeats_left > 0 => repeats_left -= 1,
                CallFailure::Unanswered => return Err(self.outcome_unknown(&connection, asked.method)),
                CallFailure::TimedOut => {
                    let message = format!("server \"{}\" did not answer within {timeout:?}", self.name);
                    return Err(RpcError::new(TIMED_OUT, message));
                }
                CallFailure::Overloaded => {
                    let message = format!("server \"{}\" has too many requests in its hands", self.name);
                    return Err(RpcError::new(OVERLOADED, message));
                }
            }
            // The connection is closed by now, or about to be.
            connection.closed().await;
        }
    }

    fn outcome_unknown(&self, connection: &Connection, method: &str) -> RpcError {
        let message = format!(
            "server \"{}\" ended while it had this {method} in its hands, so its outcome is unknown and it was \
             not repeated: {}",
            self.name,
            connection.reason()
        );
        RpcError::new(OUTCOME_UNKNOWN, message)
    }

    /// What a broken answer is to a client.
    #[must_use]
    pub fn broken_answer(&self) -> RpcError {
        RpcError::new(
            INTERNAL_ERROR,
            format!("server \"{}\" answered with neither a result nor an error", self.name),
        )
    }
}

/// Closes a connection that did not become ready, also if the greeting is given up half way.
struct CloseOnDrop {
    connection: Option<Arc<Connection>>,
}

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        if let Some(connection) = &self.connection {
            connection.close("it was not greeted");
        }
    }
}

/// Why a process ended, how, and what it said last on its standard error.
async fn describe_end(connection: &Connection, reason: &str) -> String {
    let exit = connection.exit(EXIT_REPORT_WAIT).await;
    let mut text = reason.to_owned();
    match exit {
        Some(Exit::Status(status)) => text.push_str(&format!("; it ended with status {status}")),
        Some(Exit::Signal(signal)) => text.push_str(&format!("; it was ended by signal {signal}")),
        Some(Exit::OutOfMemory) => text.push_str("; it was ended because it was over its memory limit"),
        None => {}
    }
    let lines = connection.stderr_lines();
    if !lines.is_empty() {
        text.push_str("; its last lines on standard error:\n  ");
        text.push_str(&lines.join("\n  "));
    }
    text
}
