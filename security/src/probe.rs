//! Runs one attempt, or its legitimate twin, in a child of its own, and words what the kernel answered.
//!
//! The child is what may be killed, change its credentials or be left in a new namespace; the probe stays as it was.

pub mod child;
pub mod kernel;
pub mod outcome;
pub mod targets;

pub use outcome::{Act, Outcome, Report};
pub use targets::Targets;

use crate::catalogue::{self, Attempt};

/// Which half of an attempt is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// The forbidden act.
    Attempt,
    /// The neighbouring act that must work.
    Twin,
}

/// Runs one half of the attempt called `id`.
///
/// # Errors
/// A text for people if there is no such attempt.
pub fn run(id: &str, half: Half, targets: &Targets) -> Result<Report, String> {
    let attempt = catalogue::find(id)
        .ok_or_else(|| format!("no attempt is called {id:?}; see the list of attempts"))?;
    Ok(run_attempt(attempt, half, targets))
}

/// Runs one half of `attempt`.
#[must_use]
pub fn run_attempt(attempt: &Attempt, half: Half, targets: &Targets) -> Report {
    let done = child::done(|| {
        let acts = match half {
            Half::Attempt => aimed((attempt.run)(targets)),
            Half::Twin => aimed((attempt.twin_run)(targets)),
        };
        outcome::Done { acts, aims: targets.aims() }
    });
    Report::new(attempt.id, done)
}

fn aimed(tried: catalogue::Tried) -> outcome::Acts {
    tried.unwrap_or_else(|missing| vec![Act::failed("aim", missing)])
}
