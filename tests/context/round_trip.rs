//! Every tool of every recorded server is called in each view, and answers as in full.

use crate::{arguments, call, daemon_of, in_view, listed, recorded, told};
use serde_json::{Value, json};

#[test]
fn every_tool_answers_in_each_view_as_it_does_in_full() {
    let servers = recorded();
    let daemon = daemon_of(servers.iter().map(|server| (server.id.as_str(), server.file.as_path())));
    let all = daemon.endpoint();
    let (compact, brief, search) =
        (in_view(&all, "compact"), in_view(&all, "brief"), in_view(&all, "search"));
    let full_list = listed(&all);
    let names: Vec<&Value> = full_list.iter().map(|tool| &tool["name"]).collect();
    for view in [&compact, &brief] {
        let list = listed(view);
        assert_eq!(
            list.iter().map(|tool| &tool["name"]).collect::<Vec<_>>(),
            names,
            "every tool, in its order"
        );
    }
    let count: usize = servers.iter().map(|server| server.tools.len()).sum();
    assert_eq!(names.len(), count, "{}", daemon.story());
    let mut different = Vec::new();
    for tool in &full_list {
        let name = tool["name"].as_str().unwrap();
        let given = arguments::fitting(&tool["inputSchema"]);
        let full = call(&all, name, &given);
        assert_eq!(full["structuredContent"]["arguments"], given, "{name}");
        let inner = json!({"name": name, "arguments": given});
        for (view, answer) in [
            ("compact", call(&compact, name, &given)),
            ("brief", call(&brief, name, &given)),
            ("search", call(&search, "call_tool", &inner)),
        ] {
            if answer != full {
                different.push(format!("{name} in {view}: {answer}"));
            }
        }
        let described = told(&search, "describe_tools", &json!({"names": [name]}));
        assert!(described.contains(&format!("\"name\":\"{name}\"")), "{described}");
    }
    println!("{count} tools of {} servers, each called in four views", servers.len());
    assert!(different.is_empty(), "{}", different.join("\n"));
    // The same without a prefix.
    let (server, tool) = (&servers[0], &servers[0].tools[0]);
    let name = tool["name"].as_str().unwrap();
    let given = arguments::fitting(&tool["inputSchema"]);
    let own = all.server(&server.id);
    let full = call(&own, name, &given);
    assert_eq!(call(&in_view(&own, "compact"), name, &given), full);
    assert_eq!(call(&in_view(&own, "brief"), name, &given), full);
    assert_eq!(call(&in_view(&own, "search"), "call_tool", &json!({"name": name, "arguments": given})), full);
}

#[test]
fn a_call_that_does_not_fit_comes_back_with_the_definition_and_is_not_made() {
    let servers = recorded();
    let github = servers.iter().find(|server| server.id == "github").unwrap();
    let daemon = daemon_of(std::iter::once((github.id.as_str(), github.file.as_path())));
    let all = daemon.endpoint();
    let wrong = json!({"owner": "me", "labels": "bug"});
    let inner = json!({"name": "github__create_issue", "arguments": wrong});
    for answer in [
        call(&in_view(&all, "brief"), "github__create_issue", &wrong),
        call(&in_view(&all, "search"), "call_tool", &inner),
    ] {
        assert_eq!(answer["isError"], true, "{answer}");
        let text = answer["content"][0]["text"].as_str().unwrap();
        for part in
            ["which was not called", "\"repo\" is a required property", "/labels: ", "\"inputSchema\":{"]
        {
            assert!(text.contains(part), "no {part:?} in {text}");
        }
    }
    // In full the server itself judges, and this one takes anything.
    assert_eq!(call(&all, "github__create_issue", &wrong)["structuredContent"]["arguments"], wrong);
}
