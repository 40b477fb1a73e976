//! `stdio --url URL`: relays one client to an only1mcp (or any MCP server) that speaks streamable HTTP.
//!
//! Each line of the client becomes one POST; what comes back, as JSON or as a stream of events, becomes
//! lines again. Nothing in a message is changed.

pub mod events;
pub mod message;

use crate::command::exit_code::Exit;
use crate::command::failure::Failure;
use crate::command::limits::{
    REMOTE_ANSWER_BYTES_MAX, REMOTE_FAREWELL, REMOTE_LINES_MAX, REMOTE_REQUESTS_MAX, STDIO_DRAIN,
};
use crate::mcp::error::{RpcError, SERVER_UNAVAILABLE};
use bytes::Bytes;
use events::Events;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use message::{Kind, Message, members, text};
use std::io::{self, BufRead, Write};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::task::TaskTracker;

/// Environment variable with the bearer token for the other side.
const TOKEN_VARIABLE: &str = "ONLY1MCP_TOKEN";
const SESSION: &str = "mcp-session-id";
const VERSION: &str = "mcp-protocol-version";
const EVENT_STREAM: &str = "text/event-stream";

/// Relays until the client closes its end and all answers are out.
///
/// # Errors
/// When the URL cannot be used.
pub fn run(url: &str) -> Result<Exit, Failure> {
    let remote = Arc::new(Remote::new(url)?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| Failure::new(Exit::Internal, format!("cannot start the runtime: {cause}")))?;
    runtime.block_on(relay(remote));
    Ok(Exit::Ok)
}

/// The other side, and what it told us at the handshake.
struct Remote {
    client: Client<HttpConnector, Full<Bytes>>,
    uri: Uri,
    token: Option<HeaderValue>,
    handshake: Mutex<Handshake>,
}

/// What a legacy handshake settles. Modern clients leave it empty.
#[derive(Clone, Debug, Default)]
struct Handshake {
    session: Option<HeaderValue>,
    version: Option<HeaderValue>,
}

impl Remote {
    fn new(url: &str) -> Result<Self, Failure> {
        let uri: Uri = url
            .parse()
            .map_err(|cause| Failure::new(Exit::Usage, format!("{url:?} is not a URL: {cause}")))?;
        if uri.scheme_str() != Some("http") || uri.host().is_none() {
            return Err(Failure::new(Exit::Unavailable, format!("{url}: only http:// is built yet"))
                .help("for https, point the client at the URL itself, or open a tunnel such as `ssh -L`"));
        }
        let token = std::env::var(TOKEN_VARIABLE).ok().map(|token| bearer(&token)).transpose()?;
        let client = Client::builder(TokioExecutor::new()).build_http();
        Ok(Self { client, uri, token, handshake: Mutex::default() })
    }

    fn handshake(&self) -> Handshake {
        self.handshake.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn settle(&self, change: impl FnOnce(&mut Handshake)) {
        change(&mut self.handshake.lock().unwrap_or_else(PoisonError::into_inner));
    }

    async fn send(
        &self,
        method: Method,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Incoming>, String> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = headers;
        let handshake = self.handshake();
        let own = [
            (ACCEPT.as_str(), Some(HeaderValue::from_static("application/json, text/event-stream"))),
            (CONTENT_TYPE.as_str(), Some(HeaderValue::from_static("application/json"))),
            (AUTHORIZATION.as_str(), self.token.clone()),
            (SESSION, handshake.session),
        ];
        for (name, value) in own.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            request.headers_mut().insert(name, value);
        }
        if let (None, Some(version)) = (request.headers().get(VERSION), handshake.version) {
            request.headers_mut().insert(VERSION, version);
        }
        self.client.request(request).await.map_err(|cause| chain(&cause))
    }
}

/// An error and its causes: the outermost alone says only that the request failed.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text += &format!(": {inner}");
        cause = inner.source();
    }
    text
}

fn bearer(token: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
        .map_err(|_| Failure::new(Exit::Data, format!("{TOKEN_VARIABLE} holds no token")))?;
    value.set_sensitive(true);
    Ok(value)
}

async fn relay(remote: Arc<Remote>) {
    let (lines, written) = mpsc::channel(REMOTE_LINES_MAX);
    let writer = tokio::spawn(write(written));
    let tasks = TaskTracker::new();
    // The stream of what is no answer lasts as long as the session: it is not waited for.
    let mut listening = None;
    let permits = Arc::new(Semaphore::new(REMOTE_REQUESTS_MAX));
    let mut client = client_lines();
    while let Some(line) = client.recv().await {
        let Some(message) = Message::parse(line) else { continue };
        let waits = message.kind != Kind::Request;
        let handshake = message.kind == Kind::Handshake;
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { break };
        let post = {
            let (remote, lines) = (Arc::clone(&remote), lines.clone());
            async move {
                exchange(&remote, message, &lines).await;
                drop(permit);
            }
        };
        // Requests may overtake each other; what they rest on may not be overtaken.
        if waits {
            post.await;
        } else {
            tasks.spawn(post);
        }
        if handshake && remote.handshake().session.is_some() {
            listening = Some(tokio::spawn(listen(Arc::clone(&remote), lines.clone())));
        }
    }
    tasks.close();
    // Past that time nobody reads the answers.
    let answered = tokio::time::timeout(STDIO_DRAIN, tasks.wait()).await.is_ok();
    if let Some(listening) = listening {
        listening.abort();
        // Courtesy, and not for long: an unused session ends by itself.
        let farewell = remote.send(Method::DELETE, HeaderMap::new(), Bytes::new());
        let _ = tokio::time::timeout(REMOTE_FAREWELL, farewell).await;
    }
    drop(lines);
    if answered {
        // It ends with the last sender, or when the client reads no more.
        let _ = tokio::time::timeout(STDIO_DRAIN, writer).await;
    }
}

