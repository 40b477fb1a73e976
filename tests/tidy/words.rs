//! Words that must not stand in the repository: promises to do it later, places on somebody's machine, registries.

use crate::repository::{assert_none, texts};

/// Each word is written in two halves, so that this file does not hold it.
const WORDS: [(&str, &str, &str); 10] = [
    ("TO", "DO", "open work belongs in an issue"),
    ("FIX", "ME", "open work belongs in an issue"),
    ("todo", "!(", "a stub is not done"),
    ("unimple", "mented!(", "a stub is not done"),
    ("/wo", "rk/", "a place on somebody's machine"),
    ("arti", "factory", "a registry's host"),
    ("registry.npm", "js.org", "a registry's host"),
    ("files.python", "hosted.org", "a registry's host"),
    ("index.crates", ".io", "a registry's host"),
    ("sub", "agent", "not a word of this project"),
];

#[test]
fn no_forbidden_word_stands_in_any_file() {
    let mut found = Vec::new();
    // Other authors' words, recorded as they are.
    for source in texts().into_iter().filter(|source| !source.path.starts_with("tests/context/recorded/")) {
        for (number, line) in source.text.lines().enumerate() {
            for (first, second, reason) in WORDS {
                if holds(line, &format!("{first}{second}")) {
                    found.push(format!("{}:{}: {first}{second}: {reason}", source.path, number + 1));
                }
            }
        }
    }
    assert_none("forbidden words", &found);
}

/// Whether a line holds a word; a path counts only from its root.
fn holds(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !(word.starts_with('/') && before.is_some_and(|letter| letter.is_alphanumeric()))
    })
}

#[test]
fn locked_crates_come_from_the_one_registry() {
    let lock =
        std::fs::read_to_string(harness::programs::checkout().join("Cargo.lock")).expect("read Cargo.lock");
    let elsewhere =
        |line: &&str| line.starts_with("source = ") && !line.contains("github.com/rust-lang/crates.io-index");
    assert_none("sources", &lock.lines().filter(elsewhere).map(str::to_owned).collect::<Vec<_>>());
}
