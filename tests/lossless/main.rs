//! What a client and a server of any two revisions say to each other arrives as it was written: every member, in its
//! order, every number as it was spelt, but for what the eras do differently. And all we emit is valid by the official
//! schema of the revision it is meant for.
//!
//! `recorded/REVISION.jsonl` holds what a client of that revision asks and what its server answers.

mod order;

use harness::configuration::Configuration;
use harness::daemon::Daemon;
use harness::http::{self, Stream};
use harness::mcp::{Endpoint, MODERN, Session};
use harness::{parts, programs};
use order::{Members, difference, member};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

const REVISIONS: [&str; 5] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", MODERN];
const LIMIT: Duration = Duration::from_secs(120);
const ENVELOPE: [&str; 4] = [
    "_meta > io.modelcontextprotocol/protocolVersion",
    "_meta > io.modelcontextprotocol/clientCapabilities",
    "_meta > io.modelcontextprotocol/clientInfo",
    "_meta > io.modelcontextprotocol/logLevel",
];
/// Content that came with a revision, and as what clients of earlier ones get it.
const LATER: [(&str, &str, &str); 2] = [
    (
        "2025-03-26",
        r#"{"type":"audio","data":"AAAA","mimeType":"audio/wav"}"#,
        r#"{"type":"resource","resource":{"uri":"urn:only1mcp:audio","mimeType":"audio/wav","blob":"AAAA"}}"#,
    ),
    (
        "2025-06-18",
        r#"{"type":"resource_link","uri":"test://static","name":"static","size":1e1,"description":"d"}"#,
        r#"{"type":"text","text":"{\"type\":\"resource_link\",\"uri\":\"test://static\",\"name\":\"static\",\"size\":1e1,\"description\":\"d\"}"}"#,
    ),
];
/// An id that says if anybody reads it: it must come back byte for byte.
const ID: &str = r#""i\u00e9\/1.0""#;

/// One recorded exchange: a line.
type Exchange = String;

/// A message that left the daemon.
struct Emitted {
    revision: &'static str,
    /// What was asked: the schema of a result depends on it.
    method: String,
    raw: String,
}

/// What came of all conversations.
#[derive(Default)]
struct Run {
    losses: Vec<String>,
    emitted: Vec<Emitted>,
    exchanges: usize,
}

fn recorded(revision: &str) -> Vec<Exchange> {
    let file = programs::checkout().join(format!("tests/lossless/recorded/{revision}.jsonl"));
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    text.lines().map(str::to_owned).collect()
}

fn text(exchange: &str, pointer: &str) -> String {
    let value: Value = serde_json::from_str(exchange).unwrap();
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// What tells an exchange from the others of its revision.
fn key(exchange: &str) -> [String; 3] {
    ["/method", "/params/name", "/params/uri"].map(|pointer| text(exchange, pointer))
}

fn is_modern(revision: &str) -> bool {
    revision == MODERN
}

fn server_id(revision: &str) -> String {
    format!("r{revision}")
}

/// A client of one revision at a server of another.
struct Cell<'a> {
    client: &'static str,
    server: &'static str,
    endpoint: Endpoint,
    session: Option<Session>,
    run: &'a mut Run,
}

