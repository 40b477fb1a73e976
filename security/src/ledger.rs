//! The catalogue written down: `security/attacks.md` for people, JSON for programs.

use serde_json::{Value, json};

use crate::catalogue::{self, Attempt, Mode};
use crate::coverage::{self, Omitted, Tested};
use crate::driven;

const HEAD: &str = "# Attacks\n\n\
<!-- Generated from security/src/attempts: BLESS=1 cargo test -p only1mcp-escape --lib ledger -->\n\n\
Each attempt is a triple: a *control* outside the sandbox must succeed, the *attempt* inside must get exactly the\n\
answer below, and the *twin*, a neighbouring legitimate act, must succeed inside. `security/tests/walls.rs` runs\n\
all of them under every profile, in user, root and\n\
minimal mode, `tests/walls_system` in system mode, in virtual machines with Linux 6.12 and 6.1; `degraded.md` tells what\n\
differs between the two. Minimal mode has no namespaces: what it lets through reads\n\
*allowed*. *hidden* means that there was nothing to see.\n\n";

/// The ABI of a kernel without Landlock: what holds before any of its versions changes an answer.
const NO_LANDLOCK: u8 = 0;

fn per_mode(text: impl Fn(Mode) -> String) -> Value {
    Mode::ALL.into_iter().map(|mode| (mode.name().to_owned(), Value::String(text(mode)))).collect()
}

/// One attempt as JSON.
#[must_use]
pub fn as_json(attempt: &Attempt) -> Value {
    json!({
        "id": attempt.id,
        "attempt": attempt.what,
        "wall": attempt.wall,
        "inside": per_mode(|mode| attempt.expected(mode, NO_LANDLOCK).in_words()),
        "control": per_mode(|mode| attempt.control(mode).in_words().to_owned()),
        "twin": attempt.twin,
        "reference": attempt.reference,
    })
}

/// The whole of `attacks.md`.
#[must_use]
pub fn markdown() -> String {
    let mut text = HEAD.to_owned();
    text.push_str(&format!(
        "{} attempts of the probe; with those that tests of their own hold, {} things are tried.\n\n",
        catalogue::all().count(),
        coverage::applying()
    ));
    text.push_str(
        "| id | attempt | stopped by | answer inside | control outside | twin inside | known from |\n",
    );
    text.push_str("|---|---|---|---|---|---|---|\n");
    for attempt in catalogue::all() {
        text.push_str(&row(attempt));
    }
    text.push_str("\n## Acts without a control\n\n");
    text.push_str("| id | act | why nobody outside can show that the question is real |\n|---|---|---|\n");
    for attempt in catalogue::all() {
        for (act, reason) in attempt.alone {
            text.push_str(&format!("| {} | {act} | {reason} |\n", attempt.id));
        }
    }
    text.push_str("\n## Held by tests of their own\n\n| id | attempt | test |\n|---|---|---|\n");
    for Tested { id, what, test } in coverage::TESTED {
        text.push_str(&format!("| {id} | {what} | `{test}` |\n"));
    }
    text.push_str(&driven::markdown());
    text.push_str("\n## Does not apply\n\n| id | attempt | why not |\n|---|---|---|\n");
    for Omitted { id, what, reason } in coverage::OMITTED {
        text.push_str(&format!("| {id} | {what} | {reason} |\n"));
    }
    text
}

fn row(attempt: &Attempt) -> String {
    let mut inside = in_modes(|mode| attempt.expected(mode, NO_LANDLOCK).in_words());
    for (since, expected) in attempt.from_landlock {
        inside.push_str(&format!("; from Landlock ABI {since} on: {}", expected.in_words()));
    }
    let control = in_modes(|mode| attempt.control(mode).in_words().to_owned());
    let Attempt { id, what, wall, twin, reference, .. } = attempt;
    format!("| {id} | {what} | {wall} | {inside} | {control} | {twin} | {reference} |\n")
}

/// What all modes say, or each group of modes that say the same.
fn in_modes(text: impl Fn(Mode) -> String) -> String {
    let mut said: Vec<(String, Vec<&str>)> = Vec::new();
    for mode in Mode::ALL {
        let words = text(mode);
        match said.iter_mut().find(|(known, _)| *known == words) {
            Some((_, modes)) => modes.push(mode.name()),
            None => said.push((words, vec![mode.name()])),
        }
    }
    match said.as_slice() {
        [(words, _)] => words.clone(),
        several => {
            let parts: Vec<String> =
                several.iter().map(|(words, modes)| format!("*{}:* {words}", modes.join(", "))).collect();
            parts.join(" · ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attacks_md_is_what_the_catalogue_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/attacks.md");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(path, markdown()).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(written == markdown(), "{path} is stale; run this test with BLESS=1");
    }
}
