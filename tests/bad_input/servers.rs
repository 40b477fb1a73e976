//! Servers that break the rules. Each stands beside a good one, which must not notice.

use harness::configuration::Configuration;
use harness::daemon::Daemon;
use harness::http::Stream;
use harness::mcp::{LEGACY, message};
use harness::parts;
use serde_json::{Value, json};
use std::time::Duration;

fn beside_a_good_one(arguments: &str, more: &str) -> Daemon {
    Daemon::start(&Configuration::new().fixture_with("bad", arguments, more).fixture("good", ""))
}

fn good_one_works(daemon: &Daemon) {
    assert_eq!(
        daemon.endpoint().call_text("good__echo", &json!({"text": "fine"})),
        "fine",
        "{}",
        daemon.story()
    );
}

/// The error of a call that must fail as a JSON-RPC error naming the server.
fn error(daemon: &Daemon, tool: &str) -> String {
    let answer = daemon.endpoint().call(&format!("bad__{tool}"), &json!({"text": "x"})).json();
    let text = answer["error"]["message"].as_str().unwrap_or_else(|| panic!("no error: {answer}"));
    assert!(text.contains("bad"), "the message names the server: {text}");
    text.to_owned()
}

#[test]
fn lines_that_are_no_json_are_skipped_and_told_in_the_log() {
    let daemon = beside_a_good_one("--junk", "");
    assert_eq!(
        daemon.endpoint().call_text("bad__echo", &json!({"text": "through the junk"})),
        "through the junk"
    );
    assert!(daemon.log().contains("bad"), "the log names the server that prints junk: {}", daemon.log());
    good_one_works(&daemon);
}

#[test]
fn answers_to_requests_nobody_made_are_dropped() {
    let daemon = beside_a_good_one("--unknown-id", "");
    assert_eq!(daemon.endpoint().call_text("bad__echo", &json!({"text": "mine"})), "mine");
    good_one_works(&daemon);
}

#[test]
fn a_server_that_floods_without_a_newline_is_stopped_and_comes_back() {
    let daemon = beside_a_good_one("--flood", "");
    let text = error(&daemon, "echo");
    println!("flood: {text}");
    good_one_works(&daemon);
    daemon.wait_for("bad", "ready");
    assert!(daemon.server_status("bad")["restarts"].as_u64() >= Some(1), "{:#}", daemon.status());
}

#[test]
fn a_server_that_closes_its_output_is_stopped_and_comes_back() {
    let daemon = beside_a_good_one("--close-stdout", "");
    println!("closed output: {}", error(&daemon, "echo"));
    good_one_works(&daemon);
    daemon.wait_for("bad", "ready");
}

#[test]
fn a_server_that_never_answers_fails_after_its_startup_time() {
    let daemon = beside_a_good_one("--silent", "startup_timeout: 1s");
    good_one_works(&daemon);
    let status = daemon.server_status("bad");
    assert_eq!(status["state"], "failed", "{status:#}");
    let text = status["last_error"].as_str().unwrap_or_default();
    assert!(text.contains("1 s") || text.contains("1s"), "it names the time that passed: {status:#}");
    println!("silent: {text}\n{}", error(&daemon, "echo"));
}

#[test]
fn a_call_that_never_ends_is_given_up_after_its_request_time() {
    let daemon = beside_a_good_one("", "request_timeout: 1s");
    let text = error(&daemon, "hang");
    assert!(text.contains("1 s") || text.contains("1s"), "it names the time that passed: {text}");
    assert_eq!(daemon.endpoint().call_text("bad__echo", &json!({"text": "again"})), "again");
    good_one_works(&daemon);
}

#[test]
fn a_server_that_dies_at_start_is_told_with_its_last_words() {
    let daemon = beside_a_good_one("--die-at-start", "");
    good_one_works(&daemon);
    let status = daemon.server_status("bad");
    assert_eq!(status["state"], "failed", "{status:#}");
    let text = status["last_error"].as_str().unwrap_or_default();
    assert!(text.contains('3'), "it names the exit code: {text}");
    let told = text.contains("the moon is in the wrong house")
        || daemon.log().contains("the moon is in the wrong house");
    assert!(told, "its last words are told: {}", daemon.story());
    println!("dies at start: {text}\n{}", error(&daemon, "echo"));
}

#[test]
fn a_call_whose_server_crashes_ends_with_an_error_that_says_the_outcome_is_unknown() {
    let daemon = beside_a_good_one("", "");
    let text = error(&daemon, "crash");
    assert!(text.contains("unknown"), "{text}");
    assert_eq!(
        daemon.endpoint().call_text("bad__echo", &json!({"text": "back"})),
        "back",
        "the next call works"
    );
    good_one_works(&daemon);
}

