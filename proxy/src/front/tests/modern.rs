//! The modern wire, row by row of its table of errors, and its streams.

use crate::exchange::{Endpoint, Era};
use crate::front::scripted::{Bench, Reply, chunk, name, until};
use axum::body::Body;
use http::StatusCode;
use serde_json::{Value, json};

/// Names and values.
type Headers<'a> = Vec<(&'a str, &'a str)>;

fn body(method: &str, params: Value) -> String {
    let mut params = params;
    if params.get("_meta").is_none() {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
    }
    json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).to_string()
}

async fn post(bench: &Bench, method: &str, headers: &[(&str, &str)], params: Value) -> Reply {
    let mut all = vec![("mcp-protocol-version", "2026-07-28"), ("mcp-method", method)];
    all.extend_from_slice(headers);
    bench.post(&all, &body(method, params)).await
}

#[tokio::test]
async fn each_error_has_its_status_and_code() {
    let bench = Bench::new();
    let version = |version: &str| json!({"_meta": {"io.modelcontextprotocol/protocolVersion": version, "io.modelcontextprotocol/clientCapabilities": {}}});
    let no_capabilities = json!({"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}});
    let no_version = json!({"_meta": {"io.modelcontextprotocol/clientCapabilities": {}}});
    let other = ("mcp-protocol-version", "v999.0.0");
    let table: Vec<(&str, Headers<'_>, Value, u16, i64)> = vec![
        ("server/discover", vec![], json!({"_meta": {}}), 400, -32602),
        ("server/discover", vec![], no_version, 400, -32602),
        ("server/discover", vec![], no_capabilities, 400, -32602),
        ("server/discover", vec![], json!({"_meta": 5}), 400, -32602),
        ("server/discover", vec![other], version("v999.0.0"), 400, -32022),
        ("server/discover", vec![], version("v999.0.0"), 400, -32020),
        ("server/discover", vec![("mcp-protocol-version", "")], json!({}), 400, -32020),
        ("server/discover", vec![("mcp-protocol-version", "2025-11-25")], json!({}), 400, -32020),
        ("tools/list", vec![("mcp-method", "")], json!({}), 400, -32020),
        ("tools/list", vec![("mcp-method", "TOOLS/LIST")], json!({}), 400, -32020),
        ("tools/list", vec![("mcp-method", "prompts/list")], json!({}), 400, -32020),
        ("tools/call", vec![], json!({"name": "echo"}), 400, -32020),
        ("tools/call", vec![("mcp-name", "other")], json!({"name": "echo"}), 400, -32020),
        ("prompts/get", vec![("mcp-name", "Echo")], json!({"name": "echo"}), 400, -32020),
        ("resources/read", vec![("mcp-name", "x:2")], json!({"uri": "x:1"}), 400, -32020),
        ("tasks/get", vec![("mcp-name", "2")], json!({"taskId": "1"}), 400, -32020),
        ("tools/call", vec![("mcp-name", "=?base64?SGVsbG8?=")], json!({"name": "Hello"}), 400, -32020),
        ("tools/call", vec![("mcp-name", "nothing")], json!({"name": "nothing"}), 200, -32602),
        ("tools/call", vec![("mcp-name", "capability")], json!({"name": "capability"}), 400, -32021),
        (
            "tools/call",
            vec![("mcp-name", "echo"), ("mcp-param-region", "us")],
            json!({"name": "echo", "arguments": {"region": "eu"}}),
            400,
            -32020,
        ),
        (
            "tools/call",
            vec![("mcp-name", "echo")],
            json!({"name": "echo", "arguments": {"region": "eu"}}),
            400,
            -32020,
        ),
        ("initialize", vec![], json!({}), 404, -32601),
        ("ping", vec![], json!({}), 404, -32601),
        ("logging/setLevel", vec![], json!({"level": "info"}), 404, -32601),
        ("resources/subscribe", vec![], json!({"uri": "x:1"}), 404, -32601),
        ("resources/unsubscribe", vec![], json!({"uri": "x:1"}), 404, -32601),
        ("no/such/method", vec![], json!({}), 404, -32601),
    ];
    for (method, headers, params, status, code) in table {
        let reply = post(&bench, method, &headers, params.clone()).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code()),
            (status, code.into()),
            "{method} {headers:?} {params}: {}",
            reply.body
        );
        assert_eq!(reply.json()["id"], 7, "{method} {params}");
    }
}

