//! What a sandbox breaks in language runtimes, tried inside one: Node, CPython and the JVM under their own profiles.

use harness::configuration::Configuration;
use harness::daemon::Daemon;
use harness::scratch::{Scratch, set_mode};
use harness::{programs, run};
use serde_json::json;
use std::process::Command;

/// A check by its name, and how its answer must begin.
type Check = (&'static str, &'static str);

const NODE: [Check; 13] = [
    ("cpus", "cpus "),
    ("interfaces", "interfaces "),
    ("user", "user "),
    ("memory", "memory true"),
    ("worker", "worker 42"),
    ("child", "child 42"),
    ("files", "files written"),
    ("state", "state /state kept"),
    ("random", "random 16"),
    ("wasm", "wasm true"),
    ("loopback", "loopback own loopback"),
    ("fetch", "fetch failed TypeError E"),
    ("address", "address failed TypeError E"),
];
const PYTHON: [Check; 13] = [
    ("lock", "lock held"),
    ("pool", "pool 42"),
    ("threads", "threads 8"),
    ("child", "child 42"),
    ("stopped", "stopped 0"),
    ("tls", "tls authorities True"),
    ("files", "files True written"),
    ("user", "user "),
    ("shared_memory", "shared 42"),
    ("event_loop", "event loop"),
    ("zone", "zone Europe/Berlin"),
    ("sqlite", "sqlite 42"),
    ("fetch", "fetch failed <urlopen error"),
];
const JAVA: [Check; 11] = [
    ("threads", "threads 28"),
    ("processors", "processors true memory true"),
    ("providers", "providers true"),
    ("authorities", "authorities true"),
    ("random", "random 8"),
    ("files", "files true written"),
    ("child", "child 42"),
    ("jit", "jit true"),
    ("user", "user "),
    ("loopback", "loopback 127.0.0.1"),
    ("fetch", "fetch failed ConnectException"),
];

/// Starts one server under a profile and makes all checks; all that went wrong is told at once.
fn check_all(profile: &str, scratch: Scratch, command: &str, arguments: &[&str], checks: &[Check]) {
    let policy =
        format!("{{extends: {profile}, filesystem: {{read: [{}]}}}}", scratch.join("code").display());
    let configuration = Configuration::new().server("checks", command, arguments, &policy, "");
    scratch.write("etc/config.yaml", &configuration.text(&scratch.mark()));
    let daemon = Daemon::start_in(scratch, &[]);
    let mut broken = Vec::new();
    for (what, wanted) in checks {
        let said = daemon.endpoint().call_text("checks__check", &json!({"what": what}));
        println!("{profile}: {said}");
        if !said.starts_with(wanted) {
            broken.push(format!("{what}: wanted {wanted:?}, got {said:?}"));
        }
    }
    assert!(broken.is_empty(), "{}\n{}", broken.join("\n"), daemon.story());
    daemon.stop();
}

/// A folder `code` that holds the program of the checks.
fn with_code(file: &str) -> (Scratch, String) {
    let scratch = Scratch::new();
    let code = std::fs::read_to_string(programs::checkout().join("tests/runtimes").join(file)).unwrap();
    let path = scratch.write(&format!("code/{file}"), &code);
    (scratch, path.display().to_string())
}

#[test]
fn node_runs_and_finds_no_network() {
    let (scratch, script) = with_code("checks.mjs");
    check_all("node", scratch, "/usr/bin/node", &[&script], &NODE);
}

#[test]
fn cpython_runs_and_finds_no_network() {
    let (scratch, script) = with_code("checks.py");
    check_all("python", scratch, "/usr/bin/python3", &[&script], &PYTHON);
}

#[test]
fn a_jvm_runs_and_finds_no_network() {
    let (scratch, source) = with_code("Checks.java");
    let classes = scratch.join("code").display().to_string();
    let compiled = run::run(Command::new("javac").args(["-d", &classes, &source]));
    assert_eq!(compiled.code, 0, "{compiled:?}");
    set_mode(&scratch.join("code/Checks.class"), 0o644);
    check_all("jvm", scratch, "/usr/bin/java", &["-cp", &classes, "Checks"], &JAVA);
}

#[test]
fn a_script_runs_by_its_shebang_line() {
    let (scratch, script) = with_code("checks.py");
    let text = std::fs::read_to_string(&script).unwrap();
    let path = scratch.write("code/checks", &format!("#!/usr/bin/env python3\n{text}"));
    set_mode(&path, 0o755);
    check_all("python", scratch, &path.display().to_string(), &[], &[("threads", "threads 8")]);
}
