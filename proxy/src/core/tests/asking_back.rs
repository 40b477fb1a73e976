//! What servers ask their clients, in all four cells: who is asked, who answers, and what becomes of the rest.

use crate::core::scripted::{Bench, Fixture, Script, asks_in_each_call, script};
use crate::exchange::Era::{self, Legacy, Modern};
use crate::exchange::{Caller, Exchange as _, Principal};
use crate::limits::{PARKED_CALLS_PER_PRINCIPAL_MAX, PARKED_TIME_MAX};
use crate::mcp::error::{INVALID_PARAMS, MISSING_CAPABILITY, NOT_BRIDGED, OVERLOADED};
use bytes::Bytes;
use only1mcp_wire::Exit;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

const ABLE: &str = r#"{"elicitation":{},"sampling":{},"roots":{}}"#;

/// A client, as the core knows it.
#[derive(Clone)]
struct Client<'a> {
    bench: &'a Bench,
    caller: Caller,
}

/// A call under way.
struct Under {
    answer: JoinHandle<Value>,
    stream: mpsc::Receiver<Bytes>,
}

impl Under {
    async fn hear(&mut self) -> Value {
        let message = tokio::time::timeout(Duration::from_secs(1), self.stream.recv()).await;
        serde_json::from_slice(&message.expect("nothing came").expect("the stream ended")).unwrap()
    }

    async fn end(self) -> Value {
        self.answer.await.unwrap()
    }
}

impl<'a> Client<'a> {
    fn new(bench: &'a Bench, endpoint: &str, era: Era, session: u64, capabilities: &str) -> Self {
        let mut caller = Bench::caller(endpoint, era, (era == Legacy).then_some(session));
        caller.principal = Principal::LocalUser(7);
        caller.capabilities = capabilities.into();
        Self { bench, caller }
    }

    fn ask(&self, method: &str, mut params: Value) -> Under {
        if self.caller.era == Modern {
            let capabilities: Value = serde_json::from_str(&self.caller.capabilities).unwrap();
            params["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2026-07-28".into();
            params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = capabilities;
        }
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let (sender, stream) = mpsc::channel(64);
        let (core, caller) = (self.bench.core.clone(), self.caller.clone());
        let answer = tokio::spawn(async move {
            let answer = core.request(caller, body.into(), sender).await;
            serde_json::from_slice(&answer.response).unwrap()
        });
        Under { answer, stream }
    }

    /// Why a call with these raw parameters is refused as invalid.
    async fn refused(&self, params: &str) -> String {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
        let answer = self.bench.raw(self.caller.clone(), body, mpsc::channel(1).0).await;
        assert_eq!(answer.error_code, Some(INVALID_PARAMS), "{params}");
        let answer: Value = serde_json::from_slice(&answer.response).unwrap();
        answer["error"]["message"].as_str().unwrap().to_owned()
    }

    fn call(&self, tool: &str) -> Under {
        self.ask("tools/call", json!({"name": tool, "arguments": {"n": 1}}))
    }

    /// Answers a request that reached this client.
    fn answer(&self, request: &Value, result: Value) {
        let body = json!({"jsonrpc": "2.0", "id": request["id"], "result": result}).to_string();
        self.bench.core.response(&self.caller, &body.into());
    }

    /// Comes back with an answer to the one thing it was asked.
    fn come_back(&self, tool: &str, required: &Value, response: &Value) -> Under {
        let key = required["inputRequests"].as_object().unwrap().keys().next().unwrap().clone();
        self.ask(
            "tools/call",
            json!({"name": tool, "arguments": {"n": 1}, "requestState": required["requestState"],
                "inputResponses": {key: response}}),
        )
    }
}

fn text(answer: &Value) -> Value {
    let text = answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}"));
    serde_json::from_str(text).unwrap()
}

async fn bench(era: Era) -> Bench {
    Bench::start(&[("files", Fixture::new(era).script())]).await
}

const CELLS: [(Era, Era); 4] = [(Legacy, Legacy), (Legacy, Modern), (Modern, Legacy), (Modern, Modern)];

fn tool_of(server: Era) -> &'static str {
    if server == Legacy { "elicit" } else { "input" }
}

