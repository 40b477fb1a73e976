//! The fronts against a scripted core: what any client meets before the families part.

use super::scripted::Bench;
use http::StatusCode;

mod compression;
mod connections;
mod http2;
mod legacy;
mod modern;
mod relay;
mod resume;

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// Method, path, headers, body, status.
type Row = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static str, u16);

#[tokio::test]
async fn refuses_what_the_transport_does_not_allow() {
    let bench = Bench::new();
    let table: &[Row] = &[
        ("POST", "/mcp", &[("host", "evil.example")], PING, 403),
        ("POST", "/mcp", &[("origin", "http://evil.example")], PING, 403),
        ("GET", "/mcp", &[("host", "evil.example")], "", 403),
        ("POST", "/mcp", &[("authorization", "")], PING, 401),
        ("POST", "/mcp", &[("authorization", "Bearer wrong")], PING, 401),
        ("DELETE", "/mcp", &[("authorization", "")], "", 401),
        ("POST", "/mcp/nobody", &[], PING, 404),
        ("POST", "/mcp/..%2F..", &[], PING, 404),
        ("POST", "/other", &[], PING, 404),
        ("POST", "/mcp", &[("content-type", "text/plain")], PING, 415),
        ("POST", "/mcp", &[("content-type", "")], PING, 415),
        ("POST", "/mcp", &[("content-encoding", "gzip")], PING, 415),
        ("POST", "/mcp", &[("content-encoding", "identity, br")], PING, 415),
        ("POST", "/mcp", &[("content-encoding", "Identity")], PING, 400),
        ("POST", "/mcp", &[("accept", "text/html")], PING, 406),
        ("PUT", "/mcp", &[], PING, 405),
        ("HEAD", "/mcp", &[], "", 405),
        ("OPTIONS", "/mcp", &[], "", 405),
        ("GET", "/mcp", &[("mcp-protocol-version", "2026-07-28")], "", 405),
        ("DELETE", "/mcp", &[("mcp-protocol-version", "2026-07-28")], "", 405),
        ("POST", "/mcp", &[("content-length", "16777217")], PING, 413),
        ("GET", "/healthz", &[("authorization", ""), ("host", "any")], "", 200),
        ("GET", "/readyz", &[("authorization", ""), ("host", "any")], "", 200),
    ];
    for (method, path, headers, body, status) in table {
        let reply = bench.send(Bench::request(method, path, headers, body)).await;
        assert_eq!(reply.status, *status, "{method} {path} {headers:?}: {}", reply.body);
    }
}

#[tokio::test]
async fn refuses_bodies_that_are_no_messages() {
    let bench = Bench::new();
    for (body, code) in [("", -32700), ("{", -32700), ("nonsense", -32700), ("7", -32600), ("{}", -32600)] {
        let reply = bench.post(&[], body).await;
        assert_eq!((reply.status, reply.code()), (StatusCode::BAD_REQUEST, code.into()), "{body}");
        assert!(reply.json().get("id").is_none());
    }
    let deep = "[".repeat(10_000);
    assert_eq!(bench.post(&[], &deep).await.code(), -32700);
}

#[tokio::test]
async fn refuses_a_body_over_the_limit_whose_length_was_not_declared() {
    let bench = Bench::new();
    let body = " ".repeat(crate::limits::CLIENT_MESSAGE_BYTES_MAX + 1);
    assert_eq!(bench.post(&[], &body).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn tells_where_the_token_is() {
    let bench = Bench::new();
    let reply = bench.post(&[("authorization", "")], PING).await;
    assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
    assert_eq!(reply.body, "send the header 'Authorization: Bearer TOKEN' with the token in /state/token\n");
}

#[tokio::test]
async fn names_the_server_that_does_not_exist() {
    let reply = Bench::new().send(Bench::request("POST", "/mcp/nobody", &[], PING)).await;
    assert_eq!(reply.json()["error"]["message"], "no server of the name \"nobody\" is configured");
}