/// What a legacy client hears during one call, its answer last. It answers nothing it is asked.
fn heard_during_a_call(daemon: &Daemon) -> Vec<Value> {
    let able = json!({"elicitation": {}, "roots": {}, "sampling": {}});
    let session = daemon.endpoint().legacy_able(LEGACY, &able);
    let body = message(9, "tools/call", &json!({"name": "bad__echo", "arguments": {"text": "mine"}}));
    let request = session.bytes("POST", body.to_string().as_bytes());
    let mut stream = Stream::open(&session.endpoint.address, &request).unwrap();
    if stream.response.header("content-type") == Some("application/json") {
        // Nothing was asked.
        return vec![session.call("bad__echo", &json!({"text": "mine"})).json()];
    }
    let mut heard = Vec::new();
    while let Some(message) = stream.next(Duration::from_secs(20)) {
        heard.push(message);
        if heard.last().is_some_and(|message| message["id"] == 9 && message.get("method").is_none()) {
            break;
        }
    }
    heard
}

#[test]
fn a_server_that_asks_without_measure_or_sense_gets_no_further_than_its_bounds() {
    for (arguments, questions_max) in [("--ask-much", 64), ("--ask-unbidden", 64), ("--ask-strangely", 3)] {
        for scope in ["scope: session", "scope: shared"] {
            let daemon = beside_a_good_one(&format!("--era legacy {arguments}"), scope);
            let heard = heard_during_a_call(&daemon);
            let answer = heard.last().unwrap_or_else(|| panic!("no answer: {}", daemon.story()));
            assert_eq!(answer["result"]["content"][0]["text"], "mine", "{arguments}: {answer}");
            let questions: Vec<&Value> =
                heard.iter().filter(|message| message["method"] == "elicitation/create").collect();
            println!("{arguments}, {scope}: {} questions reached the client", questions.len());
            assert!(questions.len() <= questions_max, "{arguments}: {} questions", questions.len());
            let foreign = |message: &&Value| {
                !matches!(
                    message["method"].as_str(),
                    None | Some("elicitation/create" | "roots/list" | "notifications/cancelled")
                )
            };
            assert_eq!(heard.iter().find(foreign), None, "what no client can be asked is passed on");
            assert_eq!(daemon.server_status("bad")["restarts"], 0, "{:#}", daemon.server_status("bad"));
            good_one_works(&daemon);
        }
    }
}

#[test]
fn a_real_server_with_the_wrong_library_is_told_with_the_error_of_its_interpreter() {
    let command = parts::part("broken/bin/mcp-server-sqlite").display().to_string();
    let configuration = Configuration::new();
    let configuration = configuration.server("bad", &command, &["--db-path", "/tmp/x.db"], "python", "");
    let daemon = Daemon::start(&configuration.fixture("good", ""));
    good_one_works(&daemon);
    let status = daemon.server_status("bad");
    assert_eq!(status["state"], "failed", "{status:#}");
    let told = |text: &str| text.contains("AttributeError");
    assert!(told(&status["last_error"].to_string()) || told(&daemon.log()), "{}", daemon.story());
}

#[test]
fn a_tool_that_the_policy_denies_is_neither_listed_nor_called() {
    let configuration = Configuration::new();
    let folder = harness::programs::folder().display().to_string();
    let policy = format!(
        "{{extends: native, filesystem: {{read: [{folder}]}}, tools: {{allow: ['*'], deny: [crash, 'extra_*']}}}}"
    );
    let fixture = harness::programs::fixture();
    let daemon = Daemon::start(&configuration.server("good", &fixture, &["--extra-tools", "3"], &policy, ""));
    let tools = daemon.endpoint().modern("tools/list", &json!({})).json();
    let names: Vec<&str> = tools["result"]["tools"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|tool| tool["name"].as_str())
        .collect();
    assert!(names.contains(&"good__echo") && !names.contains(&"good__crash"), "{names:?}");
    assert!(!names.iter().any(|name| name.contains("extra_")), "{names:?}");
    let answer: Value = daemon.endpoint().call("good__crash", &json!({})).json();
    let text = answer["error"]["message"].as_str().unwrap_or_else(|| panic!("not refused: {answer}"));
    assert!(text.contains("crash") && text.contains("polic"), "{text}");
    good_one_works(&daemon);
}
