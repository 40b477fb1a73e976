//! The legacy wire over HTTP: handshake, sessions, streams, batches.

use crate::exchange::Era;
use crate::front::scripted::{Bench, Reply, chunk, until};
use axum::body::Body;
use http::StatusCode;
use serde_json::{Value, json};

/// Names and values.
type Headers<'a> = Vec<(&'a str, &'a str)>;

fn request(method: &str, params: Value) -> String {
    json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).to_string()
}

async fn initialize(bench: &Bench, version: &str) -> (String, Reply) {
    let reply = bench.post(&[], &request("initialize", json!({"protocolVersion": version}))).await;
    (reply.header("mcp-session-id").unwrap().to_owned(), reply)
}

#[tokio::test]
async fn a_client_shakes_hands_lists_and_calls() {
    let bench = Bench::new();
    let (session, reply) = initialize(&bench, "2025-06-18").await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(reply.json()["result"]["protocolVersion"], "2025-06-18");
    let headers = [("mcp-session-id", &*session), ("mcp-protocol-version", "2025-06-18")];
    let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let reply = bench.post(&headers, initialized).await;
    assert_eq!((reply.status, &*reply.body), (StatusCode::ACCEPTED, ""));
    let reply = bench.post(&headers, &request("tools/list", json!({}))).await;
    assert_eq!(reply.json()["result"]["tools"][0]["name"], "echo");
    let reply = bench.post(&headers, &request("tools/call", json!({"name": "echo"}))).await;
    assert_eq!(reply.json()["id"], 7);
    let requests = bench.core.requests.lock().unwrap();
    assert!(requests.iter().all(|(caller, _)| {
        caller.era == Era::Legacy && caller.version == "2025-06-18" && caller.session.is_some()
    }));
}

#[tokio::test]
async fn an_unknown_version_is_answered_with_the_newest() {
    let (_, reply) = initialize(&Bench::new(), "1999-01-01").await;
    assert_eq!(reply.json()["result"]["protocolVersion"], "2025-11-25");
}

#[tokio::test]
async fn each_error_has_its_status() {
    let bench = Bench::new();
    let (id, _) = initialize(&bench, "2025-11-25").await;
    let session = ("mcp-session-id", &*id);
    let ping = request("ping", json!({}));
    let batch = format!("[{ping}]");
    let table: Vec<(Headers<'_>, &str, u16)> = vec![
        (vec![], &ping, 400),
        (vec![("mcp-session-id", "unknown")], &ping, 404),
        (vec![session, ("mcp-protocol-version", "1999-01-01")], &ping, 400),
        (vec![session, ("mcp-protocol-version", "nonsense")], &ping, 400),
        (vec![session], &ping, 200),
        (vec![session, ("mcp-protocol-version", "2025-03-26")], &ping, 200),
        (vec![session], &batch, 400),
        (vec![], r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, 400),
        (vec![session], r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, 202),
        (vec![], r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, 400),
    ];
    for (headers, body, status) in table {
        let reply = bench.post(&headers, body).await;
        assert_eq!(reply.status.as_u16(), status, "{headers:?} {body}: {}", reply.body);
    }
    let unknown = bench.post(&[session], &request("no/such", json!({}))).await;
    assert_eq!((unknown.status, unknown.code()), (StatusCode::OK, json!(-32601)));
}

