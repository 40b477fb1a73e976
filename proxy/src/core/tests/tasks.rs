//! Tasks: work that outlives its call, at servers of both eras, behind both kinds of endpoint.

use crate::core::scripted::{Bench, Script, script, server_view, view};
use crate::exchange::Era::{self, Legacy, Modern};
use crate::exchange::Exchange as _;
use crate::mcp::error::{INVALID_PARAMS, METHOD_NOT_FOUND};
use only1mcp_policy::view::{ResultsView, ServerView};
use only1mcp_wire::Exit;
use serde_json::{Value, json};

/// A server with one task, which is called `t:1` there.
fn with_tasks(era: Era) -> Script {
    script(move |mut wire| async move {
        while let Some(message) = wire.read().await {
            let own = &message["params"]["taskId"] == "t:1";
            let task = json!({"taskId": "t:1", "status": "working", "vendor": 1});
            let related = json!({"io.modelcontextprotocol/related-task": {"taskId": "t:1"}});
            let mut result = match (era, message["method"].as_str().unwrap_or_default()) {
                (Legacy, "initialize") => json!({"protocolVersion": "2025-11-25", "capabilities":
                    {"tools": {}, "tasks": {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}}}}),
                (Modern, "server/discover") => json!({"supportedVersions": ["2026-07-28"], "capabilities":
                    {"tools": {}, "extensions": {"io.modelcontextprotocol/tasks": {}, "com.example/x": {"z": 1}}}}),
                (_, "tools/list") => json!({"tools": [{"name": "work", "inputSchema": {"type": "object"}}]}),
                (Legacy, "tools/call") => {
                    wire.notify("notifications/tasks/status", &task).await;
                    json!({"task": task})
                }
                (Modern, "tools/call") => {
                    let mut task = task;
                    task["resultType"] = "task".into();
                    task
                }
                (Legacy, "tasks/list") if message["params"]["cursor"] == "2" => {
                    json!({"tasks": [{"taskId": "t:2"}]})
                }
                (Legacy, "tasks/list") => json!({"tasks": [task], "nextCursor": "2"}),
                (_, "tasks/get" | "tasks/cancel" | "tasks/update") if own => task,
                (Legacy, "tasks/result") if own => {
                    let asked = json!({"jsonrpc": "2.0", "id": "q", "method": "roots/list", "params": {"_meta": related}});
                    wire.write(&asked).await;
                    let answer = wire.read().await.unwrap();
                    json!({"content": [], "answer": answer["result"], "_meta": related})
                }
                (Modern, "com.example/act") => json!({"heard": message["params"]["z"]}),
                _ if message.get("id").is_none() => continue,
                _ => {
                    wire.error(&message, -32601, "no").await;
                    continue;
                }
            };
            if era == Modern && result.get("resultType").is_none() {
                result["resultType"] = "complete".into();
            }
            wire.result(&message, &result).await;
        }
        Exit::Status(0)
    })
}

async fn bench() -> Bench {
    Bench::start(&[("old", with_tasks(Legacy)), ("new", with_tasks(Modern))]).await
}

async fn asked(bench: &Bench, era: Era, method: &str, params: Value) -> Value {
    bench.ask("", era, method, params).await
}