impl Cell<'_> {
    /// The bytes of a request with these raw parameters.
    fn request(&self, method: &str, params: &str) -> Vec<u8> {
        let headers = match &self.session {
            Some(session) => session.headers(),
            None => Endpoint::modern_parts(method, &serde_json::from_str(params).unwrap()).0,
        };
        let body = format!(r#"{{"jsonrpc":"2.0","id":{ID},"method":"{method}","params":{params}}}"#);
        self.endpoint.request("POST", &borrowed(&headers), body.as_bytes())
    }

    /// Asks, and gives each message of the answer as it came.
    fn ask(&self, exchange: &str) -> Vec<String> {
        self.ask_with(&text(exchange, "/method"), member(exchange, "params").unwrap())
    }

    fn ask_with(&self, method: &str, params: &str) -> Vec<String> {
        let request = self.request(method, params);
        let response = http::raw(&self.endpoint.address, &request).expect("an answer over HTTP");
        match response.header("content-type") {
            Some("text/event-stream") => {
                let data = response.body.lines().filter_map(|line| line.strip_prefix("data:"));
                data.map(|data| data.trim().to_owned()).filter(|data| !data.is_empty()).collect()
            }
            _ => vec![response.body.clone()],
        }
    }

    /// What the server has heard since it was asked last.
    fn heard(&self) -> Vec<String> {
        let ask = |endpoint: &Endpoint| endpoint.call_text("heard", &json!({}));
        serde_json::from_str(&ask(&self.endpoint)).unwrap()
    }

    fn lost(&mut self, what: &str, exchange: &str, difference: Option<String>) {
        if let Some(difference) = difference {
            let Self { client, server, .. } = self;
            let key = key(exchange).join(" ");
            self.run.losses.push(format!("client {client}, server {server}, {what} of {key}: {difference}"));
        }
    }

    /// One exchange of the client's, of which the server knows how it answers.
    fn exchange(&mut self, asked: &str, answered: &str) {
        let _ = self.heard();
        let messages = self.ask(asked);
        let heard = self.heard();
        let (response, notifications) = messages.split_last().expect("an answer");
        self.run.exchanges += 1;
        self.question(asked, &heard);
        for (sent, arrived) in recorded_notifications(answered).iter().zip(notifications) {
            let sent = sent.replace("\"TOKEN\"", r#""p\u00e9""#);
            self.lost("a notification", asked, difference(&sent, arrived, &[]));
        }
        let count = (recorded_notifications(answered).len(), notifications.len());
        if count.0 != count.1 {
            self.lost("notifications", asked, Some(format!("{} became {}", count.0, count.1)));
        }
        self.answer(asked, answered, response);
        let method = text(asked, "/method");
        messages.iter().for_each(|raw| self.emit(self.client, &method, raw));
        heard.iter().for_each(|raw| self.emit(self.server, &method, raw));
    }

    /// Whether the server heard what the client asked.
    fn question(&mut self, asked: &str, heard: &[String]) {
        let method = text(asked, "/method");
        let Some(line) = heard.iter().find(|line| text(line, "/method") == method) else {
            return self.lost("the request", asked, Some("it never arrived".to_owned()));
        };
        let mut may_differ = vec!["_meta > progressToken"];
        if is_modern(self.client) != is_modern(self.server) {
            may_differ.extend(ENVELOPE);
        }
        let (sent, arrived) = (member(asked, "params").unwrap(), member(line, "params").unwrap_or("{}"));
        self.lost("the request", asked, difference(sent, arrived, &may_differ));
    }

    /// Whether the client heard what the server answered.
    fn answer(&mut self, asked: &str, answered: &str, response: &str) {
        let later = LATER.iter().filter(|(since, _, _)| self.client < *since);
        let answered = &later.fold(answered.to_owned(), |text, (_, block, known)| text.replace(block, known));
        if member(response, "id") != Some(ID) {
            self.lost("the id", asked, Some(response.to_owned()));
        }
        let may_differ: &[&str] = match (is_modern(self.client), is_modern(self.server)) {
            (true, false) => {
                &["resultType", "ttlMs", "cacheScope", "_meta > io.modelcontextprotocol/serverInfo", "code"]
            }
            (false, true) => &["resultType", "ttlMs", "cacheScope"],
            _ => &[],
        };
        for kind in ["result", "error"] {
            let (sent, arrived) = (member(answered, kind), member(response, kind));
            match (sent, arrived) {
                (Some(sent), Some(arrived)) => self.lost(kind, asked, difference(sent, arrived, may_differ)),
                (None, None) => {}
                _ => self.lost(kind, asked, Some(format!("{sent:?} became {response}"))),
            }
        }
    }

    /// One exchange in which the server asks this client first: what it asks, and what the client answers.
    fn asks(&mut self, asked: &str, answered: &str) {
        let _ = self.heard();
        let answer = member(asked, "answer").unwrap();
        let (question, response) = if is_modern(self.client) {
            self.in_rounds(asked, answer)
        } else {
            self.on_stream(asked, answer)
        };
        let heard = self.heard();
        self.run.exchanges += 1;
        self.question(asked, &heard);
        let sent = member(member(answered, "ask").unwrap(), "params").unwrap();
        self.lost("what the server asks", asked, difference(sent, &question, &[]));
        let last = heard.last().map_or("{}", String::as_str);
        let arrived = if is_modern(self.server) {
            let answers = member(member(last, "params").unwrap(), "inputResponses").unwrap_or("{}");
            let Members(answers) = serde_json::from_str(answers).unwrap();
            answers.first().map(|(_, raw)| raw.get())
        } else {
            member(last, "result")
        };
        self.lost("what the client answers", asked, difference(answer, arrived.unwrap_or("null"), &[]));
        self.answer(asked, answered, &response);
        let kind = if is_modern(self.server) { "tools/call" } else { "sampling/createMessage" };
        self.emit(self.server, kind, last);
        self.emit(self.client, "tools/call", &response);
    }

    /// A legacy client's way: it is asked on the stream of its call. Gives what was asked, and the call's answer.
    fn on_stream(&mut self, asked: &str, answer: &str) -> (String, String) {
        let request = self.request("tools/call", member(asked, "params").unwrap());
        let mut stream = Stream::open(&self.endpoint.address, &request).unwrap();
        let mut question = "null".to_owned();
        while let Some((_, data)) = stream.next_event(LIMIT) {
            if data.is_empty() {
                continue;
            }
            let (Some(_), Some(id)) = (member(&data, "method"), member(&data, "id")) else {
                return (question, data);
            };
            question = member(&data, "params").unwrap_or("null").to_owned();
            let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{answer}}}"#);
            let headers = self.session.as_ref().unwrap().headers();
            assert_eq!(self.endpoint.post(&borrowed(&headers), body.as_bytes()).status, 202);
            self.emit(self.client, "", &data);
        }
        panic!("the stream ended without an answer: {:?}", stream.response)
    }

    /// A modern client's way: it makes the call again with its answer. Gives what was asked, and the last answer.
    fn in_rounds(&mut self, asked: &str, answer: &str) -> (String, String) {
        let messages = self.ask(asked);
        let result = member(&messages[0], "result").unwrap_or_else(|| panic!("{messages:?}"));
        let Members(requests) = serde_json::from_str(member(result, "inputRequests").unwrap()).unwrap();
        let (key, request) = &requests[0];
        let (key, state) = (json!(key), member(result, "requestState").unwrap());
        let params = member(asked, "params").unwrap().strip_suffix('}').unwrap();
        let params = format!(r#"{params},"inputResponses":{{{key}:{answer}}},"requestState":{state}}}"#);
        let question = member(request.get(), "params").unwrap().to_owned();
        self.emit(self.client, "tools/call", &messages[0]);
        let again = self.ask_with("tools/call", &params);
        (question, again.last().unwrap().clone())
    }

    fn emit(&mut self, revision: &'static str, method: &str, raw: &str) {
        self.run.emitted.push(Emitted { revision, method: method.to_owned(), raw: raw.to_owned() });
    }

    /// What only one family of the protocol has is refused by name in the other, never half understood.
    fn refused(&mut self, asked: &str) {
        let messages = self.ask(asked);
        let code = messages
            .last()
            .and_then(|raw| serde_json::from_str::<Value>(raw).ok())
            .map(|answer| answer["error"]["code"].clone());
        if code != Some(json!(-32601)) {
            self.lost("a method of the other era", asked, Some(format!("{messages:?}")));
        }
        self.run.exchanges += 1;
    }

    /// The first words are our own, but what the server says of itself is in them as it wrote it.
    fn hello(&mut self, asked: &str, answered: &str) {
        let messages = self.ask(asked);
        let result = member(&messages[0], "result").unwrap_or_else(|| panic!("{messages:?}"));
        let sent = member(answered, "result").unwrap();
        let crossed = is_modern(self.client) != is_modern(self.server);
        let not_there: &[&str] = if crossed { &["tasks", "extensions"] } else { &[] };
        let none = |raw: Option<&str>| raw.unwrap_or("null").to_owned();
        let [own, passed] = [sent, result].map(|raw| none(member(raw, "capabilities")));
        self.lost("capabilities", asked, difference(&own, &passed, not_there));
        let [own, passed] = [sent, result].map(|raw| none(member(raw, "instructions")));
        self.lost("instructions", asked, difference(&own, &passed, &[]));
        let info = |raw: &str| {
            let meta =
                member(raw, "_meta").and_then(|meta| member(meta, "io.modelcontextprotocol/serverInfo"));
            none(member(raw, "serverInfo").or(meta))
        };
        self.lost("serverInfo", asked, difference(&info(sent), &info(result), &[]));
        self.emit(self.client, &text(asked, "/method"), &messages[0]);
        self.run.exchanges += 1;
    }
}

