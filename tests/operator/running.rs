//! `start`, `status`, `call` and `doctor` with a running daemon, and without one.

use harness::configuration::Configuration;
use harness::daemon::{Daemon, clean, command, places};
use harness::processes::wait_until;
use harness::run;
use harness::scratch::Scratch;
use serde_json::Value;
use std::time::Duration;

#[test]
fn the_start_screen_says_where_what_and_what_next() {
    let daemon = Daemon::start_in(Scratch::new(), &[]);
    let whole = wait_until(Duration::from_secs(20), || daemon.printed().contains("\nNext: "));
    let printed = daemon.printed();
    assert!(whole, "no start screen:\n{printed}\n{}", daemon.log());
    let address = daemon.endpoint().address;
    for word in [format!("http://{address}/mcp").as_str(), "probe", "notes", "only1mcp ", "mcpServers"] {
        assert!(printed.contains(word), "{word} is not on the start screen:\n{printed}\n{}", daemon.log());
    }
    assert!(!printed.contains('\u{1b}'), "no colour where there is no terminal:\n{printed}");
    let token = daemon.token();
    assert!(
        !printed.contains(&token),
        "only a person at a terminal may see the token:
{printed}"
    );
    assert!(!daemon.log().contains(&token), "the token is in the log");
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn at_a_terminal_the_snippet_is_ready_to_use() {
    let scratch = Scratch::new();
    scratch.folder("home", 0o755);
    let places = places(&scratch).join(" ");
    let program = harness::programs::program("only1mcp").display().to_string();
    let line = format!("timeout -s TERM 5 {program} start --listen 127.0.0.1:0 {places}");
    let mut terminal = std::process::Command::new("script");
    clean(&mut terminal, &scratch.join("home").display().to_string());
    let outcome = run::run(terminal.args(["-qec", &line, "/dev/null"]));
    let token = std::fs::read_to_string(scratch.join("state/token")).unwrap();
    assert_eq!(outcome.stdout.contains(token.trim()), harness::is_root(), "{outcome:?}");
}

#[test]
fn status_shows_each_server_with_its_walls() {
    let daemon = Daemon::start(&Configuration::new().fixture("one", "").fixture("dead", "--die-at-start"));
    let outcome = run::run(&mut daemon.command(&["status"]));
    assert_eq!(outcome.code, 0, "{outcome:?}");
    for word in ["one", "ready", "dead", "failed"] {
        assert!(outcome.stdout.contains(word), "{word} is not in\n{}", outcome.stdout);
    }
    let json = run::run(&mut daemon.command(&["status", "--json"]));
    let status: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["mode"], if harness::is_root() { "root" } else { "user" });
    let one = &status["servers"][0];
    assert_eq!(
        (&one["id"], &one["state"], &one["tools"]),
        (&"one".into(), &"ready".into(), &15.into()),
        "{one:#}"
    );
    assert!(one["digest"].as_str().is_some_and(|digest| digest.len() == 64), "{one:#}");
}

#[test]
fn context_counts_what_the_daemon_lists_and_says_which_view_fits() {
    let daemon = Daemon::start(&Configuration::new().fixture("one", ""));
    let outcome = run::run(&mut daemon.command(&["context"]));
    assert_eq!(outcome.code, 0, "{outcome:?}");
    for word in ["one ", "(own tools)", "Biggest tools:", "  one__", "Recommendation: Keep `full`: "] {
        assert!(outcome.stdout.contains(word), "{word} is not in\n{}", outcome.stdout);
    }
    let json = run::run(&mut daemon.command(&["context", "--json"]));
    let report: Value = serde_json::from_str(&json.stdout).unwrap();
    let one = &report["servers"][0];
    assert_eq!((&one["id"], one["tools"].as_array().map(Vec::len)), (&"one".into(), Some(15)), "{one:#}");
    assert!(one["views"]["full"]["o200k"].as_u64() > Some(100), "{one:#}");
    assert!(report["own"]["search"]["o200k"].as_u64() > Some(100), "{report:#}");
}

#[test]
fn call_prints_the_text_of_one_call_and_fails_as_the_tool_fails() {
    let daemon = Daemon::start(&Configuration::new().fixture("one", ""));
    let call = |tool: &str, arguments: &str| run::run(&mut daemon.command(&["call", tool, arguments]));
    let said = call("one.echo", r#"{"text": "hello"}"#);
    assert_eq!((said.code, said.stdout.trim_end()), (0, "hello"), "{said:?}");
    let failed = call("one.fail", "{}");
    assert_eq!(failed.code, 1, "{failed:?}");
    let unknown = call("one.nothing", "{}");
    assert_ne!(unknown.code, 0);
    assert!(unknown.stderr.contains("nothing"), "{unknown:?}");
    let broken = call("one.echo", "{");
    assert_eq!(broken.code, 65, "{broken:?}");
    let nameless = call("echo", "{}");
    assert!(nameless.code == 0 || nameless.stderr.contains("echo"), "{nameless:?}");
}

#[test]
fn without_a_daemon_status_and_call_say_so_and_what_to_do() {
    let scratch = Scratch::new();
    for words in [&["status"][..], &["context"], &["call", "one.echo"]] {
        let outcome = run::run(command(&scratch, words).args(places(&scratch)));
        assert_eq!(outcome.code, 69, "{words:?}: {outcome:?}");
        assert!(outcome.stderr.contains("only1mcp start"), "{words:?}: {outcome:?}");
    }
}

#[test]
fn doctor_finds_that_this_machine_has_the_walls() {
    let outcome = run::run(&mut command(&Scratch::new(), &["doctor"]));
    assert_eq!(outcome.code, 0, "{outcome:?}");
    for word in ["namespaces", "Landlock"] {
        assert!(outcome.stdout.contains(word), "{word} is not in\n{}", outcome.stdout);
    }
    let json = run::run(&mut command(&Scratch::new(), &["doctor", "--json"]));
    assert!(serde_json::from_str::<Value>(&json.stdout).is_ok(), "{json:?}");
}
