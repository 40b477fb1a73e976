//! Which answers are compressed, and that requests may not be.

use crate::front::compression::Routers;
use crate::front::http;
use crate::front::identity::Peer;
use crate::front::scripted::Bench;
use axum::body::Body;
use axum::response::Response;
use flate2::read::GzDecoder;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::io::Read;
use tower::ServiceExt;

const HERE: &str = "127.0.0.1:8080";
const ELSEWHERE: &str = "192.0.2.1:8080";

fn call(tool: &str) -> String {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let params = json!({"name": tool, "_meta": meta});
    json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}).to_string()
}

async fn ask(bench: &Bench, local: &str, tool: &str, accept: &str) -> Response {
    let headers = [
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", tool),
        ("accept-encoding", accept),
    ];
    let mut request = Bench::request("POST", "/mcp", &headers, &call(tool));
    let peer = Peer { local: local.parse().unwrap(), uid: None };
    request.extensions_mut().insert(peer);
    let router = Routers::new(http::router(bench.front.clone())).of(&peer);
    router.oneshot(request).await.unwrap()
}

fn coding(response: &Response) -> Option<&str> {
    response.headers().get("content-encoding").map(|value| value.to_str().unwrap())
}

async fn bytes(body: Body) -> Vec<u8> {
    body.collect().await.unwrap().to_bytes().to_vec()
}

#[tokio::test]
async fn long_answers_are_compressed_for_clients_elsewhere_that_want_it() {
    let bench = Bench::new();
    let response = ask(&bench, ELSEWHERE, "long", "br, gzip, deflate").await;
    assert_eq!(
        (coding(&response), &response.headers()["vary"]),
        (Some("gzip"), &"accept-encoding".parse().unwrap())
    );
    assert_eq!(response.headers()["content-type"], "application/json");
    let sent = bytes(response.into_body()).await;
    let mut text = String::new();
    GzDecoder::new(&sent[..]).read_to_string(&mut text).unwrap();
    let plain = bytes(ask(&bench, ELSEWHERE, "long", "").await.into_body()).await;
    assert!(sent.len() < plain.len() / 10, "{} of {}", sent.len(), plain.len());
    assert_eq!(text.as_bytes(), plain);
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["id"], 7);
}

#[tokio::test]
async fn nothing_else_is_compressed() {
    let bench = Bench::new();
    for (local, tool, accept) in [
        (HERE, "long", "gzip"),
        ("[::ffff:127.0.0.1]:8080", "long", "gzip"),
        ("[::1]:8080", "long", "gzip"),
        (ELSEWHERE, "long", ""),
        (ELSEWHERE, "long", "gzip;q=0, br"),
        (ELSEWHERE, "long", "nonsense, ;;q=,gz ip"),
        (ELSEWHERE, "echo", "gzip"),
        (ELSEWHERE, "too long", "gzip"),
        // Event streams.
        (ELSEWHERE, "progress", "gzip"),
        (ELSEWHERE, "large", "gzip"),
    ] {
        let response = ask(&bench, local, tool, accept).await;
        assert_eq!((response.status().as_u16(), coding(&response)), (200, None), "{local} {tool} {accept}");
    }
}

#[tokio::test]
async fn a_compressed_request_is_refused_with_the_reason() {
    let bench = Bench::new();
    let reply = bench.post(&[("content-encoding", "gzip")], "\u{1f}").await;
    assert_eq!(reply.status.as_u16(), 415);
    let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
    assert_eq!(message, "Content-Encoding: compressed requests are not taken, send the message as it is");
}
