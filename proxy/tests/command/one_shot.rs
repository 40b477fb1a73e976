//! The commands that ask once and end: exit codes and what goes where.

use crate::fakes::{Fakes, Proxy, ended, text};
use serde_json::Value;

#[test]
fn usage_errors_exit_with_64_and_help_with_0() {
    let fakes = Fakes::new(&Proxy::Stays);
    for (words, code) in [
        (vec!["--version"], 0),
        (vec!["--help"], 0),
        (vec!["start", "--help"], 0),
        (vec![], 64),
        (vec!["nonsense"], 64),
        (vec!["start", "--pool", "5"], 64),
    ] {
        let output = fakes.command(&words).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{words:?}");
        assert_eq!(output.stderr.is_empty(), code == 0, "{words:?}");
    }
}

#[test]
fn without_a_daemon_status_and_call_exit_with_69_and_say_how_to_start_one() {
    let fakes = Fakes::new(&Proxy::Stays);
    for words in [vec!["status"], vec!["status", "--json"], vec!["call", "a.b"]] {
        let (code, said) = ended(&fakes.placed(&words).output().unwrap());
        assert_eq!(code, Some(69), "{words:?}");
        assert!(said.contains("only1mcp start"), "{said}");
    }
}

#[test]
fn arguments_that_are_no_json_exit_with_65_before_anybody_is_asked() {
    let fakes = Fakes::new(&Proxy::Stays);
    let output = fakes.placed(&["call", "a.b", "{not json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(65));
}

#[test]
fn status_prints_a_table_or_the_daemons_own_words() {
    let fakes = Fakes::new(&Proxy::Answers);
    let _daemon = fakes.started(&[]);
    let table = fakes.placed(&["status"]).output().unwrap();
    assert_eq!(text(&table.stdout), include_str!("../../golden/status.txt"));
    let json = fakes.placed(&["status", "--json"]).output().unwrap();
    let value: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(value["servers"][0]["id"], "files");
}

#[test]
fn output_and_exit_code_of_the_compiler_are_passed_on() {
    let fakes = Fakes::new(&Proxy::Stays);
    let cases = [
        (vec!["policy", "explain", "files", "--json"], "explain", "--json --server files"),
        (vec!["config", "show"], "show", ""),
        (vec!["config", "schema"], "schema", ""),
    ];
    for (mut words, task, more) in cases {
        words.extend(["--config", "builtin"]);
        let output = fakes.command(&words).output().unwrap();
        let said = text(&output.stdout);
        let begin =
            format!("{task} --config builtin --program-dir {} --state-dir ", fakes.directory.display());
        assert!(said.starts_with(&begin) && said.trim_end().ends_with(more), "{said}");
        assert_eq!(ended(&output), (Some(3), "to the log\n".to_owned()));
    }
}

#[test]
fn findings_reach_the_shell_with_65() {
    let fakes = Fakes::new(&Proxy::Stays);
    let config = fakes.directory.join("config.yaml");
    std::fs::write(&config, "error: config.yaml:1:1: no such key\n").unwrap();
    for words in [["config", "check"], ["policy", "check"]] {
        let output = fakes.command(&words).arg("--config").arg(&config).output().unwrap();
        assert_eq!(ended(&output), (Some(65), "error: config.yaml:1:1: no such key\n".to_owned()));
    }
}

#[test]
fn a_server_that_is_not_configured_is_no_good_news() {
    let fakes = Fakes::new(&Proxy::Stays);
    let output = fakes.command(&["policy", "check", "nosuch", "--config", "builtin"]).output().unwrap();
    assert_eq!(output.status.code(), Some(65));
    assert!(text(&output.stderr).contains("no server \"nosuch\" is configured"));
}

#[test]
fn the_doctor_tries_the_walls_and_lists_every_program() {
    let fakes = Fakes::new(&Proxy::Stays);
    let output = fakes.command(&["doctor", "--json"]).output().unwrap();
    let findings: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let outcome = |name: &str| {
        findings.iter().find(|finding| finding["name"] == name).unwrap_or_else(|| panic!("no {name}"))["outcome"]
            .clone()
    };
    let missing = findings.iter().any(|finding| finding["outcome"] == "missing");
    assert_eq!(output.status.code(), Some(if missing { 69 } else { 0 }));
    assert_eq!(outcome("programs"), "ok");
    for wall in ["namespaces", "own /proc", "Landlock", "system call filter"] {
        assert_eq!(outcome(wall), "ok", "{wall}");
    }
}
