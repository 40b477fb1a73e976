//! The relay over a pair of Unix sockets.

use crate::exchange::Principal;
use crate::front::relay;
use crate::front::scripted::{Bench, until};
use crate::limits::{RELAY_HANG_UP_POLL, RELAY_WRITE_TIME_MAX};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::JoinHandle;

struct Client {
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
    serving: JoinHandle<()>,
}

impl Client {
    fn connect(bench: &Bench) -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let serving = tokio::spawn(relay::client(bench.front.clone(), theirs, Principal::LocalUser(0)));
        let (reader, writer) = ours.into_split();
        Self { lines: BufReader::new(reader).lines(), writer, serving }
    }

    async fn say(&mut self, message: Value) {
        self.writer.write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }

    async fn hear(&mut self) -> Value {
        let line = tokio::time::timeout(std::time::Duration::from_secs(5), self.lines.next_line()).await;
        serde_json::from_str(&line.expect("nothing came").unwrap().expect("it ended")).unwrap()
    }

    async fn ask(&mut self, message: Value) -> Value {
        self.say(message).await;
        self.hear().await
    }

    async fn shake_hands(&mut self, version: &str) {
        let params = json!({"protocolVersion": version});
        self.ask(json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})).await;
        self.say(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
    }
}

fn legacy(id: u32, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

fn modern(id: u32, method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    legacy(id, method, params)
}

#[tokio::test]
async fn a_legacy_client_shakes_hands_and_calls() {
    let bench = Bench::new();
    let mut client = Client::connect(&bench);
    let early = client.ask(legacy(1, "tools/list", json!({}))).await;
    assert_eq!((&early["id"], &early["error"]["code"]), (&json!(1), &json!(-32600)));
    client.shake_hands("2025-06-18").await;
    assert_eq!(client.ask(legacy(2, "tools/list", json!({}))).await["result"]["tools"][0]["name"], "echo");
    client.say(legacy(3, "tools/call", json!({"name": "progress"}))).await;
    assert_eq!(client.hear().await["params"]["progress"], 1);
    assert_eq!(client.hear().await["params"]["progress"], 2);
    assert_eq!(client.hear().await["id"], 3);
}

#[tokio::test]
async fn a_legacy_client_is_told_what_changed() {
    let bench = Bench::new();
    let mut client = Client::connect(&bench);
    client.shake_hands("2025-11-25").await;
    client.ask(legacy(1, "resources/subscribe", json!({"uri": "x:1"}))).await;
    bench.core.updated("x:2");
    bench.core.updated("x:1");
    assert_eq!(client.hear().await["params"]["uri"], "x:1");
    bench.core.tools_changed();
    assert_eq!(client.hear().await["method"], "notifications/tools/list_changed");
}

#[tokio::test]
async fn answers_come_as_they_finish() {
    let bench = Bench::new();
    let mut client = Client::connect(&bench);
    client.say(modern(1, "tools/call", json!({"name": "wait"}))).await;
    assert_eq!(client.ask(modern(2, "tools/list", json!({}))).await["id"], 2);
    bench.core.release.notify_one();
    assert_eq!(client.hear().await["id"], 1);
}

#[tokio::test]
async fn a_modern_request_is_cancelled_by_its_own_connection_only() {
    let bench = Bench::new();
    let (mut client, mut other) = (Client::connect(&bench), Client::connect(&bench));
    client.say(modern(1, "tools/call", json!({"name": "wait"}))).await;
    until(|| bench.core.requests.lock().unwrap().len() == 1).await;
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
    other.say(cancel.clone()).await;
    assert_eq!(other.ask(modern(2, "tools/list", json!({}))).await["id"], 2);
    assert!(bench.core.waited.lock().unwrap().is_empty());
    client.say(cancel).await;
    until(|| *bench.core.waited.lock().unwrap() == ["cancelled"]).await;
}

#[tokio::test]
async fn modern_errors_have_their_codes() {
    let bench = Bench::new();
    let mut client = Client::connect(&bench);
    for (message, code) in [
        (modern(1, "ping", json!({})), -32601),
        (modern(1, "initialize", json!({})), -32601),
        (
            legacy(
                1,
                "tools/list",
                json!({"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}),
            ),
            -32602,
        ),
        (
            legacy(
                1,
                "tools/list",
                json!({"_meta": {"io.modelcontextprotocol/protocolVersion": "v9", "io.modelcontextprotocol/clientCapabilities": {}}}),
            ),
            -32022,
        ),
        (json!([]), -32600),
        (json!({"jsonrpc": "1.0", "id": 1, "method": "x"}), -32600),
    ] {
        assert_eq!(client.ask(message.clone()).await["error"]["code"], code, "{message}");
    }
    client.writer.write_all(b"nonsense\n\n").await.unwrap();
    assert_eq!(client.hear().await["error"]["code"], -32700);
}

#[tokio::test]
async fn a_modern_client_listens_and_stops_listening() {
    let bench = Bench::new();
    let mut client = Client::connect(&bench);
    client.say(modern(9, "subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}))).await;
    assert_eq!(client.hear().await["method"], "notifications/subscriptions/acknowledged");
    bench.core.tools_changed();
    assert_eq!(client.hear().await["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 9);
    client
        .say(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 9}}))
        .await;
    until(|| !bench.core.ended.lock().unwrap().is_empty()).await;
}

#[tokio::test]
async fn batches_are_answered_by_an_array() {
    let bench = Bench::new();
    let mut client = Client::connect(&bench);
    client.shake_hands("2025-03-26").await;
    let answers = client.ask(json!([legacy(1, "ping", json!({})), legacy(2, "tools/list", json!({}))])).await;
    assert_eq!((&answers[0]["id"], &answers[1]["id"]), (&json!(1), &json!(2)));
}

#[tokio::test]
async fn requests_finish_after_the_client_closed_its_sending_side() {
    let bench = Bench::new();
    let mut client = Client::connect(&bench);
    client.shake_hands("2025-11-25").await;
    client.say(legacy(1, "tools/call", json!({"name": "wait"}))).await;
    client.writer.shutdown().await.unwrap();
    bench.core.release.notify_one();
    assert_eq!(client.hear().await["id"], 1);
    assert!(client.lines.next_line().await.unwrap().is_none());
    client.serving.await.unwrap();
    assert_eq!(bench.core.ended.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn everything_ends_with_the_connection() {
    let bench = Bench::new();
    let mut client = Client::connect(&bench);
    client.say(modern(1, "tools/call", json!({"name": "wait"}))).await;
    client.say(modern(2, "subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}))).await;
    client.hear().await;
    let Client { lines, writer, serving } = client;
    drop((lines, writer));
    bench.core.tools_changed();
    tokio::time::timeout(std::time::Duration::from_secs(5), serving).await.expect("it goes on").unwrap();
    assert_eq!(*bench.core.waited.lock().unwrap(), ["cancelled"]);
    assert_eq!(bench.core.ended.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_line_over_the_limit_ends_the_connection() {
    let bench = Bench::new();
    let mut client = Client::connect(&bench);
    let long = vec![b' '; crate::limits::CLIENT_MESSAGE_BYTES_MAX + 2];
    client.writer.write_all(&long).await.unwrap();
    assert_eq!(client.hear().await["error"]["code"], -32600);
    assert!(client.lines.next_line().await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_reads_is_let_go() {
    let bench = Bench::new();
    let Client { lines, mut writer, serving } = Client::connect(&bench);
    let asking = tokio::spawn(async move {
        let ping = format!("{}\n", legacy(1, &"ping".repeat(500), json!({})));
        while writer.write_all(ping.as_bytes()).await.is_ok() {}
    });
    tokio::time::timeout(4 * RELAY_WRITE_TIME_MAX, serving).await.expect("it goes on").unwrap();
    asking.await.unwrap();
    drop(lines);
}

#[tokio::test]
async fn answers_to_servers_reach_the_core_from_a_client_that_has_shaken_hands() {
    let bench = Bench::new();
    let mut client = Client::connect(&bench);
    let answer = json!({"jsonrpc": "2.0", "id": 3, "result": {}});
    client.say(answer.clone()).await;
    client.shake_hands("2025-11-25").await;
    assert_eq!(bench.core.responses.lock().unwrap().len(), 0);
    client.say(answer.clone()).await;
    until(|| bench.core.responses.lock().unwrap().len() == 1).await;
    assert_eq!(bench.core.responses.lock().unwrap()[0].1, answer.to_string());
}

#[tokio::test]
async fn requests_of_a_client_that_is_gone_are_cancelled_and_of_one_that_says_no_more_answered() {
    let bench = Bench::new();
    let mut client = Client::connect(&bench);
    client.shake_hands("2025-11-25").await;
    client.say(legacy(1, "tools/call", json!({"name": "wait"}))).await;
    client.say(modern(2, "tools/call", json!({"name": "wait"}))).await;
    until(|| bench.core.requests.lock().unwrap().len() == 3).await;
    drop((client.lines, client.writer));
    until(|| *bench.core.waited.lock().unwrap() == ["cancelled", "cancelled"]).await;
    client.serving.await.unwrap();
    assert_eq!(bench.core.ended.lock().unwrap().len(), 1);
    let mut client = Client::connect(&bench);
    client.say(modern(3, "tools/call", json!({"name": "wait"}))).await;
    until(|| bench.core.requests.lock().unwrap().len() == 4).await;
    client.writer.shutdown().await.unwrap();
    tokio::time::sleep(3 * RELAY_HANG_UP_POLL).await;
    bench.core.release.notify_one();
    assert_eq!(client.hear().await["id"], 3);
}

#[tokio::test]
async fn modern_requests_say_which_relay_they_came_over() {
    let bench = Bench::new();
    let [mut one, mut two] = [Client::connect(&bench), Client::connect(&bench)];
    one.ask(modern(1, "tools/list", json!({}))).await;
    two.ask(modern(1, "tools/list", json!({}))).await;
    one.ask(modern(2, "tools/list", json!({}))).await;
    let asked = bench.core.requests.lock().unwrap();
    let relays: Vec<Option<u64>> = asked.iter().map(|(caller, _)| caller.relay).collect();
    assert!(relays[0].is_some() && relays[0] == relays[2] && relays[0] != relays[1], "{relays:?}");
}
