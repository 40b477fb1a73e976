//! One replica of a server: a place for a process, which is started, watched, replaced and started again. Its life is
//! in [`life`], how it is found to be ill in [`health`].

mod health;
mod life;
mod turns;

use crate::limits::{DRAIN_POLL, DRAIN_TIME};
use crate::servers::circuit::{Circuit, Passage};
use crate::servers::pending::ClientKey;
use crate::servers::server::{Ready, State, Upstream};
pub use life::limit_reached;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
pub use turns::Turn;
use turns::Turns;

/// A place for a process of a server.
pub struct Replica {
    /// From 0 on.
    pub number: u32,
    upstream: Arc<Upstream>,
    state: watch::Sender<State>,
    stopped: CancellationToken,
    /// Wakes it when it is idle.
    wake: Notify,
    circuit: Mutex<Circuit>,
    /// Whether it answers no checks, and so gets no requests.
    is_ill: AtomicBool,
    /// Whether it is about to be ended, and so gets no requests.
    is_leaving: AtomicBool,
    /// Requests in its hands.
    load: AtomicUsize,
    /// Requests its process has been given.
    served: AtomicU64,
    /// Whether its process has answered one.
    has_answered: AtomicBool,
    /// Told when it has served so many that a fresh process shall go on.
    is_worn: Notify,
    /// Whose turn it is, once it is known that it asks its clients.
    turns: Turns,
    asks: AtomicBool,
    restarts: AtomicU64,
    last_error: Mutex<Option<(Instant, Arc<str>)>>,
}

/// How a request ended, as far as it says something of the replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was answered, with whatever.
    Answered,
    /// It was not.
    Failed,
}

/// A request's place at a replica, until it is dropped.
#[derive(Debug)]
pub struct Place {
    /// Where.
    pub replica: Arc<Replica>,
    /// Its process.
    pub ready: Ready,
    passage: Passage,
    is_judged: AtomicBool,
}

impl fmt::Debug for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replica").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Replica {
    /// A replica that is not started yet.
    #[must_use]
    pub fn new(number: u32, upstream: Arc<Upstream>, state: State) -> Arc<Self> {
        Arc::new(Self {
            number,
            upstream,
            state: watch::Sender::new(state),
            stopped: CancellationToken::new(),
            wake: Notify::new(),
            circuit: Mutex::default(),
            is_ill: AtomicBool::new(false),
            is_leaving: AtomicBool::new(false),
            load: AtomicUsize::new(0),
            served: AtomicU64::new(0),
            has_answered: AtomicBool::new(false),
            is_worn: Notify::new(),
            turns: Turns::default(),
            asks: AtomicBool::new(false),
            restarts: AtomicU64::new(0),
            last_error: Mutex::default(),
        })
    }

    /// Where it is in its life, now and later.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Brings it to another state.
    pub fn set_state(&self, state: State) {
        self.state.send_replace(state);
        self.upstream.replica_changed();
    }

    /// Its process, if it runs.
    #[must_use]
    pub fn running(&self) -> Option<Ready> {
        match &*self.state.borrow() {
            State::Ready(ready) if !ready.connection.is_closed() => Some(ready.clone()),
            _ => None,
        }
    }

    /// Its process, if it may be asked.
    #[must_use]
    pub fn able(&self) -> Option<Ready> {
        let is_out = self.is_ill() || self.is_leaving.load(Ordering::Relaxed);
        self.running().filter(|_| !is_out)
    }

    /// Whether it answers no checks.
    #[must_use]
    pub fn is_ill(&self) -> bool {
        self.is_ill.load(Ordering::Relaxed)
    }

    /// Whether its circuit lets a request pass.
    #[must_use]
    pub fn passage(&self, now: Instant) -> Passage {
        self.circuit().passage(now)
    }

    /// Its circuit as `status` shows it.
    #[must_use]
    pub fn circuit_word(&self) -> &'static str {
        self.circuit().word(Instant::now())
    }

    fn circuit(&self) -> MutexGuard<'_, Circuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests in its hands.
    #[must_use]
    pub fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// Requests its process has been given.
    #[must_use]
    pub fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    /// Times its process was started again.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }

    /// Why its process failed or ended last, and when.
    #[must_use]
    pub fn last_error(&self) -> Option<(Instant, Arc<str>)> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers it. Returns whether it is the same as before.
    fn remember_error(&self, reason: &Arc<str>) -> bool {
        let error = (Instant::now(), reason.clone());
        let before = self.last_error.lock().unwrap_or_else(PoisonError::into_inner).replace(error);
        before.is_some_and(|(_, before)| before == *reason)
    }

    /// Wakes it if it is idle.
    pub fn wake(&self) {
        if matches!(*self.state.borrow(), State::Idle) {
            self.wake.notify_one();
        }
    }

    /// Ends it for good.
    pub fn stop(&self) {
        self.stopped.cancel();
    }

    /// Ends it for good when it has answered, or after [`DRAIN_TIME`].
    pub async fn retire(&self) {
        self.is_leaving.store(true, Ordering::Relaxed);
        let deadline = Instant::now() + DRAIN_TIME;
        while self.load() > 0 && Instant::now() < deadline {
            tokio::time::sleep(DRAIN_POLL).await;
        }
        self.stop();
    }

    /// Whether it has ever asked a client something, in this or an earlier process.
    #[must_use]
    pub fn asks_its_clients(&self) -> bool {
        if self.running().is_some_and(|ready| ready.connection.has_asked()) {
            self.asks.store(true, Ordering::Relaxed);
        }
        self.asks.load(Ordering::Relaxed)
    }

    /// Whether a process of it may soon be there that is not there now.
    #[must_use]
    pub fn is_coming(&self) -> bool {
        let may_come = matches!(*self.state.borrow(), State::Starting | State::Restarting | State::Idle);
        may_come || self.running().is_some() && self.is_ill()
    }

    /// Waits until it is this client's turn.
    pub async fn take_turn(&self, client: &ClientKey) -> Turn<'_> {
        self.turns.take(client).await
    }

    /// Gives a request its place here.
    #[must_use]
    pub fn enter(self: &Arc<Self>, ready: Ready) -> Place {
        let passage = {
            let mut circuit = self.circuit();
            let passage = circuit.passage(Instant::now());
            circuit.enter(passage);
            passage
        };
        self.load.fetch_add(1, Ordering::Relaxed);
        let served = self.served.fetch_add(1, Ordering::Relaxed) + 1;
        if self.upstream.view().recycle.calls == Some(served) {
            self.is_worn.notify_one();
        }
        Place { replica: self.clone(), ready, passage, is_judged: AtomicBool::new(false) }
    }
}

impl Place {
    /// What came of the request. True if the replica's circuit opened because of it.
    pub fn judge(&self, verdict: Verdict) -> bool {
        self.is_judged.store(true, Ordering::Relaxed);
        let mut circuit = self.replica.circuit();
        match verdict {
            Verdict::Answered => {
                self.replica.has_answered.store(true, Ordering::Relaxed);
                circuit.succeeded();
                false
            }
            Verdict::Failed => {
                circuit.failed(Instant::now(), self.replica.upstream.view().health.failure_threshold)
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.replica.load.fetch_sub(1, Ordering::Relaxed);
        if self.passage == Passage::Trial {
            if !*self.is_judged.get_mut() {
                self.replica.circuit().trial_given_up(Instant::now());
            }
            self.replica.upstream.replica_changed();
        }
    }
}
