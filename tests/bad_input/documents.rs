//! Configuration and policy files that are wrong: `config check` tells where, and what to do.

use harness::daemon::{command, places, source};
use harness::run::{self, Outcome};
use harness::scratch::{Scratch, set_mode};
use harness::{golden, programs};

/// What `config check` says of `config.yaml` in this folder.
fn check(scratch: &Scratch) -> Outcome {
    let mut command = command(scratch, &["config", "check"]);
    command.args(source(scratch));
    run::run(&mut command)
}

/// The output with this machine's paths replaced.
fn plain(scratch: &Scratch, text: &str) -> String {
    let here = scratch.path().display().to_string();
    text.replace(&here, "HERE").replace(&programs::folder().display().to_string(), "PROGRAMS")
}

/// Checks that the configuration is refused with exit code 65, words and a mend; returns all that was said.
fn refused(scratch: &Scratch, words: &[&str]) -> String {
    let outcome = check(scratch);
    let said = plain(scratch, &format!("{}{}", outcome.stdout, outcome.stderr));
    assert_eq!(outcome.code, 65, "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in:\n{said}");
    }
    assert!(said.contains("help: "), "no mend is told:\n{said}");
    said
}

fn with_config(text: &str) -> Scratch {
    let scratch = Scratch::new();
    scratch.write("etc/config.yaml", text);
    scratch
}

fn server(id: &str, command: &str, policy: &str) -> String {
    format!("  - id: {id}\n    command: {command}\n    policy: {policy}\n")
}

#[test]
fn a_policy_file_that_is_a_symbolic_link_is_refused() {
    let scratch = with_config(&format!("servers:\n{}", server("a", &programs::fixture(), "mine")));
    let elsewhere = scratch.write("code/elsewhere.yaml", "extends: native\n");
    scratch.folder("etc/policies", 0o755);
    std::os::unix::fs::symlink(elsewhere, scratch.join("etc/policies/mine.yaml")).unwrap();
    refused(&scratch, &["policies/mine.yaml", "symbolic link"]);
}

#[test]
fn a_policy_file_that_others_may_write_is_refused() {
    for mode in [0o664, 0o666] {
        let scratch = with_config(&format!("servers:\n{}", server("a", &programs::fixture(), "mine")));
        let file = scratch.write("etc/policies/mine.yaml", "extends: native\n");
        set_mode(&file, mode);
        refused(&scratch, &["policies/mine.yaml", "chmod"]);
    }
}

#[test]
fn a_policy_file_that_is_too_large_is_refused() {
    let scratch = with_config(&format!("servers:\n{}", server("a", &programs::fixture(), "mine")));
    scratch.write("etc/policies/mine.yaml", &format!("extends: native\n# {}\n", "x".repeat(4 * 1024 * 1024)));
    refused(&scratch, &["policies/mine.yaml", "bytes"]);
}

#[test]
fn two_servers_of_one_name_are_refused_at_the_second() {
    let fixture = programs::fixture();
    let scratch = with_config(&format!(
        "servers:\n{}{}",
        server("twin", &fixture, "native"),
        server("twin", &fixture, "native")
    ));
    refused(&scratch, &["config.yaml:5:", "twin"]);
}

#[test]
fn a_command_that_is_not_there_not_readable_or_without_its_interpreter_is_refused_by_name() {
    let scratch = with_config("");
    let locked = scratch.write("code/locked", "#!/bin/sh\n");
    set_mode(&locked, 0o600);
    let lost = scratch.write("code/lost", "#!/nonexistent/interpreter\n");
    set_mode(&lost, 0o755);
    let text = scratch.write("code/text", "no program\n");
    for (command, words) in [
        ("/nonexistent/program".to_owned(), &["/nonexistent "][..]),
        ("no-such-program-anywhere".to_owned(), &["no-such-program-anywhere"]),
        (locked.display().to_string(), &["HERE/code/locked"]),
        (lost.display().to_string(), &["/nonexistent "]),
        (text.display().to_string(), &["HERE/code/text"]),
    ] {
        scratch.write("etc/config.yaml", &format!("servers:\n{}", server("a", &command, "native")));
        refused(&scratch, words);
    }
}

#[test]
fn every_finding_is_told_at_once_with_line_and_column() {
    let fixture = programs::fixture();
    let text = format!(
        "servers:\n{}{}{}proxy:\n  listn: 127.0.0.1:1\n  listen: nowhere\n",
        server("UPPER", &fixture, "native"),
        server("b", &fixture, "nobody-knows-it"),
        server("c", &fixture, "{extends: native, filesystem: {write: [/etc]}}"),
    );
    let scratch = with_config(&text);
    let said = refused(&scratch, &["2:9", "nobody-knows-it", "/etc", "listn", "nowhere"]);
    golden::check("config-findings.txt", &said);
}

#[test]
fn what_yaml_readers_disagree_on_is_refused() {
    let fixture = programs::fixture();
    for (name, text, word) in [
        ("duplicate key", format!("servers:\n  - id: a\n    id: b\n    command: {fixture}\n"), "id"),
        (
            "two documents",
            format!("servers:\n{}---\nservers: []\n", server("a", &fixture, "native")),
            "document",
        ),
        ("anchor", format!("servers: &x\n{}proxy: {{}}\n", server("a", &fixture, "native")), ""),
        ("tag", format!("servers: !!seq\n{}", server("a", &fixture, "native")), ""),
        ("not YAML", "servers: [\n".to_owned(), "config.yaml:"),
        ("a list of brackets", format!("servers: {}\n", "[".repeat(20_000)), ""),
    ] {
        let scratch = with_config(&text);
        let outcome = check(&scratch);
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        assert_eq!(outcome.code, 65, "{name}: {said}");
        assert!(said.contains(word) && said.contains("error: "), "{name}: {said}");
    }
}

#[test]
fn a_key_whose_feature_is_not_built_is_an_error_that_says_so() {
    let fixture = programs::fixture();
    for (key, line) in [
        ("transport", "transport: http"),
        ("url", "url: https://example.com/mcp"),
        ("headers", "headers: {X: y}"),
    ] {
        let scratch = with_config(&format!("servers:\n{}    {line}\n", server("a", &fixture, "native")));
        refused(&scratch, &[key, "not built yet"]);
    }
    let network = "{extends: native, network: {allow: [example.com]}}";
    let scratch = with_config(&format!("servers:\n{}", server("a", &fixture, network)));
    refused(&scratch, &["network", "not built yet"]);
}

#[test]
fn the_daemon_does_not_start_with_a_wrong_configuration_and_says_what_check_says() {
    let scratch = with_config(&format!("servers:\n{}", server("UPPER", &programs::fixture(), "native")));
    let outcome = run::run(command(&scratch, &["start"]).args(source(&scratch)).args(places(&scratch)));
    assert_eq!(outcome.code, 65, "{outcome:?}");
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(said.contains("config.yaml:2:9") && said.contains("help: "), "{said}");
}