#[tokio::test(start_paused = true)]
async fn a_task_of_the_aggregate_is_found_again_by_its_id() {
    let bench = bench().await;
    for (era, server) in [(Legacy, "old"), (Modern, "new")] {
        let call = json!({"name": format!("{server}__work"), "task": {"ttl": 1.0}});
        let begun = asked(&bench, era, "tools/call", call).await["result"].take();
        let id = format!("{server}:t:1");
        assert_eq!(*begun.pointer("/task/taskId").unwrap_or(&begun["taskId"]), id, "{begun}");
        for method in ["tasks/get", "tasks/cancel"] {
            let answer = asked(&bench, era, method, json!({"taskId": id})).await;
            assert_eq!((&answer["result"]["taskId"], &answer["result"]["vendor"]), (&json!(id), &json!(1)));
        }
        let other = if era == Legacy { "new" } else { "old" };
        for unknown in [format!("{other}:t:1"), "t:1".to_owned(), "none:1".to_owned()] {
            let answer = asked(&bench, era, "tasks/get", json!({"taskId": unknown})).await;
            assert_eq!(answer["error"]["code"], INVALID_PARAMS, "{answer}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_aggregate_says_that_there_are_tasks_and_extensions() {
    let bench = bench().await;
    let told = asked(&bench, Legacy, "initialize", json!({"protocolVersion": "2025-11-25"})).await;
    let expected = json!({"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}});
    assert_eq!(told["result"]["capabilities"]["tasks"], expected, "{told}");
    assert!(told["result"]["capabilities"].get("extensions").is_none());
    let told = asked(&bench, Modern, "server/discover", json!({})).await;
    let expected = json!({"io.modelcontextprotocol/tasks": {}, "com.example/x": {"z": 1}});
    assert_eq!(told["result"]["capabilities"]["extensions"], expected);
    assert!(told["result"]["capabilities"].get("tasks").is_none());
    let plain = Bench::start(&[("one", crate::core::scripted::Fixture::new(Legacy).script())]).await;
    let told = asked(&plain, Legacy, "initialize", json!({"protocolVersion": "2025-11-25"})).await;
    assert!(told["result"]["capabilities"].get("tasks").is_none());
}

#[tokio::test(start_paused = true)]
async fn all_tasks_are_listed_under_the_names_they_are_found_by() {
    let bench = Bench::start(&[("a", with_tasks(Legacy)), ("b", with_tasks(Legacy))]).await;
    let listed = asked(&bench, Legacy, "tasks/list", json!({})).await["result"]["tasks"].take();
    let ids: Vec<&str> =
        listed.as_array().unwrap().iter().map(|task| task["taskId"].as_str().unwrap()).collect();
    assert_eq!(ids, ["a:t:1", "a:t:2", "b:t:1", "b:t:2"]);
    let own = bench.ask("b", Legacy, "tasks/list", json!({})).await["result"].take();
    assert_eq!((&own["tasks"][0]["taskId"], &own["nextCursor"]), (&json!("t:1"), &json!("2")), "untouched");
}

#[tokio::test(start_paused = true)]
async fn what_is_said_of_a_task_meanwhile_names_it_alike() {
    let bench = bench().await;
    let call = json!({"name": "old__work", "task": {}});
    let (_, told) = bench.ask_with_stream("", Legacy, "tools/call", call).await;
    assert_eq!(told[0]["params"]["taskId"], "old:t:1", "{told:?}");
    let (_, told) = bench.ask_with_stream("old", Legacy, "tools/call", json!({"name": "work"})).await;
    assert_eq!(told[0]["params"]["taskId"], "t:1", "{told:?}");
    let mut caller = Bench::caller("", Legacy, Some(1));
    caller.capabilities = r#"{"roots":{}}"#.into();
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tasks/result", "params": {"taskId": "old:t:1"}});
    let (sender, mut stream) = tokio::sync::mpsc::channel(8);
    let core = bench.core.clone();
    let answer = tokio::spawn(async move { core.request(caller, body.to_string().into(), sender).await });
    let question: Value = serde_json::from_slice(&stream.recv().await.unwrap()).unwrap();
    let related = "/_meta/io.modelcontextprotocol~1related-task/taskId";
    assert_eq!(question["params"].pointer(related), Some(&json!("old:t:1")), "{question}");
    let said = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"roots": [7]}}).to_string();
    bench.core.response(&Bench::caller("", Legacy, Some(1)), &said.into());
    let answer: Value = serde_json::from_slice(&answer.await.unwrap().response).unwrap();
    assert_eq!(answer["result"]["answer"], json!({"roots": [7]}), "{answer}");
    assert_eq!(answer["result"].pointer(related), Some(&json!("old:t:1")));
}

#[tokio::test(start_paused = true)]
async fn what_one_family_of_the_protocol_has_alone_never_reaches_the_other() {
    let bench = bench().await;
    for (era, server) in [(Legacy, "new"), (Modern, "old")] {
        for method in ["tasks/get", "tasks/cancel", "com.example/act"] {
            let answer = bench.ask(server, era, method, json!({"taskId": "t:1"})).await;
            assert_eq!(answer["error"]["code"], METHOD_NOT_FOUND, "{method} {answer}");
        }
    }
    for (era, method) in [(Modern, "tasks/list"), (Modern, "tasks/result"), (Legacy, "tasks/update")] {
        let answer = asked(&bench, era, method, json!({"taskId": "old:t:1"})).await;
        assert_eq!(answer["error"]["code"], METHOD_NOT_FOUND, "{method} {answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_extensions_method_goes_to_the_one_server_it_can_be_meant_for() {
    let act = async |bench: &Bench| asked(bench, Modern, "com.example/act", json!({"z": 1.5})).await;
    let one = bench().await;
    assert_eq!(act(&one).await["result"]["heard"], 1.5);
    assert_eq!(asked(&one, Legacy, "com.example/act", json!({})).await["error"]["code"], METHOD_NOT_FOUND);
    let two = Bench::start(&[("a", with_tasks(Modern)), ("b", with_tasks(Modern))]).await;
    assert_eq!(act(&two).await["error"]["code"], METHOD_NOT_FOUND);
    assert_eq!(two.ask("b", Modern, "com.example/act", json!({"z": 2})).await["result"]["heard"], 2);
}

/// A server whose one task has ended with 200 lines.
fn with_long_result(era: Era) -> Script {
    script(move |mut wire| async move {
        let text: String = (0..200).map(|n| format!("line {n}\n")).collect();
        let long = json!({"content": [{"type": "text", "text": text, "x": 1}]});
        while let Some(message) = wire.read().await {
            let result = match (era, message["method"].as_str().unwrap_or_default()) {
                (Legacy, "initialize") => {
                    json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}, "tasks": {}}})
                }
                (Modern, "server/discover") => json!({"supportedVersions": ["2026-07-28"],
                    "resultType": "complete",
                    "capabilities": {"tools": {}, "extensions": {"io.modelcontextprotocol/tasks": {}}}}),
                (_, "tools/list") => json!({"tools": [], "resultType": "complete"}),
                (Legacy, "tasks/result") => long.clone(),
                (Modern, "tasks/get") => {
                    json!({"resultType": "complete", "taskId": "1", "status": "completed", "result": long})
                }
                (Legacy, "tasks/get") => json!({"taskId": "1", "status": "completed", "result": long}),
                _ if message.get("id").is_none() => continue,
                _ => {
                    wire.error(&message, -32601, "no").await;
                    continue;
                }
            };
            wire.result(&message, &result).await;
        }
        Exit::Status(0)
    })
}

