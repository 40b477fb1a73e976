//! `only1mcp stdio`: one client on standard input and output.

use crate::{SERVERS, both_eras};
use harness::daemon::Daemon;
use harness::mcp::{message, modern_meta};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

struct Relay {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Relay {
    fn start(daemon: &Daemon) -> Self {
        let mut command = daemon.command(&["stdio"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, stdin, stdout }
    }

    fn send(&mut self, message: &Value) {
        writeln!(self.stdin, "{message}").unwrap();
    }

    /// The answer to the request of this id; notifications before it are skipped.
    fn answer(&mut self, id: u64) -> Value {
        loop {
            let mut line = String::new();
            assert!(self.stdout.read_line(&mut line).unwrap() > 0, "the relay ended");
            let message: Value = serde_json::from_str(&line).unwrap();
            if message["id"] == id {
                return message;
            }
        }
    }
}

#[test]
fn a_legacy_client_works_over_the_relay() {
    let daemon = both_eras();
    let mut relay = Relay::start(&daemon);
    let client = json!({"name": "tests", "version": "1"});
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
    relay.send(&message(1, "initialize", &params));
    assert_eq!(relay.answer(1)["result"]["protocolVersion"], "2025-11-25");
    relay.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    for (id, server) in (2..).zip(SERVERS) {
        let call = json!({"name": format!("{server}__echo"), "arguments": {"text": server}});
        relay.send(&message(id, "tools/call", &call));
        assert_eq!(relay.answer(id)["result"]["content"][0]["text"], server);
    }
    drop(relay.stdin);
    let code = harness::run::wait(&mut relay.child, std::time::Duration::from_secs(10));
    assert_eq!(code, Some(0), "the relay ends with its client");
}

#[test]
fn a_modern_client_works_over_the_relay() {
    let daemon = both_eras();
    let mut relay = Relay::start(&daemon);
    relay.send(&message(1, "server/discover", &json!({"_meta": modern_meta()})));
    assert_eq!(relay.answer(1)["result"]["resultType"], "complete");
    relay.send(&message(2, "tools/list", &json!({"_meta": modern_meta()})));
    assert!(relay.answer(2)["result"]["tools"].as_array().is_some_and(|tools| tools.len() > 20));
    let call = json!({"name": "new__add", "arguments": {"a": 20, "b": 22}, "_meta": modern_meta()});
    relay.send(&message(3, "tools/call", &call));
    assert_eq!(relay.answer(3)["result"]["content"][0]["text"], "42");
    let _ = relay.child.kill();
    let _ = relay.child.wait();
}
