//! Which replica gets a request, and how long a request waits for one.

use super::{Ready, Server, State};
use crate::mcp::error::{OVERLOADED, RpcError, SERVER_UNAVAILABLE};
use crate::servers::balancer::Candidate;
use crate::servers::circuit::Passage;
use crate::servers::connection::Connection;
use crate::servers::replica::{Place, Replica};
use std::sync::Arc;
use tokio::time::{Instant, sleep_until, timeout_at};

/// What a request asks of the choice.
#[derive(Debug, Default)]
pub struct Wish {
    /// What it has in common with those it belongs to.
    pub key: u64,
    /// The replica that knows what it is about, if that is still there.
    pub at: Option<u32>,
    /// The processes that have failed it.
    pub not: Vec<Arc<Connection>>,
}

impl Wish {
    fn excludes(&self, ready: &Ready) -> bool {
        self.not.iter().any(|not| Arc::ptr_eq(not, &ready.connection))
    }
}

/// What there is now.
enum Look<T> {
    Found(T),
    /// Nothing yet; look again when something has changed.
    Wait,
    /// Nothing, and waiting is no use.
    Never(RpcError),
}

impl Server {
    /// A process for a request; waits for one until `deadline`.
    ///
    /// # Errors
    /// [`RpcError`] if there is none.
    pub(super) async fn place(&self, wish: &Wish, deadline: Instant) -> Result<Place, RpcError> {
        self.wait_for(deadline, || self.look(wish)).await
    }

    /// A process that runs, whether it is well or not; waits for one until `deadline`.
    ///
    /// # Errors
    /// [`RpcError`] if there is none.
    pub async fn ready(&self, deadline: Instant) -> Result<Ready, RpcError> {
        let look = || match self.lead() {
            Some(ready) => Look::Found(ready),
            None => self.look_without(&self.pool().replicas),
        };
        self.wait_for(deadline, look).await
    }

    async fn wait_for<T>(&self, deadline: Instant, look: impl Fn() -> Look<T>) -> Result<T, RpcError> {
        match look() {
            Look::Found(found) => return Ok(found),
            Look::Never(error) => return Err(error),
            Look::Wait => {}
        }
        let Ok(_waiting) = self.upstream.waiting.try_acquire() else {
            let message = format!("too many requests wait for server \"{}\"", self.name);
            return Err(RpcError::new(OVERLOADED, message));
        };
        let mut changes = self.changes();
        self.pool().replicas.iter().for_each(|replica| replica.wake());
        loop {
            match look() {
                Look::Found(found) => return Ok(found),
                Look::Never(error) => return Err(error),
                Look::Wait => {}
            }
            if timeout_at(deadline, changes.changed()).await.is_err() {
                let is_ill = self.pool().replicas.iter().any(|replica| replica.is_ill());
                let why = if is_ill { "it answers no health checks" } else { "it has not started in time" };
                return Err(self.unavailable(why));
            }
        }
    }

    fn look(&self, wish: &Wish) -> Look<Place> {
        let pool = self.pool();
        let now = Instant::now();
        let mut able = Vec::with_capacity(pool.replicas.len());
        let (mut blocked, mut on_trial) = (None::<Instant>, false);
        for replica in &pool.replicas {
            let Some(ready) = replica.able().filter(|ready| !wish.excludes(ready)) else { continue };
            match replica.passage(now) {
                Passage::Free | Passage::Trial => able.push((replica, ready)),
                Passage::Blocked(Some(until)) => {
                    blocked = Some(blocked.map_or(until, |before| before.min(until)))
                }
                Passage::Blocked(None) => on_trial = true,
            }
        }
        let known = wish.at.filter(|at| able.iter().any(|(replica, _)| replica.number == *at));
        let chosen = known.or_else(|| {
            let candidates: Vec<_> = able
                .iter()
                .map(|(replica, _)| Candidate { number: replica.number, load: replica.load() })
                .collect();
            pool.balancer.choose(wish.key, &candidates)
        });
        if let Some((replica, ready)) = able.into_iter().find(|(replica, _)| Some(replica.number) == chosen) {
            return Look::Found(replica.enter(ready));
        }
        let is_any_coming = on_trial || pool.replicas.iter().any(|replica| replica.is_coming());
        match (self.look_without(&pool.replicas), blocked) {
            // Nobody waits for a circuit alone.
            (Look::Wait, Some(until)) if !is_any_coming => {
                Look::Never(self.circuit_is_open(until.saturating_duration_since(now)))
            }
            (look, _) => look,
        }
    }

    /// What there is to hope for, if no replica can be asked now.
    fn look_without<T>(&self, replicas: &[Arc<Replica>]) -> Look<T> {
        let mut failure = None;
        for replica in replicas {
            match &*replica.state().borrow() {
                State::Failed(reason) | State::Quarantined(reason) => failure = Some(reason.clone()),
                State::Stopped => {}
                _ => return Look::Wait,
            }
        }
        Look::Never(self.unavailable(failure.as_deref().unwrap_or("it was stopped")))
    }

    fn circuit_is_open(&self, wait: std::time::Duration) -> RpcError {
        let message = format!(
            "server \"{}\" is not asked now, because requests to it failed again and again; help: try again in {} s",
            self.name,
            wait.as_secs().max(1)
        );
        RpcError::new(SERVER_UNAVAILABLE, message)
    }

    /// Waits until a request is better off with another replica: this one answers nothing any more, and there is one
    /// that could. For ever if that never happens.
    pub(super) async fn better_elsewhere(&self, place: &Place) {
        let mut changes = self.changes();
        loop {
            let others = self.pool();
            let other = |replica: &&Arc<Replica>| {
                replica.number != place.replica.number
                    && replica.able().is_some()
                    && !matches!(replica.passage(Instant::now()), Passage::Blocked(_))
            };
            if place.replica.is_ill() && others.replicas.iter().any(|replica| other(&replica)) {
                return;
            }
            if changes.changed().await.is_err() {
                sleep_until(Instant::now() + std::time::Duration::from_secs(3600)).await;
            }
        }
    }
}
