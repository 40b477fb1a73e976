//! Whole tasks, turn by turn: what a model reads in all of them together. Who searches pays with turns for what it does
//! not read, so with few tools searching costs more.
//!
//! The conversations are scripted: in each turn a model reads the definitions and all that was said before, and makes
//! one call. By search each call is preceded by a search, which counts twice if the first one does not find the tool.

use crate::{daemon_of, in_view, listed, recorded, told};
use harness::mcp::Endpoint;
use serde_json::{Value, json};
use std::path::Path;

/// One call: what a model would search for, and what it calls.
struct Step {
    query: &'static str,
    server: &'static str,
    tool: &'static str,
    arguments: &'static str,
}

struct Task {
    asked: &'static str,
    steps: &'static [Step],
}

const fn step(
    query: &'static str,
    server: &'static str,
    tool: &'static str,
    arguments: &'static str,
) -> Step {
    Step { query, server, tool, arguments }
}

const TASKS: [Task; 5] = [
    Task {
        asked: "What time is it in Tokyo?",
        steps: &[step(
            "current time in a time zone",
            "time",
            "get_current_time",
            r#"{"timezone":"Asia/Tokyo"}"#,
        )],
    },
    Task {
        asked: "Remember that Ada works at Acme.",
        steps: &[step(
            "remember a fact about a person",
            "memory",
            "create_entities",
            r#"{"entities":[{"name":"Ada","entityType":"person","observations":["works at Acme"]}]}"#,
        )],
    },
    Task {
        asked: "Read notes.txt, stage it and commit it.",
        steps: &[
            step("read a text file", "filesystem", "read_text_file", r#"{"path":"/data/notes.txt"}"#),
            step(
                "stage a file for a commit",
                "git",
                "git_add",
                r#"{"repo_path":"/data","files":["notes.txt"]}"#,
            ),
            step(
                "commit staged changes",
                "git",
                "git_commit",
                r#"{"repo_path":"/data","message":"Add notes"}"#,
            ),
        ],
    },
    Task {
        asked: "Open an issue about the failing login, and tell the channel.",
        steps: &[
            step(
                "create an issue in a repository",
                "github",
                "create_issue",
                r#"{"owner":"acme","repo":"web","title":"Login fails"}"#,
            ),
            step(
                "post a message to a channel",
                "slack",
                "slack_post_message",
                r##"{"channel_id":"C1","text":"Login fails: see the new issue"}"##,
            ),
        ],
    },
    Task {
        asked: "Go to example.com, sign in, and take a screenshot.",
        steps: &[
            step("open a web page", "playwright", "browser_navigate", r#"{"url":"https://example.com/"}"#),
            step("click an element of the page", "playwright", "browser_click", r#"{"target":"e12"}"#),
            step(
                "take a screenshot of the page",
                "playwright",
                "browser_take_screenshot",
                r#"{"type":"png","scale":"css"}"#,
            ),
        ],
    },
];

/// The servers of one installation.
const INSTALLATIONS: [&[&str]; 5] = [
    &["time"],
    &["time", "memory"],
    &["time", "git", "filesystem", "memory"],
    &["time", "git", "filesystem", "memory", "github", "slack", "playwright"],
    &[],
];

/// A conversation, in tokens.
#[derive(Default)]
struct Conversation {
    definitions: usize,
    said: usize,
    turns: usize,
    read: usize,
}

fn tokens(text: &str) -> usize {
    tiktoken_rs::o200k_base_singleton().encode_ordinary(text).len()
}

impl Conversation {
    fn begin(endpoint: &Endpoint, asked: &str) -> Self {
        let tools = listed(endpoint);
        let definitions = tools.iter().map(|tool| {
            let seen = json!({"name": tool["name"], "description": tool["description"], "inputSchema": tool["inputSchema"]});
            tokens(&seen.to_string())
        });
        let hello = endpoint.modern("server/discover", &json!({})).json();
        let instructions = hello.pointer("/result/instructions").and_then(Value::as_str).unwrap_or_default();
        let definitions = definitions.sum::<usize>() + tokens(instructions);
        Self { definitions, said: tokens(asked), ..Self::default() }
    }

    /// A model reads all there is, and says something that is answered.
    fn turn(&mut self, says: &str, answer: &str) {
        self.turns += 1;
        self.read += self.definitions + self.said;
        self.said += tokens(says) + tokens(answer);
    }
}

/// By name, as every tool is listed.
fn by_name(endpoint: &Endpoint, task: &Task) -> Conversation {
    let mut conversation = Conversation::begin(endpoint, task.asked);
    for Step { server, tool, arguments, .. } in task.steps {
        let name = format!("{server}__{tool}");
        let answer = told(endpoint, &name, &serde_json::from_str(arguments).unwrap());
        conversation.turn(&format!("{name} {arguments}"), &answer);
    }
    conversation.turn("Done.", "");
    conversation
}

fn by_search(endpoint: &Endpoint, task: &Task) -> Conversation {
    let mut conversation = Conversation::begin(endpoint, task.asked);
    for Step { query, server, tool, arguments } in task.steps {
        let name = format!("{server}__{tool}");
        for limit in [5, 20] {
            let find = json!({"query": query, "limit": limit});
            let found = told(endpoint, "find_tools", &find);
            conversation.turn(&format!("find_tools {find}"), &found);
            if found.lines().any(|line| line.starts_with(&name)) {
                break;
            }
        }
        let call = json!({"name": name, "arguments": serde_json::from_str::<Value>(arguments).unwrap()});
        let answer = told(endpoint, "call_tool", &call);
        assert!(answer.contains(tool) && answer.ends_with(&call["arguments"].to_string()), "{answer}");
        conversation.turn(&format!("call_tool {call}"), &answer);
    }
    conversation.turn("Done.", "");
    conversation
}

#[test]
fn whole_tasks_take_less_by_search_with_many_tools_and_more_with_few() {
    let servers = recorded();
    println!(
        "{:>7} {:>6} {:<62} {:>11} {:>9} {:>9} {:>9} {:>9} {:>13}",
        "servers", "tools", "task", "turns, full", "by search", "full", "compact", "search", "search / full"
    );
    let mut first = Vec::new();
    let mut last = Vec::new();
    for names in INSTALLATIONS {
        let is_in = |id: &str| names.is_empty() || names.contains(&id);
        let installed: Vec<(&str, &Path)> = servers
            .iter()
            .filter(|server| is_in(&server.id))
            .map(|server| (server.id.as_str(), server.file.as_path()))
            .collect();
        let daemon = daemon_of(installed.iter().copied());
        let all = daemon.endpoint();
        let count = listed(&all).len();
        for task in TASKS.iter().filter(|task| task.steps.iter().all(|step| is_in(step.server))) {
            let full = by_name(&all, task);
            let compact = by_name(&in_view(&all, "compact"), task);
            let search = by_search(&in_view(&all, "search"), task);
            let ratio = search.read as f64 / full.read as f64;
            println!(
                "{:>7} {count:>6} {:<62} {:>11} {:>9} {:>9} {:>9} {:>9} {ratio:>13.2}",
                installed.len(),
                task.asked,
                full.turns,
                search.turns,
                full.read,
                compact.read,
                search.read
            );
            if names.is_empty() {
                last.push(ratio);
            } else if installed.len() == 1 {
                first.push(ratio);
            }
        }
    }
    assert!(first.iter().all(|ratio| *ratio > 1.0), "with one small server search must cost more: {first:?}");
    assert!(last.len() == TASKS.len() && last.iter().all(|ratio| *ratio < 0.2), "{last:?}");
}
