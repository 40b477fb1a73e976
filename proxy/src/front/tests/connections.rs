//! Real loopback connections: who is let in without a token, limits of HTTP itself, and their end.

use crate::core::status::Status;
use crate::front::identity::sock_diag::SockDiag;
use crate::front::identity::{Identity, Token, Trust};
use crate::front::scripted::{Scripted, TOKEN, until};
use crate::front::{Front, accept, connection, http};
use crate::limits::HTTP_GUESTS_MAX;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(super) struct Served {
    pub(super) core: Arc<Scripted>,
    pub(super) front: Arc<Front<Scripted>>,
    pub(super) address: SocketAddr,
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
}

pub(super) async fn serve(identity: Identity) -> Served {
    let (core, stop, tasks) = (Scripted::new(), CancellationToken::new(), TaskTracker::new());
    let front = Arc::new(Front::new(Arc::clone(&core), identity, stop.clone()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = http::router(Arc::clone(&front));
    tasks.spawn(accept::tcp(Arc::clone(&front), listener, router, tasks.clone()));
    Served { core, front, address, stop, tasks }
}

pub(super) fn user_mode() -> Identity {
    Identity::new(Trust::OwnUser(SockDiag::open().unwrap()), Token::of(TOKEN), PathBuf::new())
}

fn post(headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
}

pub(super) const INITIALIZE: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#;

/// Sends this and gives the first bytes of what comes back.
async fn ask(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 16 * 1024];
    let length =
        tokio::time::timeout(Duration::from_secs(5), stream.read(&mut answer)).await.unwrap().unwrap();
    String::from_utf8(answer[..length].to_vec()).unwrap()
}

async fn ask_once(served: &Served, request: &str) -> String {
    ask(&mut TcpStream::connect(served.address).await.unwrap(), request).await
}

#[tokio::test]
async fn in_user_mode_our_own_processes_need_no_token() {
    let served = serve(user_mode()).await;
    assert!(ask_once(&served, &post("", INITIALIZE)).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn in_user_mode_another_users_processes_need_the_token() {
    // As if the proxy ran as somebody else: the kernel names our real uid, which is not its own.
    let served = serve(user_mode().owned_by(nix::unistd::geteuid().as_raw() + 1)).await;
    assert!(ask_once(&served, &post("", INITIALIZE)).await.starts_with("HTTP/1.1 401"));
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    assert!(ask_once(&served, &post(&bearer, INITIALIZE)).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn idle_connections_of_strangers_keep_nobody_out() {
    let served = serve(user_mode().owned_by(nix::unistd::geteuid().as_raw() + 1)).await;
    let mut idle = Vec::new();
    for _ in 0..HTTP_GUESTS_MAX {
        idle.push(TcpStream::connect(served.address).await.unwrap());
    }
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    assert!(ask(&mut stream, &post(&bearer, INITIALIZE)).await.starts_with("HTTP/1.1 200"));
    assert_eq!(idle[0].read(&mut [0; 1]).await.unwrap(), 0, "the oldest had to go");
    for _ in 0..=HTTP_GUESTS_MAX {
        idle.push(TcpStream::connect(served.address).await.unwrap());
    }
    assert!(ask(&mut stream, &post(&bearer, INITIALIZE)).await.starts_with("HTTP/1.1 200"), "it stays");
}

#[tokio::test]
async fn elsewhere_everybody_needs_the_token() {
    let served = serve(Identity::new(Trust::Nobody, Token::of(TOKEN), PathBuf::new())).await;
    assert!(ask_once(&served, &post("", INITIALIZE)).await.starts_with("HTTP/1.1 401"));
}

#[tokio::test]
async fn a_connection_serves_several_requests() {
    let served = serve(user_mode()).await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    for _ in 0..3 {
        assert!(ask(&mut stream, &post("", INITIALIZE)).await.starts_with("HTTP/1.1 200"));
    }
}

#[tokio::test]
async fn too_many_or_too_long_headers_are_refused() {
    let served = serve(user_mode()).await;
    let many: String = (0..100).map(|number| format!("X-{number}: x\r\n")).collect();
    assert!(ask_once(&served, &post(&many, INITIALIZE)).await.starts_with("HTTP/1.1 431"));
    let long = format!("X-Long: {}\r\n", "x".repeat(64 * 1024));
    assert!(ask_once(&served, &post(&long, INITIALIZE)).await.starts_with("HTTP/1.1 431"));
}

#[tokio::test]
async fn closing_the_connection_cancels_a_modern_request() {
    let served = serve(user_mode()).await;
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"wait","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let headers = "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: wait\r\n";
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(post(headers, body).as_bytes()).await.unwrap();
    until(|| served.core.requests.lock().unwrap().len() == 1).await;
    drop(stream);
    until(|| *served.core.waited.lock().unwrap() == ["cancelled"]).await;
}

#[tokio::test]
async fn the_order_to_stop_ends_idle_connections_and_refuses_new_ones() {
    let served = serve(user_mode()).await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    ask(&mut stream, &post("", INITIALIZE)).await;
    served.stop.cancel();
    served.tasks.close();
    tokio::time::timeout(Duration::from_secs(5), served.tasks.wait()).await.expect("something goes on");
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
    assert!(TcpStream::connect(served.address).await.is_err());
}

#[tokio::test]
async fn the_operator_asks_for_the_status_and_prometheus_for_metrics() {
    for (path, content_type, part) in [
        ("/status", "application/json", "{\"version\":\"x\","),
        ("/context", "application/json", "{\"servers\":[]}"),
        ("/metrics", "text/plain; version=0.0.4", "\nonly1mcp_info{version=\"x\",mode=\"user\"} 1\n"),
    ] {
        let (ours, theirs) = tokio::net::UnixStream::pair().unwrap();
        let status = async || Status { version: "x", mode: "user", ..Status::default() };
        let context = async || "{\"servers\":[]}".to_owned();
        let router = crate::front::admin::router(status, context, async || Ok((1, 0)));
        tokio::spawn(connection::serve(
            theirs,
            router,
            connection::Visitor::default(),
            CancellationToken::new(),
        ));
        let (mut reader, mut writer) = ours.into_split();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        writer.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        reader.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(part), "{answer}");
        assert!(answer.contains(&format!("content-type: {content_type}\r\n")), "{answer}");
    }
}
