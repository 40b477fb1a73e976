//! What goes beyond a call and its answer: servers that ask their clients and tell them of progress and of what has
//! changed, and clients that give up.

use crate::clients::{self, CLIENTS, Client, Start};
use harness::configuration::Configuration;
use harness::daemon::Daemon;
use harness::parts;
use harness::processes::wait_until;
use serde_json::{Value, json};
use std::time::Duration;

/// One act of a client at a server.
struct Act {
    name: &'static str,
    tool: &'static str,
    arguments: Value,
    uri: &'static str,
}

/// One server, as the clients visit it.
struct Place {
    server: &'static str,
    /// Whether it is reached through `/mcp`, under prefixed names.
    aggregated: bool,
    /// Any tool that answers.
    tool: (&'static str, Value),
    acts: Vec<Act>,
}

fn act(name: &'static str, tool: &'static str, arguments: Value) -> Act {
    Act { name, tool, arguments, uri: "" }
}

/// The real server that offers all of it, which is legacy, and fixtures of both eras; two of them through the aggregate, too.
fn places() -> Vec<Place> {
    let long = |seconds: f64, steps| json!({"duration": seconds, "steps": steps});
    let running = "trigger-long-running-operation";
    let everything = vec![
        act("elicit", "trigger-elicitation-request", json!({})),
        act("sample", "trigger-sampling-request", json!({"prompt": "hello", "maxTokens": 10})),
        act("progress", running, long(0.3, 3)),
        Act {
            uri: "demo://resource/static/document/features.md",
            ..act("subscribe", "toggle-subscriber-updates", json!({}))
        },
        act("cancel", running, long(60.0, 60)),
    ];
    let task = vec![act("task", "simulate-research-query", json!({"topic": "boxes"}))];
    let asking = || {
        vec![
            act("elicit", "test_elicitation", json!({"message": "Who are you?"})),
            act("sample", "test_sampling", json!({"prompt": "hello"})),
        ]
    };
    let telling = || {
        vec![
            act("progress", "progress", json!({"steps": 3})),
            Act { uri: "test://watched-resource", ..act("subscribe", "touch_resource", json!({})) },
            act("cancel", "slow", json!({"milliseconds": 60_000})),
        ]
    };
    let echo = |key: &str| ("echo", json!({key: "hello"}));
    let simple = || ("test_simple_text", json!({}));
    let place = |server, tool, acts| Place { server, aggregated: false, tool, acts };
    vec![
        place("everything", echo("message"), everything),
        place("old", echo("text"), telling()),
        place("new", echo("text"), telling()),
        place("asks-old", simple(), asking()),
        place("asks-new", simple(), asking()),
        Place { aggregated: true, ..place("asks-old", simple(), asking()) },
        Place { aggregated: true, ..place("asks-new", simple(), asking()) },
        Place { aggregated: true, ..place("everything", echo("message"), task) },
    ]
}

impl Place {
    fn name(&self) -> String {
        if self.aggregated { format!("/mcp:{}", self.server) } else { self.server.to_owned() }
    }

    /// What this client can do here: tasks of 2025-11-25 are asked for by the first line of the TypeScript SDK alone.
    fn acts_of(&self, client: &Client) -> impl Iterator<Item = &Act> {
        let has_tasks = matches!(client.start, Start::TypeScript("1"));
        self.acts.iter().filter(move |act| act.name != "task" || has_tasks)
    }