fn borrowed<'a>(headers: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    headers.iter().map(|(key, value)| (*key, value.as_str())).collect()
}

fn recorded_notifications(exchange: &str) -> Vec<String> {
    let raw = member(exchange, "notifications").unwrap_or("[]");
    let raw: Vec<&serde_json::value::RawValue> = serde_json::from_str(raw).unwrap();
    raw.into_iter().map(|raw| raw.get().to_owned()).collect()
}

/// Every client with every server; once for all tests.
fn run() -> &'static Run {
    static RUN: OnceLock<Run> = OnceLock::new();
    RUN.get_or_init(|| {
        let configuration = REVISIONS.iter().fold(Configuration::new(), |all, revision| {
            all.fixture(&server_id(revision), &format!("--recorded {revision}"))
        });
        let daemon = Daemon::start(&configuration);
        let mut run = Run::default();
        for client in REVISIONS {
            for server in REVISIONS {
                converse(&daemon, client, server, &mut run);
            }
        }
        run
    })
}

fn converse(daemon: &Daemon, client: &'static str, server: &'static str, run: &mut Run) {
    let endpoint = daemon.endpoint().server(&server_id(server));
    let session = (!is_modern(client)).then(|| endpoint.legacy_able(client, &json!({"sampling": {}})));
    let mut cell = Cell { client, server, endpoint, session, run };
    let answers: HashMap<_, _> =
        recorded(server).into_iter().map(|exchange| (key(&exchange), exchange)).collect();
    let hello = answers.values().find(|exchange| is_hello(exchange)).unwrap();
    for asked in recorded(client) {
        let has_envelope = ["tools/", "prompts/", "resources/", "completion/"];
        let is_core = has_envelope.iter().any(|prefix| text(&asked, "/method").starts_with(prefix));
        match answers.get(&key(&asked)) {
            _ if is_hello(&asked) => cell.hello(&asked, hello),
            Some(answered) if member(&asked, "ask").is_some() => cell.asks(&asked, answered),
            Some(answered) if is_core || is_modern(client) == is_modern(server) => {
                cell.exchange(&asked, answered)
            }
            _ if !is_core && is_modern(client) != is_modern(server) => cell.refused(&asked),
            // What the newer of two revisions has alone.
            _ => {}
        }
    }
}

