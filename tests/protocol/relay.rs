//! `only1mcp stdio`: one client on standard input and output.

use crate::{SERVERS, both_eras};
use harness::daemon::{Daemon, Role};
use harness::mcp::{message, modern_meta};
use harness::processes::wait_until;
use harness::relay::Relay;
use serde_json::{Value, json};
use std::time::Duration;

/// Well below the time that requests of a client which only closed its sending side may go on.
const SOON: Duration = Duration::from_secs(5);
const WATCHED: &str = "test://watched-resource";

fn legacy(daemon: &Daemon, version: &str) -> Relay {
    Relay::legacy(daemon, version, &json!({}))
}

#[test]
fn a_legacy_client_works_over_the_relay() {
    let daemon = both_eras();
    let mut relay = legacy(&daemon, "2025-11-25");
    for (id, server) in (2..).zip(SERVERS) {
        let call = json!({"name": format!("{server}__echo"), "arguments": {"text": server}});
        relay.send(&message(id, "tools/call", &call));
        assert_eq!(relay.answer(id)["result"]["content"][0]["text"], server);
    }
    drop(relay.stdin);
    let code = harness::run::wait(&mut relay.child, std::time::Duration::from_secs(10));
    assert_eq!(code, Some(0), "the relay ends with its client");
}

#[test]
fn a_modern_client_works_over_the_relay() {
    let daemon = both_eras();
    let mut relay = Relay::start(&daemon);
    relay.send(&message(1, "server/discover", &json!({"_meta": modern_meta()})));
    assert_eq!(relay.answer(1)["result"]["resultType"], "complete");
    relay.send(&message(2, "tools/list", &json!({"_meta": modern_meta()})));
    assert!(relay.answer(2)["result"]["tools"].as_array().is_some_and(|tools| tools.len() > 20));
    let call = json!({"name": "new__add", "arguments": {"a": 20, "b": 22}, "_meta": modern_meta()});
    relay.send(&message(3, "tools/call", &call));
    assert_eq!(relay.answer(3)["result"]["content"][0]["text"], "42");
    relay.kill();
}

/// A tool call of either era.
fn call(id: u64, tool: &str, arguments: &Value, modern: bool) -> Value {
    let mut params = json!({"name": tool, "arguments": arguments, "_meta": {}});
    if modern {
        params["_meta"] = modern_meta();
    }
    message(id, "tools/call", &params)
}

#[test]
fn three_relays_at_once_get_what_is_theirs_in_both_eras() {
    let daemon = both_eras();
    let relays = [
        (legacy(&daemon, "2025-11-25"), false),
        (legacy(&daemon, "2025-03-26"), false),
        (Relay::start(&daemon), true),
    ];
    std::thread::scope(|scope| {
        for (number, (mut relay, modern)) in relays.into_iter().enumerate() {
            scope.spawn(move || {
                // The same ids in each relay; all under way before the first answer is read.
                let said = |id: u64| format!("relay {number}, call {id}");
                for id in 10..40 {
                    let tool = format!("{}__echo", SERVERS[(id % 2) as usize]);
                    relay.send(&call(id, &tool, &json!({"text": said(id)}), modern));
                }
                let mut all = std::collections::BTreeMap::new();
                while all.len() < 30 {
                    let answer = relay.hear();
                    if let Some(id) = answer["id"].as_u64() {
                        assert!(all.insert(id, answer).is_none(), "{id} was answered twice");
                    }
                }
                for (id, answer) in &all {
                    assert_eq!(answer["result"]["content"][0]["text"], said(*id), "{answer}");
                }
                let mut progress = call(50, "old__progress", &json!({"steps": 3}), modern);
                progress["params"]["_meta"]["progressToken"] = json!("mine");
                relay.send(&progress);
                let mut heard = 0;
                loop {
                    let said = relay.hear();
                    heard += usize::from(said["method"] == "notifications/progress");
                    if said["id"] == 50 {
                        break;
                    }
                }
                assert_eq!(heard, 3, "progress of the other relays is theirs");
                relay.kill();
            });
        }
    });
}

#[test]
fn a_relay_that_is_killed_leaves_nothing() {
    let daemon = both_eras();
    let proxy = daemon.role(Role::Proxy).expect("a proxy").pid;
    let descriptors = || std::fs::read_dir(format!("/proc/{proxy}/fd")).map_or(0, Iterator::count);
    let tool = |server: &str, tool: &str| daemon.endpoint().server(server).call_text(tool, &json!({}));
    let mut bystander = legacy(&daemon, "2025-11-25");
    bystander.send(&call(2, "old__echo", &json!({"text": "x"}), false));
    let _ = bystander.answer(2);
    let before = descriptors();

    let mut legacy = legacy(&daemon, "2025-11-25");
    legacy.send(&message(2, "resources/subscribe", &json!({"uri": WATCHED})));
    assert!(legacy.answer(2)["result"].is_object());
    let mut modern = Relay::start(&daemon);
    let filter = json!({"resourceSubscriptions": [WATCHED], "toolsListChanged": true});
    let listen = json!({"notifications": filter, "_meta": modern_meta()});
    modern.send(&message(2, "subscriptions/listen", &listen));
    // Its acknowledgement: it listens.
    let heard = modern.hear();
    assert_eq!(heard["method"], "notifications/subscriptions/acknowledged", "{heard}");
    let watched = |server: &str| tool(server, "subscriptions") == WATCHED;
    let watches = wait_until(SOON, || SERVERS.iter().any(|server| watched(server)));
    assert!(watches, "nobody watches, so this would prove little");
    let slow = json!({"milliseconds": 60_000});
    for server in SERVERS {
        legacy.send(&call(3, &format!("{server}__slow"), &slow, false));
        modern.send(&call(4, &format!("{server}__slow"), &slow, true));
        assert!(wait_until(SOON, || tool(server, "running") == "2"), "{server} has not got both calls");
        assert_eq!(tool(server, "cancellations"), "");
    }

    for relay in [&mut legacy, &mut modern] {
        relay.kill();
    }
    for server in SERVERS {
        let cancelled = wait_until(SOON, || tool(server, "cancellations") == "slow,slow");
        assert!(cancelled, "calls at {server} go on: {:?}", tool(server, "cancellations"));
        assert!(wait_until(SOON, || tool(server, "subscriptions").is_empty()), "{server} is still watched");
    }
    assert!(wait_until(SOON, || descriptors() <= before), "{} descriptors, before {before}", descriptors());
    bystander.send(&call(9, "new__echo", &json!({"text": "still here"}), false));
    assert_eq!(bystander.answer(9)["result"]["content"][0]["text"], "still here");
    bystander.kill();
}
