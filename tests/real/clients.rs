//! The clients of the table, and how each is started: a script, or a command per request.

use crate::cells::Cell;
use harness::daemon::Daemon;
use harness::mcp::{LEGACY, MODERN};
use harness::run::{Outcome, run_with_input};
use harness::{parts, programs};
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;

const CLIENT_LIMIT: Duration = Duration::from_secs(300);

/// How a client is started.
pub enum Start {
    /// `python_client.py` in this mode.
    Python(&'static str),
    /// `python_1_client.py`.
    Python1,
    /// `typescript_client.mjs` in this mode.
    TypeScript(&'static str),
    /// The client of crates.io's `rmcp`, in `rmcp/`, in this mode.
    Rmcp(&'static str),
    /// The Inspector's command line in this era.
    Inspector(&'static str),
}

/// One row of the table.
pub struct Client {
    /// How the row is called.
    pub name: &'static str,
    /// The revision it must end up with.
    pub version: &'static str,
    /// How it is started.
    pub start: Start,
}

/// All rows.
pub const CLIENTS: [Client; 13] = [
    Client { name: "Python mcp 2.3, legacy", version: LEGACY, start: Start::Python("legacy") },
    Client { name: "Python mcp 2.3, auto", version: MODERN, start: Start::Python("auto") },
    Client { name: "Python mcp 2.3, modern", version: MODERN, start: Start::Python("2026-07-28") },
    Client { name: "Python mcp 1.30", version: LEGACY, start: Start::Python1 },
    Client { name: "TypeScript SDK 1.32", version: LEGACY, start: Start::TypeScript("1") },
    Client { name: "TypeScript client 2.4, legacy", version: LEGACY, start: Start::TypeScript("legacy") },
    Client { name: "TypeScript client 2.4, auto", version: MODERN, start: Start::TypeScript("auto") },
    Client { name: "TypeScript client 2.4, modern", version: MODERN, start: Start::TypeScript("2026-07-28") },
    Client { name: "rmcp 3.9, legacy", version: LEGACY, start: Start::Rmcp("legacy") },
    Client { name: "rmcp 3.9, auto", version: MODERN, start: Start::Rmcp("auto") },
    Client { name: "rmcp 3.9, modern", version: MODERN, start: Start::Rmcp(MODERN) },
    Client { name: "Inspector 2.12, legacy", version: LEGACY, start: Start::Inspector("legacy") },
    Client { name: "Inspector 2.12, modern", version: MODERN, start: Start::Inspector("modern") },
];

/// Lets a client visit these cells; one object per cell.
pub fn visit(client: &Client, daemon: &Daemon, cells: &[Cell]) -> Vec<Value> {
    match client.start {
        Start::Inspector(era) => cells.iter().map(|cell| inspect(daemon, cell, era)).collect(),
        _ => script(client, daemon, &cells.iter().map(Cell::job).collect::<Vec<_>>()),
    }
}

/// Lets a scripted client visit cells, given as it reads them.
pub fn script(client: &Client, daemon: &Daemon, cells: &[Value]) -> Vec<Value> {
    let url = format!("http://{}", daemon.endpoint().address);
    let job = json!({"url": url, "token": daemon.endpoint().token, "cells": cells});
    let file = daemon.scratch.write("job.json", &job.to_string());
    let scripts = programs::checkout().join("tests/clients");
    let mut command = match client.start {
        Start::Python(mode) => {
            let mut command = Command::new(parts::python_bin("python"));
            command.arg(scripts.join("python_client.py")).arg(file).arg(mode);
            command
        }
        Start::Python1 => {
            let mut command = Command::new(parts::part("python-1/bin/python"));
            command.arg(scripts.join("python_1_client.py")).arg(file);
            command
        }
        Start::TypeScript(mode) => {
            let mut command = Command::new("node");
            command.arg(scripts.join("typescript_client.mjs")).arg(file).arg(parts::part("npm/node_modules"));
            command.arg(mode);
            command
        }
        Start::Rmcp(mode) => {
            let mut command = Command::new(programs::program("only1mcp-rmcp-client"));
            command.arg(file).arg(mode);
            command
        }
        Start::Inspector(_) => unreachable!("it visits one cell at a time"),
    };
    let outcome = run_with_input(
        // No `__pycache__` beside the scripts.
        command.env("HOME", daemon.scratch.join("home")).env("PYTHONDONTWRITEBYTECODE", "1"),
        "",
        CLIENT_LIMIT,
    );
    let lines: Vec<Value> =
        outcome.stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert!(!lines.is_empty(), "the client said nothing: {outcome:?}");
    lines
}

/// Two runs of the Inspector: list, then call.
fn inspect(daemon: &Daemon, cell: &Cell, era: &str) -> Value {
    let listed = inspector(daemon, cell, era, &["tools/list"]);
    let tools = parsed(&listed).and_then(|answer| answer["tools"].as_array().map(Vec::len));
    let arguments = cell.arguments.to_string();
    let called = inspector(
        daemon,
        cell,
        era,
        &["tools/call", "--tool-name", &cell.tool, "--tool-args-json", &arguments],
    );
    let (Some(tools), Some(result)) = (tools, parsed(&called)) else {
        return json!({"server": cell.name(), "error": format!("{listed:?} {called:?}")});
    };
    let blocks = result["content"].as_array().cloned().unwrap_or_default();
    let text: Vec<&str> = blocks.iter().filter_map(|block| block["text"].as_str()).collect();
    json!({
        "server": cell.name(),
        "tools": tools,
        "text": text.join("\n"),
        "is_error": result["isError"] == true,
    })
}

fn inspector(daemon: &Daemon, cell: &Cell, era: &str, method: &[&str]) -> Outcome {
    let url = format!("http://{}{}", daemon.endpoint().address, cell.path());
    let mut command = Command::new(parts::node_22());
    command.arg(parts::npm_bin("mcp-inspector")).args(["--cli", "--server-url", &url, "--transport", "http"]);
    command.args(["--format", "json", "-q", "--protocol-era", era, "--method"]).args(method);
    if let Some(token) = daemon.endpoint().token {
        command.args(["--header", &format!("Authorization: Bearer {token}"), "--stored-auth-only"]);
    }
    command.env("HOME", daemon.scratch.join("home"));
    run_with_input(&mut command, "", CLIENT_LIMIT)
}

/// The result in what the Inspector printed: bare, or below `result`.
fn parsed(outcome: &Outcome) -> Option<Value> {
    let value: Value = serde_json::from_str(outcome.stdout.trim()).ok()?;
    Some(value.get("result").cloned().unwrap_or(value))
}
