//! HTTP/2 without TLS, on the port of HTTP/1.1: it works, and what HTTP/1.1 bounds is bounded.

use super::connections::{INITIALIZE, Served, serve, user_mode};
use crate::front::identity::{Identity, Token, Trust};
use crate::front::scripted::{TOKEN, until};
use crate::limits::{
    HTTP_GOODBYE_TIME_MAX, HTTP_GUEST_TIME_MAX, HTTP_HEADER_BYTES_MAX, HTTP_HEADER_TIME_MAX,
    HTTP2_EXCHANGES_MAX, HTTP2_RESETS_MAX, HTTP2_STREAMS_MAX,
};
use axum::body::Body;
use http::{Request, Response, StatusCode, Version};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const MODERN_WAIT: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"wait","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

struct Client {
    sender: SendRequest<Body>,
}

impl Client {
    async fn connect(served: &Served) -> Self {
        let stream = TcpStream::connect(served.address).await.unwrap();
        // Where time stands still, nothing may wait in the kernel.
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self { sender }
    }

    async fn send(&mut self, request: Request<Body>) -> hyper::Result<Response<Incoming>> {
        self.sender.ready().await?;
        self.sender.send_request(request).await
    }

    async fn status(&mut self, request: Request<Body>) -> u16 {
        self.send(request).await.unwrap().status().as_u16()
    }
}

fn post(headers: &[(&str, &str)], body: &str) -> Request<Body> {
    let request = Request::post("http://localhost/mcp").version(Version::HTTP_2);
    let request = request.header("content-type", "application/json");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(Body::from(body.to_owned())).unwrap()
}

fn waiting() -> Request<Body> {
    let headers =
        [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "wait")];
    post(&headers, MODERN_WAIT)
}

