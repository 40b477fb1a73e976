//! What each wall is worth: the catalogue against launchers that lack one wall or two, or that make a mistake.
//!
//! The launcher is built once more, with the feature `weakened`, which no release can have. Every test here rests
//! on the same runs. `BLESS=1` writes `layers.md` and `mutations.md` anew; without it they must be up to date.
#![expect(clippy::unwrap_used, reason = "a test ends by panicking")]

#[path = "layers/mistakes.rs"]
mod mistakes;
#[path = "walls/proc.rs"]
mod proc;
#[path = "layers/runs.rs"]
mod runs;
#[path = "layers/tables.rs"]
mod tables;
#[path = "layers/walls.rs"]
mod walls;
#[path = "layers/weakened.rs"]
mod weakened;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use mistakes::MISTAKES;
use runs::runs;

/// Where each run has its own directory: all uids reach it.
const BASE: &str = "/var/tmp";
/// The server on trial.
const SERVER: &str = "native";
/// And one whose state it must not reach.
const OTHER: &str = "node";
const PROFILES: [&str; 2] = [SERVER, OTHER];
/// What only a weakened launcher says.
const MARKER: &str = "weakened for a test";

#[test]
fn a_launcher_that_lacks_nothing_stops_everything() {
    for (mode, found) in runs().of(&[]) {
        assert_eq!(found.red(), BTreeSet::new(), "{} mode: {found:?}", mode.name());
    }
}

#[test]
fn what_is_defended_twice_stands_in_layers_md() {
    let layers = walls::layers(runs());
    assert!(layers.untried.is_empty(), "could not be tried:\n{}", layers.untried.join("\n"));
    assert!(layers.worthless.is_empty(), "no attempt misses these walls: {:?}", layers.worthless);
    tables::compare("layers.md", &layers.in_words(), runs().landlock_abi());
}

#[test]
fn each_mistake_turns_the_suite_red() {
    let mut green = Vec::new();
    for mistake in MISTAKES {
        for (mode, found) in runs().of(mistake.lacking) {
            let red = found.red();
            let missing = mistake.named(mode).iter().filter(|name| !red.contains(**name));
            green.extend(missing.map(|name| {
                format!("{} ({} mode): {name} does not turn red: {red:?}", mistake.what, mode.name())
            }));
        }
    }
    assert!(green.is_empty(), "{}", green.join("\n"));
    tables::compare("mutations.md", &mistakes::in_words(runs()), runs().landlock_abi());
}

#[test]
fn nothing_a_launcher_can_lack_is_left_untried() {
    let tried: BTreeSet<&str> = runs::all().flat_map(|(lacking, _)| lacking.iter().copied()).collect();
    assert_eq!(tried, weakened::known().iter().map(String::as_str).collect());
}

#[test]
fn the_launcher_that_ships_knows_no_weakness() {
    let holds = |path: &Path| {
        let bytes = std::fs::read(path).unwrap();
        bytes.windows(MARKER.len()).any(|window| window == MARKER.as_bytes())
    };
    assert!(holds(weakened::launcher()), "the marker is not what a weakened launcher says");
    assert!(!holds(&weakened::shipped().join("only1mcp-launcher")), "the launcher can be weakened");
}

#[test]
fn no_release_can_be_weakened() {
    let refusal = "it is for tests and never for a release";
    let said = |output: Output| String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said(compile("no")).contains(refusal));
    assert!(!said(compile("yes")).contains(refusal));
}

/// Has the module compiled as part of a program with or without debug assertions. What else it needs is not there.
#[expect(clippy::disallowed_methods, reason = "the test runs the compiler")]
fn compile(debug_assertions: &str) -> Output {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../launcher/src/weakened.rs");
    let mut rustc = Command::new(weakened::rustc());
    rustc.args(["--edition=2024", "--crate-type=lib", "--emit=metadata", "--cfg=feature=\"weakened\""]);
    rustc.arg("-C").arg(format!("debug-assertions={debug_assertions}")).arg(source);
    rustc.arg("--out-dir").arg(env!("CARGO_TARGET_TMPDIR")).output().unwrap()
}
