//! Servers that print junk, flood, answer twice or to nobody, or answer nonsense.

use crate::core::scripted::{Bench, Fixture, Script, script};
use crate::exchange::Era::Legacy;
use crate::exchange::Exchange as _;
use crate::limits::{
    JUNK_LINES_MAX, NESTING_MAX, NOTIFICATIONS_BYTES_MAX, QUOTED_BYTES_MAX, SERVER_LINE_BYTES_MAX,
};
use crate::mcp::error::OUTCOME_UNKNOWN;
use only1mcp_wire::Exit;
use serde_json::{Value, json};

/// Greets as it should, then writes `reply(request)` for each `tools/call`.
fn writes(reply: impl Fn(&Value) -> String + Send + Sync + Copy + 'static) -> Script {
    script(move |mut wire| async move {
        while let Some(message) = wire.read().await {
            match message["method"].as_str() {
                Some("initialize") => {
                    wire.result(&message, &json!({"protocolVersion": "2025-11-25", "capabilities": {}}))
                        .await;
                }
                Some("tools/call") => wire.raw(&reply(&message)).await,
                _ if message.get("id").is_some() => wire.error(&message, -32601, "no").await,
                _ => {}
            }
        }
        Exit::Status(0)
    })
}

fn good(request: &Value) -> String {
    format!("{}\n", json!({"jsonrpc": "2.0", "id": request["id"], "result": {"content": []}}))
}

async fn call(bench: &Bench) -> Value {
    bench.ask("one", Legacy, "tools/call", json!({"name": "x"})).await
}

#[tokio::test(start_paused = true)]
async fn junk_between_messages_is_skipped() {
    let bench = Bench::start(&[(
        "one",
        writes(|request| {
            let deep = format!("{}{}\n", "[".repeat(NESTING_MAX * 4), "]".repeat(NESTING_MAX * 4));
            format!(
                "Listening on port 3000\n\n   \r\n\u{1b}[1mbold\n{{\"jsonrpc\":\"1.0\"}}\n[1]\n{deep}{}",
                good(request)
            )
        }),
    )])
    .await;
    for _ in 0..3 {
        assert!(call(&bench).await["result"].is_object());
    }
    assert_eq!(bench.launcher.spawns("one"), 1);
}

