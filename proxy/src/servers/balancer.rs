//! Which replica gets a call: the choice alone, without processes and without time.

use only1mcp_policy::view::{Algorithm, RoutingView};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicUsize, Ordering};

/// How much more than its share of the calls under way one replica may have before the next on the ring is taken,
/// in quarters: five quarters of the average ("consistent hashing with bounded loads", Mirrokni et al. 2018, c = 1.25).
const LOAD_BOUND_QUARTERS: usize = 5;

/// A replica that can take a call now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its number.
    pub number: u32,
    /// Calls it has in its hands.
    pub load: usize,
}

/// Chooses among the replicas of one server.
#[derive(Debug)]
pub struct Balancer {
    algorithm: Algorithm,
    /// Points of all replicas, sorted; empty for the other algorithms.
    ring: Vec<(u64, u32)>,
    turn: AtomicUsize,
}

/// The hash of what belongs together. The same while the proxy runs, and no longer.
#[must_use]
pub fn hash_of(parts: &[&[u8]]) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

impl Balancer {
    /// A balancer of the replicas numbered `0..replicas`.
    #[must_use]
    pub fn new(routing: RoutingView, replicas: u32) -> Self {
        let is_ring = routing.algorithm == Algorithm::ConsistentHash && replicas > 1;
        let points = if is_ring { routing.virtual_nodes.max(1) } else { 0 };
        let point =
            |number: u32, at: u32| (hash_of(&[b"replica", &number.to_le_bytes(), &at.to_le_bytes()]), number);
        let mut ring: Vec<_> =
            (0..replicas).flat_map(|number| (0..points).map(move |at| point(number, at))).collect();
        ring.sort_unstable();
        Self { algorithm: routing.algorithm, ring, turn: AtomicUsize::new(0) }
    }

    /// The number of the replica that gets a call with this key; nothing if there is no candidate.
    #[must_use]
    pub fn choose(&self, key: u64, candidates: &[Candidate]) -> Option<u32> {
        match (self.algorithm, candidates) {
            (_, []) => None,
            (_, [only]) => Some(only.number),
            (Algorithm::ConsistentHash, _) => self.nearest(key, candidates),
            (Algorithm::LeastConnections, _) => {
                let least = candidates.iter().map(|candidate| candidate.load).min()?;
                let idlest: Vec<_> = candidates.iter().filter(|candidate| candidate.load == least).collect();
                idlest.get(self.next_turn() % idlest.len()).map(|candidate| candidate.number)
            }
            (Algorithm::RoundRobin, _) => {
                candidates.get(self.next_turn() % candidates.len()).map(|candidate| candidate.number)
            }
        }
    }

