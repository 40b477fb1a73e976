//! What a newcomer is shown first, as scripts would do it: many servers behind one URL, a replica that dies unnoticed,
//! a configuration that changes while calls go on.

use crate::{pids, recovered, replicas, signal_all};
use harness::configuration::Configuration;
use harness::daemon::Daemon;
use nix::sys::signal::Signal;
use serde_json::json;

#[test]
fn aggregation_shows_the_tools_of_all_servers_behind_one_url() {
    let daemon =
        Daemon::start(&Configuration::new().fixture("one", "--era legacy").fixture("two", "--era modern"));
    let endpoint = daemon.endpoint();
    let listed = endpoint.modern("tools/list", &json!({})).json();
    let tools = listed["result"]["tools"].as_array().cloned().unwrap_or_default();
    let of = |server: &str| {
        let prefix = format!("{server}__");
        tools
            .iter()
            .filter(|tool| tool["name"].as_str().is_some_and(|name| name.starts_with(&prefix)))
            .count()
    };
    println!("aggregation: {} tools of one, {} of two", of("one"), of("two"));
    assert_eq!((of("one"), of("two"), tools.len()), (15, 15, 30));
    for server in ["one", "two"] {
        assert_eq!(endpoint.call_text(&format!("{server}__echo"), &json!({"text": server})), server);
    }
    let session = endpoint.legacy();
    let answer = session.post(&harness::mcp::message(
        1,
        "tools/call",
        &json!({"name": "two__echo", "arguments": {"text": "old"}}),
    ));
    assert_eq!(answer.json()["result"]["content"][0]["text"], "old");
}

#[test]
fn failover_is_noticed_by_no_request() {
    let daemon = Daemon::start(&Configuration::new().fixture_with("pool", "--ledger", &replicas(2)));
    recovered(&daemon, "pool", &[]);
    let endpoint = daemon.endpoint().server("pool");
    for round in 0..3 {
        let victim = pids(&daemon, "pool")[round % 2];
        for call in 0..40 {
            if call == 10 {
                signal_all(victim, Signal::SIGKILL);
            }
            assert_eq!(endpoint.call_text("look", &json!({"n": call})), "seen");
        }
        println!(
            "failover: 40 of 40 calls answered, the replica is back after {:.1?}",
            recovered(&daemon, "pool", &[victim])
        );
    }
}

#[test]
fn a_reload_is_noticed_by_no_request() {
    let one = || Configuration::new().fixture("one", "");
    let daemon = Daemon::start(&one());
    let endpoint = daemon.endpoint();
    for round in 0..3 {
        let next = if round % 2 == 0 { one().fixture("two", "") } else { one() };
        for call in 0..40 {
            if call == 10 {
                daemon.scratch.write("etc/config.yaml", &next.text(&daemon.scratch.mark()));
            }
            assert_eq!(endpoint.call_text("one__echo", &json!({"text": "here"})), "here");
        }
        let is_there = || daemon.status()["servers"].as_array().map_or(0, Vec::len) == 2 - round % 2;
        assert!(
            harness::processes::wait_until(std::time::Duration::from_secs(20), is_there),
            "{}",
            daemon.story()
        );
    }
}
