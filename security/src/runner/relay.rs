//! A client of the relay: newline-delimited JSON-RPC through `only1mcp stdio`, one request at a time.
//!
//! Through the program and as the daemon's own person: the socket answers nobody else.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};

use super::machine::{Person, Programs};

/// One connection, one client.
pub struct Relay {
    child: Child,
    writer: ChildStdin,
    reader: BufReader<ChildStdout>,
    last_id: u64,
}

impl Relay {
    /// Connects and shakes hands.
    ///
    /// # Errors
    /// If there is no relay, or no handshake.
    pub fn connect(
        programs: &Programs,
        person: &Person,
        runtime: &Path,
        state: &Path,
    ) -> Result<Self, String> {
        if !runtime.join("relay.sock").exists() {
            return Err("no relay socket yet".to_owned());
        }
        let program = programs.find("only1mcp").map_err(|fault| fault.to_string())?;
        let mut command = person.command(program);
        command.arg("stdio").arg("--runtime-dir").arg(runtime).arg("--state-dir").arg(state);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let (Some(writer), Some(reader)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the relay has no pipes".to_owned());
        };
        let reader = BufReader::new(reader);
        let mut relay = Self { child, writer, reader, last_id: 0 };
        let client = json!({"name": "walls", "version": "1"});
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
        relay.request("initialize", &params)?;
        relay.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
        Ok(relay)
    }

    /// Sends a request and waits for its result.
    ///
    /// # Errors
    /// If the connection breaks, or the answer is an error.
    pub fn request(&mut self, method: &str, params: &Value) -> Result<Value, String> {
        self.last_id += 1;
        let id = self.last_id;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))?;
        loop {
            let mut line = String::new();
            let read = self.reader.read_line(&mut line).map_err(|error| format!("{method}: {error}"))?;
            if read == 0 {
                return Err(format!("{method}: the relay closed the connection"));
            }
            let message: Value = serde_json::from_str(&line).map_err(|error| format!("{method}: {error}"))?;
            if message.get("id") != Some(&json!(id)) {
                continue;
            }
            return match message.get("result") {
                Some(result) => Ok(result.clone()),
                None => Err(format!("{method}: {line}")),
            };
        }
    }

    /// Calls a tool; its structured content comes back.
    ///
    /// # Errors
    /// If the connection breaks, or the answer is an error or holds none.
    pub fn call(&mut self, tool: &str, arguments: &Value) -> Result<Value, String> {
        let result = self.request("tools/call", &json!({"name": tool, "arguments": arguments}))?;
        result
            .get("structuredContent")
            .cloned()
            .ok_or_else(|| format!("{tool}: no structured content: {result}"))
    }

    /// The names of all tools.
    ///
    /// # Errors
    /// If the connection breaks, or the answer is an error.
    pub fn tools(&mut self) -> Result<Vec<String>, String> {
        let result = self.request("tools/list", &json!({}))?;
        let tools = result.get("tools").and_then(Value::as_array).cloned().unwrap_or_default();
        Ok(tools.iter().filter_map(|tool| tool.get("name")?.as_str().map(str::to_owned)).collect())
    }

    fn send(&mut self, message: &Value) -> Result<(), String> {
        let line = format!("{message}\n");
        self.writer.write_all(line.as_bytes()).map_err(|error| error.to_string())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
