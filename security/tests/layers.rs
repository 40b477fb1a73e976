//! explore
#![expect(clippy::unwrap_used, reason = "a test ends by panicking")]

#[path = "walls/proc.rs"]
mod proc;
#[path = "layers/weakened.rs"]
mod weakened;

use only1mcp_escape::catalogue::Mode;
use weakened::{Depth, Found};

/// Where each run has its own directory: all uids reach it.
const BASE: &str = "/var/tmp";
/// The server on trial, and one whose state it must not reach.
const PROFILES: [&str; 2] = ["native", "node"];
const SERVER: &str = "native";

#[test]
fn explore() {
    for line in std::env::var("LACKING").unwrap().split('|') {
        let mode = if line.starts_with("root:") { Mode::Root } else { Mode::User };
        let lacking: Vec<&str> =
            line.trim_start_matches("root:").split('+').filter(|n| !n.is_empty()).collect();
        let t = std::time::Instant::now();
        match weakened::attack(&lacking, mode, Depth::Everything) {
            Found::Nothing => println!("## {line}: NOTHING STARTS {:?}", t.elapsed()),
            Found::Answers(a) => {
                println!("## {line} {:?}", t.elapsed());
                for (id, at) in &a.attacks {
                    if !at.failures.is_empty() {
                        println!(
                            "   {id}: {} OPEN {:?} UNTRIED {:?} // {:?}",
                            at.answers, at.open, at.untried, at.failures
                        );
                    }
                }
                println!("   twins {:?}", a.twins);
                println!("   facts {:?}", a.facts);
            }
        }
    }
}