    fn next_turn(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    /// The first candidate on the ring from the key on that is not too busy.
    fn nearest(&self, key: u64, candidates: &[Candidate]) -> Option<u32> {
        let bound = load_bound(candidates);
        let from = self.ring.partition_point(|(point, _)| *point < key);
        let (before, after) = self.ring.split_at_checked(from)?;
        // Not all can be above their average, so one is found before the ring has been walked once.
        after.iter().chain(before).map(|(_, number)| *number).find(|number| {
            candidates.iter().any(|candidate| candidate.number == *number && candidate.load < bound)
        })
    }
}

/// Calls one replica may have in its hands so that it may get another.
fn load_bound(candidates: &[Candidate]) -> usize {
    let total: usize = candidates.iter().map(|candidate| candidate.load).sum();
    ((total + 1) * LOAD_BOUND_QUARTERS).div_ceil(4 * candidates.len())
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "numbers of a test are small")]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn balancer(algorithm: Algorithm, replicas: u32) -> Balancer {
        Balancer::new(RoutingView { algorithm, ..RoutingView::default() }, replicas)
    }

    fn idle(numbers: impl IntoIterator<Item = u32>) -> Vec<Candidate> {
        numbers.into_iter().map(|number| Candidate { number, load: 0 }).collect()
    }

    fn owners(balancer: &Balancer, keys: u64, candidates: &[Candidate]) -> Vec<u32> {
        (0..keys).map(|key| balancer.choose(hash_of(&[&key.to_le_bytes()]), candidates).unwrap()).collect()
    }

    /// Shares of points on a ring of n·v points spread by about 1/√v.
    #[test]
    fn keys_are_spread_evenly_within_what_theory_allows() {
        const KEYS: u64 = 20_000;
        for replicas in [2_u32, 3, 5, 10] {
            let mut counts = BTreeMap::new();
            let ring = balancer(Algorithm::ConsistentHash, replicas);
            owners(&ring, KEYS, &idle(0..replicas))
                .into_iter()
                .for_each(|number| *counts.entry(number).or_insert(0_u32) += 1);
            let fair = KEYS as f64 / f64::from(replicas);
            // Four standard deviations of the ring, and as many of the keys drawn on it.
            let allowed = 4.0 * (1.0 / 150_f64.sqrt() + 1.0 / fair.sqrt());
            for (number, count) in counts {
                let off = (f64::from(count) / fair - 1.0).abs();
                println!(
                    "{replicas} replicas, number {number}: {count} keys, {:+.1} % of its share",
                    off * 100.0
                );
                assert!(off < allowed, "{replicas} replicas: {number} has {count} of {KEYS} keys");
            }
        }
    }

    /// Of n members each owns about 1/n of the keys, and these alone move when it leaves.
    #[test]
    fn when_a_member_leaves_its_keys_alone_move_and_they_spread_over_all_others() {
        const KEYS: u64 = 20_000;
        for replicas in [3_u32, 5, 10] {
            let ring = balancer(Algorithm::ConsistentHash, replicas);
            let before = owners(&ring, KEYS, &idle(0..replicas));
            for gone in 0..replicas {
                let after = owners(&ring, KEYS, &idle((0..replicas).filter(|number| *number != gone)));
                let moved: Vec<_> =
                    before.iter().zip(&after).filter(|(before, after)| before != after).collect();
                assert!(moved.iter().all(|(before, _)| **before == gone), "a key of another moved");
                assert_eq!(moved.len(), before.iter().filter(|number| **number == gone).count());
                let heirs: std::collections::BTreeSet<_> = moved.iter().map(|(_, after)| **after).collect();
                assert_eq!(heirs.len() as u32, replicas - 1, "all others inherit");
            }
        }
    }

    /// What the balancer must do, written as plainly as can be.
    fn reference(
        algorithm: Algorithm,
        replicas: u32,
        turn: usize,
        key: u64,
        candidates: &[Candidate],
    ) -> Option<u32> {
        if candidates.len() < 2 {
            return candidates.first().map(|candidate| candidate.number);
        }
        match algorithm {
            Algorithm::RoundRobin => Some(candidates[turn % candidates.len()].number),
            Algorithm::LeastConnections => {
                let least = candidates.iter().map(|candidate| candidate.load).min().unwrap();
                let all: Vec<_> = candidates.iter().filter(|candidate| candidate.load == least).collect();
                Some(all[turn % all.len()].number)
            }
            Algorithm::ConsistentHash => {
                let total: usize = candidates.iter().map(|candidate| candidate.load).sum();
                let average = (total + 1) as f64 / candidates.len() as f64;
                // Every free member's nearest point clockwise, the shortest way round of all.
                let free =
                    candidates.iter().filter(|candidate| (candidate.load as f64) < (1.25 * average).ceil());
                let points = free.flat_map(|candidate| {
                    (0..150_u32).map(|at| {
                        let number = candidate.number;
                        (hash_of(&[b"replica", &number.to_le_bytes(), &at.to_le_bytes()]), number)
                    })
                });
                assert!(candidates.iter().all(|candidate| candidate.number < replicas));
                points
                    .min_by_key(|(point, number)| (point.wrapping_sub(key), *number))
                    .map(|(_, number)| number)
            }
        }
    }

    /// Numbers without a pattern, the same ones for the same seed.
    fn numbers(seed: u64) -> impl FnMut(usize) -> usize {
        let mut at = 0_u64;
        move |below| {
            at += 1;
            hash_of(&[&seed.to_le_bytes(), &at.to_le_bytes()]) as usize % below
        }
    }

    #[test]
    fn a_pool_behaves_as_the_reference_says_whatever_happens() {
        for seed in 0..60 {
            let mut random = numbers(seed);
            let algorithm = Algorithm::ALL[seed as usize % 3];
            let replicas = 1 + random(5) as u32;
            let pool = balancer(algorithm, replicas);
            let mut up = vec![true; replicas as usize];
            let (mut calls, mut turn) = (Vec::<u32>::new(), 0);
            for _ in 0..150 {
                match random(11) {
                    0 => up[random(replicas as usize)] = false,
                    1 => up[random(replicas as usize)] = true,
                    2..=4 if !calls.is_empty() => drop(calls.swap_remove(random(calls.len()))),
                    2..=4 => {}
                    _ => {
                        let load = |number| calls.iter().filter(|at| **at == number).count();
                        let numbers = (0..replicas).filter(|number| up[*number as usize]);
                        let candidates: Vec<_> =
                            numbers.map(|number| Candidate { number, load: load(number) }).collect();
                        let key = random(usize::MAX) as u64;
                        let chosen = pool.choose(key, &candidates);
                        let expected = reference(algorithm, replicas, turn, key, &candidates);
                        assert_eq!(chosen, expected, "seed {seed}, {candidates:?}");
                        turn += usize::from(candidates.len() > 1 && algorithm != Algorithm::ConsistentHash);
                        let Some(number) = chosen else { continue };
                        assert!(up[number as usize], "seed {seed}: a member that is down got a call");
                        let is_bounded = algorithm == Algorithm::ConsistentHash;
                        assert!(
                            !is_bounded || load(number) < load_bound(&candidates),
                            "seed {seed}: too busy"
                        );
                        calls.push(number);
                    }
                }
            }
        }
    }
}
