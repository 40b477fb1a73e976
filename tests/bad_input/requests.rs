//! Requests that are wrong: unknown names, contradicting headers, broken and oversized bodies.

use harness::configuration::Configuration;
use harness::daemon::Daemon;
use harness::golden;
use harness::http::Response;
use harness::mcp::{Endpoint, message};
use serde_json::{Value, json};
use std::fmt::Write;

const OVERSIZED_BYTES: usize = 40 * 1024 * 1024;
const NESTED_LEVELS: usize = 5_000;

fn daemon() -> Daemon {
    Daemon::start(&Configuration::new().fixture("good", ""))
}

/// A modern `tools/call` of `good__echo`, changed by the test before it is sent.
fn changed(daemon: &Daemon, change: impl FnOnce(&mut Vec<(&'static str, String)>, &mut Value)) -> Response {
    let params = json!({"name": "good__echo", "arguments": {"text": "x"}});
    let (mut headers, mut body) = Endpoint::modern_parts("tools/call", &params);
    change(&mut headers, &mut body);
    daemon.endpoint().send(&headers, &body)
}

fn header(headers: &mut Vec<(&'static str, String)>, name: &str, value: Option<&str>) {
    match value {
        Some(value) => {
            headers.iter_mut().filter(|(key, _)| *key == name).for_each(|(_, old)| value.clone_into(old))
        }
        None => headers.retain(|(key, _)| *key != name),
    }
}

fn body(daemon: &Daemon, bytes: &[u8]) -> Response {
    let (headers, _) = Endpoint::modern_parts("tools/list", &json!({}));
    let headers: Vec<(&str, &str)> = headers.iter().map(|(key, value)| (*key, value.as_str())).collect();
    daemon.endpoint().post(&headers, bytes)
}

/// One bad request: its name, its answer, the status and code it must have, and a word its message must hold.
type Case = (&'static str, Response, u16, i64, &'static str);

#[expect(clippy::too_many_lines, reason = "a table")]
fn cases(daemon: &Daemon) -> Vec<Case> {
    let version = "io.modelcontextprotocol/protocolVersion";
    let capabilities = "io.modelcontextprotocol/clientCapabilities";
    let nested = format!("{}{}", "[".repeat(NESTED_LEVELS), "]".repeat(NESTED_LEVELS));
    let deep = message(1, "tools/list", &json!({"deep": 0})).to_string().replace(":0", &format!(":{nested}"));
    let endpoint = daemon.endpoint();
    vec![
        ("unknown server", endpoint.server("nobody").modern("tools/list", &json!({})), 404, 404, "nobody"),
        ("unknown tool", endpoint.call("good__nothing", &json!({})), 200, -32602, "good__nothing"),
        ("tool of an unknown server", endpoint.call("nobody__echo", &json!({})), 200, -32602, "nobody__echo"),
        (
            "unknown prompt",
            endpoint.modern("prompts/get", &json!({"name": "good__no"})),
            200,
            -32602,
            "good__no",
        ),
        (
            "unknown resource",
            endpoint.modern("resources/read", &json!({"uri": "test://no"})),
            200,
            -32602,
            "not found",
        ),
        ("unknown method", endpoint.modern("tools/destroy", &json!({})), 404, -32601, "tools/destroy"),
        (
            "unknown version",
            changed(daemon, |headers, body| {
                header(headers, "MCP-Protocol-Version", Some("2099-01-01"));
                body["params"]["_meta"][version] = json!("2099-01-01");
            }),
            400,
            -32022,
            "2099-01-01",
        ),
        (
            "version in header and body differ",
            changed(daemon, |headers, _| header(headers, "MCP-Protocol-Version", Some("2025-11-25"))),
            400,
            -32020,
            "mcp-protocol-version",
        ),
        (
            "method in header and body differ",
            changed(daemon, |headers, _| header(headers, "Mcp-Method", Some("tools/list"))),
            400,
            -32020,
            "mcp-method",
        ),
        (
            "name in header and body differ",
            changed(daemon, |headers, _| header(headers, "Mcp-Name", Some("good__crash"))),
            400,
            -32020,
            "mcp-name",
        ),
        (
            "no method header",
            changed(daemon, |headers, _| header(headers, "Mcp-Method", None)),
            400,
            -32020,
            "mcp-method",
        ),
        (
            "two method headers",
            changed(daemon, |headers, _| headers.push(("Mcp-Method", "tools/call".to_owned()))),
            400,
            -32020,
            "mcp-method",
        ),
        (
            "no client capabilities",
            changed(daemon, |_, body| {
                drop(body["params"]["_meta"].as_object_mut().unwrap().remove(capabilities))
            }),
            400,
            -32602,
            "clientCapabilities",
        ),
        ("not JSON", body(daemon, b"{\"jsonrpc\": "), 400, -32700, "JSON"),
        ("empty body", body(daemon, b""), 400, -32700, "JSON"),
        (
            "not UTF-8",
            body(daemon, b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\xfe\"}"),
            400,
            -32700,
            "UTF-8",
        ),
        ("not an object", body(daemon, b"42"), 400, -32600, ""),
        (
            "not JSON-RPC 2.0",
            body(daemon, br#"{"jsonrpc":"1.0","id":1,"method":"tools/list"}"#),
            400,
            -32600,
            "2.0",
        ),
        ("deeply nested", body(daemon, deep.as_bytes()), 400, -32700, ""),
    ]
}

#[test]
fn each_bad_request_gets_its_status_its_code_and_one_clear_message() {
    let daemon = daemon();
    let mut table = String::new();
    let mut wrong = Vec::new();
    for (name, response, status, code, word) in cases(&daemon) {
        let error = response.messages().last().map_or(Value::Null, |answer| answer["error"].clone());
        let text = error["message"].as_str().unwrap_or_default().to_owned();
        if (response.status, error["code"].as_i64()) != (status, Some(code)) || !text.contains(word) {
            wrong.push(format!("{name}: wanted {status} {code} {word:?}: {response:?}"));
        }
        let _ = writeln!(table, "{name}\n    {} {}: {text}", response.status, error["code"]);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(daemon.endpoint().call_text("good__echo", &json!({"text": "still here"})), "still here");
    golden::check("bad-requests.txt", &table);
}

#[test]
fn an_oversized_body_is_refused_before_it_is_kept() {
    let daemon = daemon();
    let response = body(&daemon, &vec![b' '; OVERSIZED_BYTES]);
    assert_eq!(response.status, 413, "{response:?}");
    assert!(response.body.contains("bytes"), "the text names the limit: {response:?}");
    assert_eq!(daemon.endpoint().call_text("good__echo", &json!({"text": "still here"})), "still here");
}

#[test]
fn other_content_types_and_other_accepted_types_are_refused() {
    let daemon = daemon();
    let (headers, body) = Endpoint::modern_parts("tools/list", &json!({}));
    let status = |extra: (&'static str, &str)| {
        let mut headers = headers.clone();
        headers.push((extra.0, extra.1.to_owned()));
        daemon.endpoint().send(&headers, &body).status
    };
    assert_eq!(status(("Content-Type", "text/plain")), 415);
    assert_eq!(status(("Accept", "text/html")), 406);
}

#[test]
fn broken_http_gets_an_answer_or_an_end_and_harms_nobody() {
    let daemon = daemon();
    let address = daemon.endpoint().address;
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GET\r\n\r\n",
        b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /mcp HTTP/9.9\r\n\r\n",
    ] {
        if let Ok(response) = harness::http::raw(&address, bytes) {
            assert!(response.status >= 400, "{response:?}");
        }
    }
    let huge = format!("POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: {}\r\n\r\n", "x".repeat(2_000_000));
    if let Ok(response) = harness::http::raw(&address, huge.as_bytes()) {
        assert!(response.status >= 400, "{response:?}");
    }
    assert_eq!(daemon.endpoint().call_text("good__echo", &json!({"text": "still here"})), "still here");
}

#[test]
fn a_legacy_client_gets_errors_of_its_own_era() {
    let daemon = daemon();
    let session = daemon.endpoint().legacy();
    let code =
        |method: &str, params: Value| session.request(3, method, &params).json()["error"]["code"].as_i64();
    assert_eq!(code("no/such", json!({})), Some(-32601));
    assert_eq!(code("tools/call", json!({"name": "good__nothing", "arguments": {}})), Some(-32602));
    assert!(matches!(code("resources/read", json!({"uri": "test://no"})), Some(-32002 | -32602)));
    assert_eq!(code("tools/call", json!({"arguments": {}})), Some(-32602));
}
