//! Who may depend on whom, read from `cargo metadata`; and how much the launcher pulls in.

use crate::repository::{assert_none, texts};
use harness::programs;
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;

/// Each crate of ours, and those of ours that it may depend on.
const ARROWS: [(&str, &[&str]); 8] = [
    ("only1mcp-wire", &[]),
    ("only1mcp-launcher", &["only1mcp-wire"]),
    ("only1mcp-init", &[]),
    ("only1mcp-policy", &["only1mcp-wire"]),
    ("only1mcp", &["only1mcp-policy", "only1mcp-wire"]),
    // The catalogue's runner: system mode is tried in a virtual machine.
    ("only1mcp-tests", &["only1mcp-escape", "only1mcp-policy", "only1mcp-wire"]),
    // The proxy's lock: an attacker is put under it.
    ("only1mcp-escape", &["only1mcp", "only1mcp-policy", "only1mcp-wire"]),
    ("only1mcp-properties", &["only1mcp", "only1mcp-policy", "only1mcp-wire"]),
];
/// Crates from outside, and who alone may depend on them directly.
const WRAPPERS: [(&str, &[&str]); 5] = [
    ("tokio", &["only1mcp", "only1mcp-tests"]),
    ("axum", &["only1mcp", "only1mcp-tests"]),
    ("serde-saphyr", &["only1mcp-policy"]),
    ("serde_yaml", &["only1mcp-properties"]),
    ("cgroups-rs", &["only1mcp-tests"]),
];
/// External crates the launcher may bring, all in all.
const LAUNCHER_CLOSURE_MAX: usize = 30;

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(programs::checkout()).output();
    let output = output.expect("run cargo");
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo prints text")
}

fn packages() -> Vec<Value> {
    let text = cargo(&["metadata", "--no-deps", "--format-version=1", "--locked", "--offline"]);
    let metadata: Value = serde_json::from_str(&text).expect("cargo prints JSON");
    metadata["packages"].as_array().expect("packages").clone()
}

fn dependencies(package: &Value) -> Vec<String> {
    let all = package["dependencies"].as_array().expect("dependencies");
    all.iter().map(|one| one["name"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn our_crates_depend_on_each_other_only_as_the_table_allows() {
    let packages = packages();
    let ours: BTreeSet<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let known: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    assert_eq!(ours, known, "the table of arrows names each crate of the workspace");
    let mut wrong = Vec::new();
    for package in &packages {
        let name = package["name"].as_str().unwrap_or_default();
        let allowed = ARROWS.iter().find(|(one, _)| *one == name).map_or(&[][..], |(_, allowed)| allowed);
        for dependency in dependencies(package) {
            if ours.contains(dependency.as_str()) && !allowed.contains(&dependency.as_str()) {
                wrong.push(format!("{name} -> {dependency}"));
            }
        }
    }
    assert_none("arrows that are not allowed", &wrong);
}

#[test]
fn crates_with_a_guardian_are_used_by_nobody_else() {
    let mut wrong = Vec::new();
    for package in packages() {
        let name = package["name"].as_str().unwrap_or_default();
        for dependency in dependencies(&package) {
            let guardians =
                WRAPPERS.iter().find(|(one, _)| *one == dependency).map(|(_, guardians)| guardians);
            if guardians.is_some_and(|guardians| !guardians.contains(&name)) {
                wrong.push(format!("{name} -> {dependency}"));
            }
        }
    }
    assert_none("dependencies that are not allowed", &wrong);
}

#[test]
fn the_launcher_pulls_in_few_crates_and_each_has_its_reason() {
    let arguments =
        ["tree", "-e", "normal", "-p", "only1mcp-launcher", "--prefix", "none", "--locked", "--offline"];
    let text = cargo(&arguments);
    let mut closure: BTreeSet<&str> = text.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    closure.retain(|line| !line.starts_with("only1mcp"));
    println!("the launcher's closure: {} external crates", closure.len());
    closure.iter().for_each(|line| println!("  {line}"));
    assert!(closure.len() <= LAUNCHER_CLOSURE_MAX, "{} crates: {closure:#?}", closure.len());

    let used: BTreeSet<&str> = closure.iter().filter_map(|line| line.split(' ').next()).collect();
    let security = texts().into_iter().find(|source| source.path == "SECURITY.md").expect("SECURITY.md");
    let (_, list) = security.text.split_once("## What the launcher is built from").expect("the list");
    // Names in backquotes in the first column of the table.
    let reasons =
        list.lines().filter(|line| line.starts_with("| `")).filter_map(|line| line.split('|').nth(1));
    let named: BTreeSet<&str> = reasons
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .filter(|name| !name.starts_with("only1mcp"))
        .collect();
    assert_eq!(named, used, "SECURITY.md names other crates than the launcher is built from");
}

#[test]
fn only_who_asks_for_it_gets_a_launcher_that_can_be_weakened() {
    let packages = packages();
    let launcher =
        packages.iter().find(|package| package["name"] == "only1mcp-launcher").expect("the launcher");
    let features = launcher["features"].as_object().expect("features");
    assert_eq!(features.keys().collect::<Vec<_>>(), ["weakened"], "a feature that no test knows");
}

#[test]
fn every_crate_takes_the_workspace_lints() {
    let mut wrong = Vec::new();
    for package in packages() {
        let (name, path) = (package["name"].as_str().unwrap_or_default(), package["manifest_path"].as_str());
        let manifest = std::fs::read_to_string(path.unwrap_or_default()).unwrap_or_default();
        // The tests crate has its own list: in it, a test may unwrap.
        if name != "only1mcp-tests" && !manifest.contains("[lints]\nworkspace = true") {
            wrong.push(name.to_owned());
        }
    }
    assert_none("crates without the workspace's lints", &wrong);
}
