//! One question to the running daemon over its admin socket: HTTP/1.1 on a Unix socket.

use super::directories::Directories;
use super::exit_code::Exit;
use super::failure::Failure;
use super::limits::{CONTEXT_BYTES_MAX, STATUS_BYTES_MAX};
use bytes::Bytes;
use http::Method;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::net::UnixStream;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens on the socket.
    #[error("no daemon runs")]
    NoDaemon,
    /// The socket is another user's.
    #[error("the daemon belongs to another user")]
    NotOurs,
    /// It did not answer in time.
    #[error("no answer within {0:?}")]
    Late(Duration),
    /// It answered with this status.
    #[error("answered {0}")]
    Refused(http::StatusCode),
    /// The conversation broke.
    #[error("{0}")]
    Broken(String),
}

/// `GET /status`, raw.
///
/// # Errors
/// [`AskError`] says why there is no answer.
pub fn status(socket: &Path, patience: Duration) -> Result<Bytes, AskError> {
    ask(socket, Method::GET, "/status", patience, STATUS_BYTES_MAX)
}

/// `GET /context`, raw.
///
/// # Errors
/// [`AskError`] says why there is no answer.
pub fn context(socket: &Path, patience: Duration) -> Result<Bytes, AskError> {
    ask(socket, Method::GET, "/context", patience, CONTEXT_BYTES_MAX)
}

/// `POST /reload`, raw.
///
/// # Errors
/// [`AskError`] says why there is no answer.
pub fn reload(socket: &Path, patience: Duration) -> Result<Bytes, AskError> {
    ask(socket, Method::POST, "/reload", patience, STATUS_BYTES_MAX)
}

fn ask(
    socket: &Path,
    method: Method,
    path: &str,
    patience: Duration,
    bytes_max: usize,
) -> Result<Bytes, AskError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| AskError::Broken(cause.to_string()))?;
    runtime.block_on(async {
        tokio::time::timeout(patience, exchange(socket, method, path, bytes_max))
            .await
            .unwrap_or(Err(AskError::Late(patience)))
    })
}

async fn exchange(socket: &Path, method: Method, path: &str, bytes_max: usize) -> Result<Bytes, AskError> {
    let stream = UnixStream::connect(socket).await.map_err(|cause| match cause.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => AskError::NoDaemon,
        io::ErrorKind::PermissionDenied => AskError::NotOurs,
        _ => AskError::Broken(cause.to_string()),
    })?;
    let broken = |cause: hyper::Error| AskError::Broken(cause.to_string());
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let driver = tokio::spawn(connection);
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::HOST, "localhost")
        .body(Empty::<Bytes>::new())
        .map_err(|cause| AskError::Broken(cause.to_string()))?;
    let response = sender.send_request(request).await.map_err(broken)?;
    if !response.status().is_success() {
        return Err(AskError::Refused(response.status()));
    }
    let body = Limited::new(response.into_body(), bytes_max).collect().await;
    driver.abort();
    body.map(http_body_util::Collected::to_bytes).map_err(|cause| AskError::Broken(cause.to_string()))
}

/// The failure a person reads.
#[must_use]
pub fn failure(error: &AskError, directories: &Directories) -> Failure {
    let place = directories.runtime.display();
    match error {
        AskError::NoDaemon => directories.no_daemon(),
        AskError::NotOurs => {
            Failure::new(Exit::Permission, format!("the daemon in {place} belongs to another user"))
                .help("one that systemd runs answers root: try again with sudo")
        }
        AskError::Late(_) | AskError::Refused(_) | AskError::Broken(_) => {
            Failure::new(Exit::Unavailable, format!("the daemon in {place} gives no answer: {error}"))
                .help(directories.where_it_says_more())
        }
    }
}