#[tokio::test]
async fn a_session_ends_once() {
    let bench = Bench::new();
    let (id, _) = initialize(&bench, "2025-11-25").await;
    let headers = [("mcp-session-id", &*id)];
    let delete = || bench.send(Bench::request("DELETE", "/mcp", &headers, ""));
    let elsewhere = bench.send(Bench::request("DELETE", "/mcp/a", &headers, "")).await;
    assert_eq!(elsewhere.status, StatusCode::NOT_FOUND);
    assert_eq!(delete().await.status, StatusCode::NO_CONTENT);
    assert_eq!(delete().await.status, StatusCode::NOT_FOUND);
    assert_eq!(bench.post(&headers, &request("ping", json!({}))).await.status, StatusCode::NOT_FOUND);
    assert_eq!(bench.core.ended.lock().unwrap().len(), 1);
    assert_eq!(
        bench.send(Bench::request("DELETE", "/mcp", &[], "")).await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
}

#[tokio::test]
async fn notifications_of_a_request_come_as_events_before_the_answer() {
    let bench = Bench::new();
    let (id, _) = initialize(&bench, "2025-11-25").await;
    let call = request("tools/call", json!({"name": "progress"}));
    let reply = bench.post(&[("mcp-session-id", &id)], &call).await;
    assert_eq!(reply.events().len(), 3);
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_nothing() {
    let bench = Bench::new();
    let (id, _) = initialize(&bench, "2025-11-25").await;
    let call = request("tools/call", json!({"name": "wait"}));
    let request = Bench::request("POST", "/mcp", &[("mcp-session-id", &id)], &call);
    assert!(tokio::time::timeout(std::time::Duration::from_millis(100), bench.raw(request)).await.is_err());
    assert!(bench.core.waited.lock().unwrap().is_empty());
    bench.core.release.notify_one();
    until(|| *bench.core.waited.lock().unwrap() == ["answered"]).await;
}

#[tokio::test]
async fn batches_exist_only_where_they_were_negotiated() {
    let bench = Bench::new();
    let (id, _) = initialize(&bench, "2025-03-26").await;
    let headers = [("mcp-session-id", &*id)];
    let notification = json!({"jsonrpc": "2.0", "method": "notifications/x"});
    let list = json!({"jsonrpc": "2.0", "id": "a", "method": "tools/list"});
    let ping = json!({"jsonrpc": "2.0", "id": "b", "method": "ping"});
    let reply = bench.post(&headers, &json!([list, notification, ping]).to_string()).await;
    let ids: Vec<Value> =
        reply.json().as_array().unwrap().iter().map(|answer| answer["id"].clone()).collect();
    assert_eq!(ids, ["a", "b"]);
    let reply = bench.post(&headers, &json!([notification]).to_string()).await;
    assert_eq!((reply.status, &*reply.body), (StatusCode::ACCEPTED, ""));
    let handshake: Value = serde_json::from_str(&request("initialize", json!({}))).unwrap();
    let many: Vec<&Value> = (0..65).map(|_| &ping).collect();
    for wrong in [json!([]), json!([handshake]), json!([1]), json!(many)] {
        assert_eq!(bench.post(&headers, &wrong.to_string()).await.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
}

#[tokio::test]
async fn a_batch_that_is_refused_has_done_nothing_and_one_with_progress_is_a_stream() {
    let bench = Bench::new();
    let (id, _) = initialize(&bench, "2025-03-26").await;
    let headers = [("mcp-session-id", &*id)];
    let notification = json!({"jsonrpc": "2.0", "method": "notifications/x"});
    let answer = json!({"jsonrpc": "2.0", "id": 1, "result": {}});
    let handshake: Value = serde_json::from_str(&request("initialize", json!({}))).unwrap();
    let twice = json!({"jsonrpc": "2.0", "id": 2, "method": "resources/subscribe", "params": []});
    for wrong in [json!(1), handshake, twice] {
        let reply = bench.post(&headers, &json!([notification, answer, wrong]).to_string()).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
    assert!(bench.core.notifications.lock().unwrap().is_empty());
    assert!(bench.core.responses.lock().unwrap().is_empty());
    let call = |id: u32, tool: &str| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool}});
    let batch = json!([call(1, "progress"), notification, answer, call(2, "echo"), call(3, "progress")]);
    let reply = bench.post(&headers, &batch.to_string()).await;
    let events = reply.events();
    let (answers, progress) = events.split_last().unwrap();
    assert_eq!(progress.len(), 4, "{events:?}");
    let ids: Vec<&Value> = answers.as_array().unwrap().iter().map(|answer| &answer["id"]).collect();
    assert_eq!(ids, [1, 2, 3]);
    assert!(reply.body.starts_with("id: r"), "a client can come back to it: {}", reply.body);
    assert_eq!(bench.core.notifications.lock().unwrap().len(), 1);
    assert_eq!(bench.core.responses.lock().unwrap().len(), 1);
}

async fn stream(bench: &Bench, id: &str) -> Body {
    let headers = [("mcp-session-id", id), ("accept", "text/event-stream")];
    let response = bench.raw(Bench::request("GET", "/mcp", &headers, "")).await;
    assert_eq!(response.status(), StatusCode::OK);
    response.into_body()
}

#[tokio::test]
async fn get_streams_what_concerns_the_session() {
    let bench = Bench::new();
    let (id, _) = initialize(&bench, "2025-11-25").await;
    let mut open = stream(&bench, &id).await;
    let priming = chunk(&mut open).await.unwrap();
    assert!(priming.starts_with("id: ") && priming.ends_with("\ndata: \n\n"), "{priming:?}");
    bench.core.updated("x:1");
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    let subscribe = |method: &str| request(method, json!({"uri": "x:1"}));
    let headers = [("mcp-session-id", &*id)];
    bench.post(&headers, &subscribe("resources/subscribe")).await;
    bench.core.tools_changed();
    assert!(chunk(&mut open).await.unwrap().contains("notifications/tools/list_changed"));
    bench.core.updated("x:1");
    assert!(chunk(&mut open).await.unwrap().contains("notifications/resources/updated"));
    bench.post(&headers, &subscribe("resources/unsubscribe")).await;
    bench.core.updated("x:1");
    bench.core.tools_changed();
    assert!(chunk(&mut open).await.unwrap().contains("notifications/tools/list_changed"));
    bench.send(Bench::request("DELETE", "/mcp", &headers, "")).await;
    assert_eq!(chunk(&mut open).await, None, "the stream ends with its session");
}

#[tokio::test]
async fn who_searches_for_tools_hears_nothing_of_changed_ones_all_session_long() {
    let bench = Bench::new();
    let body = request("initialize", json!({"protocolVersion": "2024-11-05", "capabilities": {}}));
    let reply = bench.send(Bench::request("POST", "/view/search/mcp", &[], &body)).await;
    let id = reply.header("mcp-session-id").unwrap().to_owned();
    let headers = [("mcp-session-id", &*id)];
    // The view is the one it began with, whatever the URL says now.
    bench.post(&headers, &request("resources/subscribe", json!({"uri": "x:1"}))).await;
    let mut open = stream(&bench, &id).await;
    bench.core.tools_changed();
    bench.core.updated("x:1");
    assert!(chunk(&mut open).await.unwrap().contains("notifications/resources/updated"));
}

#[tokio::test]
async fn each_message_goes_to_exactly_one_stream() {
    let bench = Bench::new();
    let (id, _) = initialize(&bench, "2025-06-18").await;
    // Kept for the first stream.
    bench.core.tools_changed();
    let mut older = stream(&bench, &id).await;
    assert!(chunk(&mut older).await.is_some());
    let mut newer = stream(&bench, &id).await;
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    bench.core.tools_changed();
    assert!(chunk(&mut newer).await.is_some());
    drop(newer);
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    bench.core.tools_changed();
    assert!(chunk(&mut older).await.is_some());
    let none = tokio::time::timeout(std::time::Duration::from_millis(50), chunk(&mut older)).await;
    assert!(none.is_err(), "it came twice");
}

#[tokio::test]
async fn get_without_session_or_stream_is_not_allowed() {
    let bench = Bench::new();
    let (id, _) = initialize(&bench, "2025-11-25").await;
    let table: [(&[(&str, &str)], u16); 3] = [
        (&[], 405),
        (&[("mcp-session-id", &id), ("accept", "application/json")], 405),
        (&[("mcp-session-id", "unknown")], 404),
    ];
    for (headers, status) in table {
        let reply = bench.send(Bench::request("GET", "/mcp", headers, "")).await;
        assert_eq!(reply.status.as_u16(), status, "{headers:?}");
    }
}

#[tokio::test]
async fn answers_to_servers_reach_the_core_with_what_the_client_said_it_can_do() {
    let bench = Bench::new();
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {"roots": {"x": 1}}});
    let reply = bench.post(&[], &request("initialize", params)).await;
    let session = [("mcp-session-id", reply.header("mcp-session-id").unwrap())];
    let answer = r#"{"jsonrpc":"2.0","id":3,"result":{"roots":[]}}"#;
    let reply = bench.post(&session, answer).await;
    assert_eq!((reply.status, &*reply.body), (StatusCode::ACCEPTED, ""));
    assert_eq!(bench.post(&[], answer).await.status, StatusCode::BAD_REQUEST);
    let responses = bench.core.responses.lock().unwrap();
    let [(caller, body)] = &responses[..] else { panic!("not one answer: {responses:?}") };
    assert_eq!((&**body, &*caller.capabilities), (answer, r#"{"roots":{"x":1}}"#));
}