async fn text(response: Response<Incoming>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn a_client_shakes_hands_and_many_requests_share_one_connection() {
    let served = serve(user_mode()).await;
    let mut client = Client::connect(&served).await;
    let response = client.send(post(&[], INITIALIZE)).await.unwrap();
    assert_eq!((response.status(), response.version()), (StatusCode::OK, Version::HTTP_2));
    let session = response.headers()["mcp-session-id"].to_str().unwrap().to_owned();
    assert!(text(response).await.contains("2025-11-25"));
    let waits = client.sender.clone().send_request(waiting());
    let waits = tokio::spawn(waits);
    until(|| served.core.requests.lock().unwrap().len() == 2).await;
    let ping = r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#;
    let answered = client.send(post(&[("mcp-session-id", &session)], ping)).await.unwrap();
    assert!(text(answered).await.contains("\"id\":2"), "one that waits keeps no other one waiting");
    served.core.release.notify_one();
    assert!(text(waits.await.unwrap().unwrap()).await.contains("waited"));
    let get = Request::get("http://localhost/mcp").header("mcp-session-id", &session);
    let mut stream = client.send(get.body(Body::empty()).unwrap()).await.unwrap().into_body();
    let priming = stream.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(priming.starts_with(b"id: s"), "{priming:?}");
    served.core.tools_changed();
    let event = stream.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(String::from_utf8_lossy(&event).contains("list_changed"));
}

#[tokio::test]
async fn taking_a_request_back_or_leaving_cancels_a_modern_call() {
    let served = serve(user_mode()).await;
    let mut client = Client::connect(&served).await;
    let call = tokio::spawn(client.sender.clone().send_request(waiting()));
    until(|| served.core.requests.lock().unwrap().len() == 1).await;
    call.abort();
    until(|| *served.core.waited.lock().unwrap() == ["cancelled"]).await;
    assert_eq!(client.status(post(&[], INITIALIZE)).await, 200, "the connection goes on");
    let mut block = vec![0x83];
    block.extend_from_slice(&head()[1..2]);
    for (name, value) in [
        (":path", "/mcp"),
        (":authority", "localhost"),
        ("content-type", "application/json"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "wait"),
    ] {
        let length = |text: &str| u8::try_from(text.len()).unwrap();
        block.extend([0, length(name)].iter().chain(name.as_bytes()));
        block.extend([length(value)].iter().chain(value.as_bytes()));
    }
    let mut bytes = frame(1, 0x4, 1, &block);
    bytes.extend(frame(0, 0x1, 1, MODERN_WAIT.as_bytes()));
    let stream = raw(&served, &bytes).await;
    until(|| served.core.requests.lock().unwrap().len() == 3).await;
    drop(stream);
    until(|| *served.core.waited.lock().unwrap() == ["cancelled", "cancelled"]).await;
    let mut places = Vec::new();
    while let Ok(place) = served.front.admit_exchange() {
        places.push(place);
    }
    assert_eq!(places.len(), HTTP2_EXCHANGES_MAX, "each place is free again");
}

#[tokio::test]
async fn who_may_come_in_is_the_same() {
    let served = serve(user_mode().owned_by(nix::unistd::geteuid().as_raw() + 1)).await;
    let mut client = Client::connect(&served).await;
    assert_eq!(client.status(post(&[], INITIALIZE)).await, 401);
    let bearer = format!("Bearer {TOKEN}");
    assert_eq!(client.status(post(&[("authorization", &bearer)], INITIALIZE)).await, 200);
    let own = serve(user_mode()).await;
    let mut client = Client::connect(&own).await;
    for (uri, host, status) in [
        ("http://evil.example/mcp", None, 403),
        ("http://evil.example/mcp", Some("localhost"), 400),
        ("http://localhost/mcp", Some("evil.example"), 400),
        ("http://localhost/mcp", Some("localhost"), 200),
        ("http://user@localhost/mcp", None, 403),
    ] {
        let mut request = post(&[], INITIALIZE);
        *request.uri_mut() = uri.parse().unwrap();
        if let Some(host) = host {
            request.headers_mut().insert("host", host.parse().unwrap());
        }
        let response = client.send(request).await;
        assert_eq!(response.map(|response| response.status().as_u16()).ok(), Some(status), "{uri} {host:?}");
    }
}

#[tokio::test]
async fn too_many_or_too_long_headers_are_refused() {
    let served = serve(user_mode()).await;
    let mut client = Client::connect(&served).await;
    let names: Vec<String> = (0..100).map(|number| format!("x-{number}")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (&**name, "x")).collect();
    let response = client.send(post(&many, INITIALIZE)).await.unwrap();
    assert_eq!(response.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    assert!(text(response).await.contains("64 header lines"));
    let long = "x".repeat(HTTP_HEADER_BYTES_MAX);
    let refused = client.send(post(&[("x-long", &long)], INITIALIZE)).await;
    assert!(!refused.is_ok_and(|response| response.status().is_success()));
    let mut next = Client::connect(&served).await;
    assert_eq!(next.status(post(&[], INITIALIZE)).await, 200);
}

#[tokio::test]
async fn one_connection_has_a_bounded_number_of_requests_and_so_have_all_together() {
    let served = serve(user_mode()).await;
    let mut client = Client::connect(&served).await;
    client.status(post(&[], INITIALIZE)).await;
    let limit = HTTP2_STREAMS_MAX as usize;
    let calls: Vec<_> =
        (0..limit + 8).map(|_| tokio::spawn(client.sender.clone().send_request(waiting()))).collect();
    until(|| served.core.requests.lock().unwrap().len() == limit + 1).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(served.core.requests.lock().unwrap().len(), limit + 1, "the others wait at the client");
    let mut places = Vec::new();
    while let Ok(place) = served.front.admit_exchange() {
        places.push(place);
    }
    assert_eq!(places.len(), HTTP2_EXCHANGES_MAX - limit);
    let mut other = Client::connect(&served).await;
    assert_eq!(other.status(post(&[], INITIALIZE)).await, 503);
    drop(places);
    assert_eq!(other.status(post(&[], INITIALIZE)).await, 200);
    drop(calls);
}

/// One frame: its kind, flags, stream and payload.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut out = vec![length[1], length[2], length[3], kind, flags];
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
    out
}

/// Sends bytes after the preface and our empty settings.
async fn raw(served: &Served, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let mut all = PREFACE.to_vec();
    all.extend(frame(4, 0, 0, &[]));
    all.extend_from_slice(bytes);
    stream.write_all(&all).await.unwrap();
    stream
}

/// The error code of the GOAWAY that ends a connection.
async fn goodbye(stream: &mut TcpStream) -> Option<u32> {
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.ok()?;
        let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
        stream.read_exact(&mut payload).await.ok()?;
        if head[3] == 7 {
            return Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
        }
    }
}

/// The head of a `GET http://localhost/healthz`, from HPACK's static table and literals.
fn head() -> Vec<u8> {
    let mut block = vec![0x82, 0x86, 0x04, 8];
    block.extend_from_slice(b"/healthz");
    block.extend_from_slice(&[0x01, 9]);
    block.extend_from_slice(b"localhost");
    block
}