#[tokio::test(start_paused = true)]
async fn what_came_of_a_task_is_cut_like_what_comes_of_a_call() {
    let mut limited = view(&["old", "new"]);
    for server in &mut limited.servers {
        let results = ResultsView { max_tokens: Some(100), tables: None };
        *server = ServerView { results, ..server_view(&server.id) };
    }
    let bench =
        Bench::start_with(&[("old", with_long_result(Legacy)), ("new", with_long_result(Modern))], limited);
    bench.core.settled(std::time::Duration::from_secs(60)).await;
    for (era, server, method, within) in
        [(Legacy, "old", "tasks/result", "/result"), (Modern, "new", "tasks/get", "/result/result")]
    {
        for (place, id) in [("", format!("{server}:1")), (server, "1".to_owned())] {
            let answer = bench.ask(place, era, method, json!({"taskId": id})).await;
            let content = &answer.pointer(within).unwrap()["content"];
            assert_eq!(content[0]["x"], 1, "{answer}");
            let note = content[1]["text"].as_str().unwrap_or_default();
            assert!(note.starts_with("[cut here: about "), "{answer}");
            let uri = format!("only1mcp://result/{}/2", note.split('"').nth(1).unwrap());
            let page = bench.ask(place, era, "resources/read", json!({"uri": uri})).await;
            let page = page["result"]["contents"][0]["text"].as_str().unwrap_or_default();
            let shown = content[0]["text"].as_str().unwrap();
            let next = format!("line {}\n", shown.lines().count());
            assert!(page.starts_with(&next), "{next} should follow: {page}");
        }
    }
    // Not the protocol's, and so not ours to cut.
    let own = bench.ask("old", Legacy, "tasks/get", json!({"taskId": "1"})).await;
    assert_eq!(own["result"]["result"]["content"][1], Value::Null, "{own}");
}
