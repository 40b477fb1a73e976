//! Servers that clients do not share: who gets which process, when it begins and ends, and what it is told.

use crate::core::scripted::{Bench, Fixture, asks_in_each_call, server_view, view};
use crate::exchange::Era::{self, Legacy, Modern};
use crate::exchange::{Audience, Caller, Endpoint, Exchange as _, Principal, ServerEvent};
use crate::limits::{IDLE_LOOK, INSTANCES_PER_SERVER_MAX};
use crate::mcp::error::OVERLOADED;
use crate::servers::spawn::InForce;
use only1mcp_policy::view::{Scope, ServerView, ToolView};
use only1mcp_wire::Partition;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

const IDLE: Duration = Duration::from_secs(300);

fn bench(scope: Scope, fixture: &Fixture) -> Bench {
    let idle_timeout_ms = Some(u64::try_from(IDLE.as_millis()).unwrap());
    let view_of = ServerView { scope, idle_timeout_ms, ..server_view("own") };
    let mut view = view(&[]);
    view.servers = vec![view_of];
    Bench::start_with(&[("own", fixture.script())], view)
}

fn caller(era: Era, session: u64, uid: u32, capabilities: &str) -> Caller {
    let mut caller = Bench::caller("own", era, (era == Legacy).then_some(session));
    caller.principal = Principal::LocalUser(uid);
    caller.capabilities = capabilities.into();
    caller
}

