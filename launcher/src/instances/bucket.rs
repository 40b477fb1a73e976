//! A token bucket as one point in time: the moment at which it is full again.

use only1mcp_wire::plan::SpawnLimits;
use std::time::{Duration, Instant};

/// How often something may happen.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    full_at: Instant,
}

impl Bucket {
    /// A full one.
    pub fn full(now: Instant) -> Self {
        Self { full_at: now }
    }

    /// Takes a token. False if there is none.
    pub fn take(&mut self, limits: &SpawnLimits, now: Instant) -> bool {
        let interval = Duration::from_secs(60) / limits.per_minute.max(1);
        let full_at = self.full_at.max(now) + interval;
        if full_at - now > interval * limits.burst {
            return false;
        }
        self.full_at = full_at;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: SpawnLimits = SpawnLimits { instances: 9, burst: 3, per_minute: 60 };

    #[test]
    fn gives_its_burst_at_once_and_then_its_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::full(start);
        let given = (0..5).filter(|_| bucket.take(&LIMITS, start)).count();
        assert_eq!(given, 3);
        assert!(bucket.take(&LIMITS, start + Duration::from_secs(1)));
        assert!(!bucket.take(&LIMITS, start + Duration::from_secs(1)));
    }

    #[test]
    fn never_holds_more_than_its_burst() {
        let start = Instant::now();
        let mut bucket = Bucket::full(start);
        let later = start + Duration::from_secs(3600);
        assert_eq!((0..9).filter(|_| bucket.take(&LIMITS, later)).count(), 3);
    }

    #[test]
    fn without_a_burst_nothing_is_given() {
        let now = Instant::now();
        assert!(!Bucket::full(now).take(&SpawnLimits { burst: 0, ..LIMITS }, now));
    }
}
