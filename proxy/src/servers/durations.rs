//! How long requests took: counts in fixed buckets, as Prometheus' histograms are.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets, milliseconds; one more bucket holds all above.
pub const BOUNDS_MS: [u64; 15] =
    [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000];

/// The durations of one server's requests.
#[derive(Debug, Default)]
pub struct Durations {
    buckets: [AtomicU64; BOUNDS_MS.len() + 1],
    sum_us: AtomicU64,
}

/// The same at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Requests in each bucket, not added up; the last is above all bounds.
    pub buckets: [u64; BOUNDS_MS.len() + 1],
    /// Microseconds of all requests together.
    pub sum_us: u64,
}

impl Durations {
    /// Counts a request.
    pub fn count(&self, took: Duration) {
        let at = BOUNDS_MS.partition_point(|bound| Duration::from_millis(*bound) < took);
        if let Some(bucket) = self.buckets.get(at) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_us.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// What was counted so far.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot { sum_us: self.sum_us.load(Ordering::Relaxed), ..Snapshot::default() };
        for (into, bucket) in snapshot.buckets.iter_mut().zip(&self.buckets) {
            *into = bucket.load(Ordering::Relaxed);
        }
        snapshot
    }
}

impl std::iter::Sum for Snapshot {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |mut sum, one| {
            sum.buckets.iter_mut().zip(one.buckets).for_each(|(into, count)| *into += count);
            sum.sum_us += one.sum_us;
            sum
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket_and_what_is_above_all_to_the_last() {
        let durations = Durations::default();
        for took in [0, 1, 2, 60_000, 60_001] {
            durations.count(Duration::from_millis(took));
        }
        let snapshot = durations.snapshot();
        assert_eq!(
            (snapshot.buckets[0], snapshot.buckets[1], snapshot.buckets[14], snapshot.buckets[15]),
            (2, 1, 1, 1)
        );
        assert_eq!(snapshot.sum_us, 120_004_000);
        let both: Snapshot = [snapshot.clone(), snapshot].into_iter().sum();
        assert_eq!((both.buckets[0], both.sum_us), (4, 240_008_000));
    }
}
