//! Reads what a server writes, line by line, and hands each line to whom it belongs.

use crate::exchange::List;
use crate::limits::{JUNK_LINES_MAX, QUOTED_BYTES_MAX, READ_BYTES, READER_GONE_WAIT, SERVER_LINE_BYTES_MAX};
use crate::mcp::envelope::{Envelope, Outcome};
use crate::mcp::error::{INVALID_REQUEST, RpcError, result_response};
use crate::mcp::level::Level;
use crate::mcp::object::{Keys, Object, cut};
use crate::mcp::request::unfold;
use crate::servers::connection::Connection;
use crate::servers::pending::{Asker, Reply, ReplyKind, Stream};
use crate::servers::server_request::ServerRequest;
use crate::servers::spawn::Reading;
use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::io::AsyncReadExt as _;

/// Reads until the server or the connection ends, then closes the connection.
pub async fn run(connection: Arc<Connection>, mut stdout: Reading) {
    let reason = tokio::select! {
        reason = read_lines(&connection, &mut stdout) => reason,
        () = connection.closed() => return,
    };
    if !connection.pending.is_empty() {
        let _ = tokio::time::timeout(READER_GONE_WAIT, connection.outbox.reader_gone()).await;
    }
    connection.close(&reason);
}

async fn read_lines(connection: &Arc<Connection>, stdout: &mut Reading) -> String {
    let mut buffer = BytesMut::with_capacity(READ_BYTES);
    loop {
        let searched = buffer.len();
        buffer.reserve(READ_BYTES);
        match stdout.read_buf(&mut buffer).await {
            Ok(0) => return "it closed its standard output".to_owned(),
            Ok(_) => {}
            Err(error) => return format!("its standard output cannot be read: {error}"),
        }
        let mut from = searched;
        while let Some(at) = memchr::memchr(b'\n', buffer.get(from..).unwrap_or_default()) {
            let line = buffer.split_to(from + at + 1);
            from = 0;
            if !take_line(connection, line) {
                return format!(
                    "it wrote more than {JUNK_LINES_MAX} lines to its standard output that are no messages"
                );
            }
        }
        if buffer.len() > SERVER_LINE_BYTES_MAX {
            return format!("it wrote a line of more than {SERVER_LINE_BYTES_MAX} bytes");
        }
    }
}

/// Hands one line on. False if there has been too much junk.
fn take_line(connection: &Arc<Connection>, mut line: BytesMut) -> bool {
    unfold(&mut line);
    if line.trim_ascii().is_empty() {
        return true;
    }
    let line = line.freeze();
    let envelope = Envelope::parse(&line);
    connection.counters.messages.fetch_add(u64::from(envelope.is_ok()), Ordering::Relaxed);
    match envelope {
        Ok(Envelope::Response { id, outcome }) => take_response(connection, &line, id, outcome),
        Ok(Envelope::Request { id, method, params }) => take_request(connection, id, &method, params),
        Ok(Envelope::Notification { method, params }) => take_notification(connection, &method, params),
        Err(error) => {
            let count = connection.counters.junk_lines.fetch_add(1, Ordering::Relaxed) + 1;
            tracing::debug!(%error, count, "a line of standard output is no message");
            return count <= JUNK_LINES_MAX;
        }
    }
    true
}

fn take_response(connection: &Connection, line: &Bytes, id: Option<&str>, outcome: Outcome<'_>) {
    let entry = id.and_then(|id| id.parse().ok()).and_then(|id| connection.pending.remove(id));
    let Some(entry) = entry else {
        connection.counters.unknown_answers.fetch_add(1, Ordering::Relaxed);
        return;
    };
    let reply = match outcome {
        Outcome::Result(body) => Reply::new(line, body, ReplyKind::Result),
        Outcome::Error(body) => Reply::new(line, body, ReplyKind::Error),
        Outcome::Invalid => Reply::new(line, "", ReplyKind::Invalid),
    };
    // Whoever waited may have gone in this very moment.
    let _ = entry.reply.send(reply);
}

/// Hands on what a server asks of its client: to the one call it can belong to, else to whoever knows more.
fn take_request(connection: &Arc<Connection>, id: &str, method: &str, params: Option<&str>) {
    if method == "ping" {
        let mut line = Vec::from(result_response(id, "{}"));
        line.push(b'\n');
        return connection.write(&line);
    }
    connection.counters.requests.fetch_add(1, Ordering::Relaxed);
    let (call, requests) = match connection.pending.asker() {
        Asker::One(call, requests) => (Some(call), Some(requests)),
        Asker::Nobody | Asker::Several => (None, None),
    };
    let request = match ServerRequest::open(connection, id, method, params, call) {
        Ok(request) => request,
        Err(why) => return refuse(connection, id, method, why),
    };
    match requests {
        // A call that looks at nothing more declines what it drops.
        Some(requests) => drop(requests.try_send(request)),
        None => connection.notices.asked(request),
    }
}