#[tokio::test]
async fn requests_that_are_taken_back_at_once_end_the_connection() {
    let served = serve(user_mode()).await;
    let mut bytes = Vec::new();
    for number in 0..u32::try_from(10 * HTTP2_RESETS_MAX).unwrap() {
        bytes.extend(frame(1, 0x5, 2 * number + 1, &head()));
        bytes.extend(frame(3, 0, 2 * number + 1, &8_u32.to_be_bytes()));
    }
    let mut stream = raw(&served, &bytes).await;
    let ended = tokio::time::timeout(Duration::from_secs(5), goodbye(&mut stream)).await.unwrap();
    assert_eq!(ended, Some(0xb), "ENHANCE_YOUR_CALM");
    assert_eq!(Client::connect(&served).await.status(post(&[], INITIALIZE)).await, 200);
}

#[tokio::test]
async fn headers_that_never_end_and_nonsense_end_the_connection() {
    let served = serve(user_mode()).await;
    let mut endless = frame(1, 0, 1, &head());
    (0..1000).for_each(|_| endless.extend(frame(9, 0, 1, &[0x40, 1, b'x', 1, b'x'])));
    for bytes in [endless, frame(1, 0x4, 2, &head()), frame(4, 0, 0, &[1]), vec![0xff; 64]] {
        let mut stream = raw(&served, &bytes).await;
        let ended = tokio::time::timeout(Duration::from_secs(5), goodbye(&mut stream)).await;
        assert_ne!(ended.expect("it goes on"), Some(0));
    }
    assert_eq!(Client::connect(&served).await.status(post(&[], INITIALIZE)).await, 200);
}

/// Lets time pass until the other side has closed; how long that took.
async fn closed_after(mut stream: TcpStream) -> Duration {
    let start = tokio::time::Instant::now();
    let mut rest = [0; 1024];
    while !matches!(stream.read(&mut rest).await, Ok(0) | Err(_)) {}
    start.elapsed()
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_or_half_of_it_is_not_waited_for() {
    let served = serve(user_mode()).await;
    let limit = HTTP_HEADER_TIME_MAX + HTTP_HEADER_TIME_MAX / 4 + HTTP_GOODBYE_TIME_MAX;
    let silent = TcpStream::connect(served.address).await.unwrap();
    assert!(closed_after(silent).await <= limit);
    let mut half = TcpStream::connect(served.address).await.unwrap();
    half.write_all(&PREFACE[..10]).await.unwrap();
    assert!(closed_after(half).await <= limit);
    let idle = raw(&served, &[]).await;
    assert!(closed_after(idle).await <= limit);
    let half_a_head = raw(&served, &frame(1, 0, 1, &head())).await;
    assert!(closed_after(half_a_head).await <= limit);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_ended_even_if_its_client_answers_pings_and_a_busy_one_is_not() {
    let served = serve(user_mode()).await;
    let mut client = Client::connect(&served).await;
    let call = tokio::spawn(client.sender.clone().send_request(waiting()));
    tokio::time::sleep(10 * HTTP_HEADER_TIME_MAX).await;
    assert_eq!(client.status(post(&[], INITIALIZE)).await, 200);
    served.core.release.notify_one();
    assert!(text(call.await.unwrap().unwrap()).await.contains("waited"));
    let start = tokio::time::Instant::now();
    while !client.sender.is_closed() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    // It is looked at each second here, and says goodbye before it ends.
    let slack = HTTP_HEADER_TIME_MAX / 4 + HTTP_GOODBYE_TIME_MAX + Duration::from_secs(2);
    let range = HTTP_HEADER_TIME_MAX..HTTP_HEADER_TIME_MAX + slack;
    assert!(range.contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_stranger_has_the_same_short_time() {
    let served = serve(Identity::new(Trust::Nobody, Token::of(TOKEN), PathBuf::new())).await;
    let stream = raw(&served, &[]).await;
    assert!(closed_after(stream).await <= HTTP_GUEST_TIME_MAX + Duration::from_secs(1));
}

#[tokio::test]
async fn the_order_to_stop_lets_a_call_finish() {
    let served = serve(user_mode()).await;
    let mut client = Client::connect(&served).await;
    client.status(post(&[], INITIALIZE)).await;
    let call = tokio::spawn(client.sender.clone().send_request(waiting()));
    until(|| served.core.requests.lock().unwrap().len() == 2).await;
    served.stop.cancel();
    served.tasks.close();
    served.core.release.notify_one();
    assert!(text(call.await.unwrap().unwrap()).await.contains("waited"));
    tokio::time::timeout(Duration::from_secs(5), served.tasks.wait()).await.expect("something goes on");
}
