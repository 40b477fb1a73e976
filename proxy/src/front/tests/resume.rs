//! Clients of the legacy wire that come back to a stream whose connection broke.

use crate::exchange::ServerEvent;
use crate::front::scripted::{Bench, Reply, chunk, until};
use crate::limits::{
    KEPT_BYTES_MAX, KEPT_STREAM_EVENTS_MAX, KEPT_STREAMS_MAX, KEPT_STREAMS_PER_SESSION_MAX, KEPT_TIME_MAX,
    OPEN_STREAMS_MAX, STREAM_OPEN_AFTER, STREAM_TURN_MIN,
};
use axum::body::Body;
use http::{Request, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

const NEWEST: &str = "2025-11-25";
/// Longer than anything a test waits for.
const LONG: Duration = Duration::from_secs(20);

/// One event: its id and its data.
type Event = (Option<String>, String);

fn call(tool: &str) -> String {
    json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": tool}}).to_string()
}

async fn session(bench: &Bench, version: &str) -> String {
    let params = json!({"protocolVersion": version});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
    bench.post(&[], &body.to_string()).await.header("mcp-session-id").unwrap().to_owned()
}

fn get(session: &str, last: Option<&str>) -> Request<Body> {
    let headers =
        [("mcp-session-id", session), ("accept", "text/event-stream"), ("last-event-id", last.unwrap_or(""))];
    Bench::request("GET", "/mcp", &headers, "")
}

/// An open stream, read event by event.
struct Stream {
    body: Body,
    rest: String,
}

impl Stream {
    async fn open(bench: &Bench, request: Request<Body>) -> Self {
        let response = tokio::time::timeout(LONG, bench.raw(request)).await.expect("no answer");
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body(), rest: String::new() }
    }

    async fn call(bench: &Bench, session: &str, tool: &str) -> Self {
        Self::open(bench, Bench::request("POST", "/mcp", &[("mcp-session-id", session)], &call(tool))).await
    }

    async fn back(bench: &Bench, session: &str, last: &str) -> Self {
        Self::open(bench, get(session, Some(last))).await
    }

    /// The next event that has data, even if that is empty; comments and mere `retry:` are skipped.
    async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some((event, rest)) = self.rest.split_once("\n\n") {
                let field = |name| event.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                let (id, data) = (field("id: "), field("data: "));
                self.rest = rest.to_owned();
                if let Some(data) = data {
                    return Some((id, data));
                }
            }
            self.rest += &chunk(&mut self.body).await?;
        }
    }

    /// The next event's id, and the progress it tells of.
    async fn progress(&mut self) -> (String, u64) {
        let (id, data) = self.next().await.expect("the stream ended");
        let message: Value = serde_json::from_str(&data).unwrap_or_else(|_| panic!("no message: {data:?}"));
        (id.expect("an id"), message["params"]["progress"].as_u64().unwrap_or_else(|| panic!("{message}")))
    }

    async fn primed(mut self) -> Self {
        let (id, data) = self.next().await.unwrap();
        assert!(id.is_some() && data.is_empty(), "{id:?} {data:?}");
        self
    }

    async fn rest(mut self) -> Vec<Event> {
        let mut all = Vec::new();
        while let Some(event) = self.next().await {
            all.push(event);
        }
        all
    }
}

async fn refused(bench: &Bench, session: &str, last: &str) -> Reply {
    tokio::time::timeout(LONG, bench.send(get(session, Some(last)))).await.expect("it is no refusal")
}

#[tokio::test]
async fn each_event_has_an_id_and_the_newest_revision_one_before_all() {
    let bench = Bench::new();
    for (version, events) in [("2025-11-25", 4), ("2025-06-18", 3), ("2025-03-26", 3)] {
        let id = session(&bench, version).await;
        let all = Stream::call(&bench, &id, "progress").await.rest().await;
        let numbers: Vec<String> =
            all.iter().map(|(id, _)| id.as_ref().unwrap().split_once('-').unwrap().1.to_owned()).collect();
        assert_eq!(numbers, ["0", "1", "2", "3"][..events], "{version}");
        assert_eq!(all[0].1.is_empty(), version == NEWEST, "{version}");
    }
}

#[tokio::test]
async fn of_clients_that_cannot_come_back_nothing_is_kept() {
    let bench = Bench::new();
    let id = session(&bench, "2024-11-05").await;
    let all = Stream::call(&bench, &id, "progress").await.rest().await;
    assert_eq!((all.len(), all.iter().all(|(id, _)| id.is_none())), (3, true));
    let _open = Stream::open(&bench, get(&id, None)).await;
    assert_eq!(bench.front.kept.used(), (0, 0));
}

