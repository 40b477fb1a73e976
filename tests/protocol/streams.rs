//! Event streams of legacy sessions whose connection breaks, and the client that comes back.

use crate::{SERVERS, both_eras};
use harness::http::{self, Response, Stream};
use harness::mcp::{Session, message};
use serde_json::{Value, json};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(10);

/// A call that takes half a second and tells of each step.
fn begin(session: &Session, steps: u64) -> Stream {
    let params = json!({"name": "progress", "arguments": {"steps": steps}, "_meta": {"progressToken": 5}});
    let body = message(9, "tools/call", &params).to_string();
    Stream::open(&session.endpoint.address, &session.bytes("POST", body.as_bytes())).unwrap()
}

fn back(session: &Session, last: &str) -> Vec<u8> {
    let headers = session.headers();
    let mut headers: Vec<(&str, &str)> = headers.iter().map(|(key, value)| (*key, value.as_str())).collect();
    headers.extend([("Accept", "text/event-stream"), ("Last-Event-ID", last)]);
    session.endpoint.request("GET", &headers, b"")
}

fn refused(session: &Session, last: &str) -> Response {
    http::raw(&session.endpoint.address, &back(session, last)).unwrap()
}

fn step(data: &str) -> Option<u64> {
    serde_json::from_str::<Value>(data).ok()?["params"]["progress"].as_u64()
}

#[test]
fn a_call_whose_connection_broke_goes_on_and_its_client_gets_the_rest() {
    let daemon = both_eras();
    for server in SERVERS {
        for version in ["2025-11-25", "2025-06-18", "2025-03-26"] {
            let session = daemon.endpoint().server(server).legacy_version(version);
            let mut stream = begin(&session, 6);
            let mut seen = stream.next_event(SOON).unwrap();
            assert_eq!(seen.1.is_empty(), version == "2025-11-25", "{seen:?}");
            while step(&seen.1) != Some(2) {
                seen = stream.next_event(SOON).unwrap();
            }
            drop(stream);
            let last = seen.0.expect("an id");
            let mut stream = Stream::open(&session.endpoint.address, &back(&session, &last)).unwrap();
            assert_eq!(stream.response.status, 200);
            let all: Vec<String> =
                std::iter::from_fn(|| stream.next_event(SOON)).map(|(_, data)| data).collect();
            let steps: Vec<u64> = all.iter().filter_map(|data| step(data)).collect();
            assert_eq!(steps, [3, 4, 5, 6], "{server} {version}: {all:?}");
            let answer: Value = serde_json::from_str(all.last().unwrap()).unwrap();
            assert_eq!(
                (&answer["id"], &answer["result"]["content"][0]["text"]),
                (&json!(9), &json!("6 steps"))
            );
            let other = daemon.endpoint().server(server).legacy_version(version);
            assert_eq!(refused(&other, &last).status, 410, "it is not this session's");
            assert_eq!(refused(&session, "nonsense").status, 400);
        }
    }
}

#[test]
fn a_call_that_says_nothing_can_be_come_back_to_as_well() {
    let daemon = both_eras();
    let session = daemon.endpoint().server("old").legacy();
    let params = json!({"name": "slow", "arguments": {"milliseconds": 2500}});
    let body = message(9, "tools/call", &params).to_string();
    let mut stream =
        Stream::open(&session.endpoint.address, &session.bytes("POST", body.as_bytes())).unwrap();
    let (id, data) = stream.next_event(Duration::from_secs(2)).expect("a stream before the answer");
    assert_eq!(data, "");
    drop(stream);
    let mut stream = Stream::open(&session.endpoint.address, &back(&session, &id.unwrap())).unwrap();
    assert_eq!(stream.next(SOON).unwrap()["result"]["content"][0]["text"], "waited 2500 ms");
}