#[tokio::test]
async fn an_unsupported_version_is_told_which_are_supported() {
    let bench = Bench::new();
    let meta = json!({"_meta": {"io.modelcontextprotocol/protocolVersion": "2027-01-01", "io.modelcontextprotocol/clientCapabilities": {}}});
    let reply = post(&bench, "tools/list", &[("mcp-protocol-version", "2027-01-01")], meta).await;
    assert_eq!(
        reply.json()["error"]["data"],
        json!({"supported": ["2026-07-28"], "requested": "2027-01-01"})
    );
}

#[tokio::test]
async fn well_formed_requests_reach_the_core() {
    let bench = Bench::new();
    let call = json!({"name": "echo"});
    let table: Vec<(&str, Headers<'_>, Value)> = vec![
        ("server/discover", vec![], json!({})),
        ("tools/call", vec![("mcp-name", "  echo  ")], call.clone()),
        ("tools/call", vec![("mcp-name", "=?base64?ZWNobw==?=")], call.clone()),
        ("tools/call", vec![("mcp-name", "echo"), ("mcp-param-other", "x")], call),
        ("resources/read", vec![("mcp-name", "x:1")], json!({"uri": "x:1"})),
        ("tools/list", vec![("mcp-session-id", "ignored")], json!({})),
        ("tools/list", vec![("accept", "application/json")], json!({})),
    ];
    for (method, headers, params) in table {
        let reply = post(&bench, method, &headers, params).await;
        assert_eq!(reply.status, StatusCode::OK, "{method} {headers:?}: {}", reply.body);
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("mcp-session-id"), None);
        assert!(reply.json()["result"].is_object());
    }
    let requests = bench.core.requests.lock().unwrap();
    assert!(requests.iter().all(|(caller, _)| caller.era == Era::Modern && caller.session.is_none()));
}

#[tokio::test]
async fn a_duplicate_header_is_refused() {
    let bench = Bench::new();
    let headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/list")];
    let mut request = Bench::request("POST", "/mcp", &headers, &body("tools/list", json!({})));
    request.headers_mut().append("mcp-method", "tools/list".parse().unwrap());
    assert_eq!(bench.send(request).await.code(), -32020);
}

#[tokio::test]
async fn one_server_is_reached_by_its_own_url() {
    let bench = Bench::new();
    let headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/list")];
    bench.send(Bench::request("POST", "/mcp/a", &headers, &body("tools/list", json!({})))).await;
    assert_eq!(bench.core.requests.lock().unwrap()[0].0.endpoint, Endpoint::Server(name("a")));
}

