//! Turns at a server that asks its clients: with calls of two clients in its hands nobody could say whom it asks.
//! Calls of one client share a turn.

use crate::servers::pending::ClientKey;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Whose turn it is.
#[derive(Debug, Default)]
pub struct Turns {
    now: Mutex<Option<(ClientKey, usize)>>,
    ended: Notify,
}

/// A call's part in its client's turn.
#[derive(Debug)]
pub struct Turn<'a>(&'a Turns);

impl Turns {
    fn lock(&self) -> MutexGuard<'_, Option<(ClientKey, usize)>> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is this client's turn.
    pub async fn take(&self, client: &ClientKey) -> Turn<'_> {
        loop {
            let ended = self.ended.notified();
            if let Some(turn) = self.try_take(client) {
                return turn;
            }
            ended.await;
        }
    }

    fn try_take(&self, client: &ClientKey) -> Option<Turn<'_>> {
        let mut now = self.lock();
        match &mut *now {
            Some((holder, _)) if holder != client => return None,
            Some((_, calls)) => *calls += 1,
            None => *now = Some((client.clone(), 1)),
        }
        Some(Turn(self))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut now = self.0.lock();
        if let Some((_, calls)) = &mut *now {
            *calls -= 1;
            if *calls == 0 {
                *now = None;
                self.0.ended.notify_waiters();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn calls_of_one_client_share_a_turn_and_another_client_waits_for_its_end() {
        let turns = Turns::default();
        let [one, two] = [1, 2].map(ClientKey::Session);
        let (first, second) = (turns.take(&one).await, turns.take(&one).await);
        let mut waiting = Box::pin(turns.take(&two));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        drop(first);
        assert!(futures_util::poll!(&mut waiting).is_pending());
        drop(second);
        drop(waiting.await);
        assert!(turns.lock().is_none());
    }
}
