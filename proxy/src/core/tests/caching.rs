//! Answers that a modern server allows to be kept, seen from its clients.

use crate::core::scripted::{Bench, Fixture};
use crate::exchange::Era::{Legacy, Modern};
use serde_json::json;
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn a_read_is_repeated_only_when_its_time_is_over_or_its_resource_has_changed() {
    let fixture = Fixture::new(Modern);
    let bench = Bench::start(&[("files", fixture.script())]).await;
    let read = async |endpoint: &str, era| {
        bench.ask(endpoint, era, "resources/read", json!({"uri": "test://static"})).await["result"].take()
    };
    let first = read("files", Modern).await;
    assert_eq!(first["ttlMs"], 60_000);
    tokio::time::sleep(Duration::from_secs(20)).await;
    let second = read("", Modern).await;
    assert_eq!((&second["ttlMs"], &second["contents"]), (&json!(40_000), &first["contents"]));
    let legacy = read("files", Legacy).await;
    assert_eq!((&legacy["contents"], legacy.get("ttlMs")), (&first["contents"], None));
    assert_eq!(fixture.heard("resources/read").len(), 1);
    tokio::time::sleep(Duration::from_secs(40)).await;
    assert_eq!(read("files", Modern).await["ttlMs"], 60_000);
    assert_eq!(fixture.heard("resources/read").len(), 2);
    bench.ask("files", Modern, "tools/call", json!({"name": "touch"})).await;
    read("files", Modern).await;
    assert_eq!(fixture.heard("resources/read").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_legacy_server_is_always_asked() {
    let fixture = Fixture::new(Legacy);
    let bench = Bench::start(&[("files", fixture.script())]).await;
    for _ in 0..2 {
        bench.ask("files", Modern, "resources/read", json!({"uri": "test://static"})).await;
    }
    assert_eq!(fixture.heard("resources/read").len(), 2);
}