#[tokio::test]
async fn notifications_are_taken_and_responses_are_not() {
    let bench = Bench::new();
    let version = [("mcp-protocol-version", "2026-07-28")];
    let post = |body: &'static str| bench.post(&version, body);
    assert_eq!(post(r#"{"jsonrpc":"2.0","method":"notifications/x"}"#).await.status, StatusCode::ACCEPTED);
    assert_eq!(bench.core.notifications.lock().unwrap().len(), 1);
    // Could be somebody else's request.
    let cancelled = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#;
    assert_eq!(post(cancelled).await.status, StatusCode::ACCEPTED);
    assert_eq!(bench.core.notifications.lock().unwrap().len(), 1);
    let reply = post(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#).await;
    assert_eq!((reply.status, reply.code()), (StatusCode::BAD_REQUEST, json!(-32600)));
    assert_eq!(post("[]").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn notifications_of_a_request_come_as_events_before_the_answer() {
    let bench = Bench::new();
    let params = json!({"name": "progress"});
    let reply = post(&bench, "tools/call", &[("mcp-name", "progress")], params.clone()).await;
    let events = reply.events();
    assert_eq!(events.len(), 3, "{}", reply.body);
    assert_eq!(events[0]["params"]["progress"], 1);
    assert_eq!(events[2]["id"], 7);
    let only_json = [("mcp-name", "progress"), ("accept", "application/json")];
    assert_eq!(post(&bench, "tools/call", &only_json, params.clone()).await.json()["id"], 7);
    let only_events = [("mcp-name", "progress"), ("accept", "text/event-stream")];
    assert_eq!(post(&bench, "tools/call", &only_events, params).await.events().len(), 3);
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_its_request() {
    let bench = Bench::new();
    let headers =
        [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "wait")];
    let request = Bench::request("POST", "/mcp", &headers, &body("tools/call", json!({"name": "wait"})));
    let answering = tokio::time::timeout(std::time::Duration::from_millis(100), bench.raw(request));
    assert!(answering.await.is_err());
    assert_eq!(*bench.core.waited.lock().unwrap(), ["cancelled"]);
}

async fn listen(bench: &Bench, filter: Value) -> Body {
    let headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "subscriptions/listen")];
    let body = body("subscriptions/listen", json!({"notifications": filter}));
    let response = bench.raw(Bench::request("POST", "/mcp", &headers, &body)).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    response.into_body()
}

fn event(chunk: Option<String>) -> Value {
    serde_json::from_str(chunk.unwrap().strip_prefix("data: ").unwrap()).unwrap()
}

#[tokio::test]
async fn a_listen_stream_acknowledges_then_tells_what_was_asked_for() {
    let bench = Bench::new();
    let filter = json!({"toolsListChanged": true, "resourceSubscriptions": ["x:1", "unwatchable:2"]});
    let mut stream = listen(&bench, filter).await;
    let id = json!({"io.modelcontextprotocol/subscriptionId": 7});
    let first = event(chunk(&mut stream).await);
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(
        first["params"]["notifications"],
        json!({"toolsListChanged": true, "resourceSubscriptions": ["x:1"]})
    );
    assert_eq!(first["params"]["_meta"], id);
    bench.core.updated("unwatchable:2");
    bench.core.updated("x:1");
    let second = event(chunk(&mut stream).await);
    assert_eq!((&second["params"]["uri"], &second["params"]["_meta"]), (&json!("x:1"), &id));
    bench.core.tools_changed();
    assert_eq!(event(chunk(&mut stream).await)["method"], "notifications/tools/list_changed");
    drop(stream);
    until(|| !bench.core.ended.lock().unwrap().is_empty()).await;
}

#[tokio::test]
async fn a_listen_stream_ends_with_an_answer_when_the_proxy_stops() {
    let bench = Bench::new();
    let mut stream = listen(&bench, json!({})).await;
    chunk(&mut stream).await;
    bench.front.stop.cancel();
    let last = event(chunk(&mut stream).await);
    assert_eq!((&last["id"], &last["result"]["resultType"]), (&json!(7), &json!("complete")));
    assert_eq!(chunk(&mut stream).await, None);
}

#[tokio::test]
async fn a_listen_stream_that_missed_events_is_told_that_everything_changed() {
    let bench = Bench::new();
    let mut stream = listen(&bench, json!({"promptsListChanged": true})).await;
    chunk(&mut stream).await;
    (0..100).for_each(|_| bench.core.tools_changed());
    assert_eq!(event(chunk(&mut stream).await)["method"], "notifications/prompts/list_changed");
}

#[tokio::test]
async fn a_wrong_filter_is_refused() {
    let bench = Bench::new();
    for filter in
        [json!(1), json!({"toolsListChanged": "yes"}), json!({"resourceSubscriptions": "x"}), json!(null)]
    {
        let reply = post(&bench, "subscriptions/listen", &[], json!({"notifications": filter})).await;
        assert_eq!((reply.status, reply.code()), (StatusCode::BAD_REQUEST, json!(-32602)), "{filter}");
    }
}
