//! A circuit breaker: who fails too often in a row gets no calls for a while, then one on trial.

use crate::limits::{CIRCUIT_OPEN_MAX, CIRCUIT_OPEN_MIN};
use std::time::Duration;
use tokio::time::Instant;

/// The circuit of one replica.
#[derive(Debug, Default)]
pub struct Circuit {
    state: State,
    /// Failures since the last success.
    failures: u32,
    /// Times it was opened since the last success.
    openings: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Calls pass.
    #[default]
    Closed,
    /// None does.
    Open { until: Instant },
    /// One is on trial.
    OnTrial,
}

/// Whether a call may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// It may.
    Free,
    /// It may, as the only one: what comes of it decides.
    Trial,
    /// It may not before then; nothing if a call on trial decides.
    Blocked(Option<Instant>),
}

impl Circuit {
    /// Whether a call would pass.
    #[must_use]
    pub fn passage(&self, now: Instant) -> Passage {
        match self.state {
            State::Closed => Passage::Free,
            State::Open { until } if until <= now => Passage::Trial,
            State::Open { until } => Passage::Blocked(Some(until)),
            State::OnTrial => Passage::Blocked(None),
        }
    }

    /// A call passes as [`Circuit::passage`] said.
    pub fn enter(&mut self, passage: Passage) {
        if passage == Passage::Trial {
            self.state = State::OnTrial;
        }
    }

    /// A call was answered.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// A call failed, the `threshold`th in a row opens the circuit. True if it opened now.
    pub fn failed(&mut self, now: Instant, threshold: u32) -> bool {
        self.failures = self.failures.saturating_add(1);
        let opens =
            self.state == State::OnTrial || (self.state == State::Closed && self.failures >= threshold);
        if opens {
            self.state = State::Open { until: now + self.open_time() };
            self.openings = self.openings.saturating_add(1);
        }
        opens
    }

    /// The call on trial came to no end of its own: the next one is on trial.
    pub fn trial_given_up(&mut self, now: Instant) {
        if self.state == State::OnTrial {
            self.state = State::Open { until: now };
        }
    }

    /// The process behind it is a fresh one: it is tried at once.
    pub fn renewed(&mut self, now: Instant) {
        if let State::Open { .. } = self.state {
            self.state = State::Open { until: now };
        }
    }

    /// Twice as long each time.
    fn open_time(&self) -> Duration {
        CIRCUIT_OPEN_MIN.saturating_mul(1 << self.openings.min(16)).min(CIRCUIT_OPEN_MAX)
    }

    /// Whether no call passes, or one on trial.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state != State::Closed
    }

    /// As `status` shows it.
    #[must_use]
    pub fn word(&self, now: Instant) -> &'static str {
        match self.passage(now) {
            Passage::Free => "closed",
            Passage::Blocked(Some(_)) => "open",
            Passage::Trial | Passage::Blocked(None) => "half-open",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each word is what happens (`f`ailed, `s`ucceeded, a call `e`nters, is `g`iven up, the process is `r`enewed, or
    /// the shortest open time has gone by: `t`) and how the circuit is afterwards (`C`losed, `O`pen, `H`alf-open).
    const TABLE: [(&str, &str); 7] = [
        ("three in a row open it", "fC fC fO"),
        ("a success between starts the count anew", "fC fC sC fC fC"),
        ("after its time one call is on trial, and its success closes it", "fC fC fO tH eH sC fC"),
        ("a failure on trial opens it for twice as long", "fC fC fO tH eH fO tO tH"),
        ("a trial that its client gave up is repeated", "fC fC fO tH eH gH eH sC"),
        ("a fresh process is tried at once", "fC fC fO rH"),
        ("failures of calls that were under way when it opened change nothing", "fC fC fO fO tH"),
    ];

    #[test]
    fn closed_open_half_open_as_the_table_says() {
        for (what, steps) in TABLE {
            let (mut circuit, mut now) = (Circuit::default(), Instant::now());
            for (at, step) in steps.split(' ').enumerate() {
                match step.as_bytes()[0] {
                    b'f' => drop(circuit.failed(now, 3)),
                    b's' => circuit.succeeded(),
                    b'e' => circuit.enter(circuit.passage(now)),
                    b'g' => circuit.trial_given_up(now),
                    b'r' => circuit.renewed(now),
                    _ => now += CIRCUIT_OPEN_MIN,
                }
                let word = circuit.word(now);
                assert!(step[1..].eq_ignore_ascii_case(&word[..1]), "{what}, step {at}: {word}");
            }
        }
    }

    #[test]
    fn one_call_alone_is_on_trial_and_no_time_is_too_long() {
        let (mut circuit, now) = (Circuit::default(), Instant::now());
        for _ in 0..100 {
            circuit.failed(now, 1);
            circuit.renewed(now);
            assert_eq!(circuit.passage(now), Passage::Trial);
            circuit.enter(Passage::Trial);
            assert_eq!(circuit.passage(now), Passage::Blocked(None));
        }
        circuit.failed(now, 1);
        assert_eq!(circuit.passage(now), Passage::Blocked(Some(now + CIRCUIT_OPEN_MAX)));
    }
}
