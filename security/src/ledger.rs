//! The catalogue written down: `security/attacks.md` for people, JSON for programs.

use serde_json::{Value, json};

use crate::catalogue::{self, Attempt};

const HEAD: &str = "# Attacks\n\n\
<!-- Generated from security/src/attempts: BLESS=1 cargo test -p only1mcp-escape --lib ledger -->\n\n\
Each attempt is a triple: a *control* outside the sandbox must succeed, the *attempt* inside must get exactly the\n\
answer below, and the *twin*, a neighbouring legitimate act, must succeed inside. `security/tests/walls.rs` runs\n\
all of them under every profile, in user mode and in root mode. *hidden* means that there was nothing to see.\n\n";

/// One attempt as JSON.
#[must_use]
pub fn as_json(attempt: &Attempt) -> Value {
    json!({
        "id": attempt.id,
        "attempt": attempt.what,
        "wall": attempt.wall,
        "inside": {"user": attempt.user.in_words(), "root": attempt.root.in_words()},
        "control": {"user": attempt.control.in_words(), "root": attempt.root_control.in_words()},
        "twin": attempt.twin,
        "reference": attempt.reference,
    })
}

/// The whole of `attacks.md`.
#[must_use]
pub fn markdown() -> String {
    let mut text = HEAD.to_owned();
    text.push_str(&format!("{} attempts.\n\n", catalogue::all().count()));
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
    text
}

fn row(attempt: &Attempt) -> String {
    let both =
        |user: String, root: String| if user == root { user } else { format!("user: {user}; root: {root}") };
    let mut inside = both(attempt.user.in_words(), attempt.root.in_words());
    for (since, expected) in attempt.from_landlock {
        inside.push_str(&format!("; from Landlock ABI {since} on: {}", expected.in_words()));
    }
    let control = both(attempt.control.in_words().to_owned(), attempt.root_control.in_words().to_owned());
    let Attempt { id, what, wall, twin, reference, .. } = attempt;
    format!("| {id} | {what} | {wall} | {inside} | {control} | {twin} | {reference} |\n")
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
