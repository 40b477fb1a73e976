//! How many requests of clients a server has in its hands at once, of all and of each; the others wait in one queue,
//! in which nobody holds up who may go.

use crate::exchange::Principal;
use only1mcp_policy::view::ConcurrencyView;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

/// Lets requests in.
#[derive(Debug, Default)]
pub struct Admission(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    inside: usize,
    of_each: HashMap<Principal, usize>,
    queue: VecDeque<(Principal, oneshot::Sender<()>)>,
}

/// A request that was let in, until it is dropped.
#[derive(Debug)]
pub struct Admitted<'a> {
    admission: &'a Admission,
    limits: ConcurrencyView,
    principal: Principal,
}

/// Why a request was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turned {
    /// Too many wait already.
    QueueFull,
    /// Its time was over before its turn came.
    TooLate,
}

impl Table {
    fn has_room(&self, limits: ConcurrencyView, principal: &Principal) -> bool {
        let own = self.of_each.get(principal).copied().unwrap_or_default();
        self.inside < limits.calls as usize && own < limits.per_principal as usize
    }

    fn enter(&mut self, principal: &Principal) {
        self.inside += 1;
        *self.of_each.entry(principal.clone()).or_default() += 1;
    }

    fn leave(&mut self, principal: &Principal) {
        self.inside -= 1;
        if let Some(own) = self.of_each.get_mut(principal) {
            *own -= 1;
            if *own == 0 {
                self.of_each.remove(principal);
            }
        }
    }

    /// Lets in whoever may go, the oldest first.
    fn call(&mut self, limits: ConcurrencyView) {
        let mut at = 0;
        while let Some((principal, _)) = self.queue.get(at) {
            if self.inside >= limits.calls as usize {
                return;
            }
            if !self.has_room(limits, &principal.clone()) {
                at += 1;
                continue;
            }
            let Some((principal, turn)) = self.queue.remove(at) else { return };
            // Who has gone takes no place.
            if turn.send(()).is_ok() {
                self.enter(&principal);
            }
        }
    }
}

impl Admission {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lock().queue.len()
    }

    /// Waits for a place until `deadline`.
    ///
    /// # Errors
    /// [`Turned`] if there is none.
    pub async fn enter(
        &self,
        limits: ConcurrencyView,
        principal: &Principal,
        deadline: Instant,
    ) -> Result<Admitted<'_>, Turned> {
        let admitted = || Admitted { admission: self, limits, principal: principal.clone() };
        let mut waiting = {
            let mut table = self.lock();
            if table.has_room(limits, principal) {
                table.enter(principal);
                return Ok(admitted());
            }
            table.queue.retain(|(_, turn)| !turn.is_closed());
            if table.queue.len() >= limits.queue as usize {
                return Err(Turned::QueueFull);
            }
            let (turn, waiting) = oneshot::channel();
            table.queue.push_back((principal.clone(), turn));
            Queued { admission: self, limits, principal, turn: Some(waiting) }
        };
        let Some(turn) = waiting.turn.as_mut() else { return Err(Turned::TooLate) };
        let is_in = timeout_at(deadline, turn).await.is_ok_and(|turn| turn.is_ok());
        if is_in {
            waiting.turn = None;
            return Ok(admitted());
        }
        Err(Turned::TooLate)
    }
}

/// A request in the queue: if it goes at the moment it is let in, its place is given on.
struct Queued<'a> {
    admission: &'a Admission,
    limits: ConcurrencyView,
    principal: &'a Principal,
    turn: Option<oneshot::Receiver<()>>,
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        let Some(mut turn) = self.turn.take() else { return };
        turn.close();
        if turn.try_recv().is_ok() {
            let mut table = self.admission.lock();
            table.leave(self.principal);
            table.call(self.limits);
        }
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        let mut table = self.admission.lock();
        table.leave(&self.principal);
        table.call(self.limits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const ONE: Principal = Principal::LocalUser(1);
    const TWO: Principal = Principal::LocalUser(2);
    const LIMITS: ConcurrencyView = ConcurrencyView { calls: 3, per_principal: 2, queue: 2 };

    async fn enter<'a>(admission: &'a Admission, principal: &'a Principal) -> Result<Admitted<'a>, Turned> {
        admission.enter(LIMITS, principal, Instant::now() + Duration::from_secs(5)).await
    }

    #[tokio::test(start_paused = true)]
    async fn each_has_its_part_and_who_may_not_go_holds_up_nobody() {
        let admission = Admission::default();
        let (first, _second) =
            (enter(&admission, &ONE).await.unwrap(), enter(&admission, &ONE).await.unwrap());
        let mut third = Box::pin(enter(&admission, &ONE));
        assert!(futures_util::poll!(&mut third).is_pending(), "one principal has two places");
        let other = enter(&admission, &TWO).await.unwrap();
        let mut fourth = Box::pin(enter(&admission, &TWO));
        assert!(futures_util::poll!(&mut fourth).is_pending(), "all together have three");
        assert_eq!(enter(&admission, &TWO).await.unwrap_err(), Turned::QueueFull);
        // The place goes to the one behind, because the first in the queue has its part already.
        drop(other);
        let fourth = fourth.await.unwrap();
        assert!(futures_util::poll!(&mut third).is_pending());
        drop(first);
        drop((third.await.unwrap(), fourth));
    }

    #[tokio::test(start_paused = true)]
    async fn who_goes_or_is_too_late_takes_no_place() {
        let admission = Admission::default();
        let held = (enter(&admission, &ONE).await.unwrap(), enter(&admission, &ONE).await.unwrap());
        let mut gone = Box::pin(enter(&admission, &ONE));
        assert!(futures_util::poll!(&mut gone).is_pending());
        assert_eq!(enter(&admission, &ONE).await.unwrap_err(), Turned::TooLate);
        drop(held);
        // Let in already, but never asked again.
        drop(gone);
        let table = admission.lock();
        assert_eq!((table.inside, table.of_each.len()), (0, 0));
    }
}
