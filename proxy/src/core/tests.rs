//! The core from a front's side, over scripted servers.

use super::scripted::{Bench, Fixture};
use crate::exchange::Era::{Legacy, Modern};
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn a_tool_of_one_server_answers_on_both_endpoints() {
    let fixture = Fixture::new(Legacy);
    let bench = Bench::start(&[("files", fixture.script())]).await;
    let direct =
        bench.ask("files", Legacy, "tools/call", json!({"name": "echo", "arguments": {"a": 1}})).await;
    assert_eq!(direct["result"]["content"][0]["text"], r#"{"name":"echo","arguments":{"a":1}}"#);
    let merged =
        bench.ask("", Legacy, "tools/call", json!({"name": "files__echo", "arguments": {"a": 1}})).await;
    assert_eq!(merged["result"], direct["result"]);
    let bare = bench.ask("", Legacy, "tools/call", json!({"name": "echo", "arguments": {"a": 1}})).await;
    assert_eq!(bare["result"], direct["result"]);
}
