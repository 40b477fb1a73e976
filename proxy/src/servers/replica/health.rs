//! Whether a process is well: asked from time to time, and never ended while it has requests in its hands.

use super::Replica;
use crate::exchange::Era;
use crate::limits::HEALTH_INTERVAL_ILL_MAX;
use crate::mcp::request::{message, modern_meta};
use crate::servers::connection::{Call, CallFailure, OnDrop};
use crate::servers::server::Ready;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::atomic::Ordering;
use std::time::Duration;

impl Replica {
    /// Asks the process from time to time whether it is there. Returns when it shall be ended: it has been silent for
    /// too long, with nothing in its hands that might explain it.
    pub(super) async fn has_fallen_silent(&self, ready: &Ready) {
        let (mut missed, mut has_answered) = (0_u32, false);
        loop {
            let health = self.upstream.view().health;
            let interval = Duration::from_millis(health.interval_ms);
            let interval =
                if missed == 0 { jittered(interval) } else { interval.min(HEALTH_INTERVAL_ILL_MAX) };
            tokio::time::sleep(interval).await;
            // Simple servers read nothing but that answer meanwhile, and would take ours for it.
            if ready.connection.waits_for_a_client() {
                continue;
            }
            if self.is_there(ready, Duration::from_millis(health.timeout_ms)).await {
                (missed, has_answered) = (0, true);
                self.set_ill(false);
                continue;
            }
            missed += 1;
            if missed < health.failure_threshold {
                continue;
            }
            // Some servers answer no checks at all: these are judged by their calls alone.
            if !has_answered && !self.circuit().is_open() {
                if missed == health.failure_threshold {
                    tracing::info!(server = %self.upstream.name, replica = self.number, "it answers no health checks");
                }
                continue;
            }
            self.set_ill(true);
            if self.load() == 0 {
                return;
            }
        }
    }

    /// Whether the process says anything at all until the check is over.
    async fn is_there(&self, ready: &Ready, timeout: Duration) -> bool {
        let connection = &ready.connection;
        let heard_before = connection.heard();
        let id = self.upstream.next_id();
        let line = match ready.facts.era {
            Era::Legacy => message(Some(id), "ping", None),
            Era::Modern => {
                let params = format!("{{\"_meta\":{}}}", modern_meta(None));
                message(Some(id), "server/discover", Some(&params))
            }
        };
        let call = Call { id, line, stream: None, timeout, on_drop: OnDrop::SayNothing };
        match connection.call(call).await {
            Ok(_) => true,
            Err(CallFailure::TimedOut | CallFailure::Overloaded) => connection.heard() != heard_before,
            // It has ended, which somebody else looks after.
            Err(CallFailure::NotWritten | CallFailure::Unanswered) => true,
        }
    }

    /// Takes it out of the pool, or puts it back.
    pub(super) fn set_ill(&self, is_ill: bool) {
        if self.is_ill.swap(is_ill, Ordering::Relaxed) == is_ill {
            return;
        }
        if is_ill {
            tracing::warn!(server = %self.upstream.name, replica = self.number, "it answers no health checks: no more requests for it");
        } else {
            tracing::info!(server = %self.upstream.name, replica = self.number, "it is well again");
        }
        self.upstream.replica_changed();
    }
}

/// Between a half and the whole of it, so that not all processes are asked at one time.
fn jittered(interval: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    let half = interval / 2;
    half + half.mul_f64((random % 1000) as f64 / 1000.0)
}
