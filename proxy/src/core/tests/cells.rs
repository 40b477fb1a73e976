//! The four cells: a client of each era at a server of each era.

use crate::core::scripted::{Bench, Fixture};
use crate::exchange::Era::{self, Legacy, Modern};
use serde_json::{Value, json};

const CELLS: [(Era, Era); 4] = [(Legacy, Legacy), (Legacy, Modern), (Modern, Legacy), (Modern, Modern)];
const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";

async fn cell(server: Era) -> (Bench, Fixture) {
    let fixture = Fixture { instructions: Some("be kind".into()), ..Fixture::new(server) };
    (Bench::start(&[("files", fixture.script())]).await, fixture)
}

/// What a client of `era` must see around the content of any result.
fn has_the_stamps_of(era: Era, result: &Value, is_cacheable: bool) {
    match era {
        Legacy => {
            for key in ["resultType", "ttlMs", "cacheScope"] {
                assert!(result.get(key).is_none(), "{result}");
            }
        }
        Modern => {
            assert_eq!(result["resultType"], "complete", "{result}");
            assert_eq!(
                result.get("ttlMs").is_some() && result.get("cacheScope").is_some(),
                is_cacheable,
                "{result}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn lists_calls_reads_prompts_and_completions_work_in_all_cells() {
    for (client, server) in CELLS {
        let (bench, _) = cell(server).await;
        for (endpoint, prefix) in [("files", ""), ("", "files__")] {
            let ask = |method: &'static str, params: Value| bench.ask(endpoint, client, method, params);
            let tools = ask("tools/list", json!({})).await;
            assert_eq!(tools["result"]["tools"][0]["name"], format!("{prefix}echo"), "{client:?} {server:?}");
            has_the_stamps_of(client, &tools["result"], true);
            let called =
                ask("tools/call", json!({"name": format!("{prefix}echo"), "arguments": {"n": 1}})).await;
            let text = called["result"]["content"][0]["text"].as_str().unwrap();
            assert!(text.contains(r#""name":"echo","arguments":{"n":1}"#), "{text}");
            assert_eq!(text.contains("protocolVersion"), server == Modern, "{text}");
            has_the_stamps_of(client, &called["result"], false);
            let read = ask("resources/read", json!({"uri": "test://static"})).await;
            assert_eq!(read["result"]["contents"][0]["uri"], "test://static");
            has_the_stamps_of(client, &read["result"], true);
            let prompt = ask("prompts/get", json!({"name": format!("{prefix}greet")})).await;
            assert_eq!(prompt["result"]["messages"][0]["content"]["text"], "greet");
            let reference = json!({"type": "ref/prompt", "name": format!("{prefix}greet")});
            let completed = ask("completion/complete", json!({"ref": reference, "argument": {}})).await;
            assert_eq!(
                completed["result"]["completion"]["values"][0],
                r#"{"type":"ref/prompt","name":"greet"}"#
            );
            for (method, key) in [
                ("resources/list", "resources"),
                ("resources/templates/list", "resourceTemplates"),
                ("prompts/list", "prompts"),
            ] {
                let listed = ask(method, json!({})).await;
                assert_eq!(listed["result"][key].as_array().map(Vec::len), Some(1), "{method}");
                has_the_stamps_of(client, &listed["result"], true);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn progress_carries_the_clients_own_token_in_all_cells() {
    for (client, server) in CELLS {
        let (bench, _) = cell(server).await;
        let params = json!({"name": "slow", "_meta": {"progressToken": "mine"}});
        let (answer, notifications) = bench.ask_with_stream("files", client, "tools/call", params).await;
        assert_eq!(answer["result"]["content"][0]["text"], "done");
        let progress: Vec<&Value> = notifications.iter().map(|n| &n["params"]["progress"]).collect();
        assert_eq!(progress, [0, 50, 100]);
        assert!(notifications.iter().all(|n| n["params"]["progressToken"] == "mine"));
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_words_are_those_of_the_clients_era() {
    for server in [Legacy, Modern] {
        let (bench, _) = cell(server).await;
        let hello = bench.ask("files", Legacy, "initialize", json!({"protocolVersion": "2025-11-25"})).await;
        assert_eq!(hello["result"]["protocolVersion"], "2025-11-25");
        assert_eq!(hello["result"]["serverInfo"]["name"], "fixture");
        assert_eq!(hello["result"]["instructions"], "be kind");
        let discovered = bench.ask("files", Modern, "server/discover", json!({})).await;
        assert_eq!(discovered["result"]["supportedVersions"], json!(["2026-07-28"]));
        assert_eq!(discovered["result"]["_meta"][SERVER_INFO]["name"], "fixture");
        has_the_stamps_of(Modern, &discovered["result"], true);
        let whole = bench.ask("", Legacy, "initialize", json!({"protocolVersion": "2025-11-25"})).await;
        assert_eq!(whole["result"]["serverInfo"]["name"], "only1mcp");
        assert_eq!(whole["result"]["instructions"], "# files\n\nbe kind");
        assert_eq!(
            whole["result"]["capabilities"]["resources"],
            json!({"listChanged": true, "subscribe": true})
        );
    }
}

#[tokio::test(start_paused = true)]
async fn methods_of_the_other_era_are_not_found() {
    let (bench, _) = cell(Legacy).await;
    for endpoint in ["", "files"] {
        for method in
            ["ping", "initialize", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"]
        {
            let answer = bench.ask(endpoint, Modern, method, json!({})).await;
            assert_eq!(answer["error"]["code"], -32601, "{method}");
        }
        for method in ["server/discover", "subscriptions/listen"] {
            assert_eq!(bench.ask(endpoint, Legacy, method, json!({})).await["error"]["code"], -32601);
        }
        assert_eq!(bench.ask(endpoint, Legacy, "ping", json!({})).await["result"], json!({}));
    }
}

#[tokio::test(start_paused = true)]
async fn unknown_methods_pass_only_within_one_era_and_at_one_server() {
    for (client, server) in CELLS {
        let (bench, _) = cell(server).await;
        let answer = bench.ask("files", client, "vendor/custom", json!({"x": 1})).await;
        if client == server {
            assert_eq!(answer["result"]["params"]["x"], 1);
        } else {
            assert_eq!(answer["error"]["code"], -32601);
        }
        assert_eq!(bench.ask("", client, "vendor/custom", json!({})).await["error"]["code"], -32601);
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_resource_has_the_code_of_the_clients_era() {
    let (bench, _) = cell(Legacy).await;
    for endpoint in ["", "files"] {
        for (client, code) in [(Legacy, -32002), (Modern, -32602)] {
            let answer =
                bench.ask(endpoint, client, "resources/read", json!({"uri": "test://missing"})).await;
            assert_eq!(answer["error"]["code"], code);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn log_lines_go_to_the_one_client_that_can_be_meant_from_its_level_on() {
    let (bench, fixture) = cell(Legacy).await;
    let levels = |notifications: Vec<Value>| -> Vec<Value> {
        notifications.iter().map(|n| n["params"]["level"].clone()).collect()
    };
    let call = || json!({"name": "log"});
    let (_, all) = bench.ask_with_stream("files", Legacy, "tools/call", call()).await;
    assert_eq!(levels(all), ["debug", "error"]);
    assert_eq!(
        bench.ask("", Legacy, "logging/setLevel", json!({"level": "warning"})).await["result"],
        json!({})
    );
    assert_eq!(fixture.heard("logging/setLevel")[0]["params"]["level"], "warning");
    let (_, some) = bench.ask_with_stream("files", Legacy, "tools/call", call()).await;
    assert_eq!(levels(some), ["error"]);
    let (_, none) = bench.ask_with_stream("files", Modern, "tools/call", call()).await;
    assert!(none.is_empty(), "a modern client that does not ask gets none");
    let wrong = bench.ask("", Legacy, "logging/setLevel", json!({"level": "loud"})).await;
    assert_eq!(wrong["error"]["code"], -32602);
    let (bench, fixture) = cell(Modern).await;
    bench.ask("files", Legacy, "logging/setLevel", json!({"level": "info"})).await;
    bench.ask("files", Legacy, "tools/call", json!({"name": "echo"})).await;
    let meta = &fixture.heard("tools/call")[0]["params"]["_meta"];
    assert_eq!(meta["io.modelcontextprotocol/logLevel"], "info");
}