    fn job(&self, client: &Client) -> Value {
        let named =
            |tool: &str| if self.aggregated { format!("{}__{tool}", self.server) } else { tool.to_owned() };
        let acts: Vec<Value> = self
            .acts_of(client)
            .map(|act| json!({"act": act.name, "tool": named(act.tool), "arguments": act.arguments, "uri": act.uri}))
            .collect();
        let path = if self.aggregated { "/mcp".to_owned() } else { format!("/mcp/{}", self.server) };
        let (tool, arguments) = &self.tool;
        json!({"server": self.name(), "path": path, "tool": named(tool), "arguments": arguments, "acts": acts})
    }
}

impl Act {
    /// What is wrong with what the client saw, if something is.
    fn problem(&self, seen: &Value) -> Option<String> {
        let text = seen.as_str().unwrap_or_default();
        let is_right = match self.name {
            "elicit" => text.contains("Ada"),
            "sample" => text.contains("said by the model"),
            "progress" => seen.as_array().is_some_and(|told| told.len() >= 3),
            "subscribe" => text == self.uri,
            // An id, which says on the aggregate whose it is, and in the end the report.
            "task" => seen.as_array().is_some_and(|seen| {
                let is_report = |text: &Value| text.as_str().is_some_and(|text| text.contains("boxes"));
                seen.first().is_some_and(|id| id.as_str().is_some_and(|id| id.starts_with("everything:")))
                    && seen.last().is_some_and(is_report)
            }),
            _ => text == "given up",
        };
        (!is_right).then(|| format!("{}: {seen}", self.name))
    }
}

fn daemon() -> Daemon {
    // A legacy server asks only if it was told in the handshake what its client can do.
    let session = "scope: session";
    let configuration = Configuration::new()
        .server("everything", &parts::npm_bin("mcp-server-everything"), &["stdio"], "node", session)
        .fixture("old", "--era legacy")
        .fixture("new", "--era modern")
        .fixture_with("asks-old", "--conformance --era legacy", session)
        .fixture("asks-new", "--conformance --era modern");
    Daemon::start(&configuration)
}

/// How many calls the fixtures were told to end.
fn cancellations(daemon: &Daemon) -> [usize; 2] {
    ["old", "new"].map(|server| {
        let told = daemon.endpoint().server(server).call_text("cancellations", &json!({}));
        told.matches("slow").count()
    })
}

fn visit(client: &Client, daemon: &Daemon, places: &[Place], broken: &mut Vec<String>) {
    let before = cancellations(daemon);
    let jobs: Vec<Value> = places.iter().map(|place| place.job(client)).collect();
    let all = clients::script(client, daemon, &jobs);
    let mut row = format!("{:<32}", client.name);
    for place in places {
        let none = json!({"error": "the client printed nothing"});
        let seen = all.iter().find(|seen| seen["server"] == place.name()).unwrap_or(&none);
        let problems: Vec<String> = match seen["error"].as_str() {
            Some(error) => vec![error.to_owned()],
            None => place.acts_of(client).filter_map(|act| act.problem(&seen["acts"][act.name])).collect(),
        };
        let verdict = if problems.is_empty() {
            format!("ok {}", place.acts_of(client).count())
        } else {
            "BROKEN".to_owned()
        };
        row.push_str(&format!("{verdict:<16}"));
        broken.extend(
            problems.iter().map(|problem| format!("{} with {}: {problem}", place.name(), client.name)),
        );
    }
    println!("{row}");
    let after = before.map(|count| count + 1);
    if !wait_until(Duration::from_secs(10), || cancellations(daemon) == after) {
        let told = cancellations(daemon);
        broken.push(format!("{}: the servers were told to end {told:?} calls, not {after:?}", client.name));
    }
}

#[test]
fn servers_ask_and_tell_every_real_client_and_learn_when_it_gives_up() {
    let daemon = daemon();
    let places = places();
    let names: String = places.iter().map(|place| format!("{:<16}", place.name())).collect();
    println!("{:<32}{names}", "acts that succeed");
    let mut broken = Vec::new();
    println!("not here: the Inspector, whose command line does one thing at a time and answers nothing");
    println!(
        "task: the TypeScript SDK 1.32 alone, as the others have no tasks of 2025-11-25 or no stable face for them"
    );
    for client in CLIENTS.iter().filter(|client| !matches!(client.start, Start::Inspector(_))) {
        visit(client, &daemon, &places, &mut broken);
    }
    assert!(broken.is_empty(), "{}\n{}", broken.join("\n"), daemon.story());
}
