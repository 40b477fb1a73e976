//! One server's column of the table: where it is reached, what is called, and what must come back.

use crate::clients::Client;
use harness::scratch::Scratch;
use serde_json::{Value, json};

/// The servers of the table.
pub const SERVERS: [&str; 9] =
    ["everything", "files", "memory", "thinking", "time", "git", "fetch", "context7", "mongodb"];

/// One column of the table.
pub struct Cell {
    /// The server.
    pub server: &'static str,
    /// Whether it is reached through `/mcp`, under prefixed names.
    pub aggregated: bool,
    /// The tool, as the endpoint names it.
    pub tool: String,
    /// Its arguments.
    pub arguments: Value,
    /// A word its text must hold.
    pub word: &'static str,
    /// A word of which one must stand in its text if the tool must report an error: without network, a fetch has to.
    pub fails: &'static [&'static str],
    /// The fewest tools the list may have.
    pub tools_min: u64,
}

impl Cell {
    /// How the column is called.
    pub fn name(&self) -> String {
        if self.aggregated { format!("/mcp:{}", self.server) } else { self.server.to_owned() }
    }

    /// Where it is reached.
    pub fn path(&self) -> String {
        if self.aggregated { "/mcp".to_owned() } else { format!("/mcp/{}", self.server) }
    }

    /// As the clients read it.
    pub fn job(&self) -> Value {
        json!({"server": self.name(), "path": self.path(), "tool": self.tool, "arguments": self.arguments})
    }
}

/// All columns: each server by itself, and two of them through the aggregate.
pub fn all(scratch: &Scratch) -> Vec<Cell> {
    let work = scratch.join("work").display().to_string();
    let cell = |server, tool: &str, arguments: Value, word, tools_min| Cell {
        server,
        aggregated: false,
        tool: tool.to_owned(),
        arguments,
        word,
        fails: &[],
        tools_min,
    };
    let thought =
        json!({"thought": "one", "nextThoughtNeeded": false, "thoughtNumber": 1, "totalThoughts": 1});
    let entity =
        json!({"entities": [{"name": "Ada", "entityType": "person", "observations": ["wrote a program"]}]});
    let hello = json!({"path": format!("{work}/hello.txt")});
    let mut cells = vec![
        cell("everything", "echo", json!({"message": "hello"}), "hello", 13),
        cell("files", "read_text_file", hello.clone(), "hello from a file", 14),
        cell("memory", "create_entities", entity, "", 9),
        cell("thinking", "sequentialthinking", thought, "thoughtNumber", 1),
        cell("time", "get_current_time", json!({"timezone": "Asia/Tokyo"}), "Asia/Tokyo", 2),
        cell("git", "git_status", json!({"repo_path": work}), "main", 12),
        cell("fetch", "fetch", json!({"url": "http://example.com/"}), "", 1),
        cell(
            "context7",
            "resolve-library-id",
            json!({"query": "routing", "libraryName": "axum"}),
            "fetch failed",
            2,
        ),
        cell("mongodb", "list-databases", json!({"connectionId": "none"}), "", 27),
        cell("files", "files__read_text_file", hello, "hello from a file", 80),
        cell("time", "time__get_current_time", json!({"timezone": "Asia/Tokyo"}), "Asia/Tokyo", 80),
    ];
    cells[6].fails = &["connect", "network", "resolution", "resolve"];
    cells[8].fails = &["connect"];
    cells[9].aggregated = true;
    cells[10].aggregated = true;
    cells
}

/// What a client saw in one cell.
#[derive(Debug, Default)]
pub struct Seen {
    /// The revision it negotiated, where the client tells.
    pub version: Option<String>,
    /// How many tools were listed.
    pub tools: u64,
    /// The text of the call's result.
    pub text: String,
    /// Whether the result is a tool's error.
    pub is_error: bool,
    /// What the client threw instead.
    pub error: Option<String>,
}

impl Seen {
    /// This cell's line among those a client printed.
    pub fn of(lines: &[Value], cell: &Cell) -> Self {
        let Some(line) = lines.iter().find(|line| line["server"] == cell.name()) else {
            return Self { error: Some("the client printed nothing".to_owned()), ..Self::default() };
        };
        let text = |key: &str| line[key].as_str().map(str::to_owned);
        Self {
            version: text("version"),
            tools: line["tools"].as_u64().unwrap_or(0),
            text: text("text").unwrap_or_default(),
            is_error: line["is_error"] == true,
            error: text("error"),
        }
    }

    /// What is wrong with it, if something is.
    pub fn problem(&self, cell: &Cell, client: &Client) -> Option<String> {
        if let Some(error) = &self.error {
            return Some(error.clone());
        }
        if self.tools < cell.tools_min {
            return Some(format!("{} tools instead of at least {}", self.tools, cell.tools_min));
        }
        let must_fail = !cell.fails.is_empty();
        if self.is_error != must_fail || !self.text.contains(cell.word) {
            return Some(format!("the call gave {:?} (error: {})", self.text, self.is_error));
        }
        if must_fail && !cell.fails.iter().any(|word| self.text.contains(word)) {
            return Some(format!("no clear error: {:?}", self.text));
        }
        match &self.version {
            Some(version) if version != client.version => {
                Some(format!("revision {version}, not {}", client.version))
            }
            _ => None,
        }
    }
}
