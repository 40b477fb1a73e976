//! Clients and operators of the services.

use crate::machine::{outcome, said, servers};
use crate::service::{self, endpoint};
use harness::mcp::Endpoint;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;

#[test]
fn a_client_lists_and_calls_tools_of_confined_node_and_python_servers() {
    service::ready();
    let listed = endpoint().modern("tools/list", &json!({})).json();
    let tools: Vec<&str> = listed["result"]["tools"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|tool| tool["name"].as_str())
        .collect();
    for tool in ["everything__echo", "time__get_current_time", "probe__read_file", "notes__add_note"] {
        assert!(tools.contains(&tool), "{tools:?}");
    }
    service::assert_all_answer();
    println!("{} tools of four servers listed", tools.len());
}

#[test]
fn a_legacy_client_is_served_as_well() {
    service::ready();
    let session = endpoint().legacy();
    let answer = session.call("time__get_current_time", &json!({"timezone": "UTC"})).json();
    assert!(answer["result"]["content"][0]["text"].as_str().unwrap().contains("UTC"), "{answer}");
}

#[test]
fn without_the_token_nobody_is_served() {
    service::ready();
    let stranger = Endpoint { token: None, ..endpoint() };
    assert_eq!(stranger.modern("tools/list", &json!({})).status, 401);
    let guess = Endpoint { token: Some("0".repeat(64)), ..endpoint() };
    assert_eq!(guess.modern("tools/list", &json!({})).status, 401);
    assert_eq!(endpoint().modern("tools/list", &json!({})).status, 200);
}

#[test]
fn each_server_has_a_uid_of_the_pool_and_every_wall() {
    service::ready();
    let status = service::status().unwrap();
    assert_eq!((&status["mode"], &status["cgroup_limits"]), (&json!("system"), &json!(true)), "{status:#}");
    let mut uids = BTreeSet::new();
    for server in status["servers"].as_array().unwrap() {
        assert_eq!(server["walls_missing"], json!([]), "{server:#}");
        let pid = server["pid"].as_i64().unwrap();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let uid =
            status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap().split_whitespace().next();
        uids.insert(uid.unwrap().parse::<u32>().unwrap());
    }
    assert_eq!(uids.len(), 4, "{uids:?}");
    assert!(uids.iter().all(|uid| (1_879_048_208..1_879_113_728).contains(uid)), "{uids:?}");
    assert!(servers().len() >= 8, "an init and a server each: {:?}", servers());
}

#[test]
fn an_operator_finds_the_service_without_naming_it_and_others_are_told_how() {
    service::ready();
    let table = said("only1mcp status");
    assert!(table.contains("system mode") && table.contains("everything"), "{table}");
    assert!(said("only1mcp call time.get_current_time {\"timezone\":\"UTC\"}").contains("UTC"));
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25",
        "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}});
    let relayed = crate::machine::said_to("only1mcp stdio", &format!("{hello}\n"));
    let answer: Value = serde_json::from_str(relayed.stdout.lines().next().unwrap_or_default()).unwrap();
    assert_eq!(answer["result"]["serverInfo"]["name"], "only1mcp", "{relayed:?}");
    let stranger = outcome("runuser -u only1mcp-test -- only1mcp status");
    assert_eq!(stranger.code, 69, "{stranger:?}");
    assert!(stranger.stderr.contains("try again with sudo"), "{stranger:?}");
    let second = outcome("only1mcp start");
    assert_eq!(second.code, 75, "{second:?}");
    assert!(second.stderr.contains("systemctl restart only1mcp"), "{second:?}");
    service::assert_all_answer();
}

#[test]
fn a_changed_configuration_comes_into_force_and_a_broken_one_does_not() {
    service::ready();
    let path = "/etc/only1mcp/config.yaml";
    let before = fs::read_to_string(path).unwrap();
    let generation = || service::status().map_or(json!(0), |status| status["generation"].clone());
    let first = generation();
    fs::write(path, before.replace("id: notes", "id: papers")).unwrap();
    assert!(harness::processes::wait_until(std::time::Duration::from_secs(60), || generation() != first));
    service::wait_until_ready();
    assert!(service::call("papers__list_notes", &json!({})).len() > 1);
    fs::write(path, "proxy: {listen: '127.0.0.1:9000'}\n").unwrap();
    let check = outcome("only1mcp config check");
    assert_eq!(check.code, 65, "{check:?}");
    assert!(format!("{check:?}").contains("ListenStream="), "{check:?}");
    fs::write(path, before).unwrap();
    assert!(harness::processes::wait_until(std::time::Duration::from_secs(60), || {
        service::status().is_some_and(|status| status.to_string().contains("\"notes\""))
    }));
    service::wait_until_ready();
    service::assert_all_answer();
}
