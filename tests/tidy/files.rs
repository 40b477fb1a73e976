//! How files are named, how they begin, how long they are, and what lies at the top.

use crate::repository::{assert_none, sources, texts};
use harness::programs;
use std::collections::BTreeSet;
use std::process::Command;

/// What lies at the top, beside names that begin with a dot.
const TOP: [&str; 11] = [
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "launcher",
    "packaging",
    "policy",
    "proxy",
    "security",
    "tests",
];
/// Lines of one file, its unit tests not counted.
const LINES_MAX: usize = 500;
/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 7] = ["mod", "util", "utils", "common", "helpers", "manager", "misc"];

#[test]
fn the_top_of_the_repository_shows_the_mandated_names_and_no_more() {
    let listed =
        Command::new("git").args(["ls-files"]).current_dir(programs::checkout()).output().expect("run git");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let top = listed.lines().filter_map(|path| path.split('/').next()).filter(|name| !name.starts_with('.'));
    let top: BTreeSet<&str> = top.collect();
    assert!(!top.is_empty(), "git lists nothing");
    assert_eq!(top, BTreeSet::from(TOP));
}

#[test]
fn every_rust_file_says_first_what_it_is_for() {
    let without = sources(&["rs"]).into_iter().filter(|source| !source.text.starts_with("//! "));
    assert_none("files without a `//!` header", &without.map(|source| source.path).collect::<Vec<_>>());
}

#[test]
fn no_rust_file_is_long() {
    let mut long = Vec::new();
    for source in sources(&["rs"]) {
        let lines = source.production().lines().count();
        if lines > LINES_MAX {
            long.push(format!("{}: {lines} lines", source.path));
        }
    }
    assert_none("files with more lines than a reader keeps in mind", &long);
}

#[test]
fn file_names_say_what_is_inside() {
    let mut wrong = Vec::new();
    for source in sources(&["rs"]) {
        let stem =
            source.path.rsplit('/').next().and_then(|name| name.strip_suffix(".rs")).unwrap_or_default();
        if EMPTY_NAMES.contains(&stem) {
            wrong.push(source.path);
        }
    }
    assert_none("file names that say nothing", &wrong);
}

#[test]
fn scripts_stop_at_the_first_error() {
    let scripts = texts().into_iter().filter(|source| source.text.starts_with("#!/usr/bin/env bash"));
    let wrong = scripts.filter(|source| !source.text.contains("set -Eeuo pipefail"));
    assert_none("scripts that go on after an error", &wrong.map(|source| source.path).collect::<Vec<_>>());
}

#[test]
fn every_golden_file_is_compared_by_a_test() {
    let code: String = sources(&["rs"]).into_iter().map(|source| source.text).collect();
    let golden = std::fs::read_dir(programs::checkout().join("tests/golden")).expect("read tests/golden");
    let names = golden.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let unused: Vec<String> = names.filter(|name| !code.contains(&format!("\"{name}\""))).collect();
    assert_none("golden files no test reads", &unused);
}