fn is_hello(exchange: &str) -> bool {
    matches!(text(exchange, "/method").as_str(), "initialize" | "server/discover")
}

/// What is not valid among these, in words, by the official schemas, which the conformance suite carries.
fn invalid(messages: &[Emitted]) -> Vec<String> {
    let lines: Vec<String> = messages
        .iter()
        .map(|Emitted { revision, method, raw }| {
            format!(r#"{{"revision":"{revision}","method":"{method}","message":{raw}}}"#)
        })
        .collect();
    let mut command = Command::new(parts::node_22());
    command.arg(programs::checkout().join("tests/lossless/schemas.mjs")).arg(parts::part("npm/node_modules"));
    let outcome = harness::run::run_with_input(&mut command, &lines.join("\n"), LIMIT);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let checked = outcome.stdout.lines().last().unwrap_or_default();
    assert_eq!(checked, format!("{} checked", messages.len()), "{outcome:?}");
    outcome.stdout.lines().filter(|line| line.starts_with("invalid")).map(str::to_owned).collect()
}

#[test]
fn nothing_is_lost_between_any_two_revisions() {
    let run = run();
    println!("{} exchanges in {} cells", run.exchanges, REVISIONS.len() * REVISIONS.len());
    assert!(run.exchanges > 250, "{}", run.exchanges);
    assert!(run.losses.is_empty(), "{}", run.losses.join("\n"));
}

#[test]
fn all_that_is_emitted_is_valid_by_the_official_schemas() {
    let run = run();
    let invalid = invalid(&run.emitted);
    println!("{} messages", run.emitted.len());
    assert!(invalid.is_empty(), "{}", invalid.join("\n"));
}

#[test]
fn a_message_that_is_not_valid_is_found() {
    for revision in REVISIONS {
        let emitted =
            |method: &str, raw: &str| Emitted { revision, method: method.to_owned(), raw: raw.to_owned() };
        let messages = [
            emitted("tools/call", r#"{"jsonrpc":"2.0","id":1,"result":{"content":"text"}}"#),
            emitted("tools/list", r#"{"jsonrpc":"2.0","id":1,"result":{}}"#),
            emitted(
                "tools/call",
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":{}}}"#,
            ),
            emitted(
                "tools/call",
                r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":"x"}}"#,
            ),
            emitted("tools/call", r#"{"jsonrpc":"2.0","id":1,"error":{"code":"x","message":"m"}}"#),
        ];
        assert_eq!(invalid(&messages).len(), messages.len(), "{revision}: {:?}", invalid(&messages));
    }
}
