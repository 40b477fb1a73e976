//! Servers that die, hang, or do not start.

use crate::core::scripted::{Bench, Fixture, Script, script};
use crate::exchange::Era::{Legacy, Modern};
use crate::exchange::Exchange as _;
use crate::mcp::error::{CANCELLED, OUTCOME_UNKNOWN, SERVER_UNAVAILABLE, TIMED_OUT};
use only1mcp_wire::Exit;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;

/// Answers the greeting and the lists, then dies of the first message with this method, once.
fn dies_once_of(method: &'static str) -> (Fixture, Script) {
    let fixture = Fixture::new(Legacy);
    let inner = fixture.clone();
    let dying = script(move |mut wire| {
        let inner = inner.clone();
        async move {
            if wire.process > 1 {
                return inner.script()(wire).await;
            }
            while let Some(message) = wire.read().await {
                let result = match message["method"].as_str() {
                    Some("initialize") => {
                        json!({"protocolVersion": "2025-11-25", "capabilities": {"resources": {}}})
                    }
                    Some("resources/list") => json!({"resources": inner.resources}),
                    Some("resources/templates/list") => json!({"resourceTemplates": []}),
                    Some(heard) if heard == method => return Exit::Signal(11),
                    _ if message.get("id").is_some() => {
                        wire.error(&message, -32601, "no").await;
                        continue;
                    }
                    _ => continue,
                };
                wire.result(&message, &result).await;
            }
            Exit::Status(0)
        }
    });
    (fixture, dying)
}

#[tokio::test(start_paused = true)]
async fn a_call_in_the_hands_of_a_dying_server_is_not_repeated_and_the_next_succeeds() {
    let fixture = Fixture::new(Legacy);
    let bench = Bench::start(&[("one", fixture.script())]).await;
    let died = bench.ask("one", Legacy, "tools/call", json!({"name": "die"})).await;
    assert_eq!(died["error"]["code"], OUTCOME_UNKNOWN);
    assert!(died["error"]["message"].as_str().unwrap().contains("outcome is unknown"), "{died}");
    let next = bench.ask("one", Legacy, "tools/call", json!({"name": "echo"})).await;
    assert!(next["result"].is_object(), "{next}");
    assert_eq!(fixture.heard("tools/call").len(), 2, "the dying call was heard once");
    let status = bench.core.status();
    assert_eq!(status.servers[0].restarts, 1);
    assert!(status.servers[0].last_error.as_ref().unwrap().contains("signal 11"));
}

