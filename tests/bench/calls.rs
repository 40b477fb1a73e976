//! One call at a time to the same fixture server: on a bare pipe, and through the daemon; and an empty axum handler.

use crate::{milliseconds, quantile};
use harness::configuration::Configuration;
use harness::daemon::Daemon;
use harness::mcp::{Endpoint, message, modern_meta};
use harness::programs;
use serde_json::json;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const WARM_UP: usize = 200;

/// Prints the table.
pub fn print(calls: usize) {
    let pipe = times(calls, &mut bare_pipe());
    let handler = times(calls, &mut empty_handler());
    let daemon = Daemon::start(&Configuration::new().fixture("server", "--era modern"));
    let proxy = times(
        calls,
        &mut through(
            &daemon.endpoint().server("server"),
            &json!({"name": "echo", "arguments": {"text": "x"}}),
        ),
    );
    println!("one call at a time, {calls} calls       p50 ms    p99 ms");
    let row = |name: &str, times: &[Duration]| {
        let (p50, p99) = (milliseconds(quantile(times, 0.5)), milliseconds(quantile(times, 0.99)));
        println!("{name:<36} {p50:>8.3} {p99:>9.3}");
        (p50, p99)
    };
    let pipe = row("bare pipe to the server", &pipe);
    let handler = row("empty axum handler over HTTP", &handler);
    let proxy = row("through only1mcp over HTTP", &proxy);
    let added = (proxy.0 - pipe.0 - handler.0, proxy.1 - pipe.1 - handler.1);
    println!("{:<36} {:>8.3} {:>9.3}", "added by only1mcp", added.0, added.1);
    println!(
        "{:<36} {:>8.2} {:>9.2}",
        "ratio to pipe + handler",
        proxy.0 / (pipe.0 + handler.0),
        proxy.1 / (pipe.1 + handler.1)
    );
}

/// Sorted times of `calls` calls, after a warm-up.
fn times(calls: usize, call: &mut dyn FnMut()) -> Vec<Duration> {
    (0..WARM_UP).for_each(|_| call());
    let mut times: Vec<Duration> = (0..calls)
        .map(|_| {
            let start = Instant::now();
            call();
            start.elapsed()
        })
        .collect();
    times.sort();
    times
}

#[expect(clippy::zombie_processes, reason = "it ends with its input, when this program ends")]
fn bare_pipe() -> impl FnMut() {
    let mut command = Command::new(programs::fixture());
    command.args(["--era", "modern"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("start the fixture");
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (mut stdin, mut stdout) = (stdin.expect("stdin"), BufReader::new(stdout.expect("stdout")));
    let params = json!({"name": "echo", "arguments": {"text": "x"}, "_meta": modern_meta()});
    let request = format!("{}\n", message(1, "tools/call", &params));
    let mut line = String::new();
    move || {
        stdin.write_all(request.as_bytes()).expect("write to the fixture");
        line.clear();
        assert!(
            stdout.read_line(&mut line).expect("read from the fixture") > 0,
            "{:?} ended",
            child.try_wait()
        );
    }
}

/// A server of nothing but axum's routing, in a thread of this process.
fn empty_handler() -> impl FnMut() {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
            sender.send(listener.local_addr().expect("an address").to_string()).expect("tell the address");
            let handler = axum::routing::post(|_: axum::body::Bytes| async { "{}" });
            axum::serve(listener, axum::Router::new().route("/mcp", handler)).await.expect("serve");
        });
    });
    let address = receiver.recv().expect("an address");
    let endpoint = Endpoint { address, path: "/mcp".to_owned(), token: None };
    through(&endpoint, &json!({"name": "echo", "arguments": {"text": "x"}}))
}

/// Calls over one HTTP connection that is kept.
fn through(endpoint: &Endpoint, params: &serde_json::Value) -> impl FnMut() + use<> {
    let (headers, body) = Endpoint::modern_parts("tools/call", params);
    let mut headers: Vec<(&str, &str)> = headers.iter().map(|(key, value)| (*key, value.as_str())).collect();
    headers.push(("Connection", "keep-alive"));
    let request = endpoint.request("POST", &headers, body.to_string().as_bytes());
    let stream = TcpStream::connect(&endpoint.address).expect("connect");
    stream.set_nodelay(true).expect("no delay");
    let mut reader = BufReader::new(stream);
    move || {
        reader.get_mut().write_all(&request).expect("write a request");
        read_response(&mut reader);
    }
}

fn read_response(reader: &mut BufReader<TcpStream>) {
    let (mut length, mut chunked, mut line) = (0, false, String::new());
    loop {
        line.clear();
        assert!(reader.read_line(&mut line).expect("read a header") > 0, "the connection was closed");
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        chunked |= lower.starts_with("transfer-encoding:") && lower.contains("chunked");
        if line == "\r\n" {
            break;
        }
    }
    if !chunked {
        reader.read_exact(&mut vec![0; length]).expect("read a body");
        return;
    }
    loop {
        line.clear();
        reader.read_line(&mut line).expect("read a chunk's size");
        let size = usize::from_str_radix(line.trim(), 16).expect("a chunk's size");
        reader.read_exact(&mut vec![0; size + 2]).expect("read a chunk");
        if size == 0 {
            return;
        }
    }
}
