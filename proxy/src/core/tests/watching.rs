//! Resources that are watched, at servers of both eras.

use crate::core::scripted::{Bench, Fixture, Script, script};
use crate::exchange::Era::{self, Legacy, Modern};
use crate::exchange::{Exchange as _, ServerEvent};
use crate::limits::WATCHED_URI_BYTES_MAX;
use only1mcp_wire::Exit;
use serde_json::json;
use std::time::Duration;

async fn subscribe(bench: &Bench, endpoint: &str, session: u64, method: &str, uri: &str) -> Option<i64> {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": {"uri": uri}}).to_string();
    let (sender, _) = tokio::sync::mpsc::channel(1);
    bench.raw(Bench::caller(endpoint, Legacy, Some(session)), body, sender).await.error_code
}

/// A fixture that says every second that its resource has changed.
fn updating(era: Era) -> (Fixture, Script) {
    let fixture = Fixture::new(era);
    let inner = fixture.clone();
    let ticking = script(move |mut wire| {
        let inner = inner.clone();
        async move {
            loop {
                tokio::select! {
                    message = wire.read() => {
                        let Some(message) = message else { return Exit::Status(0) };
                        inner.hear(&mut wire, message).await;
                    }
                    () = tokio::time::sleep(Duration::from_secs(1)) => {
                        wire.notify("notifications/resources/updated", &json!({"uri": "test://static"})).await;
                    }
                }
            }
        }
    });
    (fixture, ticking)
}

#[tokio::test(start_paused = true)]
async fn a_legacy_server_hears_the_first_watcher_and_the_last_to_leave() {
    let fixture = Fixture::new(Legacy);
    let bench = Bench::start(&[("one", fixture.script())]).await;
    for (endpoint, session) in [("one", 1), ("", 2), ("one", 2)] {
        assert_eq!(subscribe(&bench, endpoint, session, "resources/subscribe", "test://static").await, None);
    }
    assert_eq!(fixture.heard("resources/subscribe").len(), 1);
    assert_eq!(subscribe(&bench, "one", 1, "resources/unsubscribe", "test://static").await, None);
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert!(fixture.heard("resources/unsubscribe").is_empty());
    bench.core.session_ended(2);
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(fixture.heard("resources/unsubscribe").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_modern_server_hears_it_by_a_new_listen_that_overlaps_the_old() {
    let fixture = Fixture::new(Modern);
    let bench = Bench::start(&[("one", fixture.script())]).await;
    assert_eq!(subscribe(&bench, "one", 1, "resources/subscribe", "test://static").await, None);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let listens = fixture.heard("subscriptions/listen");
    assert_eq!(listens[0]["params"]["notifications"]["resourceSubscriptions"], json!([]));
    assert_eq!(listens[1]["params"]["notifications"]["resourceSubscriptions"], json!(["test://static"]));
    assert_eq!(listens[1]["params"]["notifications"]["toolsListChanged"], true);
    let told = fixture.heard("notifications/cancelled");
    assert_eq!((told.len(), &told[0]["params"]["requestId"]), (1, &listens[0]["id"]));
}

#[tokio::test(start_paused = true)]
async fn an_update_names_the_resource_as_each_endpoint_does() {
    for era in [Legacy, Modern] {
        let (_, ticking) = updating(era);
        let bench = Bench::start(&[("one", Fixture::new(Legacy).script()), ("two", ticking)]).await;
        let mut events = bench.core.events();
        let uri = "test://only1mcp/two/static";
        assert_eq!(subscribe(&bench, "", 1, "resources/subscribe", uri).await, None);
        let event = tokio::time::timeout(Duration::from_secs(3), events.recv()).await.unwrap().unwrap();
        let ServerEvent::ResourceUpdated { server, uri, aggregate_uri, .. } = event else {
            panic!("{event:?}")
        };
        assert_eq!(
            (server.as_str(), uri.as_str(), aggregate_uri.as_str()),
            ("two", "test://static", "test://only1mcp/two/static")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn updates_of_what_nobody_watches_are_not_kept() {
    let (_, ticking) = updating(Legacy);
    let bench = Bench::start(&[("one", ticking)]).await;
    let mut events = bench.core.events();
    subscribe(&bench, "one", 1, "resources/subscribe", "test://other").await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(events.try_recv().is_err());
    subscribe(&bench, "one", 1, "resources/subscribe", "test://static").await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(events.try_recv().is_ok());
    let long = format!("test://{}", "x".repeat(WATCHED_URI_BYTES_MAX));
    assert_eq!(subscribe(&bench, "one", 1, "resources/subscribe", &long).await, Some(-32602));
}

#[tokio::test(start_paused = true)]
async fn a_restarted_server_is_told_again_what_is_watched() {
    for (era, method) in [(Legacy, "resources/subscribe"), (Modern, "subscriptions/listen")] {
        let fixture = Fixture::new(era);
        let bench = Bench::start(&[("one", fixture.script())]).await;
        subscribe(&bench, "one", 1, "resources/subscribe", "test://static").await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let before = fixture.heard(method).len();
        bench.ask("one", Legacy, "tools/call", json!({"name": "die"})).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let after = fixture.heard(method);
        assert_eq!(after.len(), before + 1);
        assert!(after.last().unwrap().to_string().contains("test://static"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_cannot_be_watched_says_so() {
    let fixture = Fixture { capabilities: json!({"resources": {}}), ..Fixture::new(Legacy) };
    let bench = Bench::start(&[("one", fixture.script())]).await;
    assert_eq!(subscribe(&bench, "one", 1, "resources/subscribe", "test://static").await, Some(-32601));
}
