//! Real servers from npm and PyPI behind the daemon, driven by real clients, in each era: the table server × client.
//!
//! Each cell is one conversation: negotiate, list, call one tool. A second table has what goes the other way: servers ask,
//! tell and are given up. Every cell applies; what a client cannot do is named there with the reason.

mod acts;
mod cells;
mod clients;

use cells::{SERVERS, Seen};
use clients::{CLIENTS, Start};
use harness::configuration::Configuration;
use harness::daemon::Daemon;
use harness::scratch::Scratch;
use harness::{parts, programs};
use serde_json::json;
use std::process::Command;

/// It starts slowly, and would call home.
const MONGODB: &str = "startup_timeout: 60s\nenv: {MDB_MCP_TELEMETRY: disabled}";

fn configuration(scratch: &Scratch) -> Configuration {
    let work = scratch.folder("work", 0o777);
    std::fs::write(work.join("hello.txt"), "hello from a file").unwrap();
    let git = |arguments: &[&str]| {
        let done =
            Command::new("git").args(arguments).current_dir(&work).env("HOME", &work).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    git(&["init", "--quiet", "--initial-branch=main", "."]);
    git(&[
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@example.com",
        "commit",
        "--quiet",
        "--allow-empty",
        "-m",
        "first",
    ]);
    let work = work.display().to_string();
    // The programs and their libraries are found by resolving the command; only data needs a grant.
    let data =
        |profile: &str, access: &str| format!("{{extends: {profile}, filesystem: {{{access}: [{work}]}}}}");
    let npm_server = |name: &str| parts::npm_bin(&format!("mcp-server-{name}"));
    let python_server = |name: &str| parts::python_bin(&format!("mcp-server-{name}"));
    // In root mode the server is another user than the owner of the repository, which git must be told is fine.
    let trust = "env: {GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: safe.directory, GIT_CONFIG_VALUE_0: '*'}";
    Configuration::new()
        .server("everything", &npm_server("everything"), &["stdio"], "node", "")
        .server("files", &npm_server("filesystem"), &[&work], &data("node", "write"), "")
        .server("memory", &npm_server("memory"), &[], "node", "env: {MEMORY_FILE_PATH: /state/memory.json}")
        .server("thinking", &npm_server("sequential-thinking"), &[], "node", "")
        .server("time", &python_server("time"), &["--local-timezone", "Europe/Berlin"], "python", "")
        .server("git", &python_server("git"), &["--repository", &work], &data("python", "read"), trust)
        .server("fetch", &python_server("fetch"), &[], "python", "")
        .server("context7", &parts::npm_bin("context7-mcp"), &[], "node", "")
        .server("mongodb", &parts::npm_bin("mongodb-mcp-server"), &[], "node", MONGODB)
}

fn daemon() -> Daemon {
    let scratch = Scratch::new();
    let configuration = configuration(&scratch);
    scratch.write("etc/config.yaml", &configuration.text(&scratch.mark()));
    Daemon::start_in(scratch, &[])
}

#[test]
fn every_real_server_works_with_every_real_client_in_every_era() {
    let daemon = daemon();
    for server in SERVERS {
        let status = daemon.server_status(server);
        assert_eq!(status["state"], "ready", "{server}: {}", daemon.story());
    }
    let cells = cells::all(&daemon.scratch);
    let mut broken = Vec::new();
    println!("{:<32}{}", "", cells.iter().map(|cell| format!("{:<12}", cell.name())).collect::<String>());
    for client in &CLIENTS {
        let seen = clients::visit(client, &daemon, &cells);
        let mut row = format!("{:<32}", client.name);
        for cell in &cells {
            let seen = Seen::of(&seen, cell);
            let verdict = match seen.problem(cell, client) {
                None => format!("ok {}", seen.tools),
                Some(problem) => {
                    broken.push(format!("{} with {}: {problem}", cell.name(), client.name));
                    "BROKEN".to_owned()
                }
            };
            row.push_str(&format!("{verdict:<12}"));
        }
        println!("{row}");
    }
    assert!(broken.is_empty(), "{}\n{}", broken.join("\n"), daemon.story());
}

#[test]
fn clients_that_start_their_servers_work_over_the_relay_in_every_era() {
    let configuration = Configuration::new().fixture("old", "--era legacy --lock-era");
    let daemon = Daemon::start(&configuration.fixture("new", "--era modern --lock-era"));
    let mut command = vec![programs::program("only1mcp").display().to_string(), "stdio".to_owned()];
    command.extend(harness::daemon::places(&daemon.scratch));
    let cells = ["old", "new"].map(|server| {
        let (tool, arguments) = (format!("{server}__echo"), json!({"text": server}));
        json!({"server": server, "command": command, "tool": tool, "arguments": arguments})
    });
    for client in CLIENTS.iter().filter(|client| !matches!(client.start, Start::Inspector(_))) {
        for seen in clients::script(client, &daemon, &cells) {
            assert_eq!(
                (&seen["text"], &seen["tools"]),
                (&seen["server"], &json!(30)),
                "{}: {seen}",
                client.name
            );
        }
    }
}
