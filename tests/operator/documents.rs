//! `config` and `policy` on files: the samples that ship, what is printed, and exit codes.

use harness::daemon::{command, source};
use harness::programs;
use harness::run::{self, Outcome};
use harness::scratch::Scratch;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn only1mcp(scratch: &Scratch, words: &[&str]) -> Outcome {
    run::run(command(scratch, words).args(source(scratch)))
}

/// A copy of a folder that belongs to the user of the test, as an installed one would.
fn copied(folder: &Path) -> Scratch {
    let scratch = Scratch::new();
    for entry in walk(folder) {
        let name = entry.strip_prefix(folder).unwrap().display().to_string();
        scratch.write(&format!("etc/{name}"), &std::fs::read_to_string(&entry).unwrap());
    }
    scratch
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    entries
        .flat_map(|entry| if entry.path().is_dir() { walk(&entry.path()) } else { vec![entry.path()] })
        .collect()
}

#[test]
fn the_sample_configuration_passes_the_real_check() {
    let samples = programs::checkout().join("packaging/examples");
    let policies = walk(&samples.join("policies"));
    assert!(!policies.is_empty());
    let scratch = copied(&samples);
    let outcome = only1mcp(&scratch, &["config", "check"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    for policy in policies {
        let file = scratch.join("etc/policies").join(policy.file_name().unwrap());
        assert!(file.exists());
        let outcome = only1mcp(&scratch, &["policy", "check", &file.display().to_string()]);
        assert_eq!(outcome.code, 0, "{}: {outcome:?}", file.display());
    }
}

#[test]
fn the_embedded_default_passes_too() {
    let outcome = run::run(&mut command(&Scratch::new(), &["config", "check", "--config", "builtin"]));
    assert_eq!(outcome.code, 0, "{outcome:?}");
}

#[test]
fn show_prints_a_configuration_that_check_accepts_without_any_secret() {
    let scratch = copied(&programs::checkout().join("packaging/examples"));
    let outcome = only1mcp(&scratch, &["config", "show"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    for word in ["id: probe", "id: notes", "listen: 127.0.0.1:8080"] {
        assert!(outcome.stdout.contains(word), "{word} is not in\n{}", outcome.stdout);
    }
    let value = "s3cret-value-in-the-environment";
    let fixture = programs::fixture();
    let text = format!(
        "servers:\n  - id: a\n    command: {fixture}\n    policy: native\n    env: {{API_TOKEN: {value}}}\n"
    );
    scratch.write("etc/config.yaml", &text);
    let shown = only1mcp(&scratch, &["config", "show"]);
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(shown.stdout.contains("API_TOKEN") && !shown.stdout.contains(value), "{}", shown.stdout);
}

#[test]
fn toml_says_the_same_as_yaml() {
    let scratch = Scratch::new();
    let fixture = programs::fixture();
    let toml = format!("[[servers]]\nid = \"a\"\ncommand = \"{fixture}\"\npolicy = \"native\"\n");
    let yaml = format!("servers:\n  - id: a\n    command: {fixture}\n    policy: native\n");
    let shown = |name: &str, text: &str| {
        let file = scratch.write(name, text).display().to_string();
        let outcome = run::run(&mut command(&scratch, &["config", "show", "--config", &file]));
        assert_eq!(outcome.code, 0, "{outcome:?}");
        outcome.stdout.replace(&file, "FILE")
    };
    assert_eq!(shown("one.toml", &toml), shown("two.yaml", &yaml));
}

#[test]
fn the_schema_is_json_schema_and_knows_the_keys() {
    let outcome = run::run(&mut command(&Scratch::new(), &["config", "schema"]));
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let schema: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert!(schema["$schema"].as_str().is_some_and(|uri| uri.contains("json-schema.org")), "{schema:#}");
    for key in ["servers", "proxy", "startup_timeout", "policy"] {
        assert!(outcome.stdout.contains(&format!("\"{key}\"")), "{key} is not in the schema");
    }
}

#[test]
fn findings_as_json_say_what_the_text_says() {
    let scratch = Scratch::new();
    scratch.write("etc/config.yaml", "servers:\n  - id: UPPER\n    command: /bin/true\n    policy: native\n");
    let outcome = only1mcp(&scratch, &["config", "check", "--json"]);
    assert_eq!(outcome.code, 65, "{outcome:?}");
    let findings: Value =
        serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:?}"));
    let first = &findings[0];
    assert_eq!(
        (&first["severity"], &first["line"], &first["column"]),
        (&"error".into(), &2.into(), &9.into()),
        "{findings}"
    );
    assert!(
        first["message"].is_string() && first["help"].is_string() && first["file"].is_string(),
        "{findings}"
    );
}

#[test]
fn explain_tells_files_calls_network_limits_and_what_is_executed() {
    let scratch = Scratch::new();
    let code = scratch.write("code/server.py", "#!/usr/bin/env python3\n");
    harness::scratch::set_mode(&code, 0o755);
    let notes = scratch.folder("notes", 0o755).display().to_string();
    let text = format!(
        "servers:\n  - id: a\n    command: {}\n    policy: {{extends: python, filesystem: {{read: [{notes}]}}}}\n",
        code.display()
    );
    scratch.write("etc/config.yaml", &text);
    let outcome = only1mcp(&scratch, &["policy", "explain", "a"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let lower = outcome.stdout.to_lowercase();
    for word in [notes.as_str(), "/usr", "landlock", "network", "none", "memory", "python3", "server.py"] {
        assert!(lower.contains(&word.to_lowercase()), "{word} is not in\n{}", outcome.stdout);
    }
    let json = only1mcp(&scratch, &["policy", "explain", "a", "--json"]);
    assert_eq!(json.code, 0, "{json:?}");
    assert!(
        serde_json::from_str::<Value>(&json.stdout).is_ok_and(|value| value.is_object()),
        "{}",
        json.stdout
    );
    let nobody = only1mcp(&scratch, &["policy", "explain", "nobody"]);
    assert_ne!(nobody.code, 0);
    assert!(nobody.stderr.contains("nobody"), "{nobody:?}");
}

#[test]
fn wrong_usage_is_exit_code_64_and_help_is_0() {
    let code = |words: &[&str]| run::run(&mut command(&Scratch::new(), words)).code;
    assert_eq!(code(&[]), 64);
    assert_eq!(code(&["strat"]), 64);
    assert_eq!(code(&["start", "--no-such-flag"]), 64);
    assert_eq!(code(&["policy", "explain"]), 64);
    for words in [
        &["--help"][..],
        &["--version"],
        &["start", "--help"],
        &["policy", "--help"],
        &["config", "check", "-h"],
    ] {
        assert_eq!(code(words), 0, "{words:?}");
    }
}

#[test]
fn a_configuration_that_is_not_there_is_told_by_its_path() {
    let outcome =
        run::run(&mut command(&Scratch::new(), &["config", "check", "--config", "/nonexistent/config.yaml"]));
    assert_ne!(outcome.code, 0);
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(said.contains("/nonexistent/config.yaml"), "{said}");
}
