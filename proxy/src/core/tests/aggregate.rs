//! Many servers as one.

use crate::core::scripted::{Bench, Fixture, script, server_view, view};
use crate::exchange::Era::{Legacy, Modern};
use crate::exchange::{Exchange as _, List, ServerEvent};
use crate::servers::spawn::InForce;
use only1mcp_wire::Exit;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

fn named(tools: &[&str]) -> Fixture {
    let fixture = Fixture::new(Legacy);
    *fixture.tools.lock().unwrap() = tools.iter().map(|name| json!({"name": name})).collect();
    fixture
}

fn names(list: &Value) -> Vec<&str> {
    list["result"]["tools"].as_array().unwrap().iter().filter_map(|tool| tool["name"].as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn tools_stand_in_the_order_of_the_configuration_with_all_else_as_written() {
    let first = Fixture::new(Legacy);
    let bench = Bench::start(&[("zeta", first.script()), ("alpha", named(&["b", "a"]).script())]).await;
    let list = bench.ask("", Legacy, "tools/list", json!({})).await;
    let all = names(&list);
    assert_eq!((all[0], &all[all.len() - 2..]), ("zeta__echo", &["alpha__b", "alpha__a"][..]));
    let (sender, _) = tokio::sync::mpsc::channel(1);
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
    let raw = bench.raw(Bench::caller("", Legacy, None), body, sender).await;
    let text = std::str::from_utf8(&raw.response).unwrap();
    assert!(
        text.contains(r#""name":"zeta__echo","inputSchema":{"type":"object"},"vendor":{"z":1,"a":2}}"#),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn unknown_and_ambiguous_tools_are_named_and_the_nearest_suggested() {
    let bench =
        Bench::start(&[("one", named(&["read_file"]).script()), ("two", named(&["read_file"]).script())])
            .await;
    let ask = |name: &'static str| bench.ask("", Legacy, "tools/call", json!({"name": name}));
    let near = ask("one__raed_file").await;
    assert_eq!(near["error"]["code"], -32602);
    assert_eq!(near["error"]["message"], "unknown tool: one__raed_file; did you mean one__read_file?");
    let ambiguous = ask("read_file").await;
    assert_eq!(
        ambiguous["error"]["message"],
        "unknown tool: read_file; several servers have it: one__read_file, two__read_file"
    );
    assert_eq!(bench.ask("", Legacy, "tools/call", json!({})).await["error"]["code"], -32602);
}

#[tokio::test(start_paused = true)]
async fn refused_tools_are_hidden_and_refused_with_the_pattern_that_did_it() {
    let bench = Bench::start(&[("one", named(&["open", "secret_key"]).script())]).await;
    for (endpoint, tool) in [("", "one__secret_key"), ("", "secret_key"), ("one", "secret_key")] {
        let list = bench.ask(endpoint, Legacy, "tools/list", json!({})).await;
        assert_eq!(names(&list).len(), 1, "{list}");
        let call = bench.ask(endpoint, Legacy, "tools/call", json!({"name": tool})).await;
        if tool == "secret_key" && endpoint.is_empty() {
            assert_eq!(call["error"]["code"], -32602, "a bare name that is not listed is unknown");
        } else {
            let expected = r#"tool "secret_key" of server "one" may not be called: the pattern "secret*" of its policy denies it"#;
            assert_eq!(
                (&call["error"]["code"], &call["error"]["message"]),
                (&json!(-31004), &json!(expected))
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_uri_of_two_servers_leads_to_both() {
    let (one, two) = (Fixture::new(Legacy), Fixture::new(Modern));
    let bench = Bench::start(&[("one", one.script()), ("two", two.script())]).await;
    let list = bench.ask("", Legacy, "resources/list", json!({})).await;
    let uris: Vec<&Value> =
        list["result"]["resources"].as_array().unwrap().iter().map(|r| &r["uri"]).collect();
    assert_eq!(uris, ["test://static", "test://only1mcp/two/static"]);
    let read = bench.ask("", Legacy, "resources/read", json!({"uri": "test://only1mcp/two/static"})).await;
    assert_eq!(read["result"]["contents"][0]["uri"], "test://only1mcp/two/static");
    assert_eq!(two.heard("resources/read")[0]["params"]["uri"], "test://static");
    assert!(one.heard("resources/read").is_empty());
    let linked = bench.ask("", Legacy, "tools/call", json!({"name": "two__link"})).await;
    assert_eq!(linked["result"]["content"][0]["uri"], "test://only1mcp/two/static");
    let reference = json!({"type": "ref/resource", "uri": "test://only1mcp/two/t/{id}"});
    bench.ask("", Legacy, "completion/complete", json!({"ref": reference, "argument": {}})).await;
    assert_eq!(two.heard("completion/complete")[0]["params"]["ref"]["uri"], "test://t/{id}");
}

#[tokio::test(start_paused = true)]
async fn there_is_one_page_and_no_cursor() {
    let bench = Bench::start(&[("one", Fixture::new(Legacy).script())]).await;
    for client in [Legacy, Modern] {
        let answer = bench.ask("", client, "tools/list", json!({"cursor": "x"})).await;
        assert_eq!(answer["error"]["code"], -32602);
    }
}

#[tokio::test(start_paused = true)]
async fn pages_of_a_server_are_gathered_and_a_cursor_that_repeats_ends_it() {
    let paged = |last: &'static str| {
        script(move |mut wire| async move {
            while let Some(message) = wire.read().await {
                let cursor = message["params"]["cursor"].as_str().unwrap_or("0").to_owned();
                match message["method"].as_str() {
                    Some("initialize") => {
                        let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}});
                        wire.result(&message, &hello).await;
                    }
                    Some("tools/list") if cursor == last => {
                        wire.result(&message, &json!({"tools": [{"name": "z"}]})).await
                    }
                    Some("tools/list") => {
                        let next = if last == "never" { "0".to_owned() } else { format!("{cursor}0") };
                        let page = json!({"tools": [{"name": format!("t{cursor}")}], "nextCursor": next});
                        wire.result(&message, &page).await;
                    }
                    _ if message.get("id").is_some() => wire.error(&message, -32601, "no").await,
                    _ => {}
                }
            }
            Exit::Status(0)
        })
    };
    let bench = Bench::start(&[("good", paged("000")), ("bad", paged("never"))]).await;
    let list = bench.ask("", Legacy, "tools/list", json!({})).await;
    assert_eq!(names(&list), ["good__t0", "good__t00", "good__z"]);
}

#[tokio::test(start_paused = true)]
async fn the_first_list_waits_ten_seconds_for_a_slow_server_and_no_longer() {
    let slow = Fixture::new(Legacy);
    let slow = script(move |wire| {
        let inner = slow.script();
        async move {
            tokio::time::sleep(Duration::from_secs(2)).await;
            inner(wire).await
        }
    });
    let dead = script(|_wire| async { std::future::pending().await });
    let bench = Bench::start_unsettled(&[("slow", slow.clone())]);
    let list = bench.ask("", Legacy, "tools/list", json!({})).await;
    assert!(names(&list).contains(&"slow__echo"));
    let bench = Bench::start_unsettled(&[("slow", slow), ("dead", dead)]);
    let before = Instant::now();
    let list = bench.ask("", Legacy, "tools/list", json!({})).await;
    assert!(names(&list).contains(&"slow__echo"));
    assert!(
        before.elapsed() <= Duration::from_secs(10) + Duration::from_millis(50),
        "{:?}",
        before.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_changed_list_is_announced_once_and_only_if_its_bytes_differ() {
    for era in [Legacy, Modern] {
        let fixture = Fixture::new(era);
        let bench = Bench::start(&[("one", fixture.script())]).await;
        let mut events = bench.core.events();
        let member = bench.core.catalogue().members[0].clone();
        member.rules_changed();
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(fixture.heard("tools/list").len(), 2, "it was looked at");
        assert!(events.try_recv().is_err(), "the same bytes are no news");
        fixture.tools.lock().unwrap().push(json!({"name": "fresh"}));
        for _ in 0..5 {
            member.rules_changed();
            tokio::time::sleep(Duration::from_millis(80)).await;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        let event = events.try_recv().unwrap();
        assert!(matches!(event, ServerEvent::ListChanged(kind) if kind.list == List::Tools));
        assert!(events.try_recv().is_err());
        assert_eq!(
            fixture.heard("tools/list").len(),
            4,
            "the first at once, the rest of half a second as one"
        );
        assert!(names(&bench.ask("", Legacy, "tools/list", json!({})).await).contains(&"one__fresh"));
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_server_announces_is_fetched_and_announced() {
    for era in [Legacy, Modern] {
        let bench = Bench::start(&[("one", Fixture::new(era).script())]).await;
        let mut events = bench.core.events();
        bench.ask("one", Legacy, "tools/call", json!({"name": "announce"})).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(
            matches!(events.try_recv().unwrap(), ServerEvent::ListChanged(kind) if kind.list == List::Tools)
        );
        assert!(names(&bench.ask("", Modern, "tools/list", json!({})).await).contains(&"one__announced"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_configuration_starts_ends_and_replaces_only_what_changed() {
    let scripts: Vec<_> =
        ["kept", "gone", "fresh", "changed"].map(|id| (id, named(&[id]).script())).into_iter().collect();
    let bench = Bench::start(&scripts).await;
    let mut next = view(&["fresh", "kept", "changed"]);
    next.servers[2].digest = "another".into();
    next.servers[1].tools.deny.push("kept".into());
    bench.launcher.in_force.send_replace(Arc::new(InForce { generation: 2, view: next }));
    tokio::time::sleep(Duration::from_micros(1)).await;
    let list = bench.ask("", Legacy, "tools/list", json!({})).await;
    assert!(names(&list).contains(&"changed__changed"), "its tools stay listed while it gets a new process");
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(bench.core.status().generation, 2);
    let spawns = ["kept", "gone", "fresh", "changed"].map(|id| bench.launcher.spawns(id));
    assert_eq!(spawns, [1, 1, 1, 2]);
    let list = bench.ask("", Legacy, "tools/list", json!({})).await;
    assert_eq!(names(&list), ["fresh__fresh", "changed__changed"], "what is denied now is hidden now");
    assert_eq!(server_view("kept").digest, bench.core.catalogue().members[1].server.view().digest);
}

#[tokio::test(start_paused = true)]
async fn a_server_whose_plan_changed_still_answers_what_it_was_asked_and_then_ends() {
    let (fixture, alive) = (Fixture::new(Legacy), Arc::new(()));
    let held = Arc::downgrade(&alive);
    let slow = script(move |mut wire| {
        let (inner, alive) = (fixture.clone(), alive.clone());
        async move {
            while let Some(message) = wire.read().await {
                if message["method"] == "tools/call" {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                inner.hear(&mut wire, message).await;
            }
            drop(alive);
            Exit::Status(0)
        }
    });
    let bench = Bench::start(&[("one", slow)]).await;
    let call = || bench.ask("one", Legacy, "tools/call", json!({"name": "pid"}));
    let changing = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let mut next = view(&["one"]);
        next.servers[0].digest = "another".into();
        bench.launcher.in_force.send_replace(Arc::new(InForce { generation: 2, view: next }));
    };
    let (answer, ()) = tokio::join!(call(), changing);
    assert_eq!(answer["result"]["content"][0]["text"], "1", "{answer}");
    assert_eq!(call().await["result"]["content"][0]["text"], "2");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(held.strong_count(), 2, "the script itself and one process");
}

#[tokio::test(start_paused = true)]
async fn status_shows_each_server() {
    let bench = Bench::start(&[
        ("one", Fixture::new(Legacy).script()),
        ("none", script(|_| async { Exit::Status(3) })),
    ])
    .await;
    bench.ask("one", Legacy, "tools/call", json!({"name": "echo"})).await;
    let status = serde_json::to_value(bench.core.status()).unwrap();
    assert_eq!((&status["mode"], &status["generation"]), (&json!("user"), &json!(1)));
    let one = &status["servers"][0];
    for (key, value) in [
        ("id", json!("one")),
        ("state", json!("ready")),
        ("era", json!("legacy")),
        ("version", json!("2025-06-18")),
        ("pid", json!(42)),
        ("tools", json!(9)),
        ("calls", json!(1)),
        ("restarts", json!(0)),
        ("last_error", json!(null)),
    ] {
        assert_eq!(one[key], value, "{key}");
    }
    let none = &status["servers"][1];
    assert_eq!(none["state"], "failed");
    assert!(none["last_error"].as_str().unwrap().contains("status 3"), "{none}");
}
