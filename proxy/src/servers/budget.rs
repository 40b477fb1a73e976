//! How many requests may be repeated: a part of those that clients make, so that a server that ends under its load
//! does not get twice as much of it.

use crate::limits::{RETRIES_KEPT_MAX, RETRIES_PER_HUNDRED};
use std::sync::{Mutex, PoisonError};

/// The budget of one server, in hundredths of a repetition.
#[derive(Debug)]
pub struct RetryBudget(Mutex<u32>);

impl Default for RetryBudget {
    fn default() -> Self {
        Self(Mutex::new(RETRIES_KEPT_MAX * 100))
    }
}

impl RetryBudget {
    /// A client made a request.
    pub fn deposit(&self) {
        let mut hundredths = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *hundredths = (*hundredths + RETRIES_PER_HUNDRED).min(RETRIES_KEPT_MAX * 100);
    }

    /// Takes one repetition, if there is one.
    #[must_use]
    pub fn withdraw(&self) -> bool {
        let mut hundredths = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = hundredths.checked_sub(100);
        *hundredths = left.unwrap_or(*hundredths);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_spent_and_then_a_part_of_the_requests_only() {
        let budget = RetryBudget::default();
        assert_eq!((0..10_000).filter(|_| budget.withdraw()).count(), RETRIES_KEPT_MAX as usize);
        let spent = (0..1000).filter(|_| {
            budget.deposit();
            budget.withdraw()
        });
        assert_eq!(spent.count(), 10 * RETRIES_PER_HUNDRED as usize);
    }
}
