//! How much of a model's context the tools take, and whether the right one is still found and called: views and search
//! from outside, over the tool lists of real servers in `recorded/` and the questions of the Berkeley function calling
//! leaderboard, which `tests/run` installs.
//!
//! The tables are printed; what README promises of them is held here.

mod arguments;
mod hostile;
mod retrieval;
mod round_trip;
mod savings;
mod tasks;

use harness::configuration::Configuration;
use harness::daemon::Daemon;
use harness::mcp::Endpoint;
use harness::programs;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A server of `recorded/`.
struct Recorded {
    id: String,
    file: PathBuf,
    tools: Vec<Value>,
}

/// All of them, by their names.
fn recorded() -> Vec<Recorded> {
    let folder = programs::checkout().join("tests/context/recorded");
    let files = std::fs::read_dir(&folder).unwrap_or_else(|cause| panic!("{}: {cause}", folder.display()));
    let files = files.map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        files.filter(|file| file.extension().is_some_and(|end| end == "json")).collect();
    files.sort();
    assert!(files.len() >= 30, "{files:?}");
    files.into_iter().map(read).collect()
}

fn read(file: PathBuf) -> Recorded {
    let list: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let tools = list["tools"].as_array().unwrap().clone();
    Recorded { id: file.file_stem().unwrap().to_string_lossy().into_owned(), file, tools }
}

/// Adds a server that lists the tools of a file.
fn with_listed(configuration: Configuration, id: &str, file: &Path, more: &str) -> Configuration {
    let (folder, file) = (programs::folder().display().to_string(), file.display().to_string());
    let read = [folder.as_str(), file.as_str()].join(", ");
    let policy = format!("{{extends: native, filesystem: {{read: [{read}]}}}}");
    configuration.server(id, &programs::fixture(), &["--tools", &file, "--mark", "@MARK@"], &policy, more)
}

/// A daemon with these servers.
fn daemon_of<'a>(servers: impl Iterator<Item = (&'a str, &'a Path)>) -> Daemon {
    Daemon::start(&servers.fold(Configuration::new(), |all, (id, file)| with_listed(all, id, file, "")))
}

/// The endpoint whose URL names a view.
fn in_view(endpoint: &Endpoint, view: &str) -> Endpoint {
    Endpoint { path: format!("/view/{view}{}", endpoint.path), ..endpoint.clone() }
}

/// The raw answer to a call.
fn call(endpoint: &Endpoint, name: &str, arguments: &Value) -> Value {
    endpoint.call(name, arguments).json()["result"].take()
}

/// The text one of our own tools answers with.
fn told(endpoint: &Endpoint, name: &str, arguments: &Value) -> String {
    let answer = endpoint.call(name, arguments).json();
    let text = answer.pointer("/result/content/0/text").and_then(Value::as_str);
    text.unwrap_or_else(|| panic!("{name} {arguments}: {answer}")).to_owned()
}

/// The tools a view lists.
fn listed(endpoint: &Endpoint) -> Vec<Value> {
    let answer = endpoint.modern("tools/list", &json!({})).json();
    answer.pointer("/result/tools").and_then(Value::as_array).unwrap_or_else(|| panic!("{answer}")).clone()
}
