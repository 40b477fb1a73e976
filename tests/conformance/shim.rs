//! What a client that knows the prefix does, for a suite that does not: names gain `SERVER__` on their way in and lose
//! it on their way out. Nothing else is touched, so the suite judges the aggregate endpoint itself.

use serde_json::Value;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

/// A place in front of the aggregate endpoint where the names of one server have no prefix.
pub struct Shim {
    /// Where it listens.
    pub address: String,
}

impl Shim {
    /// Listens until the process ends. One connection, one request.
    pub fn start(daemon: &str, server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (daemon, prefix) = (daemon.to_owned(), format!("{server}__"));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (daemon, prefix) = (daemon.clone(), prefix.clone());
                thread::spawn(move || relay(client, &daemon, &prefix));
            }
        });
        Self { address }
    }
}

/// One request and its answer; a connection that breaks on one side is broken on the other.
fn relay(mut client: TcpStream, daemon: &str, prefix: &str) -> Option<()> {
    let (head, body) = request(&mut client)?;
    let mut server = TcpStream::connect(daemon).ok()?;
    server.write_all(&renamed(&head, &body, prefix)).ok()?;
    let (mut watched, closing) = (client.try_clone().ok()?, server.try_clone().ok()?);
    thread::spawn(move || {
        // A client that goes away closes its request.
        let _ = watched.read(&mut [0]);
        let _ = closing.shutdown(std::net::Shutdown::Both);
    });
    let token = format!("\"name\":\"{prefix}");
    // As long as what it stands for, so that no length and no chunk changes.
    let plain = format!("{:width$}\"name\":\"", "", width = prefix.len());
    let mut held = Vec::new();
    let mut buffer = [0; 64 * 1024];
    loop {
        let read = server.read(&mut buffer).unwrap_or(0);
        held.extend_from_slice(buffer.get(..read)?);
        let ready = replace(&mut held, token.as_bytes(), plain.as_bytes(), read == 0);
        if client.write_all(&ready).is_err() || read == 0 {
            let _ = client.shutdown(std::net::Shutdown::Both);
            return None;
        }
    }
}

/// Takes what can go on, changed; the beginning of a token stays until its rest has come.
fn replace(held: &mut Vec<u8>, token: &[u8], plain: &[u8], is_end: bool) -> Vec<u8> {
    let mut at = 0;
    while let Some(window) = held.get_mut(at..at + token.len()) {
        if window == token {
            window.copy_from_slice(plain);
        }
        at += 1;
    }
    let longest = (1..token.len()).rev().find(|length| held.ends_with(&token[..*length]));
    let stays = if is_end { 0 } else { longest.unwrap_or(0) };
    let rest = held.split_off(held.len() - stays);
    std::mem::replace(held, rest)
}

/// The lines of the head, and the body.
fn request(client: &mut TcpStream) -> Option<(Vec<String>, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 64 * 1024];
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        let read = client.read(&mut buffer).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&buffer[..read]);
    };
    let head: Vec<String> = String::from_utf8_lossy(&bytes[..end]).lines().map(str::to_owned).collect();
    let length = value(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = bytes.split_off(end + 4);
    while body.len() < length {
        let read = client.read(&mut buffer).ok().filter(|read| *read > 0)?;
        body.extend_from_slice(&buffer[..read]);
    }
    Some((head, body))
}

fn value<'a>(head: &'a [String], name: &str) -> Option<&'a str> {
    let mut fields = head.iter().filter_map(|line| line.split_once(':'));
    fields.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// The request as one who knows the prefix writes it.
fn renamed(head: &[String], body: &[u8], prefix: &str) -> Vec<u8> {
    let named = |method: &str| matches!(method, "tools/call" | "prompts/get");
    let message = serde_json::from_slice::<Value>(body).ok();
    let body = match message {
        None => body.to_vec(),
        Some(mut message) => {
            let pointer = match message["method"].as_str().unwrap_or_default() {
                method if named(method) => "/params/name",
                "completion/complete" => "/params/ref/name",
                _ => "",
            };
            match message.pointer_mut(pointer) {
                Some(Value::String(name)) => {
                    name.insert_str(0, prefix);
                    message.to_string().into_bytes()
                }
                _ => body.to_vec(),
            }
        }
    };
    let has_names = value(head, "mcp-method").is_some_and(named);
    let mut text = String::new();
    for line in head {
        let (key, rest) = line.split_once(':').unwrap_or((line, ""));
        match key.to_ascii_lowercase().as_str() {
            "content-length" | "connection" => {}
            "mcp-name" if has_names => text.push_str(&format!("{key}: {prefix}{}\r\n", rest.trim())),
            _ => text.push_str(&format!("{line}\r\n")),
        }
    }
    text.push_str(&format!("connection: close\r\ncontent-length: {}\r\n\r\n", body.len()));
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(&body);
    bytes
}
