//! `only1mcp-bench`: what the proxy adds to a call, and the sandbox to a start, side by side in one run.
//!
//! A table for people, no test: figures depend on the machine, ratios less so. Usage: `only1mcp-bench [CALLS] [STARTS]`.

mod calls;
mod launcher;
mod starts;

use std::time::Duration;

const CALLS: usize = 2_000;
const STARTS: usize = 20;

fn main() {
    let mut numbers = std::env::args().skip(1).map(|word| word.parse::<usize>().ok());
    let calls = numbers.next().flatten().unwrap_or(CALLS);
    let starts = numbers.next().flatten().unwrap_or(STARTS);
    if cfg!(debug_assertions) {
        println!("a debug build: build with --release for figures that mean something\n");
    }
    calls::print(calls);
    println!();
    starts::print(starts);
}

/// The value below which this share of the sorted samples lies.
fn quantile(sorted: &[Duration], share: f64) -> Duration {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index of a short list"
    )]
    let index = ((sorted.len() as f64) * share) as usize;
    sorted.get(index.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
