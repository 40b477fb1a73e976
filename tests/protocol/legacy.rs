//! Clients of 2025-11-25 and earlier: a handshake, then a session.

use crate::{SERVERS, both_eras};
use harness::mcp::{LEGACY, Session, message};
use harness::processes::wait_until;
use serde_json::{Value, json};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(10);

fn result(session: &Session, method: &str, params: &Value) -> Value {
    let response = session.request(5, method, params);
    assert_eq!(response.status, 200, "{method}: {response:?}");
    let answer = response.json();
    assert!(answer["result"].is_object(), "{method}: {answer}");
    for modern in ["resultType", "ttlMs", "cacheScope"] {
        assert!(answer["result"].get(modern).is_none(), "{modern} is not a word of the past: {answer}");
    }
    answer["result"].clone()
}

fn text(session: &Session, tool: &str, arguments: &Value) -> String {
    let found = result(session, "tools/call", &json!({"name": tool, "arguments": arguments}));
    found["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text: {found}")).to_owned()
}

#[test]
fn each_revision_is_spoken_as_asked_and_an_unknown_one_is_answered_with_the_newest() {
    let daemon = both_eras();
    for version in ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"] {
        let session = daemon.endpoint().legacy_version(version);
        assert_eq!(session.initialized["result"]["protocolVersion"], version);
        assert!(
            result(&session, "tools/list", &json!({}))["tools"].as_array().is_some_and(|all| all.len() > 20)
        );
    }
    let session = daemon.endpoint().legacy_version("1999-01-01");
    assert_eq!(session.initialized["result"]["protocolVersion"], LEGACY);
}

#[test]
fn a_session_begins_lives_and_ends() {
    let daemon = both_eras();
    let session = daemon.endpoint().legacy();
    assert!(
        session.id.len() >= 20 && session.id.bytes().all(|byte| (0x21..=0x7e).contains(&byte)),
        "{}",
        session.id
    );
    assert_ne!(session.id, daemon.endpoint().legacy().id);
    assert_eq!(result(&session, "ping", &json!({})), json!({}));
    let mut lost = session.clone();
    lost.id = "0123456789abcdef0123456789abcdef".to_owned();
    assert_eq!(lost.request(1, "ping", &json!({})).status, 404, "an unknown session is not found");
    let without = daemon.endpoint().send(&[], &message(1, "tools/list", &json!({})));
    assert_eq!(without.status, 400, "a session id is needed: {without:?}");
    let ended = session.bare("DELETE");
    assert!(matches!(ended.status, 200 | 202 | 204), "{ended:?}");
    assert_eq!(session.request(1, "ping", &json!({})).status, 404, "an ended session is not found");
}

#[test]
fn calls_work_at_servers_of_either_era() {
    let daemon = both_eras();
    let aggregate = daemon.endpoint().legacy();
    for server in SERVERS {
        assert_eq!(text(&aggregate, &format!("{server}__add"), &json!({"a": 1, "b": 2})), "3");
        let own = daemon.endpoint().server(server).legacy();
        assert_eq!(text(&own, "echo", &json!({"text": "hello"})), "hello");
        let listed = result(&own, "tools/list", &json!({}));
        assert!(listed["tools"].as_array().unwrap().iter().any(|tool| tool["name"] == "echo"));
        assert_eq!(result(&own, "logging/setLevel", &json!({"level": "info"})), json!({}));
        let read = result(&own, "resources/read", &json!({"uri": "test://static-text"}));
        assert!(read["contents"][0]["text"].is_string());
        let prompt = result(&own, "prompts/get", &json!({"name": "test_simple_prompt"}));
        assert_eq!(prompt["messages"][0]["content"]["text"], "This is a simple prompt for testing.");
    }
    assert_eq!(text(&aggregate, "old__add", &json!({"a": 1, "b": 1})), "2");
}

#[test]
fn clients_with_the_same_ids_get_their_own_answers() {
    let daemon = both_eras();
    let sessions: Vec<Session> = (0..6).map(|_| daemon.endpoint().legacy()).collect();
    std::thread::scope(|scope| {
        for (number, session) in sessions.iter().enumerate() {
            scope.spawn(move || {
                for round in 0..20 {
                    let (server, said) = (SERVERS[round % 2], format!("client {number}, round {round}"));
                    assert_eq!(text(session, &format!("{server}__echo"), &json!({"text": said})), said);
                }
            });
        }
    });
}

#[test]
fn progress_and_cancellation_work_at_servers_of_either_era() {
    let daemon = both_eras();
    for server in SERVERS {
        let session = daemon.endpoint().server(server).legacy();
        let params = json!({"name": "progress", "arguments": {"steps": 2}, "_meta": {"progressToken": 77}});
        let messages = session.request(9, "tools/call", &params).messages();
        let progress = messages.iter().filter(|message| message["method"] == "notifications/progress");
        let steps: Vec<(&Value, &Value)> = progress
            .map(|message| (&message["params"]["progressToken"], &message["params"]["progress"]))
            .collect();
        assert_eq!(steps, [(&json!(77), &json!(1)), (&json!(77), &json!(2))], "{messages:?}");

        std::thread::scope(|scope| {
            let slow = json!({"name": "slow", "arguments": {"milliseconds": 30000}});
            let caller = session.clone();
            let waiting = scope.spawn(move || caller.request(11, "tools/call", &slow));
            std::thread::sleep(Duration::from_millis(300));
            let cancel =
                json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 11}});
            assert_eq!(session.post(&cancel).status, 202);
            let seen = wait_until(SOON, || text(&session, "cancellations", &json!({})) == "slow");
            assert!(seen, "the {server} server heard of no cancellation");
            drop(waiting.join());
        });
    }
}

#[test]
fn the_sessions_own_stream_tells_of_changed_lists_and_subscribed_resources() {
    let daemon = both_eras();
    for server in SERVERS {
        let session = daemon.endpoint().server(server).legacy();
        let mut stream = session.stream();
        assert_eq!(stream.response.status, 200, "{:?}", stream.response);
        assert_eq!(
            result(&session, "resources/subscribe", &json!({"uri": "test://watched-resource"})),
            json!({})
        );
        for (tool, method) in [
            ("touch_resource", "notifications/resources/updated"),
            ("change_tools", "notifications/tools/list_changed"),
        ] {
            let _ = text(&session, tool, &json!({}));
            // A server's first list may be told of as a change, too, if it came after the stream.
            let heard = std::iter::from_fn(|| stream.next(SOON)).find(|heard| heard["method"] == method);
            assert!(heard.is_some(), "{server}: no {method} after {tool}");
        }
    }
}

#[test]
fn batches_belong_to_one_revision_only() {
    let daemon = both_eras();
    let batch = json!([message(1, "ping", &json!({})), message(2, "tools/list", &json!({}))]);
    let session = daemon.endpoint().legacy_version("2025-03-26");
    let response = session.post(&batch);
    assert_eq!(response.status, 200, "{response:?}");
    assert!(response.body.contains("\"id\":1") && response.body.contains("\"id\":2"), "{response:?}");
    let newer = daemon.endpoint().legacy().post(&batch);
    assert_eq!(newer.status, 400, "{newer:?}");
}
