//! Servers that ask their clients: each of several clients at once is asked what concerns it, and its answer is the one
//! its call gets.

use harness::configuration::Configuration;
use harness::daemon::Daemon;
use harness::http::Stream;
use harness::mcp::{Endpoint, LEGACY, Session, message, modern_meta};
use harness::relay::Relay;
use serde_json::{Value, json};
use std::sync::Mutex;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
const CALLS: u64 = 8;
const SERVERS: [&str; 2] = ["old", "new"];

fn able() -> Value {
    json!({"elicitation": {}})
}

fn daemon() -> Daemon {
    let configuration = Configuration::new();
    // A legacy server asks its client only if it was told in the handshake that it may.
    let configuration = configuration.fixture_with("old", "--conformance --era legacy", "scope: session");
    Daemon::start(&configuration.fixture("new", "--conformance --era modern"))
}

enum Client {
    LegacyRelay(Relay),
    ModernRelay(Relay),
    LegacyHttp(Session),
    ModernHttp(Endpoint),
}

impl Client {
    /// The answer to one call; what it is asked meanwhile is answered by `answer`.
    fn call(&mut self, id: u64, params: &Value, answer: &dyn Fn(&Value) -> Value) -> Value {
        match self {
            Self::LegacyRelay(relay) => {
                relay.send(&message(id, "tools/call", params));
                loop {
                    let heard = relay.hear();
                    match heard["method"].as_str() {
                        Some("elicitation/create") => relay.send(&response(&heard, &answer(&heard))),
                        None if heard["id"] == id => return heard,
                        _ => {}
                    }
                }
            }
            Self::LegacyHttp(session) => {
                let body = message(id, "tools/call", params).to_string();
                let bytes = session.bytes("POST", body.as_bytes());
                let mut stream = Stream::open(&session.endpoint.address, &bytes).unwrap();
                loop {
                    let heard = stream.next(SOON).expect("a question or the answer");
                    match heard["method"].as_str() {
                        Some("elicitation/create") => {
                            let taken = session.post(&response(&heard, &answer(&heard)));
                            assert_eq!(taken.status, 202, "{taken:?}");
                        }
                        None if heard["id"] == id => return heard,
                        _ => {}
                    }
                }
            }
            Self::ModernRelay(relay) => rounds(params, answer, |params| {
                relay.send(&message(id, "tools/call", params));
                relay.answer(id)
            }),
            Self::ModernHttp(endpoint) => {
                rounds(params, answer, |params| endpoint.modern("tools/call", params).json())
            }
        }
    }
}

fn response(request: &Value, result: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": request["id"], "result": result})
}

/// A modern call: it is made again with answers until it has a result.
fn rounds(params: &Value, answer: &dyn Fn(&Value) -> Value, mut ask: impl FnMut(&Value) -> Value) -> Value {
    let mut params = params.clone();
    params["_meta"] = modern_meta();
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = able();
    for _ in 0..3 {
        let heard = ask(&params);
        if heard["result"]["resultType"] != "input_required" {
            return heard;
        }
        let asked = heard["result"]["inputRequests"].as_object().unwrap();
        params["inputResponses"] =
            asked.iter().map(|(key, request)| (key.clone(), answer(request))).collect::<Value>();
        params["requestState"] = heard["result"]["requestState"].clone();
        if params["requestState"].is_null() {
            params.as_object_mut().unwrap().remove("requestState");
        }
    }
    panic!("it asks again and again");
}

/// Numbers without a pattern, the same for the same seed.
fn pause(seed: &mut u64) {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    std::thread::sleep(Duration::from_millis((*seed >> 33) % 30));
}

/// Calls of one client, one after the other, each with a question of its own.
fn calls(mut client: Client, number: u64, server: &str) {
    let seed = Mutex::new(number);
    for n in 0..CALLS {
        let own = format!("client {number}, call {n}");
        let params = json!({"name": format!("{server}__test_elicitation"), "arguments": {"message": own}});
        let answer = |request: &Value| {
            assert_eq!(request["params"]["message"], own, "a question that is another client's");
            pause(&mut seed.lock().unwrap());
            json!({"action": "accept", "content": {"username": own, "email": "a@example.com"}})
        };
        pause(&mut seed.lock().unwrap());
        let heard = client.call(10 + n, &params, &answer);
        let text = heard["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{heard}"));
        assert!(text.contains(&own), "{text} is the answer of another client than {own}");
    }
    if let Client::LegacyRelay(mut relay) | Client::ModernRelay(mut relay) = client {
        relay.kill();
    }
}

#[test]
fn relays_and_http_clients_of_both_eras_are_asked_and_answered_each_for_itself() {
    let daemon = daemon();
    for server in SERVERS {
        let clients = [
            Client::LegacyRelay(Relay::legacy(&daemon, LEGACY, &able())),
            Client::ModernRelay(Relay::start(&daemon)),
            Client::LegacyHttp(daemon.endpoint().legacy_able("2025-06-18", &able())),
            Client::LegacyHttp(daemon.endpoint().legacy_able(LEGACY, &able())),
            Client::ModernHttp(daemon.endpoint()),
            // More of those that only their relays tell apart.
            Client::ModernRelay(Relay::start(&daemon)),
            Client::ModernRelay(Relay::start(&daemon)),
        ];
        std::thread::scope(|scope| {
            for (client, number) in clients.into_iter().zip(1..) {
                scope.spawn(move || calls(client, number, server));
            }
        });
    }
    let processes = daemon.server_status("old")["processes"].as_u64();
    assert!(processes.is_some_and(|processes| processes >= 3), "{}", daemon.server_status("old"));
}