#[tokio::test(start_paused = true)]
async fn in_every_cell_the_client_is_asked_and_its_answer_reaches_the_server() {
    for (era, server) in CELLS {
        let bench = bench(server).await;
        for (endpoint, prefix) in [("files", ""), ("", "files__")] {
            let client = Client::new(&bench, endpoint, era, 1, ABLE);
            let tool = format!("{prefix}{}", tool_of(server));
            let mut call = client.call(&tool);
            let answer = match era {
                Legacy => {
                    let request = call.hear().await;
                    assert_eq!(request["method"], "elicitation/create");
                    client.answer(&request, json!({"action": "accept", "n": 1}));
                    call.end().await
                }
                Modern => {
                    let required = call.end().await["result"].take();
                    assert_eq!(required["resultType"], "input_required", "{required}");
                    let asked = required["inputRequests"].as_object().unwrap().values().next().unwrap();
                    assert_eq!(asked["method"], "elicitation/create");
                    assert_ne!(required["requestState"], "s", "a server's own state leaves only sealed");
                    client.come_back(&tool, &required, &json!({"action": "accept", "n": 1})).end().await
                }
            };
            let heard = text(&answer);
            let heard = if server == Legacy {
                &heard["result"]
            } else {
                &heard.as_object().unwrap()[if era == Legacy || server == Modern { "a" } else { "1" }]
            };
            assert_eq!(*heard, json!({"action": "accept", "n": 1}), "{era:?} {server:?} {endpoint}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_say_it_can_is_not_asked() {
    for (era, server) in CELLS {
        let bench = bench(server).await;
        let client = Client::new(&bench, "files", era, 1, r#"{"sampling":{}}"#);
        let mut call = client.call(tool_of(server));
        if (era, server) == (Modern, Modern) {
            // The server was told with the request what this client can do, and decides itself.
            continue;
        }
        assert!(call.stream.recv().await.is_none(), "nothing reaches the client");
        let answer = call.end().await;
        match server {
            Legacy => assert!(
                text(&answer)["error"]["message"].as_str().unwrap().contains("capability elicitation")
            ),
            Modern => assert_eq!(answer["error"]["code"], NOT_BRIDGED, "{answer}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn with_two_calls_under_way_nobody_is_asked_and_from_then_on_they_take_turns() {
    let bench = bench(Legacy).await;
    let [one, two] = [1, 2].map(|session| Client::new(&bench, "files", Legacy, session, ABLE));
    let hanging = one.call("hang");
    tokio::time::sleep(Duration::from_millis(10)).await;
    let answer = two.call("elicit").end().await;
    assert!(text(&answer)["error"]["message"].as_str().unwrap().contains("which client"), "{answer}");
    drop(hanging.end().await);
    // Both ask now; the second waits for its turn.
    let (mut first, mut second) = (one.call("elicit"), two.call("elicit"));
    let request = first.hear().await;
    assert!(tokio::time::timeout(Duration::from_millis(100), second.stream.recv()).await.is_err());
    // Nobody else can answer for the first.
    two.answer(&request, json!({"action": "stolen"}));
    one.answer(&request, json!({"of": 1}));
    assert_eq!(text(&first.end().await)["result"], json!({"of": 1}));
    let request = second.hear().await;
    two.answer(&request, json!({"of": 2}));
    assert_eq!(text(&second.end().await)["result"], json!({"of": 2}));
}

#[tokio::test(start_paused = true)]
async fn a_person_may_take_longer_than_a_call_may() {
    let bench = bench(Legacy).await;
    let client = Client::new(&bench, "files", Legacy, 1, ABLE);
    let mut call = client.call("elicit");
    let request = call.hear().await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    client.answer(&request, json!({}));
    assert_eq!(text(&call.end().await)["result"], json!({}));
}

#[tokio::test(start_paused = true)]
async fn a_request_state_is_good_once_for_its_principal_its_arguments_and_its_time() {
    let bench = bench(Legacy).await;
    let client = Client::new(&bench, "files", Modern, 0, ABLE);
    let required = client.call("elicit").end().await["result"].take();
    let refused = async |client: &Client<'_>, params: Value| client.refused(&params.to_string()).await;
    let state = &required["requestState"];
    let mut thief = client.clone();
    thief.caller.principal = Principal::LocalUser(8);
    let params =
        json!({"name": "elicit", "arguments": {"n": 1}, "requestState": state, "inputResponses": {"1": {}}});
    assert!(refused(&thief, params.clone()).await.contains("another request"));
    let mut other = params.clone();
    other["arguments"]["n"] = 2.into();
    assert!(refused(&client, other).await.contains("another request"));
    let mut forged = params.clone();
    forged["requestState"] = format!("{}A", state.as_str().unwrap()).into();
    assert!(refused(&client, forged).await.contains("altered"));
    // Another spelling of the key is no way around the seal.
    let mut spelt = params.clone();
    spelt["RequestState"] = spelt.as_object_mut().unwrap().remove("requestState").unwrap();
    assert!(refused(&client, spelt).await.contains("must be written requestState"));
    let escaped = |state: &str| {
        let params = json!({"name": "input", "STATE": state, "inputResponses": {}}).to_string();
        params.replace("STATE", r"request\u0053tate")
    };
    assert!(client.refused(&escaped("s")).await.contains("altered"));
    let mut malformed = params.clone();
    malformed["inputResponses"] = json!(["no object"]);
    assert!(refused(&client, malformed).await.contains("inputResponses"));
    // None of these cost the call its place.
    assert_eq!(text(&client.ask("tools/call", params.clone()).end().await)["result"], json!({}));
    assert!(refused(&client, params).await.contains("was answered or has ended"));
    let required = client.call("elicit").end().await["result"].take();
    tokio::time::sleep(PARKED_TIME_MAX + Duration::from_secs(1)).await;
    let answer = client.come_back("elicit", &required, &json!({})).end().await;
    assert!(answer["error"]["message"].as_str().unwrap().contains("expired"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_asked_for_again() {
    let bench = bench(Legacy).await;
    let client = Client::new(&bench, "files", Modern, 0, ABLE);
    let required = client.call("elicit").end().await["result"].take();
    let params = json!({"name": "elicit", "arguments": {"n": 1}, "requestState": required["requestState"],
        "inputResponses": {"unasked": {}}});
    let again = client.ask("tools/call", params).end().await["result"].take();
    assert_eq!(again["resultType"], "input_required");
    assert_eq!(again["inputRequests"], required["inputRequests"]);
    let answer = client.come_back("elicit", &again, &json!({"x": 1})).end().await;
    assert_eq!(text(&answer)["result"], json!({"x": 1}));
}

#[tokio::test(start_paused = true)]
async fn parked_calls_fill_their_cap_are_refused_clearly_and_end_by_expiry() {
    let names: Vec<String> = (0..=PARKED_CALLS_PER_PRINCIPAL_MAX).map(|n| format!("s{n}")).collect();
    let servers: Vec<_> = names.iter().map(|name| (name.as_str(), asks_in_each_call())).collect();
    let bench = Bench::start(&servers).await;
    for name in names.iter().take(PARKED_CALLS_PER_PRINCIPAL_MAX) {
        let required = Client::new(&bench, name, Modern, 0, ABLE).call("x").end().await;
        assert_eq!(required["result"]["resultType"], "input_required", "{required}");
    }
    assert_eq!(bench.core.parked.len(), PARKED_CALLS_PER_PRINCIPAL_MAX);
    let last = Client::new(&bench, names.last().unwrap(), Modern, 0, ABLE);
    let refused = last.call("x").end().await;
    assert_eq!(refused["error"]["code"], OVERLOADED, "{refused}");
    assert!(refused["error"]["message"].as_str().unwrap().contains("help: answer one"), "{refused}");
    // Another principal has its own share.
    let mut other = last.clone();
    other.caller.principal = Principal::LocalUser(8);
    assert_eq!(other.call("x").end().await["result"]["resultType"], "input_required");
    tokio::time::sleep(PARKED_TIME_MAX + Duration::from_secs(1)).await;
    assert!(bench.core.parked.is_empty());
    assert_eq!(last.call("x").end().await["result"]["resultType"], "input_required");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_calls_nobody_comes_back_to_leave_nothing() {
    let bench = Bench::start(&[("s", asks_in_each_call())]).await;
    let client = Client::new(&bench, "s", Modern, 0, ABLE);
    for _ in 0..1000 {
        assert_eq!(client.call("x").end().await["result"]["resultType"], "input_required");
        assert_eq!(bench.core.parked.len(), 1);
        tokio::time::sleep(PARKED_TIME_MAX + Duration::from_secs(1)).await;
        assert!(bench.core.parked.is_empty());
    }
    assert_eq!(bench.launcher.spawns("s"), 1);
}

#[tokio::test(start_paused = true)]
async fn progress_after_an_answer_goes_to_the_request_that_brought_it() {
    let bench = bench(Legacy).await;
    let client = Client::new(&bench, "files", Modern, 0, ABLE);
    let call = |token: Value, more: Value| {
        let mut params = json!({"name": "elicit", "_meta": {"progressToken": token}});
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        client.ask("tools/call", params)
    };
    let required = call("first".into(), json!({})).end().await["result"].take();
    let back = json!({"requestState": required["requestState"], "inputResponses": {"1": {}}});
    let mut again = call("second".into(), back);
    assert_eq!(again.hear().await["params"], json!({"progressToken": "second", "progress": 1}));
    again.end().await;
}

/// A legacy server whose one call does as `after` says once it has asked.
fn asks_and(after: impl Fn(Value) -> Vec<Value> + Send + Sync + Copy + 'static) -> Script {
    script(move |mut wire| async move {
        while let Some(message) = wire.read().await {
            match message["method"].as_str() {
                Some("initialize") => {
                    let result = json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}});
                    wire.result(&message, &result).await;
                }
                Some("tools/call") => {
                    wire.write(&json!({"jsonrpc": "2.0", "id": "q", "method": "roots/list"})).await;
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    for said in after(message["id"].clone()) {
                        wire.write(&said).await;
                    }
                }
                Some(_) if message.get("id").is_some() => wire.error(&message, -32601, "no").await,
                _ => {}
            }
        }
        Exit::Status(0)
    })
}

#[tokio::test(start_paused = true)]
async fn a_question_that_is_taken_back_is_taken_back_at_the_client() {
    let cancelled = |_| {
        vec![json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "q"}})]
    };
    let bench = Bench::start(&[("s", asks_and(cancelled))]).await;
    let client = Client::new(&bench, "s", Legacy, 1, ABLE);
    let mut call = client.call("x");
    let request = call.hear().await;
    let taken_back = call.hear().await;
    assert_eq!(
        (&taken_back["method"], &taken_back["params"]["requestId"]),
        (&json!("notifications/cancelled"), &request["id"])
    );
}

#[tokio::test(start_paused = true)]
async fn a_question_whose_call_is_answered_or_cancelled_is_taken_back_too() {
    let answered = |id: Value| vec![json!({"jsonrpc": "2.0", "id": id, "result": {"content": []}})];
    let bench = Bench::start(&[("s", asks_and(answered)), ("t", asks_and(|_| vec![]))]).await;
    let mut call = Client::new(&bench, "s", Legacy, 1, ABLE).call("x");
    let (request, taken_back) = (call.hear().await, call.hear().await);
    assert_eq!(taken_back["params"]["requestId"], request["id"]);
    assert!(call.end().await["result"].is_object());
    let client = Client::new(&bench, "t", Legacy, 1, ABLE);
    let mut call = client.call("x");
    let request = call.hear().await;
    let body = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}})
        .to_string();
    bench.core.clone().notification(client.caller.clone(), body.into()).await;
    assert_eq!(call.hear().await["params"]["requestId"], request["id"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_too_much_or_twice_under_one_id_is_refused_and_all_is_answered() {
    let flood = |id: Value| {
        let mut said: Vec<Value> =
            (0..200).map(|n| json!({"jsonrpc": "2.0", "id": n / 2, "method": "roots/list"})).collect();
        said.push(json!({"jsonrpc": "2.0", "id": id, "result": {"content": []}}));
        said
    };
    let bench = Bench::start(&[("s", asks_and(flood))]).await;
    let answer = Client::new(&bench, "s", Legacy, 1, ABLE).call("x").end().await;
    assert!(answer["result"].is_object(), "{answer}");
    let again = Client::new(&bench, "s", Legacy, 1, ABLE).call("x").end().await;
    assert!(again["result"].is_object(), "the process lives: {again}");
    assert_eq!(bench.launcher.spawns("s"), 1);
}

#[tokio::test(start_paused = true)]
async fn notifications_nobody_here_knows_reach_the_one_client_they_can_be_meant_for() {
    let said = |id: Value| {
        let vendor =
            json!({"jsonrpc": "2.0", "method": "notifications/elicitation/complete", "params": {"n": 1}});
        vec![vendor, json!({"jsonrpc": "2.0", "id": id, "result": {"content": []}})]
    };
    let bench = Bench::start(&[("s", asks_and(said))]).await;
    let mut call = Client::new(&bench, "s", Legacy, 1, "{}").call("x");
    let heard = call.hear().await;
    assert_eq!(
        (&heard["method"], &heard["params"]["n"]),
        (&json!("notifications/elicitation/complete"), &json!(1))
    );
}

/// A legacy server that wants to hear how far its client is, and answers with all that it heard.
fn asks_for_progress() -> Script {
    let fixture = Fixture::new(Legacy);
    script(move |mut wire| {
        let fixture = fixture.clone();
        async move {
            while let Some(message) = wire.read().await {
                if message["method"] != "tools/call" {
                    fixture.hear(&mut wire, message).await;
                    continue;
                }
                let params = json!({"_meta": {"progressToken": "own", "z": 1}});
                wire.write(&json!({"jsonrpc": "2.0", "id": "q", "method": "roots/list", "params": params}))
                    .await;
                let mut heard = vec![];
                while heard.last().is_none_or(|heard: &Value| heard["id"] != "q") {
                    heard.push(wire.read().await.unwrap());
                }
                let text = json!(heard).to_string();
                wire.result(&message, &json!({"content": [{"type": "text", "text": text}]})).await;
            }
            Exit::Status(0)
        }
    })
}

#[tokio::test(start_paused = true)]
async fn progress_of_a_client_reaches_the_server_that_asked_under_its_own_token() {
    let bench = Bench::start(&[("a", asks_for_progress()), ("b", asks_for_progress())]).await;
    let [one, two] =
        [(1, "a"), (2, "b")].map(|(session, server)| Client::new(&bench, server, Legacy, session, ABLE));
    let (mut first, mut second) = (one.call("x"), two.call("x"));
    let (ask_one, ask_two) = (first.hear().await, second.hear().await);
    let token = |ask: &Value| ask["params"]["_meta"]["progressToken"].clone();
    assert_ne!(token(&ask_one), token(&ask_two), "the servers' own token is the same");
    assert_eq!(ask_one["params"]["_meta"]["z"], 1);
    let tell = async |client: &Client<'_>, token: Value, progress: u32| {
        let params = json!({"progressToken": token, "progress": progress, "vendor": 1});
        let body =
            json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params}).to_string();
        bench.core.clone().notification(client.caller.clone(), body.into()).await;
    };
    tell(&one, token(&ask_one), 1).await;
    // Of another client's answer nobody can say anything, nor of none.
    tell(&one, token(&ask_two), 2).await;
    tell(&one, json!("own"), 3).await;
    one.answer(&ask_one, json!({"roots": []}));
    two.answer(&ask_two, json!({"roots": []}));
    let heard = text(&first.end().await);
    let told = json!({"progressToken": "own", "progress": 1, "vendor": 1});
    assert_eq!((heard.as_array().unwrap().len(), &heard[0]["params"]), (2, &told), "{heard}");
    assert_eq!(text(&second.end().await).as_array().unwrap().len(), 1);
}

/// A legacy server whose user must visit a page before the first call.
fn sends_to_a_page() -> Script {
    let (fixture, visited) =
        (Fixture::new(Legacy), std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false)));
    script(move |mut wire| {
        let (fixture, visited) = (fixture.clone(), visited.clone());
        async move {
            while let Some(message) = wire.read().await {
                if message["method"] != "tools/call"
                    || visited.swap(true, std::sync::atomic::Ordering::Relaxed)
                {
                    fixture.hear(&mut wire, message).await;
                    continue;
                }
                let page =
                    json!({"mode": "url", "url": "https://a.test", "message": "m", "elicitationId": "1"});
                let error = json!({"code": -32042, "message": "sign in", "data": {"elicitations": [page]}});
                wire.write(&json!({"jsonrpc": "2.0", "id": message["id"], "error": error})).await;
            }
            Exit::Status(0)
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_page_the_user_must_visit_first_is_asked_for_and_then_the_call_is_made_again() {
    let page = "https://a.test";
    let able = r#"{"elicitation":{"url":{}}}"#;
    for (endpoint, tool) in [("s", "echo"), ("", "s__echo")] {
        let bench = Bench::start(&[("s", sends_to_a_page())]).await;
        let client = Client::new(&bench, endpoint, Modern, 0, able);
        let required = client.call(tool).end().await["result"].take();
        assert_eq!(required["resultType"], "input_required", "{required}");
        assert_eq!(required["inputRequests"]["1"]["method"], "elicitation/create");
        assert_eq!(required["inputRequests"]["1"]["params"]["url"], page);
        assert!(bench.core.parked.is_empty() && required.get("requestState").is_none(), "nothing is kept");
        let again =
            json!({"name": tool, "arguments": {"n": 1}, "inputResponses": {"1": {"action": "accept"}}});
        let answer = client.ask("tools/call", again).end().await;
        assert_eq!(text(&answer)["arguments"], json!({"n": 1}));
        assert!(text(&answer).get("inputResponses").is_none(), "a legacy server has no rounds");
    }
    let bench = Bench::start(&[("s", sends_to_a_page())]).await;
    let refused = Client::new(&bench, "s", Modern, 0, r#"{"elicitation":{}}"#).call("echo").end().await;
    assert_eq!(refused["error"]["code"], MISSING_CAPABILITY, "{refused}");
    assert_eq!(refused["error"]["data"]["requiredCapabilities"], json!({"elicitation": {"url": {}}}));
    let bench = Bench::start(&[("s", sends_to_a_page())]).await;
    let passed = Client::new(&bench, "s", Legacy, 1, "{}").call("echo").end().await;
    assert_eq!(passed["error"]["data"]["elicitations"][0]["url"], page, "a legacy client knows it: {passed}");
}