async fn ask(bench: &Bench, caller: &Caller, method: &str, mut params: Value) -> Value {
    if caller.era == Modern {
        let capabilities: Value = serde_json::from_str(&caller.capabilities).unwrap();
        params["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2026-07-28".into();
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = capabilities;
    }
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    let answer = bench.raw(caller.clone(), body, mpsc::channel(64).0).await;
    serde_json::from_slice(&answer.response).unwrap()
}

/// Which process answers this caller.
async fn process(bench: &Bench, caller: &Caller) -> String {
    let answer = ask(bench, caller, "tools/call", json!({"name": "pid"})).await;
    answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

#[tokio::test(start_paused = true)]
async fn each_session_has_a_process_of_its_own_that_ends_with_it() {
    let bench = bench(Scope::Session, &Fixture::new(Legacy));
    assert_eq!(bench.launcher.spawns("own"), 0, "nothing runs before it is needed");
    let [one, two] = [1, 2].map(|session| caller(Legacy, session, 7, "{}"));
    assert_eq!((process(&bench, &one).await.as_str(), process(&bench, &two).await.as_str()), ("1", "2"));
    assert_eq!(process(&bench, &one).await, "1");
    let status = bench.core.status().servers.remove(0);
    assert_eq!((status.processes, status.state, status.calls), (Some(2), "ready", 3));
    let measured = bench.core.measured_status().await.servers.remove(0);
    assert_eq!((measured.pid, measured.usage.is_some()), (Some(42), true), "one stands for all");
    bench.core.session_ended(1);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(bench.core.status().servers[0].processes, Some(1));
    // The directory of the one that has ended is taken again, by the same principal alone.
    process(&bench, &caller(Legacy, 3, 7, "{}")).await;
    process(&bench, &caller(Legacy, 4, 8, "{}")).await;
    let partitions = bench.launcher.partitions.lock().unwrap().clone();
    assert_eq!(partitions[2], partitions[0]);
    assert!(partitions[3] != partitions[0] && partitions[1] != partitions[0]);
    assert!(!partitions.contains(&Partition::SHARED));
}

#[tokio::test(start_paused = true)]
async fn modern_requests_of_one_principal_share_a_process_as_they_have_no_session() {
    for scope in [Scope::Session, Scope::Principal] {
        let bench = bench(scope, &Fixture::new(Legacy));
        let [me, you] = [7, 8].map(|uid| caller(Modern, 0, uid, "{}"));
        assert_eq!(process(&bench, &me).await, process(&bench, &me).await);
        assert_ne!(process(&bench, &me).await, process(&bench, &you).await);
        let legacy = process(&bench, &caller(Legacy, 1, 7, "{}")).await;
        assert_eq!(legacy == process(&bench, &me).await, scope == Scope::Principal);
    }
}

#[tokio::test(start_paused = true)]
async fn modern_clients_of_two_relays_are_two_and_their_processes_end_with_them() {
    let fixture = Fixture::new(Legacy);
    fixture.tools.lock().unwrap().push(json!({"name": "pid"}));
    let bench = bench(Scope::Session, &fixture);
    let over = |relay| Caller { relay: Some(relay), ..caller(Modern, 0, 7, "{}") };
    let [one, two] = [over(1), over(2)];
    assert_eq!((process(&bench, &one).await.as_str(), process(&bench, &two).await.as_str()), ("1", "2"));
    assert_eq!(process(&bench, &caller(Modern, 0, 7, "{}")).await, "3", "over HTTP it is the principal's");
    assert_eq!(process(&bench, &one).await, "1");
    for (caller, own) in [(&one, "1"), (&two, "2"), (&one, "1")] {
        let aggregate = Caller { endpoint: Endpoint::Aggregate, ..caller.clone() };
        let answer = ask(&bench, &aggregate, "tools/call", json!({"name": "own__pid"})).await;
        assert_eq!(answer["result"]["content"][0]["text"], own, "{answer}");
    }
    bench.core.session_ended(1);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(bench.core.status().servers[0].processes, Some(2));
    assert_eq!(process(&bench, &two).await, "2");
}

#[tokio::test(start_paused = true)]
async fn a_process_of_one_client_is_told_what_that_client_can_do() {
    let fixture = Fixture::new(Legacy);
    let bench = bench(Scope::Session, &fixture);
    process(&bench, &caller(Legacy, 1, 7, r#"{"elicitation":{}}"#)).await;
    process(&bench, &caller(Legacy, 2, 7, "{}")).await;
    let told: Vec<Value> =
        fixture.heard("initialize").iter().map(|heard| heard["params"]["capabilities"].clone()).collect();
    assert_eq!(told, [json!({"elicitation": {}}), json!({})]);
}

#[tokio::test(start_paused = true)]
async fn an_idle_process_ends_its_lists_stay_and_the_next_call_starts_it_again() {
    let fixture = Fixture::new(Legacy);
    let bench = bench(Scope::Principal, &fixture);
    let me = caller(Legacy, 1, 7, "{}");
    let listed = ask(&bench, &me, "tools/list", json!({})).await;
    assert_eq!(process(&bench, &me).await, "1");
    tokio::time::sleep(IDLE - Duration::from_secs(1)).await;
    assert_eq!(process(&bench, &me).await, "1", "it was used again before its time was over");
    tokio::time::sleep(IDLE + Duration::from_secs(5)).await;
    assert_eq!(bench.core.status().servers[0].state, "idle");
    assert_eq!(ask(&bench, &me, "tools/list", json!({})).await["result"]["tools"], listed["result"]["tools"]);
    assert_eq!(bench.launcher.spawns("own"), 1, "a list wakes nobody");
    assert_eq!(process(&bench, &me).await, "2");
    assert_eq!(bench.core.status().servers[0].restarts, 0);
}

#[tokio::test(start_paused = true)]
async fn another_client_with_the_same_capabilities_sees_the_lists_before_its_process_runs() {
    let fixture = Fixture::new(Legacy);
    let bench = bench(Scope::Session, &fixture);
    let all = ask(&bench, &caller(Legacy, 1, 7, "{}"), "tools/list", json!({})).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut aggregate = caller(Legacy, 2, 7, "{}");
    aggregate.endpoint = Endpoint::Aggregate;
    let listed = ask(&bench, &aggregate, "tools/list", json!({})).await;
    assert_eq!(
        listed["result"]["tools"].as_array().unwrap().len(),
        all["result"]["tools"].as_array().unwrap().len()
    );
    assert_eq!(bench.launcher.spawns("own"), 1);
    // One that can do more is another client: its lists may be others.
    aggregate.capabilities = r#"{"roots":{}}"#.into();
    aggregate.session = Some(3);
    ask(&bench, &aggregate, "tools/list", json!({})).await;
    assert_eq!(bench.launcher.spawns("own"), 2);
}

#[tokio::test(start_paused = true)]
async fn what_an_operator_is_told_of_views_counts_the_tools_that_a_process_of_ones_own_has() {
    let server = ServerView { scope: Scope::Session, ..server_view("own") };
    let mut view = view(&[]);
    view.servers = vec![server];
    (view.proxy.view, view.proxy.auto_threshold) = (ToolView::Auto, 20);
    let bench = Bench::start_with(&[("own", Fixture::new(Legacy).script())], view);
    let status = || serde_json::to_value(bench.core.status().view).unwrap();
    let counted = async || -> Value {
        let all: Value = serde_json::from_str(&bench.core.definitions(&[]).await).unwrap();
        all["servers"][0].clone()
    };
    assert_eq!(status()["decided"], Value::Null);
    assert_eq!(counted().await, json!({"id": "own", "expose": null, "seen": false, "tools": []}));
    let mut own = caller(Legacy, 1, 7, "{}");
    own.endpoint = Endpoint::Aggregate;
    let listed = ask(&bench, &own, "tools/list", json!({})).await;
    assert_eq!(listed["result"]["tools"][0]["name"], "find_tools");
    let decided = status()["decided"].take();
    assert!(decided["shown"] == "search" && decided["tokens"].as_u64() > Some(20), "{decided}");
    let seen = counted().await;
    assert!(seen["tools"].as_array().unwrap().len() > 5 && seen["seen"] == true, "{seen}");
    assert!(seen["tools"][0]["name"].as_str().unwrap().starts_with("own__"), "{seen}");
}

#[tokio::test(start_paused = true)]
async fn what_is_made_of_definitions_is_made_once_for_all_clients_that_are_told_the_same() {
    let bench = bench(Scope::Session, &Fixture::new(Legacy));
    let shown = async |session, uid, endpoint: &str| {
        let own = caller(Legacy, session, uid, "{}");
        process(&bench, &own).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        match endpoint {
            "" => bench.core.catalogue_for(&own).unwrap().shown.clone(),
            _ => bench.core.catalogue_for(&own).unwrap().members[0].shown(),
        }
    };
    for endpoint in ["", "own"] {
        let (mine, yours) = (shown(1, 7, endpoint).await, shown(2, 8, endpoint).await);
        assert!(mine.entries().len() > 5 && !Arc::ptr_eq(&mine, &yours));
        assert!(Arc::ptr_eq(mine.index(), yours.index()), "{endpoint}: two clients");
        let document = Arc::downgrade(mine.entries()[0].raw.document());
        drop((mine, yours));
        bench.core.instances.forget_catalogues();
        let again = shown(1, 7, endpoint).await;
        assert!(
            Arc::ptr_eq(&document.upgrade().unwrap(), again.entries()[0].raw.document()),
            "{endpoint}: again"
        );
        drop(again);
        bench.core.session_ended(1);
        bench.core.session_ended(2);
        tokio::time::sleep(Duration::from_secs(5)).await;
        let later = shown(3, 9, endpoint).await;
        assert!(
            Arc::ptr_eq(&document.upgrade().unwrap(), later.entries()[0].raw.document()),
            "{endpoint}: later"
        );
        bench.core.session_ended(3);
    }
}

#[tokio::test(start_paused = true)]
async fn what_one_clients_process_says_reaches_no_other_client() {
    let fixture = Fixture::new(Legacy);
    let bench = bench(Scope::Session, &fixture);
    let one = caller(Legacy, 1, 7, r#"{"roots":{}}"#);
    process(&bench, &one).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut events = bench.core.events();
    ask(&bench, &one, "tools/call", json!({"name": "announce"})).await;
    let ServerEvent::ListChanged(changed) = events.recv().await.unwrap() else { panic!() };
    assert_eq!(changed.audience, Audience::Session(1));
    ask(&bench, &one, "resources/subscribe", json!({"uri": "test://static"})).await;
    ask(&bench, &one, "tools/call", json!({"name": "touch"})).await;
    let ServerEvent::ResourceUpdated { audience, .. } = events.recv().await.unwrap() else { panic!() };
    assert_eq!(audience, Audience::Session(1));
}

#[tokio::test(start_paused = true)]
async fn with_several_calls_under_way_a_session_is_asked_on_the_stream_of_its_newest() {
    let fixture = Fixture::new(Legacy);
    let bench = bench(Scope::Session, &fixture);
    let one = caller(Legacy, 1, 7, r#"{"roots":{}}"#);
    let mut streams = Vec::new();
    let mut calls = Vec::new();
    for tool in ["hang", "roots"] {
        let (core, one) = (bench.core.clone(), one.clone());
        let (sender, stream) = mpsc::channel(8);
        let body = json!({"jsonrpc": "2.0", "id": tool, "method": "tools/call", "params": {"name": tool}});
        calls.push(tokio::spawn(async move { core.request(one, body.to_string().into(), sender).await }));
        streams.push(stream);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let asked: Value = serde_json::from_slice(&streams[1].recv().await.unwrap()).unwrap();
    assert_eq!(asked["method"], "roots/list");
    let answer = json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"roots": [1]}});
    bench.core.response(&one, &answer.to_string().into());
    tokio::time::sleep(Duration::from_millis(100)).await;
    let heard = fixture.heard.lock().unwrap().clone();
    assert!(
        heard.iter().any(|heard| heard["id"] == "r" && heard["result"] == json!({"roots": [1]})),
        "{heard:?}"
    );
    let changed = json!({"jsonrpc": "2.0", "method": "notifications/roots/list_changed"}).to_string();
    bench.core.clone().notification(one, changed.into()).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(fixture.heard("notifications/roots/list_changed").len(), 1);
    calls.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(start_paused = true)]
async fn the_number_of_processes_is_bounded_and_who_does_not_use_one_makes_room() {
    let bench = bench(Scope::Session, &Fixture::new(Legacy));
    let hang = |session: u64| {
        let (core, caller) = (bench.core.clone(), caller(Legacy, session, 7, "{}"));
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "hang"}})
            .to_string();
        tokio::spawn(async move { core.request(caller, body.into(), mpsc::channel(8).0).await })
    };
    let most = u64::try_from(INSTANCES_PER_SERVER_MAX).unwrap();
    let hanging: Vec<_> = (0..most).map(hang).collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let refused = ask(&bench, &caller(Legacy, most, 7, "{}"), "tools/call", json!({"name": "pid"})).await;
    assert_eq!(refused["error"]["code"], OVERLOADED, "{refused}");
    assert!(
        refused["error"]["message"].as_str().unwrap().contains("help: try again when a session has ended")
    );
    hanging[0].abort();
    tokio::time::sleep(Duration::from_millis(100)).await;
    process(&bench, &caller(Legacy, most, 7, "{}")).await;
    hanging.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(start_paused = true)]
async fn processes_of_another_plan_end_if_nobody_needs_them_and_are_replaced_if_they_never_rest() {
    let bench = bench(Scope::Session, &Fixture::new(Legacy));
    let one = caller(Legacy, 1, 7, "{}");
    let own = |digest: &str, idle_timeout_ms| ServerView {
        scope: Scope::Session,
        digest: digest.into(),
        idle_timeout_ms,
        ..server_view("own")
    };
    let processes_under = async |generation, view| {
        reload(&bench, generation, view);
        tokio::time::sleep(Duration::from_secs(2)).await;
        bench.core.status().servers[0].processes
    };
    process(&bench, &one).await;
    assert_eq!(processes_under(2, own("another", Some(60_000))).await, Some(0));
    assert_eq!(process(&bench, &one).await, "2");
    assert_eq!(processes_under(3, own("a third", None)).await, Some(1));
    assert_eq!(process(&bench, &one).await, "3", "replaced before anybody asked");
    reload(&bench, 4, server_view("another"));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(bench.core.instances.all().is_empty());
}

fn reload(bench: &Bench, generation: u64, view_of: ServerView) {
    let mut view = view(&[]);
    view.servers = vec![view_of];
    bench.launcher.in_force.send_replace(Arc::new(InForce { generation, view }));
}

#[tokio::test(start_paused = true)]
async fn another_idle_time_is_obeyed_by_the_process_that_runs() {
    let bench = bench(Scope::Shared, &Fixture::new(Legacy));
    let me = caller(Legacy, 1, 7, "{}");
    let own = |idle_timeout_ms| ServerView { idle_timeout_ms, ..server_view("own") };
    let state_after = async |time: Duration| {
        tokio::time::sleep(time).await;
        bench.core.status().servers[0].state
    };
    process(&bench, &me).await;
    reload(&bench, 2, own(Some(1_000)));
    assert_eq!(state_after(2 * IDLE_LOOK).await, "idle");
    assert_eq!(process(&bench, &me).await, "2");
    reload(&bench, 3, own(None));
    assert_eq!(state_after(2 * IDLE).await, "ready", "it never rests now");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_is_lost_that_comes_in_the_moment_its_server_rests() {
    let mut view = view(&[]);
    view.servers = vec![ServerView { idle_timeout_ms: Some(1), ..server_view("own") }];
    let bench = Bench::start_with(&[("own", Fixture::new(Legacy).script())], view);
    let me = caller(Legacy, 1, 7, "{}");
    let mut numbers = Numbers(1);
    for _ in 0..500 {
        process(&bench, &me).await;
        tokio::time::sleep(Duration::from_micros(500 + numbers.below(1_500))).await;
    }
    assert!(bench.launcher.spawns("own") > 1, "it rested now and then");
}

#[tokio::test(start_paused = true)]
async fn the_aggregate_names_an_update_of_ones_own_process_as_it_lists_it() {
    let own = Fixture::new(Legacy);
    own.tools.lock().unwrap().push(json!({"name": "touch"}));
    let elsewhere = json!({"uri": "test://elsewhere", "name": "e"});
    let other = Fixture { resources: vec![elsewhere], templates: vec![], ..Fixture::new(Legacy) };
    let mut view = view(&["other"]);
    view.servers.push(ServerView { scope: Scope::Session, ..server_view("own") });
    let bench = Bench::start_with(&[("own", own.script()), ("other", other.script())], view);
    let mut aggregate = caller(Legacy, 1, 7, r#"{"roots":{}}"#);
    aggregate.endpoint = Endpoint::Aggregate;
    let listed = ask(&bench, &aggregate, "resources/list", json!({})).await["result"]["resources"].take();
    let uri = "test://static";
    assert!(listed.to_string().contains(&format!("\"{uri}\"")), "{listed}");
    let mut events = bench.core.events();
    ask(&bench, &aggregate, "resources/subscribe", json!({"uri": uri})).await;
    let touched = ask(&bench, &aggregate, "tools/call", json!({"name": "own__touch"})).await;
    assert!(touched["result"].is_object(), "{touched}");
    let event = tokio::time::timeout(Duration::from_secs(3), events.recv()).await.unwrap().unwrap();
    let ServerEvent::ResourceUpdated { aggregate_uri, .. } = event else { panic!("{event:?}") };
    assert_eq!(aggregate_uri, uri);
}

#[tokio::test(start_paused = true)]
async fn a_call_nobody_came_back_to_keeps_no_other_call_of_its_principal_waiting() {
    let mut view = view(&[]);
    view.servers = vec![ServerView { scope: Scope::Principal, ..server_view("own") }];
    let bench = Bench::start_with(&[("own", asks_in_each_call())], view);
    let me = caller(Modern, 0, 7, r#"{"roots":{}}"#);
    let call = async |n: u32, more: Value| {
        let mut params = json!({"name": "x", "arguments": {"n": n}});
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ask(&bench, &me, "tools/call", params).await["result"].take()
    };
    let parked = [call(0, json!({})).await, call(1, json!({})).await, call(2, json!({})).await];
    assert!(parked.iter().all(|parked| parked["resultType"] == "input_required"), "{parked:?}");
    for n in [2, 1] {
        let state = &parked[usize::try_from(n).unwrap()]["requestState"];
        let back = json!({"requestState": state, "inputResponses": {"1": {"roots": [n]}}});
        let answer = call(n, back).await;
        let text: Value = serde_json::from_str(answer["content"][0]["text"].as_str().unwrap()).unwrap();
        assert_eq!(text, json!({"call": {"n": n}, "heard": {"roots": [n]}}));
    }
    assert_eq!(bench.core.parked.len(), 1);
}

/// Numbers without a pattern (splitmix64), the same ones for the same seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) % bound
    }
}

/// One client makes calls one after the other and answers what it is asked with its own number. Gives how many of its
/// questions reached it; a call whose question was not passed on says so, and no call ever hears another's answer.
async fn asks_and_answers(bench: &Bench, caller: &Caller, number: u64, seed: u64) -> usize {
    let mut numbers = Numbers(seed);
    let mut heard = 0;
    for n in 0..3 {
        tokio::time::sleep(Duration::from_millis(numbers.below(20))).await;
        let arguments = json!({"client": number, "n": n});
        let mut params = json!({"name": "x", "arguments": arguments});
        let patience = numbers.below(30);
        let answer = match caller.era {
            Modern => {
                let mut answer = ask(bench, caller, "tools/call", params.clone()).await;
                if answer["result"]["resultType"] == "input_required" {
                    tokio::time::sleep(Duration::from_millis(patience)).await;
                    params["requestState"] = answer["result"]["requestState"].take();
                    params["inputResponses"] = json!({"1": {"roots": [number]}});
                    answer = ask(bench, caller, "tools/call", params).await;
                }
                answer
            }
            Legacy => {
                let (sender, mut stream) = mpsc::channel(8);
                let body =
                    json!({"jsonrpc": "2.0", "id": n, "method": "tools/call", "params": params}).to_string();
                let mut call =
                    std::pin::pin!(bench.core.clone().request(caller.clone(), body.into(), sender));
                loop {
                    tokio::select! {
                        answer = &mut call => break serde_json::from_slice(&answer.response).unwrap(),
                        Some(message) = stream.recv() => {
                            let asked: Value = serde_json::from_slice(&message).unwrap();
                            if asked["method"] == "roots/list" {
                                tokio::time::sleep(Duration::from_millis(patience)).await;
                                let answer = json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"roots": [number]}});
                                bench.core.response(caller, &answer.to_string().into());
                            }
                        }
                    }
                }
            }
        };
        let text = answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}"));
        let text: Value = serde_json::from_str(text).unwrap();
        assert_eq!(text["call"], arguments, "seed {seed}");
        if text["heard"].is_null() {
            continue;
        }
        assert_eq!(text["heard"], json!({"roots": [number]}), "an answer of another client, seed {seed}");
        heard += 1;
    }
    heard
}

#[tokio::test(start_paused = true)]
async fn every_answer_reaches_its_asker_however_clients_of_mixed_eras_interleave() {
    for scope in [Scope::Session, Scope::Principal, Scope::Shared] {
        for seed in 0..40 {
            let mut view = view(&[]);
            view.servers = vec![ServerView { scope, ..server_view("own") }];
            let bench = Bench::start_with(&[("own", asks_in_each_call())], view);
            let able = r#"{"roots":{}}"#;
            // Two relays, one of each era, two legacy sessions, and two principals of modern requests.
            let mut callers: Vec<Caller> = (1..=3).map(|session| caller(Legacy, session, 7, able)).collect();
            callers.push(Caller { relay: Some(4), ..caller(Modern, 0, 7, able) });
            callers.extend([7, 8].map(|uid| caller(Modern, 0, uid, able)));
            let all = callers
                .iter()
                .zip(1..)
                .map(|(caller, number)| asks_and_answers(&bench, caller, number, seed * 100 + number));
            let heard: usize = futures_util::future::join_all(all).await.into_iter().sum();
            if scope == Scope::Session {
                assert_eq!(heard, 18, "seed {seed}");
            } else {
                assert!(heard > 0, "{scope:?}, seed {seed}");
            }
        }
    }
}
