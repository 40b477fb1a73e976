//! Clients of 2026-07-28: each request stands alone.

use crate::{SERVERS, both_eras};
use harness::mcp::{Endpoint, MODERN, message};
use harness::processes::wait_until;
use serde_json::{Value, json};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(10);

fn result(endpoint: &Endpoint, method: &str, params: &Value) -> Value {
    let response = endpoint.modern(method, params);
    assert_eq!(response.status, 200, "{method}: {response:?}");
    assert_eq!(response.header("mcp-session-id"), None, "no session is ever made for a modern client");
    let answer = response.json();
    assert_eq!(answer["id"], 1, "{answer}");
    assert_eq!(answer["result"]["resultType"], "complete", "{method}: {answer}");
    answer["result"].clone()
}

fn names(list: &Value, key: &str, member: &str) -> Vec<String> {
    let all = list[key].as_array().unwrap_or_else(|| panic!("no {key} in {list}"));
    all.iter().map(|one| one[member].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn discover_tells_versions_capabilities_and_how_long_they_hold() {
    let daemon = both_eras();
    for endpoint in [daemon.endpoint(), daemon.endpoint().server("old"), daemon.endpoint().server("new")] {
        let found = result(&endpoint, "server/discover", &json!({}));
        assert!(found["supportedVersions"].as_array().unwrap().contains(&json!(MODERN)), "{found}");
        assert!(found["capabilities"]["tools"].is_object(), "{found}");
        assert!(found["ttlMs"].as_u64().is_some() && found["cacheScope"].is_string(), "{found}");
        assert!(found["_meta"]["io.modelcontextprotocol/serverInfo"]["name"].is_string(), "{found}");
    }
}

#[test]
fn the_aggregate_lists_every_tool_under_its_servers_name_and_one_server_lists_its_own() {
    let daemon = both_eras();
    let all = result(&daemon.endpoint(), "tools/list", &json!({}));
    assert!(all["ttlMs"].as_u64().is_some() && all["cacheScope"].is_string(), "{all}");
    let all = names(&all, "tools", "name");
    for server in SERVERS {
        let own = result(&daemon.endpoint().server(server), "tools/list", &json!({}));
        let own = names(&own, "tools", "name");
        assert!(own.contains(&"echo".to_owned()), "{own:?}");
        for tool in own {
            assert!(all.contains(&format!("{server}__{tool}")), "{server}__{tool} is not in {all:?}");
        }
    }
    let again = names(&result(&daemon.endpoint(), "tools/list", &json!({})), "tools", "name");
    assert_eq!(all, again, "the order is the same each time");
}

#[test]
fn what_the_proxy_does_not_know_passes_through_unchanged() {
    let daemon = both_eras();
    for server in SERVERS {
        let tools = result(&daemon.endpoint().server(server), "tools/list", &json!({}));
        let add = tools["tools"].as_array().unwrap().iter().find(|tool| tool["name"] == "add").unwrap();
        assert_eq!(add["x-unknown-member"], json!({"kept": true}));
        let schema = add["inputSchema"].to_string();
        let wanted = r#"{"type":"object","properties":{"a":{"type":"number"},"b":{"type":"number"}},"required":["a","b"]}"#;
        assert_eq!(schema, wanted, "members keep their order");
    }
}

#[test]
fn a_call_reaches_its_server_and_brings_the_result_back() {
    let daemon = both_eras();
    for server in SERVERS {
        let call = |tool: &str, arguments: Value| json!({"name": tool, "arguments": arguments});
        let sum =
            result(&daemon.endpoint().server(server), "tools/call", &call("add", json!({"a": 2, "b": 3})));
        assert_eq!(sum["structuredContent"]["sum"], 5.0, "{sum}");
        let tool = format!("{server}__echo");
        let said = result(&daemon.endpoint(), "tools/call", &call(&tool, json!({"text": "Grüße\u{2028}\n"})));
        assert_eq!(said["content"][0]["text"], "Grüße\u{2028}\n");
        let failed = result(&daemon.endpoint(), "tools/call", &call(&format!("{server}__fail"), json!({})));
        assert_eq!(failed["isError"], true, "a tool's own failure is a result: {failed}");
    }
}

#[test]
fn a_large_result_arrives_whole() {
    let daemon = both_eras();
    for server in SERVERS {
        let text = daemon.endpoint().server(server).call_text("big", &json!({"bytes": 3_000_000}));
        assert_eq!(text.len(), 3_000_000);
    }
}

#[test]
fn resources_are_listed_and_read_and_a_uri_of_two_servers_stays_readable_at_both() {
    let daemon = both_eras();
    let read = |endpoint: &Endpoint, uri: &str| result(endpoint, "resources/read", &json!({"uri": uri}));
    for server in SERVERS {
        let endpoint = daemon.endpoint().server(server);
        let text = read(&endpoint, "test://static-text");
        assert_eq!(text["contents"][0]["text"], "This is the content of the static text resource.");
        assert!(read(&endpoint, "test://static-binary")["contents"][0]["blob"].is_string());
        let data = read(&endpoint, "test://template/123/data");
        assert!(data["contents"][0]["text"].as_str().unwrap().contains("Data for ID: 123"));
        let templates = result(&endpoint, "resources/templates/list", &json!({}));
        assert_eq!(templates["resourceTemplates"][0]["uriTemplate"], "test://template/{id}/data");
    }
    let listed = names(&result(&daemon.endpoint(), "resources/list", &json!({})), "resources", "uri");
    assert_eq!(listed.len(), 6, "three resources of each server: {listed:?}");
    assert_eq!(
        listed.iter().filter(|uri| *uri == "test://static-text").count(),
        1,
        "the first owner keeps it"
    );
    for uri in &listed {
        assert!(uri.starts_with("test://"), "a wrapper keeps the scheme: {uri}");
        assert_eq!(
            read(&daemon.endpoint(), uri)["contents"][0]["uri"],
            **uri,
            "what was asked for is what is named"
        );
    }
    let template = read(&daemon.endpoint(), "test://template/9/data");
    assert!(template["contents"][0]["text"].as_str().unwrap().contains("Data for ID: 9"));
}

#[test]
fn prompts_are_listed_and_filled_in_and_arguments_are_completed() {
    let daemon = both_eras();
    let arguments = json!({"arg1": "hello", "arg2": "world"});
    let wanted = "Prompt with arguments: arg1='hello', arg2='world'";
    for server in SERVERS {
        for (endpoint, name) in [
            (daemon.endpoint(), format!("{server}__test_prompt_with_arguments")),
            (daemon.endpoint().server(server), "test_prompt_with_arguments".to_owned()),
        ] {
            let listed = result(&endpoint, "prompts/list", &json!({}));
            assert!(names(&listed, "prompts", "name").contains(&name), "{name}: {listed}");
            let got = result(&endpoint, "prompts/get", &json!({"name": name, "arguments": arguments}));
            assert_eq!(got["messages"][0]["content"]["text"], wanted);
            let reference = json!({"type": "ref/prompt", "name": name});
            let params = json!({"ref": reference, "argument": {"name": "arg1", "value": "x"}});
            let completed = result(&endpoint, "completion/complete", &params);
            assert_eq!(completed["completion"]["values"], json!(["xa", "xb", "xc"]));
        }
    }
}

#[test]
fn progress_arrives_on_the_requests_own_stream_under_the_clients_token() {
    let daemon = both_eras();
    for server in SERVERS {
        let meta = json!({"progressToken": "my token"});
        let params = json!({"name": "progress", "arguments": {"steps": 3}, "_meta": meta});
        let response = daemon.endpoint().server(server).modern("tools/call", &params);
        let messages = response.messages();
        let progress: Vec<&Value> =
            messages.iter().filter(|message| message["method"] == "notifications/progress").collect();
        let steps: Vec<&Value> = progress.iter().map(|message| &message["params"]["progress"]).collect();
        assert_eq!(steps, [1, 2, 3], "{response:?}");
        assert!(
            progress.iter().all(|message| message["params"]["progressToken"] == "my token"),
            "{messages:?}"
        );
        assert_eq!(messages.last().unwrap()["result"]["content"][0]["text"], "3 steps");
    }
}

#[test]
fn closing_the_stream_cancels_the_call_at_the_server() {
    let daemon = both_eras();
    for server in SERVERS {
        let endpoint = daemon.endpoint().server(server);
        let (headers, body) = Endpoint::modern_parts(
            "tools/call",
            &json!({"name": "slow", "arguments": {"milliseconds": 60000}}),
        );
        let headers: Vec<(&str, &str)> = headers.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let bytes = endpoint.request("POST", &headers, body.to_string().as_bytes());
        let mut stream = std::net::TcpStream::connect(&endpoint.address).unwrap();
        std::io::Write::write_all(&mut stream, &bytes).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        drop(stream);
        let seen = wait_until(SOON, || endpoint.call_text("cancellations", &json!({})) == "slow");
        assert!(seen, "the {server} server heard of no cancellation");
    }
}

#[test]
fn a_listener_hears_of_changed_lists_and_resources_with_its_own_id() {
    let daemon = both_eras();
    for server in SERVERS {
        let endpoint = daemon.endpoint().server(server);
        let wanted = json!({"toolsListChanged": true, "resourceSubscriptions": ["test://watched-resource"]});
        let mut stream = endpoint.modern_stream("subscriptions/listen", &json!({"notifications": wanted}));
        assert_eq!(stream.response.status, 200, "{:?}", stream.response);
        let tag =
            |message: &Value| message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"].clone();
        let first = stream.next(SOON).expect("an acknowledgement");
        assert_eq!(
            (&first["method"], tag(&first)),
            (&json!("notifications/subscriptions/acknowledged"), json!(1))
        );
        assert_eq!(first["params"]["notifications"]["toolsListChanged"], true, "{first}");
        for (tool, method) in [
            ("change_tools", "notifications/tools/list_changed"),
            ("touch_resource", "notifications/resources/updated"),
        ] {
            let _ = endpoint.call_text(tool, &json!({}));
            let mut heard = || stream.next(SOON).unwrap_or_else(|| panic!("{server}: nothing after {tool}"));
            let mut message = heard();
            // The server's first list is a change, too, if it comes after the client began to listen.
            if message["method"] == "notifications/tools/list_changed" && message["method"] != method {
                message = heard();
            }
            assert_eq!(
                (message["method"].as_str(), tag(&message)),
                (Some(method), json!(1)),
                "{server}: {message}"
            );
        }
        let tools = result(&endpoint, "tools/list", &json!({}));
        assert!(names(&tools, "tools", "name").contains(&"added".to_owned()), "the list is fetched anew");
    }
}

#[test]
fn methods_of_the_past_are_not_found_and_nothing_but_post_is_answered() {
    let daemon = both_eras();
    for method in
        ["initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe", "no/such"]
    {
        let response = daemon.endpoint().modern(method, &json!({}));
        assert_eq!(
            (response.status, response.json()["error"]["code"].as_i64()),
            (404, Some(-32601)),
            "{method}"
        );
    }
    for method in ["GET", "DELETE"] {
        let bytes = daemon.endpoint().request(method, &[("MCP-Protocol-Version", MODERN)], b"");
        let response = harness::http::raw(&daemon.endpoint().address, &bytes).unwrap();
        assert_eq!(response.status, 405, "{method}: {response:?}");
    }
    let (headers, _) = Endpoint::modern_parts("notifications/cancelled", &json!({}));
    let body = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
    let response = daemon.endpoint().send(&headers, &body);
    assert_eq!(
        (response.status, response.body.as_str()),
        (202, ""),
        "a notification is accepted without a body"
    );
}

#[test]
fn an_id_comes_back_byte_for_byte() {
    let daemon = both_eras();
    for id in ["\"a\\u00e9\"", "7", "-3", "9007199254740993", "\"\""] {
        let (headers, body) = Endpoint::modern_parts("tools/list", &json!({}));
        let body = body.to_string().replacen("\"id\":1", &format!("\"id\":{id}"), 1);
        let headers: Vec<(&str, &str)> = headers.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let response = daemon.endpoint().post(&headers, body.as_bytes());
        assert!(
            response.body.contains(&format!("\"id\":{id}")),
            "{id}: {}",
            &response.body[..200.min(response.body.len())]
        );
    }
    let null = message(1, "tools/list", &json!({})).to_string().replacen("\"id\":1", "\"id\":null", 1);
    assert_eq!(daemon.endpoint().post(&[], null.as_bytes()).status, 400, "an id is never null");
}