#[tokio::test]
async fn who_comes_back_gets_exactly_the_rest_and_then_what_comes() {
    let bench = Bench::new();
    let id = session(&bench, NEWEST).await;
    bench.core.steps.add_permits(1);
    let mut stream = Stream::call(&bench, &id, "steps").await.primed().await;
    let (seen, 1) = stream.progress().await else { panic!() };
    drop(stream);
    bench.core.steps.add_permits(1);
    until(|| bench.core.steps.available_permits() == 0).await;
    let mut back = Stream::back(&bench, &id, &seen).await.primed().await;
    assert_eq!(back.progress().await.1, 2);
    bench.core.steps.add_permits(2);
    assert_eq!(back.progress().await.1, 3);
    let rest = back.rest().await;
    assert!(rest.len() == 1 && rest[0].1.contains("all steps"), "{rest:?}");
    // Once more, because the connection may have broken at the very end.
    let again = Stream::back(&bench, &id, &seen).await.rest().await;
    assert_eq!(again.len(), 4);
    let nothing = Stream::back(&bench, &id, rest[0].0.as_ref().unwrap()).await.rest().await;
    assert!(nothing.len() == 1 && nothing[0].1.is_empty(), "{nothing:?}");
}

#[tokio::test]
async fn two_connections_never_tell_the_same_at_one_time() {
    let bench = Bench::new();
    let id = session(&bench, NEWEST).await;
    bench.core.steps.add_permits(2);
    let mut live = Stream::call(&bench, &id, "steps").await.primed().await;
    let (first, _) = live.progress().await;
    let (_, 2) = live.progress().await else { panic!() };
    let mut back = Stream::back(&bench, &id, &first).await.primed().await;
    bench.core.steps.add_permits(2);
    assert!(live.rest().await.is_empty(), "the older connection ends and tells nothing more");
    assert_eq!(back.progress().await.1, 2);
    assert_eq!(back.progress().await.1, 3);
    assert_eq!(back.rest().await.len(), 1);
}

#[tokio::test]
async fn many_who_come_back_at_once_share_every_event_out() {
    let bench = std::sync::Arc::new(Bench::new());
    let id = session(&bench, NEWEST).await;
    bench.core.steps.add_permits(1);
    let mut live = Stream::call(&bench, &id, "steps").await.primed().await;
    let (first, _) = live.progress().await;
    let mut racing = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (bench, id, first) = (bench.clone(), id.clone(), first.clone());
        racing.spawn(async move { Stream::back(&bench, &id, &first).await.rest().await });
    }
    bench.core.steps.add_permits(3);
    let all = racing.join_all().await;
    let told = |text: &str| all.iter().flatten().filter(|(_, data)| data.contains(text)).count();
    assert_eq!((told("\"progress\":2"), told("\"progress\":3"), told("all steps")), (1, 1, 1), "{all:?}");
    assert!(live.rest().await.is_empty());
}

