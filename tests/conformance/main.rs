//! The official conformance suite against the proxy: each era's requirements at a server of each era, through
//! `/mcp/SERVER`, and through `/mcp` under prefixed names. The verdict is the suite's own; every check of every scenario counts, required or not, and a warning
//! counts as a failure. What cannot apply is named with its reason, and must really fail.

mod report;
mod shim;

use harness::configuration::Configuration;
use harness::daemon::Daemon;
use harness::parts;
use harness::run::{Outcome, run_with_input};
use report::{Scenario, read};
use shim::Shim;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(300);
const LEGACY: &str = "2025-11-25";
const MODERN: &str = "2026-07-28";

/// Which endpoint is judged.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Through {
    /// `/mcp/SERVER`.
    Server,
    /// `/mcp`, which also offers what another server has.
    Aggregate,
}

/// One cell: which of the fixtures is asked by a client of which revision.
struct Cell {
    /// Short: with its prefix no name of the suite's may exceed the 48 characters after which names are cut.
    server: &'static str,
    revision: &'static str,
    /// Scenarios of that revision's list.
    scenarios: usize,
    /// Scenarios that cannot apply, beside those of [`TASKS`], and why.
    cannot_apply: &'static [(&'static str, &'static str)],
}

/// Scenarios of an extension that the fixture does not have. Its methods and results pass untouched where both sides
/// speak of them (`core/tests`), but nothing here does.
const TASKS: [&str; 9] = [
    "tasks-capability-negotiation",
    "tasks-dispatch-and-envelope",
    "tasks-lifecycle",
    "tasks-mrtr-composition",
    "tasks-mrtr-input",
    "tasks-request-headers",
    "tasks-request-state-removal",
    "tasks-required-task-error",
    "tasks-wire-fields",
];

const CELLS: [Cell; 4] = [
    Cell { server: "old", revision: LEGACY, scenarios: 33, cannot_apply: &[] },
    Cell { server: "new", revision: MODERN, scenarios: 50, cannot_apply: &[] },
    Cell { server: "new", revision: LEGACY, scenarios: 33, cannot_apply: &[] },
    Cell {
        server: "old",
        revision: MODERN,
        scenarios: 50,
        cannot_apply: &[
            (
                "input-required-result-basic-elicitation",
                "wants a key by name, and requests of legacy servers have none",
            ),
            (
                "input-required-result-ignore-extra-params",
                "answers a question before it was asked, which a legacy server cannot take",
            ),
        ],
    },
];

fn daemon(cell: &Cell, through: Through) -> Daemon {
    let configuration = match cell.server {
        // A legacy server asks its client only if it was told in the handshake what that client can do.
        "old" => Configuration::new().fixture_with("old", "--conformance --era legacy", "scope: session"),
        _ => Configuration::new().fixture("new", "--conformance --era modern"),
    };
    Daemon::start(&match through {
        Through::Server => configuration,
        Through::Aggregate => configuration.fixture("another", ""),
    })
}

fn judge(daemon: &Daemon, cell: &Cell, through: Through) -> (Outcome, Vec<Scenario>) {
    let results = daemon.scratch.join("results");
    let suite = parts::part("npm/node_modules/@modelcontextprotocol/conformance/dist/index.js");
    let mut command = Command::new(parts::node_22());
    command.arg(suite).arg("server").arg("--url");
    let address = daemon.endpoint().address;
    command.arg(match through {
        Through::Server => format!("http://{address}/mcp/{}", cell.server),
        Through::Aggregate => format!("http://{}/mcp", Shim::start(&address, cell.server).address),
    });
    command.args(["--requirements", cell.revision, "-o"]).arg(&results);
    command.env("HOME", daemon.scratch.join("home"));
    let outcome = run_with_input(&mut command, "", LIMIT);
    let scenarios = read(&results);
    (outcome, scenarios)
}

fn hold(cell: &Cell, through: Through) {
    if nix::unistd::getuid().is_root() {
        // tests/run does not start it as root: a daemon of root's asks for a token, which the suite cannot send.
        panic!("run this as an ordinary user");
    }
    let daemon = daemon(cell, through);
    let (outcome, scenarios) = judge(&daemon, cell, through);
    assert_eq!(scenarios.len(), cell.scenarios, "scenarios that ran: {outcome:?}\n{}", daemon.story());
    let mut wrong = Vec::new();
    let mut passed = 0;
    for Scenario { name, checks, faults } in &scenarios {
        let named = cell.cannot_apply.iter().find(|(known, _)| known == name).map(|(_, why)| *why);
        let tasks =
            TASKS.contains(&name.as_str()).then_some("the fixture has no tasks, which are an extension");
        let excuse = named.or(tasks);
        match (excuse, faults.is_empty()) {
            (None, true) => passed += 1,
            (None, false) => wrong.push(format!("{name}: {}", faults.join("; "))),
            (Some(why), false) => println!("{name} cannot apply: {why}"),
            (Some(_), true) => wrong.push(format!("{name} passes, so it does apply")),
        }
        if *checks == 0 {
            wrong.push(format!("{name} has no checks at all"));
        }
    }
    println!(
        "{} server through {}, requirements of {}: {passed} of {} scenarios pass",
        cell.server,
        if through == Through::Server { "/mcp/SERVER" } else { "/mcp" },
        cell.revision,
        scenarios.len()
    );
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", daemon.story());
    // The suite's own verdict on what is required.
    let crossed = cell.server == "old" && cell.revision == MODERN;
    assert_eq!(outcome.code, i32::from(crossed), "{outcome:?}");
}

#[test]
fn a_legacy_server_at_2025_11_25() {
    hold(&CELLS[0], Through::Server);
}

#[test]
fn a_legacy_server_at_2025_11_25_through_the_aggregate() {
    hold(&CELLS[0], Through::Aggregate);
}

#[test]
fn a_modern_server_at_2026_07_28() {
    hold(&CELLS[1], Through::Server);
}

#[test]
fn a_modern_server_at_2026_07_28_through_the_aggregate() {
    hold(&CELLS[1], Through::Aggregate);
}

#[test]
fn a_modern_server_for_a_legacy_client() {
    hold(&CELLS[2], Through::Server);
}

#[test]
fn a_modern_server_for_a_legacy_client_through_the_aggregate() {
    hold(&CELLS[2], Through::Aggregate);
}

#[test]
fn a_legacy_server_for_a_modern_client() {
    hold(&CELLS[3], Through::Server);
}

#[test]
fn a_legacy_server_for_a_modern_client_through_the_aggregate() {
    hold(&CELLS[3], Through::Aggregate);
}