#[tokio::test(start_paused = true)]
async fn a_read_in_the_hands_of_a_dying_server_is_repeated() {
    let (fixture, dying) = dies_once_of("resources/read");
    let bench = Bench::start(&[("one", dying)]).await;
    let read = bench.ask("", Legacy, "resources/read", json!({"uri": "test://static"})).await;
    assert_eq!(read["result"]["contents"][0]["text"], "content", "{read}");
    assert_eq!(fixture.heard("resources/read").len(), 1);
    assert_eq!(bench.launcher.spawns("one"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_over_its_memory_limit_says_so_to_its_caller_and_in_status() {
    let fixture = Fixture::new(Legacy);
    let hungry = script(move |mut wire| {
        let inner = fixture.clone();
        async move {
            while let Some(message) = wire.read().await {
                if message["method"] == "tools/call" {
                    return Exit::OutOfMemory { limit_bytes: 512 << 20 };
                }
                inner.hear(&mut wire, message).await;
            }
            Exit::Status(0)
        }
    });
    let bench = Bench::start(&[("files", hungry)]).await;
    let call = json!({"name": "echo", "arguments": {}});
    let answer = bench.ask("files", Legacy, "tools/call", call).await;
    assert_eq!(answer["error"]["code"], OUTCOME_UNKNOWN, "{answer}");
    let stopped = "server \"files\" was stopped: memory limit 512 MiB reached";
    let told = format!("{stopped}; it had this tools/call in its hands, so its outcome is unknown");
    assert_eq!(answer["error"]["message"], told);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(bench.core.status().servers[0].last_error.as_deref(), Some(stopped));
}

#[tokio::test(start_paused = true)]
async fn of_two_calls_only_the_one_the_server_began_to_read_has_an_unknown_outcome() {
    let fixture = Fixture::new(Legacy);
    let inner = fixture.clone();
    let deaf = script(move |mut wire| {
        let inner = inner.clone();
        async move {
            while let Some(message) = wire.read().await {
                let is_last = wire.process == 1 && message["method"] == "resources/templates/list";
                inner.hear(&mut wire, message).await;
                if is_last {
                    // Reads nothing more, and dies.
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    return Exit::OutOfMemory { limit_bytes: 64 << 20 };
                }
            }
            Exit::Status(0)
        }
    });
    let bench = Bench::start(&[("one", deaf)]).await;
    let big = json!({"name": "echo", "arguments": {"fills the pipe": "x".repeat(400_000)}});
    let small = json!({"name": "echo", "arguments": {}});
    let (first, second) = tokio::join!(
        bench.ask("one", Legacy, "tools/call", big),
        bench.ask("one", Legacy, "tools/call", small)
    );
    assert_eq!(first["error"]["code"], OUTCOME_UNKNOWN);
    assert!(second["result"].is_object(), "{second}");
    assert_eq!(fixture.heard("tools/call").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_reading_but_goes_on_writing_is_started_again() {
    let fixture = Fixture::new(Legacy);
    let deaf = script(move |mut wire| {
        let inner = fixture.clone();
        async move {
            while let Some(message) = wire.read().await {
                let is_call = message["method"] == "tools/call";
                inner.hear(&mut wire, message).await;
                if is_call && wire.process == 1 {
                    wire.stop_reading();
                    return std::future::pending().await;
                }
            }
            Exit::Status(0)
        }
    });
    let bench = Bench::start(&[("one", deaf)]).await;
    let call = || bench.ask("one", Legacy, "tools/call", json!({"name": "pid"}));
    assert_eq!(call().await["result"]["content"][0]["text"], "1");
    let next = tokio::time::timeout(Duration::from_secs(3), call()).await.unwrap();
    assert_eq!(next["result"]["content"][0]["text"], "2", "{next}");
    let status = bench.core.status();
    assert!(status.servers[0].last_error.as_ref().unwrap().contains("closed its standard input"));
}

#[tokio::test(start_paused = true)]
async fn a_tool_of_a_server_that_never_ran_is_not_called_unknown() {
    let bench = Bench::start(&[("one", script(|_| async { Exit::Status(3) }))]).await;
    let answer = bench.ask("", Legacy, "tools/call", json!({"name": "one__echo"})).await;
    assert_eq!(answer["error"]["code"], SERVER_UNAVAILABLE);
}

#[tokio::test(start_paused = true)]
async fn the_era_is_found_out_once_per_plan() {
    let fixture = Fixture::new(Legacy);
    let bench = Bench::start(&[("one", fixture.script())]).await;
    bench.ask("one", Legacy, "tools/call", json!({"name": "die"})).await;
    bench.ask("one", Legacy, "tools/call", json!({"name": "echo"})).await;
    assert_eq!(fixture.heard("server/discover").len(), 1);
    assert_eq!(fixture.heard("initialize").len(), 2);
    let modern = Fixture::new(Modern);
    let bench = Bench::start(&[("one", modern.script())]).await;
    bench.ask("one", Legacy, "tools/call", json!({"name": "echo"})).await;
    assert!(modern.heard("initialize").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_server_silent_to_the_probe_gets_a_fresh_process_and_initialize_alone() {
    let fixture = Fixture::new(Legacy);
    let inner = fixture.clone();
    let locking = script(move |mut wire| {
        let inner = inner.clone();
        async move {
            if wire.process == 1 {
                while wire.read().await.is_some() {}
                return Exit::Status(0);
            }
            inner.script()(wire).await
        }
    });
    let bench = Bench::start(&[("one", locking)]).await;
    assert_eq!(bench.launcher.spawns("one"), 2);
    assert_eq!(fixture.heard.lock().unwrap()[0]["method"], "initialize");
    assert_eq!(bench.core.status().servers[0].state, "ready");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_dies_at_its_start_fails_with_its_last_words_and_is_tried_again() {
    let fixture = Fixture::new(Legacy);
    let late = script(move |mut wire| {
        let inner = fixture.script();
        async move {
            if wire.process < 4 {
                let _ = wire.err.write_all(b"no module named mcp\x1b[2J\n").await;
                tokio::time::sleep(Duration::from_millis(10)).await;
                return Exit::Status(1);
            }
            inner(wire).await
        }
    });
    let bench = Bench::start(&[("one", late)]).await;
    let refused = bench.ask("one", Legacy, "tools/call", json!({"name": "echo"})).await;
    let message = refused["error"]["message"].as_str().unwrap();
    assert_eq!(refused["error"]["code"], SERVER_UNAVAILABLE);
    assert!(message.contains("no module named mcp\\u{1b}[2J") && message.contains("status 1"), "{message}");
    tokio::time::sleep(Duration::from_secs(5)).await;
    let answer = bench.ask("one", Legacy, "tools/call", json!({"name": "echo"})).await;
    assert!(answer["result"].is_object(), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn lists_stay_while_a_server_is_ill() {
    let fixture = Fixture::new(Legacy);
    let ill = script(move |wire| {
        let inner = fixture.script();
        async move { if wire.process == 1 { inner(wire).await } else { std::future::pending().await } }
    });
    let bench = Bench::start(&[("one", ill)]).await;
    let before = bench.ask("", Legacy, "tools/list", json!({})).await;
    bench.ask("one", Legacy, "tools/call", json!({"name": "die"})).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(bench.core.status().servers[0].state, "restarting");
    assert_eq!(bench.ask("", Legacy, "tools/list", json!({})).await, before);
    let single = bench.ask("one", Modern, "tools/list", json!({})).await;
    assert_eq!(single["result"]["tools"].as_array().map(Vec::len), Some(9));
    assert_eq!(single["result"]["resultType"], "complete");
}

#[tokio::test(start_paused = true)]
async fn a_call_without_an_answer_times_out_and_the_server_is_told() {
    let fixture = Fixture::new(Legacy);
    let bench = Bench::start(&[("one", fixture.script())]).await;
    let before = tokio::time::Instant::now();
    let answer = bench.ask("one", Legacy, "tools/call", json!({"name": "hang"})).await;
    assert_eq!(answer["error"]["code"], TIMED_OUT);
    assert!((2000..2100).contains(&before.elapsed().as_millis()), "{:?}", before.elapsed());
    tokio::time::sleep(Duration::from_millis(1)).await;
    let call = &fixture.heard("tools/call")[0];
    assert_eq!(fixture.heard("notifications/cancelled")[0]["params"]["requestId"], call["id"]);
}

#[tokio::test(start_paused = true)]
async fn progress_extends_the_time_a_request_may_take() {
    let slow = script(|mut wire| async move {
        while let Some(message) = wire.read().await {
            match message["method"].as_str() {
                Some("initialize") => {
                    wire.result(&message, &json!({"protocolVersion": "2025-11-25", "capabilities": {}}))
                        .await;
                }
                Some("tools/call") => {
                    for progress in 0..5 {
                        tokio::time::sleep(Duration::from_millis(1500)).await;
                        let token = &message["params"]["_meta"]["progressToken"];
                        let params = json!({"progressToken": token, "progress": progress});
                        wire.notify("notifications/progress", &params).await;
                    }
                    wire.result(&message, &json!({"content": []})).await;
                }
                _ if message.get("id").is_some() => wire.error(&message, -32601, "no").await,
                _ => {}
            }
        }
        Exit::Status(0)
    });
    let bench = Bench::start(&[("one", slow)]).await;
    let params = json!({"name": "x", "_meta": {"progressToken": 1}});
    assert!(bench.ask("one", Legacy, "tools/call", params).await["result"].is_object());
    let silent = bench.ask("one", Legacy, "tools/call", json!({"name": "x"})).await;
    assert_eq!(silent["error"]["code"], TIMED_OUT);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_or_cancelled_request_is_cancelled_at_the_server() {
    for era in [Legacy, Modern] {
        let fixture = Fixture::new(era);
        let bench = Bench::start(&[("one", fixture.script())]).await;
        let body = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "hang"}})
            .to_string();
        let ask =
            |session| bench.raw(Bench::caller("one", Legacy, session), body.clone(), mpsc::channel(1).0);
        let dropped = tokio::time::timeout(Duration::from_millis(100), ask(None)).await;
        assert!(dropped.is_err());
        let cancel = |session, id: &str| {
            let body = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id.parse::<Value>().unwrap()}});
            bench.core.clone().notification(Bench::caller("one", Legacy, session), body.to_string().into())
        };
        let cancelling = async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            cancel(Some(6), "7").await;
            cancel(Some(5), "\"7\"").await;
            tokio::time::sleep(Duration::from_millis(10)).await;
            cancel(Some(5), "7").await;
        };
        let (answer, ()) = tokio::join!(ask(Some(5)), cancelling);
        assert_eq!(answer.error_code, Some(CANCELLED));
        tokio::time::sleep(Duration::from_millis(10)).await;
        let (calls, told) = (fixture.heard("tools/call"), fixture.heard("notifications/cancelled"));
        let ids = |messages: &[Value], get: fn(&Value) -> Value| messages.iter().map(get).collect::<Vec<_>>();
        assert_eq!(
            ids(&calls, |call| call["id"].clone()),
            ids(&told, |told| told["params"]["requestId"].clone())
        );
        assert_eq!(calls.len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_a_server_that_is_starting_again() {
    let fixture = Fixture::new(Legacy);
    let bench = Bench::start(&[("one", fixture.script())]).await;
    for _ in 0..3 {
        bench.ask("one", Legacy, "tools/call", json!({"name": "die"})).await;
    }
    let calls = (0..20).map(|_| bench.ask("one", Legacy, "tools/call", json!({"name": "echo"})));
    for answer in futures_util::future::join_all(calls).await {
        assert!(answer["result"].is_object(), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn stop_ends_every_server() {
    let fixture = Fixture::new(Legacy);
    let bench = Bench::start(&[("one", fixture.script()), ("two", fixture.script())]).await;
    bench.core.stop().await;
    assert!(bench.core.status().servers.iter().all(|server| server.state == "stopped"));
    let answer = bench.ask("one", Legacy, "tools/call", json!({"name": "echo"})).await;
    assert_eq!(answer["error"]["code"], SERVER_UNAVAILABLE);
    let weak = Arc::downgrade(&bench.core);
    drop(bench);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(weak.upgrade().is_none(), "no task keeps the core");
}
