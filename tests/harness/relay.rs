//! `only1mcp stdio` as a client starts it.

use crate::daemon::Daemon;
use crate::mcp::message;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

/// A relay to the daemon, and both of its pipes.
pub struct Relay {
    /// The process.
    pub child: Child,
    /// What it reads.
    pub stdin: ChildStdin,
    /// What it writes.
    pub stdout: BufReader<ChildStdout>,
}

impl Relay {
    /// Starts one; its client has said nothing yet.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start(daemon: &Daemon) -> Self {
        let mut command = daemon.command(&["stdio"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, stdin, stdout }
    }

    /// Starts one whose client speaks a legacy revision and has these capabilities.
    ///
    /// # Panics
    /// If the handshake fails.
    #[must_use]
    pub fn legacy(daemon: &Daemon, version: &str, capabilities: &Value) -> Self {
        let mut relay = Self::start(daemon);
        let client = json!({"name": "tests", "version": "1"});
        let params = json!({"protocolVersion": version, "capabilities": capabilities, "clientInfo": client});
        relay.send(&message(1, "initialize", &params));
        assert_eq!(relay.answer(1)["result"]["protocolVersion"], version);
        relay.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        relay
    }

    /// Writes one message.
    ///
    /// # Panics
    /// If it reads no more.
    pub fn send(&mut self, message: &Value) {
        writeln!(self.stdin, "{message}").unwrap();
    }

    /// The next message.
    ///
    /// # Panics
    /// If it ends, or says what is no JSON.
    pub fn hear(&mut self) -> Value {
        let mut line = String::new();
        assert!(self.stdout.read_line(&mut line).unwrap() > 0, "the relay ended");
        serde_json::from_str(&line).unwrap()
    }

    /// The answer to the request of this id; what comes before it is skipped.
    pub fn answer(&mut self, id: u64) -> Value {
        loop {
            let message = self.hear();
            if message["id"] == id {
                return message;
            }
        }
    }

    /// Kills it as nothing can be caught.
    ///
    /// # Panics
    /// If it cannot be waited for.
    pub fn kill(&mut self) {
        // One that has ended already is dead, too.
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }
}