fn refuse(connection: &Connection, id: &str, method: &str, why: &str) {
    let method = cut(method, QUOTED_BYTES_MAX);
    if connection.counters.declined.fetch_add(1, Ordering::Relaxed) == 0 {
        let pid = connection.spawned.pid;
        tracing::info!(pid, method, why, "declined a request of a server; further ones are only counted");
    }
    let mut line = Vec::from(RpcError::new(INVALID_REQUEST, why).response(id));
    line.push(b'\n');
    connection.write(&line);
}

fn take_notification(connection: &Connection, method: &str, params: Option<&str>) {
    match method {
        "notifications/progress" => progress(connection, params),
        "notifications/message" => log_line(connection, method, params.unwrap_or("{}")),
        "notifications/tools/list_changed" => list_changed(connection, List::Tools),
        "notifications/prompts/list_changed" => list_changed(connection, List::Prompts),
        "notifications/resources/list_changed" => list_changed(connection, List::Resources),
        "notifications/cancelled" => withdraw(connection, params),
        "notifications/resources/updated" => {
            let object = params.and_then(|params| Object::parse(params, Keys::Exact).ok());
            if let Some(uri) = object.and_then(|object| object.get_text("uri")) {
                connection.cache.resource_updated(&uri);
                connection.notices.resource_updated(&uri);
            }
        }
        _ => unknown(connection, method, params),
    }
}

fn list_changed(connection: &Connection, list: List) {
    connection.cache.list_changed(list);
    connection.notices.list_changed(list);
}

/// An extension's, or one newer than we are: to the one client it can be meant for.
fn unknown(connection: &Connection, method: &str, params: Option<&str>) {
    match connection.pending.only_stream() {
        Some(stream) => pass_on(connection, &stream, method, params),
        None => pass_by(connection, method, params),
    }
}

/// To whoever knows whose the whole process is.
fn pass_by(connection: &Connection, method: &str, params: Option<&str>) {
    let mut message = crate::mcp::request::message(None, method, params);
    message.pop();
    match connection.backlog.admit_apart(message) {
        Some(message) => connection.notices.said(message),
        None => dropped(connection),
    }
}

/// The server no longer wants to know what it asked.
fn withdraw(connection: &Connection, params: Option<&str>) {
    let object = params.and_then(|params| Object::parse(params, Keys::Exact).ok());
    let id = object.as_ref().and_then(|object| object.get("requestId"));
    if !id.is_some_and(|id| connection.open_requests.withdraw(id)) {
        dropped(connection);
    }
}

/// Gives progress to the client that asked, under its own token.
fn progress(connection: &Connection, params: Option<&str>) {
    let object = params.and_then(|params| Object::parse(params, Keys::Exact).ok());
    let Some(object) = object else { return dropped(connection) };
    let id = object.get("progressToken").and_then(|raw| raw.parse().ok());
    let Some(stream) = id.and_then(|id| connection.pending.progress(id)) else { return dropped(connection) };
    let Some(token) = &stream.progress_token else { return dropped(connection) };
    let mut edit = object.edit();
    edit.set("progressToken", token.to_string());
    pass_on(connection, &stream, "notifications/progress", Some(&edit.finish()));
}

fn log_line(connection: &Connection, method: &str, params: &str) {
    let object = Object::parse(params, Keys::Exact).ok();
    let level = object.and_then(|object| Level::of(&object.get_text("level")?));
    match connection.pending.only_stream_for(level.unwrap_or(Level::ALL)) {
        Some(stream) => pass_on(connection, &stream, method, Some(params)),
        None => pass_by(connection, method, Some(params)),
    }
}

fn pass_on(connection: &Connection, stream: &Stream, method: &str, params: Option<&str>) {
    let mut message = crate::mcp::request::message(None, method, params);
    message.pop();
    // A client that reads too slowly misses progress, never its answer.
    let sent = connection.backlog.admit(message).map(|message| stream.sender.try_send(message));
    if !matches!(sent, Some(Ok(()))) {
        dropped(connection);
    }
}

fn dropped(connection: &Connection) {
    connection.counters.dropped_notifications.fetch_add(1, Ordering::Relaxed);
}
