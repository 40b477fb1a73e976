//! Servers with several replicas: who gets which call, and what becomes of calls when one dies, hangs or is replaced.

use crate::core::scripted::{Bench, Fixture, Script, script, server_view, view};
use crate::exchange::Era::{self, Legacy, Modern};
use crate::exchange::Principal;
use crate::limits::{CIRCUIT_OPEN_MIN, QUARANTINE_TIME, SETBACKS_MAX};
use crate::mcp::error::{OUTCOME_UNKNOWN, OVERLOADED, RATE_LIMITED, SERVER_UNAVAILABLE, TIMED_OUT};
use crate::servers::spawn::InForce;
use futures_util::future::join_all;
use only1mcp_policy::view::{Algorithm, ConcurrencyView, HealthView, RateLimitView, RecycleView, ServerView};
use only1mcp_wire::Exit;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

async fn bench_of(script: Script, view_of: ServerView) -> Bench {
    let mut view = view(&[]);
    view.servers = vec![view_of];
    let bench = Bench::start_with(&[("own", script)], view);
    bench.core.settled(Duration::from_secs(60)).await;
    // All replicas, not only the first.
    tokio::time::sleep(Duration::from_secs(1)).await;
    bench
}

fn replicas(count: u32) -> ServerView {
    ServerView { replicas: count, ..server_view("own") }
}

fn reload(bench: &Bench, generation: u64, view_of: ServerView) {
    let mut view = view(&[]);
    view.servers = vec![view_of];
    bench.launcher.in_force.send_replace(Arc::new(InForce { generation, view }));
}

