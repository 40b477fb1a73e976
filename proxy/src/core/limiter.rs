//! How often one principal may call one server: the generic cell rate algorithm (ITU-T I.371), which needs one moment
//! for each pair of them. Written here because it is one subtraction; the libraries for it bring clocks and maps of
//! their own.

use crate::core::asking::Asking;
use crate::exchange::Principal;
use crate::limits::RATES_KEPT_MAX;
use crate::mcp::error::{RATE_LIMITED, RpcError};
use crate::mcp::method::Method;
use only1mcp_policy::view::RateLimitView;
use only1mcp_wire::ServerName;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Who calls what how often.
#[derive(Debug, Default)]
pub struct Limiter {
    /// When each would be due if all calls had come at the allowed pace.
    due: Mutex<HashMap<(Principal, ServerName), Instant>>,
    refused: AtomicU64,
}

impl Limiter {
    /// Counts a request, or refuses it.
    ///
    /// # Errors
    /// [`RpcError`] naming the limit if it comes too early.
    pub fn count(
        &self,
        limit: Option<RateLimitView>,
        asking: &Asking<'_>,
        server: &ServerName,
    ) -> Result<(), RpcError> {
        let counts = matches!(asking.method, Method::ToolsCall | Method::PromptsGet | Method::ResourcesRead);
        let Some(limit) = limit.filter(|_| counts) else { return Ok(()) };
        let whose = (asking.caller.principal.clone(), server.clone());
        self.take(limit, whose, Instant::now()).map_err(|wait| {
            self.refused.fetch_add(1, Ordering::Relaxed);
            let message = format!(
                "too many calls to server \"{server}\": {} per minute are allowed, {} at once (proxy.rate_limit); help: \
                 try again in {} s",
                limit.requests_per_minute,
                limit.burst,
                whole_seconds(wait)
            );
            RpcError { retry_after: Some(wait), ..RpcError::new(RATE_LIMITED, message) }
        })
    }

    /// Requests that were refused.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn take(
        &self,
        limit: RateLimitView,
        whose: (Principal, ServerName),
        now: Instant,
    ) -> Result<(), Duration> {
        let pace = Duration::from_secs(60) / limit.requests_per_minute.max(1);
        let ahead_max = pace * limit.burst.saturating_sub(1);
        let mut all = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= RATES_KEPT_MAX {
            // Who is not ahead is as good as one never seen.
            all.retain(|_, due| *due > now);
        }
        let due = all.get(&whose).copied().unwrap_or(now).max(now);
        let ahead = due - now;
        if ahead > ahead_max {
            return Err(ahead - ahead_max);
        }
        all.insert(whose, due + pace);
        Ok(())
    }
}

/// As a header says it: never too early.
#[must_use]
pub fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At which millisecond a call comes, and how many it would have to wait.
    fn let_through(requests_per_minute: u32, burst: u32, calls: &[(u64, u64)]) {
        let (limiter, begin) = (Limiter::default(), Instant::now());
        let limit = RateLimitView { requests_per_minute, burst };
        for &(at, wait) in calls {
            let whose = (Principal::TokenBearer, ServerName::new("a").unwrap());
            let taken = limiter.take(limit, whose, begin + Duration::from_millis(at));
            assert_eq!(taken.err().unwrap_or_default(), Duration::from_millis(wait), "{limit:?} at {at} ms");
        }
    }

    #[test]
    fn calls_are_let_through_as_the_table_says() {
        let_through(60, 1, &[(0, 0), (0, 1000), (999, 1), (1000, 0), (1500, 500), (2000, 0)]);
        let_through(
            60,
            3,
            &[(0, 0), (0, 0), (0, 0), (0, 1000), (1000, 0), (1000, 1000), (9000, 0), (9000, 0)],
        );
        let_through(600, 2, &[(0, 0), (0, 0), (0, 100), (50, 50), (100, 0), (100, 100), (300, 0), (300, 0)]);
        let_through(1, 1, &[(0, 0), (59_999, 1), (60_000, 0)]);
    }

    #[test]
    fn each_principal_and_each_server_has_its_own_and_those_of_the_past_are_forgotten() {
        let limiter = Limiter::default();
        let limit = RateLimitView { requests_per_minute: 60, burst: 1 };
        let now = Instant::now();
        for principal in [Principal::TokenBearer, Principal::LocalUser(1)] {
            for server in ["a", "b"] {
                let whose = || (principal.clone(), ServerName::new(server).unwrap());
                assert_eq!(limiter.take(limit, whose(), now), Ok(()));
                assert!(limiter.take(limit, whose(), now).is_err());
            }
        }
        for uid in 0..u32::try_from(RATES_KEPT_MAX).unwrap() * 2 {
            let whose = (Principal::LocalUser(uid), ServerName::new("a").unwrap());
            let _ = limiter.take(limit, whose, now + Duration::from_secs(2 * u64::from(uid)));
        }
        assert!(limiter.due.lock().unwrap().len() <= RATES_KEPT_MAX);
    }
}