/// The client's lines, read by a thread of their own: it may wait for a client that says no more.
fn client_lines() -> mpsc::Receiver<String> {
    let (said, lines) = mpsc::channel(REMOTE_LINES_MAX);
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if said.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

async fn write(mut lines: mpsc::Receiver<Bytes>) {
    while let Some(line) = lines.recv().await {
        let mut stdout = io::stdout().lock();
        let written =
            stdout.write_all(&line).and_then(|()| stdout.write_all(b"\n")).and_then(|()| stdout.flush());
        if written.is_err() {
            return;
        }
    }
}

/// One message and all that comes back for it. A request is always answered, if only with an error.
async fn exchange(remote: &Remote, message: Message, lines: &mpsc::Sender<Bytes>) {
    let refusal = match remote.send(Method::POST, message.headers(), message.body()).await {
        Ok(response) => answer(remote, &message, response, lines).await.err(),
        Err(cause) => Some(format!("cannot reach {}: {cause}", remote.uri)),
    };
    let Some(why) = refusal else { return };
    match &message.id {
        Some(id) => {
            // Fails only when nobody reads any more.
            let _ = lines.send(RpcError::new(SERVER_UNAVAILABLE, why).response(id)).await;
        }
        None => eprintln!("only1mcp: {why}"),
    }
}

async fn answer(
    remote: &Remote,
    message: &Message,
    response: Response<Incoming>,
    lines: &mpsc::Sender<Bytes>,
) -> Result<(), String> {
    let status = response.status();
    let session = response.headers().get(SESSION).cloned();
    let handshake = message.kind == Kind::Handshake;
    if handshake && session.is_some() {
        remote.settle(|settled| settled.session = session);
    }
    let seen = |line: &Bytes| {
        if handshake {
            remote.settle(|settled| settled.version = settled.version.take().or_else(|| negotiated(line)));
        }
    };
    if is_stream(&response) {
        return stream(response.into_body(), lines, seen).await;
    }
    let body = Limited::new(response.into_body(), REMOTE_ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|cause| format!("the answer broke: {cause}"))?.to_bytes();
    match one_line(&body) {
        Some(line) => {
            seen(&line);
            let _ = lines.send(line).await;
            Ok(())
        }
        None if status == StatusCode::ACCEPTED || (status.is_success() && message.id.is_none()) => Ok(()),
        None => Err(format!("{} answered {status}: {}", remote.uri, String::from_utf8_lossy(&body).trim())),
    }
}

fn is_stream(response: &Response<Incoming>) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with(EVENT_STREAM))
}

/// A JSON-RPC message on one line; pretty-printed ones are put on one.
fn one_line(body: &Bytes) -> Option<Bytes> {
    members(std::str::from_utf8(body).ok()?).get("jsonrpc")?;
    // Between the values of JSON a line may end, inside of a text it cannot.
    let is_break = |byte: &u8| matches!(byte, b'\n' | b'\r');
    if !body.iter().any(is_break) {
        return Some(body.clone());
    }
    Some(body.iter().map(|byte| if is_break(byte) { b' ' } else { *byte }).collect())
}

/// The revision that an answer to `initialize` settles.
fn negotiated(line: &Bytes) -> Option<HeaderValue> {
    let result = *members(std::str::from_utf8(line).ok()?).get("result")?;
    HeaderValue::from_str(&text(&members(result.get()), "protocolVersion")?).ok()
}

async fn stream(
    mut body: Incoming,
    lines: &mpsc::Sender<Bytes>,
    seen: impl Fn(&Bytes),
) -> Result<(), String> {
    let mut events = Events::default();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|cause| format!("the stream broke: {cause}"))?;
        let Some(data) = frame.data_ref() else { continue };
        for event in events.feed(data)? {
            let Some(line) = one_line(&event) else { continue };
            seen(&line);
            let _ = lines.send(line).await;
        }
    }
    Ok(())
}

/// What a legacy server says unasked: a stream of its own, where it offers one.
async fn listen(remote: Arc<Remote>, lines: mpsc::Sender<Bytes>) {
    let Ok(response) = remote.send(Method::GET, HeaderMap::new(), Bytes::new()).await else { return };
    if response.status().is_success() && is_stream(&response) {
        // It may end whenever the server likes.
        let _ = stream(response.into_body(), &lines, |_| {}).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_http_is_built_and_the_mend_is_named() {
        for (url, exit) in
            [("https://x/mcp", Exit::Unavailable), ("/mcp", Exit::Unavailable), ("http://[", Exit::Usage)]
        {
            assert_eq!(Remote::new(url).err().unwrap().exit, exit, "{url}");
        }
    }

    #[test]
    fn a_message_over_several_lines_becomes_one_line() {
        let body = Bytes::from("{\n \"jsonrpc\": \"2.0\"\n}");
        assert_eq!(one_line(&body).unwrap(), String::from_utf8_lossy(&body).replace('\n', " "));
        let number = Bytes::from("{\"jsonrpc\":\"2.0\",\n\"result\":1e999}");
        assert_eq!(one_line(&number).unwrap(), "{\"jsonrpc\":\"2.0\", \"result\":1e999}");
        assert_eq!(one_line(&Bytes::from("<html>")), None);
        assert_eq!(one_line(&Bytes::from("{\"error\":1}")), None);
    }
}