#[tokio::test]
async fn nobody_gets_what_belongs_to_another_session_or_stream() {
    let bench = Bench::new();
    let (own, other) = (session(&bench, NEWEST).await, session(&bench, NEWEST).await);
    bench.core.steps.add_permits(1);
    let mut stream = Stream::call(&bench, &own, "steps").await.primed().await;
    let (seen, _) = stream.progress().await;
    let foreign = refused(&bench, &other, &seen).await;
    assert_eq!((foreign.status, foreign.code()), (StatusCode::GONE, json!(410)));
    let (number, _) = seen[1..].split_once('-').unwrap();
    for (wrong, status) in [
        (format!("r{number}-99"), 410),
        (format!("r{number}-ffffffffffffffff"), 410),
        ("rffff-1".to_owned(), 410),
        ("1".to_owned(), 400),
        ("x1-1".to_owned(), 400),
        ("r1-1 ".repeat(50), 400),
    ] {
        let reply = refused(&bench, &own, &wrong).await;
        assert_eq!(reply.status.as_u16(), status, "{wrong}: {}", reply.body);
        assert!(
            reply.json()["error"]["message"].as_str().unwrap().contains("Last-Event-ID"),
            "{}",
            reply.body
        );
    }
    // A session's own stream begins anew instead, and says that something may have been missed.
    let mut fresh = Stream::back(&bench, &own, &format!("s{number}-1")).await.primed().await;
    assert!(fresh.next().await.unwrap().1.contains("notifications/tools/list_changed"));
    bench.core.steps.add_permits(1);
    assert_eq!(stream.progress().await.1, 2, "the live stream noticed nothing");
    let unknown = refused(&bench, "unknown", &seen).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_word_becomes_a_stream_only_where_that_helps() {
    let bench = Bench::new();
    let id = session(&bench, NEWEST).await;
    let start = tokio::time::Instant::now();
    let stream = Stream::call(&bench, &id, "wait").await.primed().await;
    assert_eq!(start.elapsed(), STREAM_OPEN_AFTER);
    drop(stream);
    let older = session(&bench, "2025-06-18").await;
    let waiting = Stream::call(&bench, &older, "wait");
    assert!(tokio::time::timeout(10 * STREAM_OPEN_AFTER, waiting).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn an_answer_waits_for_its_client_for_a_bounded_time() {
    let bench = Bench::new();
    let id = session(&bench, NEWEST).await;
    let mut stream = Stream::call(&bench, &id, "wait").await;
    let seen = stream.next().await.unwrap().0.unwrap();
    drop(stream);
    tokio::time::sleep(2 * KEPT_TIME_MAX).await;
    bench.core.release.notify_one();
    tokio::time::sleep(KEPT_TIME_MAX - Duration::from_secs(1)).await;
    assert!(Stream::back(&bench, &id, &seen).await.rest().await[1].1.contains("waited"));
    tokio::time::sleep(KEPT_TIME_MAX).await;
    assert_eq!(refused(&bench, &id, &seen).await.status, StatusCode::GONE);
    let all = Stream::call(&bench, &id, "progress").await.rest().await;
    assert_eq!(bench.front.kept.used().0, 1);
    tokio::time::sleep(KEPT_TIME_MAX).await;
    bench.front.kept.sweep();
    assert_eq!(bench.front.kept.used(), (0, 0), "nothing is left behind: {all:?}");
}

#[tokio::test]
async fn what_is_kept_is_bounded_for_each_session_and_for_all_together() {
    let bench = Bench::new();
    let id = session(&bench, NEWEST).await;
    let mut oldest = None;
    for _ in 0..=KEPT_STREAMS_PER_SESSION_MAX {
        let all = Stream::call(&bench, &id, "progress").await.rest().await;
        oldest = oldest.or(all[0].0.clone());
    }
    assert_eq!(bench.front.kept.used().0, KEPT_STREAMS_PER_SESSION_MAX);
    assert_eq!(refused(&bench, &id, &oldest.unwrap()).await.status, StatusCode::GONE, "the oldest made room");
    let mut sessions = Vec::new();
    for _ in 0..KEPT_STREAMS_MAX / KEPT_STREAMS_PER_SESSION_MAX {
        sessions.push(session(&bench, NEWEST).await);
        for _ in 0..KEPT_STREAMS_PER_SESSION_MAX {
            Stream::call(&bench, sessions.last().unwrap(), "progress").await.rest().await;
        }
    }
    assert_eq!(bench.front.kept.used().0, KEPT_STREAMS_MAX);
    for id in &sessions[..2] {
        for _ in 0..KEPT_STREAMS_PER_SESSION_MAX {
            Stream::call(&bench, id, "large").await.rest().await;
        }
    }
    let (streams, bytes) = bench.front.kept.used();
    assert!(streams <= KEPT_STREAMS_MAX && bytes <= KEPT_BYTES_MAX, "{streams} streams, {bytes} bytes");
    assert!(bytes > KEPT_BYTES_MAX / 2, "what fits is kept: {bytes} bytes");
}

#[tokio::test(start_paused = true)]
async fn a_stream_above_the_bound_is_one_without_ids() {
    let bench = Bench::new();
    let id = session(&bench, NEWEST).await;
    bench.core.steps.add_permits(KEPT_STREAMS_PER_SESSION_MAX);
    let mut open = Vec::new();
    for _ in 0..KEPT_STREAMS_PER_SESSION_MAX {
        open.push(Stream::call(&bench, &id, "steps").await.primed().await);
    }
    let all = Stream::call(&bench, &id, "progress").await.rest().await;
    assert_eq!((all.len(), all.iter().all(|(id, _)| id.is_none())), (3, true));
}

#[tokio::test]
async fn the_end_of_a_session_forgets_its_streams() {
    let bench = Bench::new();
    let id = session(&bench, NEWEST).await;
    Stream::call(&bench, &id, "progress").await.rest().await;
    let open = Stream::open(&bench, get(&id, None)).await.primed().await;
    bench.send(Bench::request("DELETE", "/mcp", &[("mcp-session-id", &id)], "")).await;
    assert!(open.rest().await.is_empty());
    until(|| bench.front.kept.used() == (0, 0)).await;
}

#[tokio::test]
async fn a_sessions_own_stream_goes_on_where_it_broke() {
    let bench = Bench::new();
    let id = session(&bench, NEWEST).await;
    let number = bench.core.requests.lock().unwrap()[0].0.session.unwrap();
    let tell = |text: &str| {
        let message = json!({"jsonrpc": "2.0", "method": text}).to_string().into();
        bench.core.events.send(ServerEvent::ForSession { session: number, message }).unwrap();
    };
    let mut stream = Stream::open(&bench, get(&id, None)).await.primed().await;
    tell("one");
    let (seen, one) = stream.next().await.unwrap();
    assert!(one.contains("one"));
    tell("two");
    assert!(stream.next().await.unwrap().1.contains("two"));
    // It took `two` from us, but let us say the network lost it; `three` comes while nobody reads.
    drop(stream);
    tokio::time::sleep(Duration::from_millis(20)).await;
    tell("three");
    let mut back = Stream::back(&bench, &id, &seen.unwrap()).await.primed().await;
    assert!(back.next().await.unwrap().1.contains("two"));
    assert!(back.next().await.unwrap().1.contains("three"));
    // Another stream of the session takes over what is new, and nothing comes twice.
    let mut other = Stream::open(&bench, get(&id, None)).await.primed().await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    tell("four");
    assert!(other.next().await.unwrap().1.contains("four"));
    assert!(tokio::time::timeout(Duration::from_millis(50), back.next()).await.is_err(), "it came twice");
}

#[tokio::test]
async fn a_client_that_reads_slowly_loses_nothing() {
    let bench = Bench::new();
    let id = session(&bench, "2025-06-18").await;
    let number = bench.core.requests.lock().unwrap()[0].0.session.unwrap();
    let mut stream = Stream::open(&bench, get(&id, None)).await;
    let count = KEPT_STREAM_EVENTS_MAX + 10;
    for event in 0..count {
        let message = json!({"jsonrpc": "2.0", "method": format!("m{event}")}).to_string().into();
        bench.core.events.send(ServerEvent::ForSession { session: number, message }).unwrap();
        // The script's own queue is short.
        tokio::task::yield_now().await;
        until(|| bench.core.events.len() <= 10).await;
    }
    for event in 0..count {
        assert!(stream.next().await.unwrap().1.contains(&format!("\"m{event}\"")));
    }
}

#[tokio::test]
async fn the_order_to_stop_says_when_to_come_back() {
    let bench = Bench::new();
    let id = session(&bench, NEWEST).await;
    let mut stream = Stream::open(&bench, get(&id, None)).await.primed().await;
    bench.front.stop.cancel();
    assert_eq!(chunk(&mut stream.body).await.unwrap(), "retry: 1000\n\n");
    assert_eq!(chunk(&mut stream.body).await, None);
}

#[tokio::test]
async fn streams_that_are_read_again_count_as_open_ones() {
    let bench = Bench::new();
    let id = session(&bench, NEWEST).await;
    let all = Stream::call(&bench, &id, "progress").await.rest().await;
    let places: Vec<_> = (0..OPEN_STREAMS_MAX).map(|_| bench.front.admit_stream().unwrap()).collect();
    let last = all[0].0.as_ref().unwrap();
    assert_eq!(refused(&bench, &id, last).await.status, StatusCode::SERVICE_UNAVAILABLE);
    drop(places);
    assert_eq!(Stream::back(&bench, &id, last).await.rest().await.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn where_all_streams_are_open_the_oldest_client_comes_back_later_and_misses_nothing() {
    let bench = Bench::new();
    let (old, new) = (session(&bench, NEWEST).await, session(&bench, NEWEST).await);
    let mut places: Vec<_> = (0..OPEN_STREAMS_MAX - 2).map(|_| bench.front.admit_stream().unwrap()).collect();
    let cannot = session(&bench, "2025-06-18").await;
    let _cannot = Stream::open(&bench, get(&cannot, None)).await;
    let mut waits = Stream::open(&bench, get(&old, None)).await.primed().await;
    assert_eq!(bench.send(get(&new, None)).await.status, StatusCode::SERVICE_UNAVAILABLE, "not so soon");
    tokio::time::sleep(STREAM_TURN_MIN).await;
    bench.core.tools_changed();
    let (seen, _) = waits.next().await.unwrap();
    let leaves = async {
        assert_eq!(chunk(&mut waits.body).await.unwrap(), "retry: 5000\n\n");
        assert_eq!(chunk(&mut waits.body).await, None);
        drop(waits);
    };
    let (_turn, ()) = tokio::join!(Stream::open(&bench, get(&new, None)), leaves);
    assert_eq!(refused(&bench, &old, seen.as_ref().unwrap()).await.status, StatusCode::SERVICE_UNAVAILABLE);
    bench.core.tools_changed();
    places.pop();
    let mut back = Stream::back(&bench, &old, &seen.unwrap()).await.primed().await;
    assert!(back.next().await.unwrap().1.contains("list_changed"));
}
