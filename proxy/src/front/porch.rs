//! Where connections wait that have shown no token yet. They have few places, a short time, and the oldest
//! makes room for the newest: so nobody can keep out those who have a token by holding connections open.

use super::error::Fault;
use crate::limits::{HTTP_GUEST_TIME_MAX, HTTP_GUESTS_MAX};
use http::StatusCode;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// The connections that wait, oldest first.
#[derive(Debug, Default)]
pub struct Porch(Arc<Mutex<VecDeque<CancellationToken>>>);

/// One of them.
#[derive(Debug)]
pub struct Guest {
    porch: Arc<Mutex<VecDeque<CancellationToken>>>,
    places: Arc<Semaphore>,
    place: Mutex<Option<OwnedSemaphorePermit>>,
    /// Fires when it no longer waits: it was let in, or makes room.
    leaves: CancellationToken,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Porch {
    /// Has a connection wait that may get one of `places`.
    #[must_use]
    pub fn enter(&self, places: Arc<Semaphore>) -> Arc<Guest> {
        let leaves = CancellationToken::new();
        let mut waiting = lock(&self.0);
        // Those that were let in or have gone left their tokens behind.
        waiting.retain(|other| !other.is_cancelled());
        waiting.push_back(leaves.clone());
        if waiting.len() > HTTP_GUESTS_MAX
            && let Some(oldest) = waiting.pop_front()
        {
            oldest.cancel();
        }
        Arc::new(Guest { porch: Arc::clone(&self.0), places, place: Mutex::default(), leaves })
    }
}

impl Guest {
    /// Lets it in for good, because it has shown a token.
    ///
    /// # Errors
    /// 503 if there is no place.
    pub fn admit(&self) -> Result<(), Fault> {
        let mut place = lock(&self.place);
        if place.is_none() {
            let taken = Arc::clone(&self.places).try_acquire_owned();
            let problem = "too many connections are open";
            *place = Some(taken.map_err(|_| Fault::transport(StatusCode::SERVICE_UNAVAILABLE, problem))?);
            self.leaves.cancel();
        }
        Ok(())
    }

    /// Waits until it must go: it makes room for another one, or has shown no token in time.
    pub async fn sent_away(&self) {
        let _ = tokio::time::timeout(HTTP_GUEST_TIME_MAX, self.leaves.cancelled()).await;
        if lock(&self.place).is_some() {
            std::future::pending().await
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.leaves.cancel();
        lock(&self.porch).retain(|other| !other.is_cancelled());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn the_oldest_makes_room_and_who_was_let_in_stays() {
        let (porch, places) = (Porch::default(), Arc::new(Semaphore::new(1)));
        let guests: Vec<_> = (0..HTTP_GUESTS_MAX).map(|_| porch.enter(places.clone())).collect();
        guests[0].admit().unwrap();
        guests[0].admit().unwrap();
        assert_eq!(guests[1].admit().unwrap_err().status, StatusCode::SERVICE_UNAVAILABLE);
        let newer: Vec<_> = (0..2).map(|_| porch.enter(places.clone())).collect();
        let soon = Duration::from_secs(1);
        assert!(tokio::time::timeout(soon, guests[1].sent_away()).await.is_ok());
        assert!(tokio::time::timeout(soon, guests[2].sent_away()).await.is_err());
        assert!(tokio::time::timeout(2 * HTTP_GUEST_TIME_MAX, guests[0].sent_away()).await.is_err());
        assert!(tokio::time::timeout(2 * HTTP_GUEST_TIME_MAX, newer[1].sent_away()).await.is_ok());
    }
}