async fn ask(bench: &Bench, era: Era, session: u64, method: &str, mut params: Value) -> Value {
    if era == Modern {
        params["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2026-07-28".into();
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
    }
    let caller = Bench::caller("own", era, (era == Legacy).then_some(session));
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    let answer = bench.raw(caller, body, mpsc::channel(64).0).await;
    serde_json::from_slice(&answer.response).unwrap()
}

async fn call(bench: &Bench, session: u64, tool: &str) -> Value {
    ask(bench, Legacy, session, "tools/call", json!({"name": tool})).await
}

/// The number of the process that answers.
async fn process(bench: &Bench, era: Era, number: u64) -> String {
    let answer =
        ask(bench, era, number, "tools/call", json!({"name": "pid", "arguments": {"n": number}})).await;
    answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

#[tokio::test(start_paused = true)]
async fn calls_of_a_session_stay_together_and_those_without_one_are_spread_by_their_arguments() {
    let bench = bench_of(Fixture::new(Legacy).script(), replicas(3)).await;
    assert_eq!(bench.launcher.spawns("own"), 3);
    for era in [Legacy, Modern] {
        let mut used = BTreeSet::new();
        for number in 0..30 {
            let first = process(&bench, era, number).await;
            assert_eq!(process(&bench, era, number).await, first, "{era:?} {number}");
            used.insert(first);
        }
        assert_eq!(used.len(), 3, "{era:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn in_turn_and_to_the_idlest_as_the_operator_chooses() {
    let mut view_of = replicas(3);
    view_of.routing.algorithm = Algorithm::RoundRobin;
    let bench = bench_of(Fixture::new(Legacy).script(), view_of.clone()).await;
    let mut turns = Vec::new();
    for _ in 0..6 {
        turns.push(process(&bench, Legacy, 1).await);
    }
    assert_eq!(turns[..3].iter().collect::<BTreeSet<_>>().len(), 3, "{turns:?}");
    assert_eq!(turns[..3], turns[3..]);
    view_of.routing.algorithm = Algorithm::LeastConnections;
    let bench = bench_of(Fixture::new(Legacy).script(), view_of).await;
    let busy = tokio::spawn({
        let core = bench.core.clone();
        async move {
            let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "hang"}});
            let caller = Bench::caller("own", Legacy, Some(1));
            crate::exchange::Exchange::request(core, caller, body.to_string().into(), mpsc::channel(1).0)
                .await
        }
    });
    tokio::time::sleep(Duration::from_millis(10)).await;
    let mut used = BTreeSet::new();
    for _ in 0..8 {
        used.insert(process(&bench, Legacy, 1).await);
    }
    assert_eq!(used.len(), 2, "nothing for the one that has something in its hands");
    busy.abort();
}

/// A fixture of which one process dies of the first request that could be repeated, or not.
fn dies_once(fixture: &Fixture, deadly: &'static str) -> Script {
    let (fixture, armed) = (fixture.clone(), Arc::new(AtomicBool::new(true)));
    script(move |mut wire| {
        let (fixture, armed) = (fixture.clone(), armed.clone());
        async move {
            while let Some(message) = wire.read().await {
                let is_deadly = message["method"] == deadly || message["params"]["name"] == deadly;
                if is_deadly && armed.swap(false, Ordering::Relaxed) {
                    fixture.heard.lock().unwrap().push(message);
                    return Exit::Signal(9);
                }
                fixture.hear(&mut wire, message).await;
            }
            Exit::Status(0)
        }
    })
}

#[tokio::test(start_paused = true)]
async fn what_was_in_the_hands_of_a_process_that_died_is_repeated_only_if_that_is_known_to_be_harmless() {
    let read_only =
        json!({"name": "echo", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": true}});
    let plain = replicas(2);
    let vouched = ServerView { retry: vec!["ec*".into()], ..replicas(2) };
    let other = ServerView { retry: vec!["link".into()], ..replicas(2) };
    let trusting = ServerView { trust_annotations: true, ..replicas(2) };
    let table = [
        ("resources/read", json!({"uri": "test://static"}), &plain, true),
        ("prompts/get", json!({"name": "greet"}), &plain, true),
        ("resources/list", json!({}), &plain, true),
        ("completion/complete", json!({"ref": {}}), &plain, true),
        ("vendor/custom", json!({}), &plain, false),
        ("tools/call", json!({"name": "echo"}), &plain, false),
        ("tools/call", json!({"name": "echo"}), &vouched, true),
        ("tools/call", json!({"name": "echo"}), &other, false),
        ("tools/call", json!({"name": "echo"}), &trusting, true),
        ("tools/call", json!({"name": "link"}), &trusting, false),
    ];
    for (method, params, view_of, is_repeated) in table {
        let fixture = Fixture::new(Legacy);
        fixture.tools.lock().unwrap()[0] = read_only.clone();
        let deadly = if method == "tools/call" { params["name"].as_str().unwrap() } else { method };
        let deadly =
            ["echo", "link", "resources/read", "prompts/get", "completion/complete", "vendor/custom"]
                .into_iter()
                .find(|known| *known == deadly);
        // Lists are fetched at the start already, and repeated there.
        let Some(deadly) = deadly else { continue };
        let bench = bench_of(dies_once(&fixture, deadly), view_of.clone()).await;
        let answer = ask(&bench, Legacy, 1, method, params.clone()).await;
        let times = fixture.heard(method).len();
        if is_repeated {
            assert!(answer["result"].is_object() && times == 2, "{method} {params} {times}: {answer}");
        } else {
            assert_eq!((&answer["error"]["code"], times), (&json!(OUTCOME_UNKNOWN), 1), "{method} {params}");
            assert!(answer["error"]["message"].as_str().unwrap().contains("outcome is unknown"));
        }
        assert_eq!(bench.core.status().servers[0].retries, u64::from(is_repeated));
    }
}

/// A fixture of which any process that is told to `freeze` does nothing more at all.
fn freezes(fixture: &Fixture) -> Script {
    let fixture = fixture.clone();
    script(move |mut wire| {
        let fixture = fixture.clone();
        async move {
            while let Some(message) = wire.read().await {
                if message["params"]["name"] == "freeze" {
                    return std::future::pending().await;
                }
                if message["method"] == "ping" {
                    wire.result(&message, &json!({})).await;
                    continue;
                }
                if let Some(exit) = fixture.hear(&mut wire, message).await {
                    return exit;
                }
            }
            Exit::Status(0)
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_call_is_not_thrown_back_and_forth_between_processes_that_read_nothing_more() {
    let fixture = Fixture::new(Legacy);
    let deaf = script({
        let fixture = fixture.clone();
        move |mut wire| {
            let fixture = fixture.clone();
            async move {
                while let Some(message) = wire.read().await {
                    let is_last = wire.process <= 2 && message["method"] == "resources/templates/list"
                        || wire.process == 2 && message["method"] == "notifications/initialized";
                    fixture.hear(&mut wire, message).await;
                    if is_last {
                        wire.stop_reading();
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        return std::future::pending().await;
                    }
                }
                Exit::Status(0)
            }
        }
    });
    let mut view = view(&[]);
    view.servers = vec![replicas(2)];
    let bench = Bench::start_with(&[("own", deaf)], view);
    bench.core.settled(Duration::from_secs(60)).await;
    let answers = join_all((0..20).map(|session| call(&bench, session, "echo"))).await;
    assert!(answers.iter().all(|answer| answer["result"].is_object()), "{answers:?}");
}

fn watched(count: u32) -> ServerView {
    let health = HealthView { interval_ms: 1000, timeout_ms: 500, failure_threshold: 2 };
    ServerView { health, request_timeout_ms: 30_000, ..replicas(count) }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_answers_nothing_gets_no_calls_and_is_replaced_once_it_has_nothing_in_its_hands() {
    let fixture = Fixture::new(Legacy);
    let bench = Arc::new(bench_of(freezes(&fixture), watched(2)).await);
    let frozen = process(&bench, Legacy, 1).await;
    // Well for long enough to have answered checks.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let ask_in_background = |method: &'static str, params: Value| {
        let bench = bench.clone();
        tokio::spawn(async move { ask(&bench, Legacy, 1, method, params).await })
    };
    let stuck = ask_in_background("tools/call", json!({"name": "freeze"}));
    tokio::time::sleep(Duration::from_millis(10)).await;
    let begun = tokio::time::Instant::now();
    let moved = ask_in_background("resources/read", json!({"uri": "test://static"})).await.unwrap();
    assert!(moved["result"].is_object(), "{moved}");
    assert!(begun.elapsed() < Duration::from_secs(5), "it went on elsewhere, not at the end of its time");
    assert_ne!(process(&bench, Legacy, 1).await, frozen);
    let status = |bench: &Bench| bench.core.status().servers.remove(0);
    assert_eq!(status(&bench).replicas.iter().filter(|replica| replica.state == "ill").count(), 1);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(bench.launcher.spawns("own"), 2, "never ended with a call in its hands");
    let answer = stuck.await.unwrap();
    assert_eq!(answer["error"]["code"], TIMED_OUT);
    assert!(answer["error"]["message"].as_str().unwrap().contains("its outcome is unknown"), "{answer}");
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(bench.launcher.spawns("own"), 3);
    let now = status(&bench);
    assert!(now.replicas.iter().all(|replica| replica.state == "ready"), "{now:?}");
    assert!(now.last_error.unwrap().contains("did not answer health checks"));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_no_checks_at_all_is_left_alone_and_checks_keep_nobody_awake() {
    let fixture = Fixture::new(Legacy);
    let deaf = script({
        let fixture = fixture.clone();
        move |mut wire| {
            let fixture = fixture.clone();
            async move {
                while let Some(message) = wire.read().await {
                    if message["method"] != "ping" {
                        fixture.hear(&mut wire, message).await;
                    }
                }
                Exit::Status(0)
            }
        }
    });
    let bench = bench_of(deaf, watched(1)).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    process(&bench, Legacy, 1).await;
    assert_eq!((bench.launcher.spawns("own"), bench.core.status().servers[0].state), (1, "ready"));
    let on_demand = ServerView { idle_timeout_ms: Some(20_000), ..watched(1) };
    let bench = bench_of(freezes(&fixture), on_demand).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!((bench.launcher.spawns("own"), bench.core.status().servers[0].state), (1, "idle"));
}

#[tokio::test(start_paused = true)]
async fn calls_that_time_out_in_a_row_open_the_circuit_and_a_trial_closes_it() {
    let health = HealthView { interval_ms: 3_600_000, failure_threshold: 2, ..HealthView::default() };
    let bench = bench_of(Fixture::new(Legacy).script(), ServerView { health, ..server_view("own") }).await;
    for _ in 0..2 {
        assert_eq!(call(&bench, 1, "hang").await["error"]["code"], TIMED_OUT);
    }
    let begun = tokio::time::Instant::now();
    let refused = call(&bench, 1, "pid").await;
    assert_eq!(refused["error"]["code"], SERVER_UNAVAILABLE);
    assert!(refused["error"]["message"].as_str().unwrap().contains("failed again and again"), "{refused}");
    assert_eq!(begun.elapsed(), Duration::ZERO, "nobody waits for a circuit");
    assert_eq!(bench.core.status().servers[0].replicas[0].circuit, "open");
    tokio::time::sleep(CIRCUIT_OPEN_MIN).await;
    let all = join_all((0..20).map(|_| call(&bench, 1, "pid"))).await;
    assert!(all.iter().all(|answer| answer["result"].is_object()), "they wait for the one on trial: {all:?}");
    assert_eq!(bench.core.status().servers[0].replicas[0].circuit, "closed");
    // With another replica nobody notices.
    let bench = bench_of(Fixture::new(Legacy).script(), ServerView { health, ..replicas(2) }).await;
    for _ in 0..2 {
        assert_eq!(call(&bench, 1, "hang").await["error"]["code"], TIMED_OUT);
    }
    assert!(call(&bench, 1, "pid").await["result"].is_object());
}

#[tokio::test(start_paused = true)]
async fn a_process_that_has_done_its_part_is_replaced_and_no_call_is_lost() {
    let recycle = RecycleView { calls: Some(10), ..RecycleView::default() };
    let bench = bench_of(Fixture::new(Legacy).script(), ServerView { recycle, ..replicas(1) }).await;
    let mut used = BTreeSet::new();
    for _ in 0..35 {
        used.insert(process(&bench, Legacy, 1).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(used.len(), 4, "{used:?}");
    assert_eq!(bench.core.status().servers[0].restarts, 0, "that is no restart");
    for recycle in [
        RecycleView { age_ms: Some(60_000), ..RecycleView::default() },
        RecycleView { memory_bytes: Some(1000), ..RecycleView::default() },
    ] {
        let bench = bench_of(Fixture::new(Legacy).script(), ServerView { recycle, ..replicas(1) }).await;
        tokio::time::sleep(Duration::from_secs(90)).await;
        assert!(bench.launcher.spawns("own") > 1, "{recycle:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_changed_plan_is_switched_to_when_it_is_ready_and_what_clients_set_goes_along() {
    let fixture = Fixture::new(Legacy);
    let bench = Arc::new(bench_of(fixture.script(), replicas(2)).await);
    ask(&bench, Legacy, 1, "logging/setLevel", json!({"level": "warning"})).await;
    ask(&bench, Legacy, 1, "resources/subscribe", json!({"uri": "test://static"})).await;
    let levels = fixture.heard("logging/setLevel").len();
    let slow = tokio::spawn({
        let bench = bench.clone();
        async move { call(&bench, 1, "hang").await }
    });
    tokio::time::sleep(Duration::from_millis(10)).await;
    reload(&bench, 2, ServerView { digest: "another".into(), ..replicas(2) });
    for number in 0..50 {
        process(&bench, Legacy, number).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(bench.launcher.spawns("own"), 4);
    let numbers: BTreeSet<_> =
        join_all((0..20).map(|number| process(&bench, Legacy, number))).await.into_iter().collect();
    assert_eq!(numbers.into_iter().collect::<Vec<_>>(), ["3", "4"]);
    assert_eq!(slow.await.unwrap()["error"]["code"], TIMED_OUT, "what the old one had in its hands it kept");
    assert_eq!(fixture.heard("initialize").len(), 4);
    assert_eq!(fixture.heard("logging/setLevel").len() - levels, 2, "both are told");
    assert_eq!(fixture.heard("resources/subscribe").len(), 2, "one is told, as before");
    assert_eq!(bench.core.status().servers[0].restarts, 0);
}

/// A server whose processes, if the flag is up when they start, end so at the first message or never say anything.
fn faulty(fixture: &Fixture, is_faulty: &Arc<AtomicBool>, end: Option<Exit>) -> Script {
    let (fixture, is_faulty) = (fixture.clone(), is_faulty.clone());
    script(move |mut wire| {
        let (fixture, is_faulty) = (fixture.clone(), is_faulty.load(Ordering::Relaxed));
        async move {
            while let Some(message) = wire.read().await {
                match end {
                    Some(end) if is_faulty => return end,
                    None if is_faulty => {}
                    _ => _ = fixture.hear(&mut wire, message).await,
                }
            }
            Exit::Status(0)
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_cannot_be_started_leaves_the_old_process_at_work_until_it_is_mended() {
    let (fixture, is_broken) = (Fixture::new(Legacy), Arc::new(AtomicBool::new(false)));
    let bench = bench_of(faulty(&fixture, &is_broken, Some(Exit::Status(3))), replicas(1)).await;
    is_broken.store(true, Ordering::Relaxed);
    reload(&bench, 2, ServerView { digest: "broken".into(), ..replicas(1) });
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(process(&bench, Legacy, 1).await, "1");
    assert!(bench.core.status().servers[0].last_error.as_ref().unwrap().contains("status 3"));
    is_broken.store(false, Ordering::Relaxed);
    reload(&bench, 3, ServerView { digest: "mended".into(), ..replicas(1) });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(process(&bench, Legacy, 1).await, "3");
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_is_taken_back_or_mended_while_its_process_says_nothing_is_not_waited_for() {
    let (fixture, is_silent) = (Fixture::new(Modern), Arc::new(AtomicBool::new(false)));
    let bench = bench_of(faulty(&fixture, &is_silent, None), replicas(1)).await;
    let silent_plan = |generation| {
        is_silent.store(true, Ordering::Relaxed);
        reload(&bench, generation, ServerView { digest: "silent".into(), ..replicas(1) });
    };
    let told = || {
        let server = bench.core.status().servers.remove(0);
        (server.era, server.pid, server.last_error)
    };
    let (before, second) = (told(), Duration::from_secs(1));
    silent_plan(2);
    tokio::time::sleep(second).await;
    assert_eq!((bench.launcher.spawns("own"), told()), (2, before.clone()), "the old one serves");
    is_silent.store(false, Ordering::Relaxed);
    reload(&bench, 3, replicas(1));
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!((bench.launcher.spawns("own"), told()), (2, before), "it stays: no third process, no error");
    silent_plan(4);
    tokio::time::sleep(second).await;
    is_silent.store(false, Ordering::Relaxed);
    reload(&bench, 5, ServerView { digest: "mended".into(), ..replicas(1) });
    tokio::time::sleep(second).await;
    assert_eq!((bench.launcher.spawns("own"), process(&bench, Modern, 1).await), (4, "4".to_owned()));
    assert_eq!((told().0, told().2), (Some("modern"), None));
}

#[tokio::test(start_paused = true)]
async fn a_changed_plan_comes_into_force_as_soon_as_there_is_room_for_another_process() {
    let bench = bench_of(Fixture::new(Legacy).script(), replicas(1)).await;
    bench.launcher.is_full.store(true, Ordering::Relaxed);
    reload(&bench, 2, ServerView { digest: "another".into(), ..replicas(1) });
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(process(&bench, Legacy, 1).await, "1", "the old one serves meanwhile");
    bench.launcher.is_full.store(false, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(process(&bench, Legacy, 1).await, "2");
    assert_eq!(bench.core.status().servers[0].last_error, None, "what passes is nobody's error");
}

#[tokio::test(start_paused = true)]
async fn replicas_come_and_go_with_the_configuration_and_the_others_stay() {
    let (fixture, running) = (Fixture::new(Legacy), Arc::new(()));
    let counted = script({
        let running = running.clone();
        move |mut wire| {
            let (fixture, _runs) = (fixture.clone(), running.clone());
            async move {
                let _held = _runs;
                while let Some(message) = wire.read().await {
                    fixture.hear(&mut wire, message).await;
                }
                Exit::Status(0)
            }
        }
    });
    let bench = bench_of(counted, replicas(1)).await;
    let others = Arc::strong_count(&running) - 1;
    reload(&bench, 2, replicas(3));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let all: BTreeSet<_> =
        join_all((0..40).map(|number| process(&bench, Legacy, number))).await.into_iter().collect();
    assert_eq!(all.into_iter().collect::<Vec<_>>(), ["1", "2", "3"]);
    reload(&bench, 3, replicas(1));
    tokio::time::sleep(Duration::from_millis(10)).await;
    for number in 0..40 {
        assert_eq!(process(&bench, Legacy, number).await, "1");
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let status = bench.core.status().servers.remove(0);
    assert_eq!((status.replicas.len(), bench.launcher.spawns("own")), (1, 3));
    assert_eq!(Arc::strong_count(&running) - 1, others, "what is not needed any more has ended");
}

#[tokio::test(start_paused = true)]
async fn each_process_is_told_how_much_to_log_whenever_it_comes() {
    let fixture = Fixture::new(Legacy);
    let bench = bench_of(fixture.script(), replicas(2)).await;
    ask(&bench, Legacy, 1, "logging/setLevel", json!({"level": "warning"})).await;
    let told = || fixture.heard("logging/setLevel").len();
    assert_eq!(told(), 2);
    // The first leads, the other does not.
    for number in ["2", "1"] {
        let before = told();
        let mut session = 0;
        while process(&bench, Legacy, session).await != number {
            session += 1;
        }
        call(&bench, session, "die").await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(told() > before, "the successor of {number}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_new_configuration_refuses_is_listed_no_more_even_by_a_server_that_rests() {
    let fixture = Fixture::new(Legacy);
    let resting = || ServerView { idle_timeout_ms: Some(5_000), ..replicas(1) };
    let bench = bench_of(fixture.script(), resting()).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    let now = |bench: &Bench| {
        let server = bench.core.status().servers.remove(0);
        (server.state, server.tools)
    };
    let (state, tools) = now(&bench);
    assert_eq!(state, "idle");
    let mut narrow = resting();
    narrow.tools.deny.push("echo".into());
    reload(&bench, 2, narrow);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(now(&bench), ("idle", tools - 1));
    assert_eq!(bench.launcher.spawns("own"), 1);
}

#[tokio::test(start_paused = true)]
async fn the_state_of_a_call_goes_back_to_the_replica_that_made_it() {
    let fixture = Fixture::new(Modern);
    let own_only = script({
        let fixture = fixture.clone();
        move |mut wire| {
            let fixture = fixture.clone();
            async move {
                while let Some(message) = wire.read().await {
                    let params = &message["params"];
                    let own = format!("of {}", wire.process);
                    let result = match (params["name"].as_str(), params["requestState"].as_str()) {
                        (Some("input"), None) => json!({"resultType": "input_required", "requestState": own,
                            "inputRequests": {"a": {"method": "elicitation/create", "params": {}}}}),
                        (Some("input"), Some(state)) => json!({"resultType": "complete",
                            "content": [{"type": "text", "text": format!("{}", state == own)}]}),
                        _ => {
                            fixture.hear(&mut wire, message).await;
                            continue;
                        }
                    };
                    wire.result(&message, &result).await;
                }
                Exit::Status(0)
            }
        }
    });
    let mut view_of = replicas(3);
    view_of.routing.algorithm = Algorithm::RoundRobin;
    let bench = bench_of(own_only, view_of).await;
    for _ in 0..7 {
        let required = ask(&bench, Modern, 1, "tools/call", json!({"name": "input"})).await;
        let back = json!({"name": "input", "requestState": required["result"]["requestState"],
            "inputResponses": {"a": {"action": "accept"}}});
        let answer = ask(&bench, Modern, 1, "tools/call", back).await;
        assert_eq!(answer["result"]["content"][0]["text"], "true", "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_never_comes_up_is_quarantined_with_its_reason_and_another_plan_frees_it() {
    let broken = script(|mut wire| async move {
        wire.raw("").await;
        Exit::Status(7)
    });
    let bench = Bench::start_with(&[("own", broken)], {
        let mut view = view(&[]);
        view.servers = vec![replicas(1)];
        view
    });
    tokio::time::sleep(Duration::from_secs(200)).await;
    let status = bench.core.status().servers.remove(0);
    assert_eq!(status.state, "quarantined");
    let why = status.replicas[0].last_error.clone().unwrap();
    assert!(why.contains("status 7"), "{why}");
    let spawns = bench.launcher.spawns("own");
    assert_eq!(spawns, u64::from(SETBACKS_MAX));
    let told = call(&bench, 1, "echo").await;
    assert!(told["error"]["message"].as_str().unwrap().contains("in quarantine"), "{told}");
    reload(&bench, 2, ServerView { digest: "another".into(), ..replicas(1) });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(bench.launcher.spawns("own") > spawns);
    tokio::time::sleep(QUARANTINE_TIME * 2).await;
    assert_eq!(bench.core.status().servers[0].state, "quarantined");
}

#[tokio::test(start_paused = true)]
async fn more_calls_than_a_server_may_have_wait_and_more_than_may_wait_are_told() {
    let concurrency = ConcurrencyView { calls: 2, per_principal: 2, queue: 3 };
    let bench = bench_of(Fixture::new(Legacy).script(), ServerView { concurrency, ..replicas(1) }).await;
    let calls = (0..8).map(|_| call(&bench, 1, "hang"));
    let answers = join_all(calls).await;
    let refused = |answer: &&Value| {
        answer["error"]["code"] == OVERLOADED
            && answer["error"]["message"].as_str().unwrap().contains("2 of one), and 3 more wait; help:")
    };
    assert_eq!(answers.iter().filter(refused).count(), 3, "{answers:?}");
    // Its circuit has opened meanwhile.
    tokio::time::sleep(CIRCUIT_OPEN_MIN).await;
    let quick = join_all((0..5).map(|_| call(&bench, 1, "pid"))).await;
    assert!(quick.iter().all(|answer| answer["result"].is_object()), "{quick:?}");
}

#[tokio::test(start_paused = true)]
async fn who_calls_too_often_is_told_the_limit_and_when_to_come_back() {
    let mut view = view(&["own", "other"]);
    view.proxy.rate_limit = Some(RateLimitView { requests_per_minute: 60, burst: 2 });
    let fixture = Fixture::new(Legacy);
    let bench = Bench::start_with(&[("own", fixture.script()), ("other", fixture.script())], view);
    bench.core.settled(Duration::from_secs(60)).await;
    let raw = async |server: &str, uid: u32, method: &str, params: Value| {
        let mut caller = Bench::caller(server, Legacy, Some(1));
        caller.principal = Principal::LocalUser(uid);
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        bench.raw(caller, body, mpsc::channel(64).0).await
    };
    let echo = || json!({"name": "echo"});
    assert_eq!(raw("own", 1, "tools/call", echo()).await.error_code, None);
    assert_eq!(raw("own", 1, "resources/read", json!({"uri": "test://static"})).await.error_code, None);
    let refused = raw("own", 1, "tools/call", echo()).await;
    assert_eq!((refused.error_code, refused.retry_after), (Some(RATE_LIMITED), Some(Duration::from_secs(1))));
    let text = String::from_utf8(refused.response.to_vec()).unwrap();
    assert!(text.contains("60 per minute are allowed, 2 at once (proxy.rate_limit)"), "{text}");
    // Lists and the like do not count, nor do others and other servers.
    assert_eq!(raw("own", 1, "completion/complete", json!({"ref": {}})).await.error_code, None);
    assert_eq!(raw("own", 1, "tools/list", json!({})).await.error_code, None);
    assert_eq!(raw("own", 2, "tools/call", echo()).await.error_code, None);
    assert_eq!(raw("other", 1, "tools/call", echo()).await.error_code, None);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(raw("own", 1, "tools/call", echo()).await.error_code, None);
    assert_eq!(bench.core.status().rate_limited, 1);
    assert_eq!(fixture.heard("tools/call").len(), 4, "what is refused reaches nobody");
}
