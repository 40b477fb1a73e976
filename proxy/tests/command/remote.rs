//! `only1mcp stdio --url`: lines in and out, HTTP in between.

use crate::fakes::{Fakes, Proxy, text};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Output, Stdio};

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#;
const CALL: &str = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"x"}}"#;

/// A server with a thread for each connection: JSON for `initialize`, a stream for anything else, and a
/// refusal without the right token.
fn serve(listener: &TcpListener) {
    for connection in listener.incoming() {
        std::thread::spawn(|| answer_all(connection.unwrap()));
    }
}

fn answer_all(mut connection: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let head = head.to_lowercase();
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next());
        let mut body = vec![0; length.and_then(|length| length.parse().ok()).unwrap_or(0)];
        reader.read_exact(&mut body)?;
        connection.write_all(answer(&head, &body).as_bytes())?;
    }
}

fn answer(head: &str, body: &[u8]) -> String {
    let message: Value = serde_json::from_slice(body).unwrap_or_default();
    if !head.contains("authorization: bearer secret") {
        return "HTTP/1.1 401 Unauthorized\r\ncontent-length: 8\r\n\r\nno token".to_owned();
    }
    if message["method"] == "initialize" {
        let body =
            json!({"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-06-18"}}).to_string();
        let fields =
            format!("content-type: application/json\r\nmcp-session-id: s1\r\ncontent-length: {}", body.len());
        return format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n{body}");
    }
    if message.is_null() {
        return "HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\n\r\n".to_owned();
    }
    let settled = head.contains("mcp-session-id: s1") && head.contains("mcp-protocol-version: 2025-06-18");
    let response = json!({"jsonrpc": "2.0", "id": message["id"], "result": {"settled": settled}});
    let progress = json!({"jsonrpc": "2.0", "method": "notifications/progress"});
    let body = format!(": hello\n\ndata: {progress}\n\ndata: {response}\n\n");
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn relayed(token: &str, lines: &[&str]) -> Output {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    std::thread::spawn(move || serve(&listener));
    let fakes = Fakes::new(&Proxy::Stays);
    let mut command = fakes.command(&["stdio", "--url", &url]);
    let mut child = command.env("ONLY1MCP_TOKEN", token).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(format!("{}\n", lines.join("\n")).as_bytes()).unwrap();
    drop(stdin);
    child.wait_with_output().unwrap()
}

#[test]
fn json_and_streams_become_lines_and_the_handshake_is_kept() {
    let output = relayed("secret", &[INITIALIZE, CALL]);
    let said = text(&output.stdout);
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3, "{said}");
    assert_eq!(lines[0]["result"]["protocolVersion"], "2025-06-18");
    assert_eq!(lines[1]["method"], "notifications/progress");
    assert_eq!(lines[2], json!({"jsonrpc": "2.0", "id": 2, "result": {"settled": true}}));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_refusal_answers_the_request_it_belongs_to() {
    let output = relayed("wrong", &[CALL]);
    let line: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(line["id"], 2);
    assert!(
        line["error"]["message"].as_str().unwrap().ends_with("answered 401 Unauthorized: no token"),
        "{line}"
    );
}