#[tokio::test(start_paused = true)]
async fn too_much_junk_or_a_line_without_end_ends_the_server_with_the_reason() {
    let junk = writes(|_| "junk\n".repeat(usize::try_from(JUNK_LINES_MAX).unwrap() + 1));
    let flood = writes(|_| "x".repeat(SERVER_LINE_BYTES_MAX + 64 * 1024));
    for (script, reason) in [(junk, "lines to its standard output"), (flood, "a line of more than")] {
        let bench = Bench::start(&[("one", script)]).await;
        let answer = call(&bench).await;
        assert_eq!(answer["error"]["code"], OUTCOME_UNKNOWN);
        assert!(answer["error"]["message"].as_str().unwrap().contains(reason), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_slow_client_is_bounded_in_bytes() {
    let bench = Bench::start(&[(
        "one",
        writes(|request| {
            let params = json!({"progressToken": request["params"]["_meta"]["progressToken"], "progress": 1,
                "message": "x".repeat(2 * 1024 * 1024)});
            let progress = json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params});
            format!("{}{}", format!("{progress}\n").repeat(12), good(request))
        }),
    )])
    .await;
    for _ in 0..2 {
        let params = json!({"name": "x", "_meta": {"progressToken": "t"}});
        let (answer, told) = bench.ask_with_stream("one", Legacy, "tools/call", params).await;
        assert!(answer["result"].is_object());
        assert_eq!(told.len(), NOTIFICATIONS_BYTES_MAX / (2 * 1024 * 1024) - 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_method_of_a_server_is_not_repeated_at_length() {
    let asking = script(|mut wire| async move {
        while let Some(message) = wire.read().await {
            match message["method"].as_str() {
                Some("initialize") => {
                    wire.result(&message, &json!({"protocolVersion": "2025-11-25", "capabilities": {}}))
                        .await;
                }
                Some("tools/call") => {
                    let method = "\u{e9}".repeat(100_000);
                    wire.write(&json!({"jsonrpc": "2.0", "id": "q", "method": method})).await;
                    let declined = wire.read().await.unwrap();
                    wire.result(&message, &json!({"declined": declined})).await;
                }
                _ if message.get("id").is_some() => wire.error(&message, -32601, "no").await,
                _ => {}
            }
        }
        Exit::Status(0)
    });
    let bench = Bench::start(&[("one", asking)]).await;
    for _ in 0..2 {
        let declined = &call(&bench).await["result"]["declined"];
        assert_eq!((&declined["id"], &declined["error"]["code"]), (&json!("q"), &json!(-32601)));
        assert!(declined["error"]["message"].as_str().unwrap().len() < 2 * QUOTED_BYTES_MAX);
    }
}

#[tokio::test(start_paused = true)]
async fn answers_to_nobody_and_second_answers_are_ignored() {
    let bench = Bench::start(&[(
        "one",
        writes(|request| {
            let unknown = json!({"jsonrpc": "2.0", "id": 99_999, "result": {"wrong": 1}});
            let text = json!({"jsonrpc": "2.0", "id": request["id"].to_string(), "result": {"wrong": 2}});
            let none = json!({"jsonrpc": "2.0", "id": null, "error": {"code": -1, "message": "m"}});
            format!("{unknown}\n{none}\n{text}\n{}{}", good(request), good(request))
        }),
    )])
    .await;
    // An id as text is not the number we gave: only the exact id is an answer.
    for _ in 0..3 {
        assert!(call(&bench).await["result"]["content"].is_array());
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_with_both_or_a_result_that_is_no_object_is_an_error_to_the_client() {
    for body in [r#""result":{},"error":{"code":1,"message":"m"}"#, r#""result":[]"#, r#""error":"text""#] {
        let bench = Bench::start(&[(
            "one",
            writes(move |request| format!("{{\"jsonrpc\":\"2.0\",\"id\":{},{body}}}\n", request["id"])),
        )])
        .await;
        assert_eq!(call(&bench).await["error"]["code"], -32603, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_may_ping_and_its_line_ends_do_no_harm() {
    let pinged = script(|mut wire| async move {
        while let Some(message) = wire.read().await {
            match message["method"].as_str() {
                Some("initialize") => {
                    wire.raw(&format!("{{\"jsonrpc\":\"2.0\",\r\"id\":{},\"result\":{{\"protocolVersion\":\"2025-11-25\"}}}}\r\n", message["id"])).await;
                }
                Some("tools/call") => {
                    wire.raw("{\"jsonrpc\":\"2.0\",\"id\":\"p\",\"method\":\"ping\"}\n").await;
                    let pong = wire.read().await.unwrap();
                    wire.result(&message, &json!({"pong": pong})).await;
                }
                _ if message.get("id").is_some() => wire.error(&message, -32601, "no").await,
                _ => {}
            }
        }
        Exit::Status(0)
    });
    let bench = Bench::start(&[("one", pinged)]).await;
    assert_eq!(call(&bench).await["result"]["pong"], json!({"jsonrpc": "2.0", "id": "p", "result": {}}));
}

#[tokio::test(start_paused = true)]
async fn a_name_in_two_spellings_reaches_no_server() {
    let bench = Bench::start(&[("one", writes(good))]).await;
    let (sender, _) = tokio::sync::mpsc::channel(1);
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ok","Name":"secret_x"}}"#;
    let answer = bench.raw(Bench::caller("one", Legacy, None), body.into(), sender).await;
    assert_eq!(answer.error_code, Some(-32602));
}

#[tokio::test(start_paused = true)]
async fn a_call_dressed_as_a_notification_reaches_no_server() {
    let fixture = Fixture::new(Legacy);
    let bench = Bench::start(&[("one", fixture.script())]).await;
    for method in ["tools/call", "notifications/vendor", "notifications/initialized"] {
        let body = json!({"jsonrpc": "2.0", "method": method, "params": {"name": "secret_x",
            "_meta": {"only1mcp/view": "brief", "x": 1}}})
        .to_string();
        bench.core.clone().notification(Bench::caller("one", Legacy, Some(1)), body.into()).await;
    }
    bench.ask("one", Legacy, "tools/call", json!({"name": "echo"})).await;
    assert_eq!(fixture.heard("tools/call").len(), 1);
    let passed = fixture.heard("notifications/vendor");
    assert_eq!(passed.len(), 1);
    assert_eq!(
        passed[0]["params"]["_meta"],
        json!({"x": 1}),
        "how its client is shown tools is no server's business"
    );
    assert_eq!(fixture.heard("notifications/initialized").len(), 1, "our own");
}
