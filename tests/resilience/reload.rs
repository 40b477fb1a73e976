//! The configuration is changed under the same load: added to, taken from, changed, narrowed, broken and mended.

use crate::load::{Load, check, report};
use crate::{ledger, recovered, replicas};
use harness::configuration::Configuration;
use harness::daemon::{Daemon, Role};
use harness::processes::wait_until;
use nix::sys::signal::Signal;
use serde_json::json;
use std::time::Duration;

const PER_SECOND: u32 = 200;
const LIMIT: Duration = Duration::from_secs(30);

fn base() -> Configuration {
    Configuration::new().fixture_with("pool", "--ledger", &replicas(3))
}

/// Writes another configuration and waits until it is in force.
fn change(daemon: &Daemon, configuration: &Configuration) {
    let before = daemon.status()["generation"].as_u64().unwrap_or_default();
    daemon.scratch.write("etc/config.yaml", &configuration.text(&daemon.scratch.mark()));
    let is_in_force =
        || daemon.try_status().is_some_and(|status| status["generation"].as_u64() > Some(before));
    assert!(
        wait_until(LIMIT, is_in_force),
        "the configuration does not come into force:\n{}",
        daemon.story()
    );
}

#[test]
fn no_call_is_lost_while_the_configuration_changes() {
    let daemon = Daemon::start(&base());
    recovered(&daemon, "pool", &[]);
    let endpoint = daemon.endpoint();
    let load = Load::begin(&endpoint.server("pool"), PER_SECOND);
    let other = || base().fixture("other", "");
    let tools = |server: &str| {
        let listed = endpoint.server(server).modern("tools/list", &json!({})).json();
        let tools = listed["result"]["tools"].as_array().cloned().unwrap_or_default();
        tools.iter().filter_map(|tool| tool["name"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };

    // Added: it is there, the pool untouched.
    let pids = crate::pids(&daemon, "pool");
    change(&daemon, &other());
    daemon.wait_for("other", "ready");
    assert_eq!(endpoint.call_text("other__echo", &json!({"text": "new"})), "new");
    assert_eq!(crate::pids(&daemon, "pool"), pids, "nothing else was replaced");

    // Taken away: who had a call there keeps it, and whoever calls now is told.
    let slow = {
        let endpoint = endpoint.clone();
        std::thread::spawn(move || endpoint.server("other").call_text("slow", &json!({"milliseconds": 2000})))
    };
    std::thread::sleep(Duration::from_millis(300));
    change(&daemon, &base());
    let gone = endpoint.call("other__echo", &json!({"text": "x"})).json();
    assert!(gone["error"]["message"].as_str().is_some_and(|text| text.contains("other__echo")), "{gone}");
    assert_eq!(slow.join().expect("an answer"), "waited 2000 ms");

    // Changed: other processes, one by one, with no gap.
    change(&daemon, &Configuration::new().fixture_with("pool", "--ledger --extra-tools 1", &replicas(3)));
    println!("reload: changed, all replicas replaced after {:.1?}", recovered(&daemon, "pool", &pids));
    assert!(wait_until(LIMIT, || tools("pool").contains(&"extra_000".to_owned())), "{:?}", tools("pool"));

    // One replica less, and one more.
    change(&daemon, &Configuration::new().fixture_with("pool", "--ledger --extra-tools 1", &replicas(2)));
    change(&daemon, &Configuration::new().fixture_with("pool", "--ledger --extra-tools 1", &replicas(4)));
    recovered(&daemon, "pool", &[]);
    assert_eq!(crate::pids(&daemon, "pool").len(), 4);

    // Narrowed: what is denied is refused from the same moment on, and is listed no more.
    let narrow = narrowed(&base());
    change(&daemon, &narrow);
    let refused = endpoint.server("pool").call("pid", &json!({})).json();
    assert!(refused["error"]["message"].as_str().is_some_and(|text| text.contains("denies it")), "{refused}");
    assert!(wait_until(LIMIT, || !tools("pool").contains(&"pid".to_owned())), "{:?}", tools("pool"));

    // Broken: all goes on as before, and it is shown.
    let generation = daemon.status()["generation"].clone();
    daemon
        .scratch
        .write("etc/config.yaml", "servers: [{id: pool, command: no-such-program, policy: native}]\n");
    let is_shown = || daemon.status()["reloads"]["last_errors"].as_u64().is_some_and(|errors| errors > 0);
    assert!(wait_until(LIMIT, is_shown), "a failed reload is not shown:\n{}", daemon.story());
    assert_eq!(daemon.status()["generation"], generation);
    let mut status = daemon.command(&["status"]);
    let shown = harness::run::run(&mut status).stdout;
    assert!(shown.contains("the one before stays in force"), "{shown}");

    // Mended.
    change(&daemon, &base());
    assert_eq!(daemon.status()["reloads"]["last_errors"], 0);
    recovered(&daemon, "pool", &[]);

    let outcomes = load.end();
    let failed = report("reload", &outcomes);
    check(&outcomes, &failed, &ledger(&daemon));
    assert!(failed.is_empty(), "a change of the configuration lost calls: {failed:#?}");
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn the_operator_has_it_read_again_by_command_and_by_signal() {
    let daemon = Daemon::start(&Configuration::new().fixture("one", ""));
    let reload = || harness::run::run(&mut daemon.command(&["reload"]));
    let write = |text: &str| drop(daemon.scratch.write("etc/config.yaml", text));
    let two = Configuration::new().fixture("one", "").fixture("two", "").text(&daemon.scratch.mark());

    write(&two);
    let outcome = reload();
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{outcome:?}");
    assert!(outcome.stdout.contains("is in force"), "{outcome:?}");
    // In force when the command ends, not some time later.
    assert_eq!(daemon.status()["servers"].as_array().map_or(0, Vec::len), 2);

    write("servers: [{id: one, comand: x}]\n");
    let outcome = reload();
    assert_eq!(outcome.code, 65, "{outcome:?}");
    assert!(
        outcome.stderr.contains("stays in force") && outcome.stderr.contains("config check"),
        "{outcome:?}"
    );
    assert_eq!(daemon.status()["servers"].as_array().map_or(0, Vec::len), 2);

    write(&two);
    assert_eq!(reload().code, 0);
    let accepted = || daemon.status()["reloads"]["accepted"].as_u64().unwrap_or_default();
    let before = accepted();
    write(&Configuration::new().fixture("one", "").text(&daemon.scratch.mark()));
    daemon.signal(Role::Supervisor, Signal::SIGHUP);
    assert!(wait_until(LIMIT, || accepted() > before), "{}", daemon.story());
    assert_eq!(daemon.endpoint().call_text("one__echo", &json!({"text": "on"})), "on");
    let nobody = harness::scratch::Scratch::new();
    let mut elsewhere = harness::daemon::command(&nobody, &["reload"]);
    assert_eq!(harness::run::run(elsewhere.args(harness::daemon::places(&nobody))).code, 69);
    assert_eq!(daemon.stop(), 0);
}

fn narrowed(configuration: &Configuration) -> Configuration {
    configuration.clone().with("{extends: native, ", "{extends: native, tools: {allow: ['*'], deny: [pid]}, ")
}
