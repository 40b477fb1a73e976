//! Servers that run inside the test: a launcher whose servers are scripts on in-memory pipes.

use crate::core::Core;
use crate::exchange::{Answer, Caller, Endpoint, Era, Exchange, Principal, no_capabilities};
use crate::servers::spawn::{InForce, Later, Leash, Process, SpawnError, Spawner};
use bytes::Bytes;
use only1mcp_policy::view::{ProxyView, ServerView, ToolRules, View};
use only1mcp_wire::enforced::Walls;
use only1mcp_wire::{
    Decode as _, Enforced, Exit, InstanceId, Machine, Mode, Partition, ServerName, Spawned, Usage,
};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, Lines};
use tokio::sync::{mpsc, oneshot, watch};

/// What a script holds of one process.
pub struct Wire {
    lines: Lines<BufReader<DuplexStream>>,
    out: DuplexStream,
    pub err: DuplexStream,
    /// Counts the processes of this server, from 1.
    pub process: u64,
}

impl Wire {
    pub async fn read(&mut self) -> Option<Value> {
        let line = self.lines.next_line().await.ok()??;
        Some(serde_json::from_str(&line).expect("the proxy writes JSON"))
    }

    /// Closes its standard input; what it writes still arrives.
    pub fn stop_reading(&mut self) {
        self.lines = BufReader::new(tokio::io::duplex(1).0).lines();
    }

    pub async fn raw(&mut self, text: &str) {
        let _ = self.out.write_all(text.as_bytes()).await;
    }

    pub async fn write(&mut self, message: &Value) {
        self.raw(&format!("{message}\n")).await;
    }

    pub async fn result(&mut self, request: &Value, result: &Value) {
        self.write(&json!({"jsonrpc": "2.0", "id": request["id"], "result": result})).await;
    }

    pub async fn error(&mut self, request: &Value, code: i64, message: &str) {
        let error = json!({"code": code, "message": message});
        self.write(&json!({"jsonrpc": "2.0", "id": request["id"], "error": error})).await;
    }

    pub async fn notify(&mut self, method: &str, params: &Value) {
        self.write(&json!({"jsonrpc": "2.0", "method": method, "params": params})).await;
    }
}

pub type Script = Arc<dyn Fn(Wire) -> Later<'static, Exit> + Send + Sync>;

/// A script from an async closure.
pub fn script<F, R>(run: F) -> Script
where
    F: Fn(Wire) -> R + Send + Sync + 'static,
    R: Future<Output = Exit> + Send + 'static,
{
    Arc::new(move |wire| Box::pin(run(wire)))
}

/// What an ordinary fixture server offers.
#[derive(Clone, Debug)]
pub struct Fixture {
    pub era: Era,
    pub capabilities: Value,
    pub tools: Arc<Mutex<Vec<Value>>>,
    pub resources: Vec<Value>,
    pub templates: Vec<Value>,
    pub prompts: Vec<Value>,
    pub instructions: Option<String>,
    /// Everything the server was sent.
    pub heard: Arc<Mutex<Vec<Value>>>,
}

impl Fixture {
    pub fn new(era: Era) -> Self {
        let tool =
            |name: &str| json!({"name": name, "inputSchema": {"type": "object"}, "vendor": {"z": 1, "a": 2}});
        let tools = ["echo", "slow", "die", "hang", "elicit", "input", "link", "announce", "log"].map(tool);
        Self {
            era,
            capabilities: json!({"tools": {"listChanged": true}, "prompts": {}, "resources": {"subscribe": true},
                "completions": {}, "logging": {}}),
            tools: Arc::new(Mutex::new(tools.to_vec())),
            resources: vec![json!({"uri": "test://static", "name": "static"})],
            templates: vec![json!({"uriTemplate": "test://t/{id}", "name": "t"})],
            prompts: vec![json!({"name": "greet"})],
            instructions: None,
            heard: Arc::default(),
        }
    }

    pub fn script(&self) -> Script {
        let fixture = self.clone();
        script(move |wire| fixture.clone().run(wire))
    }

    pub fn heard(&self, method: &str) -> Vec<Value> {
        self.heard.lock().unwrap().iter().filter(|message| message["method"] == method).cloned().collect()
    }

    async fn run(self, mut wire: Wire) -> Exit {
        while let Some(message) = wire.read().await {
            if let Some(exit) = self.hear(&mut wire, message).await {
                return exit;
            }
        }
        Exit::Status(0)
    }

    /// Takes one message; ends the process if it says so.
    pub async fn hear(&self, wire: &mut Wire, message: Value) -> Option<Exit> {
        self.heard.lock().unwrap().push(message.clone());
        if message.get("id").is_none() || message.get("method").is_none() {
            return None;
        }
        if message["method"] == "tools/call" {
            return self.call(wire, &message).await;
        }
        self.answer(wire, &message).await;
        None
    }

    async fn answer(&self, wire: &mut Wire, message: &Value) {
        let method = message["method"].as_str().unwrap_or_default();
        let params = &message["params"];
        let tools = self.tools.lock().unwrap().clone();
        let result = match (self.era, method) {
            (Era::Modern, "server/discover") => json!({"supportedVersions": ["2026-07-28"],
                "capabilities": self.capabilities, "instructions": self.instructions,
                "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "fixture", "version": "1"}}}),
            (Era::Modern, "subscriptions/listen") => {
                let params = json!({"notifications": params["notifications"]});
                return wire.notify("notifications/subscriptions/acknowledged", &params).await;
            }
            (Era::Legacy, "initialize") => {
                json!({"protocolVersion": "2025-06-18", "capabilities": self.capabilities,
                "serverInfo": {"name": "fixture", "version": "1"}, "instructions": self.instructions})
            }
            (Era::Legacy, "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe") => json!({}),
            (_, "tools/list") => json!({"tools": tools}),
            (_, "prompts/list") => json!({"prompts": self.prompts}),
            (_, "resources/list") => json!({"resources": self.resources}),
            (_, "resources/templates/list") => json!({"resourceTemplates": self.templates}),
            (_, "prompts/get") => json!({"messages": [{"role": "user",
                "content": {"type": "text", "text": params["name"]}}]}),
            (_, "resources/read") if params["uri"] == "test://missing" => {
                return wire.error(message, -32002, "no such resource").await;
            }
            (_, "resources/read") => json!({"contents": [{"uri": params["uri"], "text": "content"}]}),
            (_, "completion/complete") => json!({"completion": {"values": [params["ref"].to_string()]}}),
            (_, "vendor/custom") => json!({"params": params}),
            _ => return wire.error(message, -32601, "method not found").await,
        };
        wire.result(message, &self.stamped(result, method)).await;
    }

    fn stamped(&self, mut result: Value, method: &str) -> Value {
        if self.era == Era::Modern {
            result["resultType"] = "complete".into();
            if method.ends_with("list") || method == "resources/read" || method == "server/discover" {
                result["ttlMs"] = 60_000.into();
                result["cacheScope"] = "public".into();
            }
        }
        result
    }

    async fn call(&self, wire: &mut Wire, message: &Value) -> Option<Exit> {
        let params = &message["params"];
        let text = |text: String| json!({"content": [{"type": "text", "text": text}]});
        let result = match params["name"].as_str().unwrap_or_default() {
            "hang" => return None,
            "die" => return Some(Exit::Signal(11)),
            "slow" => {
                for progress in [0, 50, 100] {
                    let token = &params["_meta"]["progressToken"];
                    wire.notify(
                        "notifications/progress",
                        &json!({"progressToken": token, "progress": progress}),
                    )
                    .await;
                }
                text("done".into())
            }
            "announce" => {
                self.tools.lock().unwrap().push(json!({"name": "announced"}));
                wire.notify("notifications/tools/list_changed", &json!({})).await;
                text("announced".into())
            }
            "touch" => {
                wire.notify("notifications/resources/updated", &json!({"uri": "test://static"})).await;
                text("touched".into())
            }
            "log" => {
                for level in ["debug", "error"] {
                    wire.notify("notifications/message", &json!({"level": level, "data": "x"})).await;
                }
                text("logged".into())
            }
            "elicit" => {
                wire.write(
                    &json!({"jsonrpc": "2.0", "id": "s1", "method": "elicitation/create", "params": {}}),
                )
                .await;
                let answer = wire.read().await?;
                if let Some(token) = params["_meta"].get("progressToken") {
                    wire.notify("notifications/progress", &json!({"progressToken": token, "progress": 1}))
                        .await;
                }
                text(answer.to_string())
            }
            "input" if params["requestState"] == "s" => text(params["inputResponses"].to_string()),
            "input" => json!({"resultType": "input_required", "requestState": "s",
                "inputRequests": {"a": {"method": "elicitation/create", "params": {}}}}),
            "link" => json!({"content": [{"type": "resource_link", "uri": "test://static", "name": "l"}]}),
            "pid" => text(wire.process.to_string()),
            "roots" => {
                wire.write(&json!({"jsonrpc": "2.0", "id": "r", "method": "roots/list"})).await;
                return None;
            }
            _ => text(params.to_string()),
        };
        let result =
            if result.get("resultType").is_some() { result } else { self.stamped(result, "tools/call") };
        wire.result(message, &result).await;
        None
    }
}

/// A legacy server that asks in each call, and answers the call when its own question is answered.
pub fn asks_in_each_call() -> Script {
    script(|mut wire| async move {
        let mut calls = HashMap::new();
        while let Some(message) = wire.read().await {
            match message["method"].as_str() {
                Some("initialize") => {
                    let result = json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}});
                    wire.result(&message, &result).await;
                }
                Some("tools/list") => wire.result(&message, &json!({"tools": [{"name": "x"}]})).await,
                Some("tools/call") => {
                    let id = format!("q{}", calls.len());
                    calls.insert(json!(id).to_string(), message);
                    wire.write(&json!({"jsonrpc": "2.0", "id": id, "method": "roots/list"})).await;
                }
                None => {
                    if let Some(call) = calls.get(&message["id"].to_string()).cloned() {
                        let text = json!({"call": call["params"]["arguments"], "heard": message["result"]});
                        wire.result(&call, &json!({"content": [{"type": "text", "text": text.to_string()}]}))
                            .await;
                    }
                }
                _ if message.get("id").is_some() => wire.error(&message, -32601, "no").await,
                _ => {}
            }
        }
        Exit::Status(0)
    })
}

/// A launcher whose servers are scripts.
#[derive(Clone)]
pub struct ScriptedLauncher {
    scripts: Arc<HashMap<String, Script>>,
    spawned: Arc<AtomicU64>,
    counts: Arc<Mutex<HashMap<String, u64>>>,
    /// For whom each process was started.
    pub partitions: Arc<Mutex<Vec<Partition>>>,
    /// Whether there is no room for another process just now.
    pub is_full: Arc<AtomicBool>,
    pub in_force: watch::Sender<Arc<InForce>>,
}

struct AbortLeash(tokio::task::AbortHandle, Arc<Mutex<Option<oneshot::Sender<Exit>>>>);

impl Leash for AbortLeash {
    fn stop(&self, _grace: Duration) {
        self.0.abort();
        if let Some(report) = self.1.lock().unwrap().take() {
            let _ = report.send(Exit::Signal(15));
        }
    }

    fn usage(&self) -> Later<'_, Option<Usage>> {
        Box::pin(async { Usage::from_bytes(&[1; 88]).ok() })
    }
}

impl ScriptedLauncher {
    pub fn spawns(&self, server: &str) -> u64 {
        self.counts.lock().unwrap().get(server).copied().unwrap_or(0)
    }
}

impl Spawner for ScriptedLauncher {
    fn spawn<'a>(
        &'a self,
        server: &'a ServerName,
        partition: Partition,
    ) -> Later<'a, Result<Process, SpawnError>> {
        Box::pin(async move {
            let Some(script) = self.scripts.get(server.as_str()).cloned() else {
                return Err(SpawnError { reason: "no such script".into(), is_passing: false });
            };
            if self.is_full.load(Ordering::Relaxed) {
                return Err(SpawnError { reason: "too many instances are running".into(), is_passing: true });
            }
            self.partitions.lock().unwrap().push(partition);
            let process = {
                let mut counts = self.counts.lock().unwrap();
                let count = counts.entry(server.as_str().to_owned()).or_default();
                *count += 1;
                *count
            };
            let (stdin, theirs_in) = tokio::io::duplex(256 * 1024);
            let (stdout, theirs_out) = tokio::io::duplex(256 * 1024);
            let (stderr, theirs_err) = tokio::io::duplex(64 * 1024);
            let lines = BufReader::new(theirs_in).lines();
            let wire = Wire { lines, out: theirs_out, err: theirs_err, process };
            let (report, exit) = oneshot::channel();
            let report = Arc::new(Mutex::new(Some(report)));
            let reporter = report.clone();
            let task = tokio::spawn(async move {
                let exit = script(wire).await;
                if let Some(report) = reporter.lock().unwrap().take() {
                    let _ = report.send(exit);
                }
            });
            let instance = InstanceId(self.spawned.fetch_add(1, Ordering::Relaxed));
            let enforced = Enforced {
                mode: Mode::User,
                walls: Walls::default(),
                unasked: Walls::default(),
                landlock_abi: 7,
            };
            Ok(Process {
                stdin: Box::new(stdin),
                stdout: Box::new(stdout),
                stderr: Box::new(stderr),
                spawned: Spawned { instance, pid: 42, digest: [7; 32], enforced },
                exit,
                leash: Box::new(AbortLeash(task.abort_handle(), report)),
            })
        })
    }

    fn machine(&self) -> Machine {
        Machine { mode: Mode::User, landlock_abi: 7, cgroup_limits: false, generation: 1 }
    }

    fn in_force(&self) -> watch::Receiver<Arc<InForce>> {
        self.in_force.subscribe()
    }
}

pub fn server_view(id: &str) -> ServerView {
    ServerView {
        id: id.into(),
        digest: format!("digest of {id}"),
        tools: ToolRules { allow: vec!["*".into()], deny: vec!["secret*".into()] },
        startup_timeout_ms: 3_000,
        request_timeout_ms: 2_000,
        ..ServerView::default()
    }
}

pub fn view(ids: &[&str]) -> View {
    let proxy = ProxyView { listen: "127.0.0.1:0".into(), ..ProxyView::default() };
    View { proxy, servers: ids.iter().map(|id| server_view(id)).collect() }
}

/// A core over scripted servers.
pub struct Bench {
    pub core: Arc<Core>,
    pub launcher: ScriptedLauncher,
}

impl Bench {
    pub async fn start(servers: &[(&str, Script)]) -> Self {
        let bench = Self::start_unsettled(servers);
        bench.core.settled(Duration::from_secs(60)).await;
        bench
    }

    pub fn start_unsettled(servers: &[(&str, Script)]) -> Self {
        let ids: Vec<&str> = servers.iter().map(|(id, _)| *id).collect();
        Self::start_with(servers, view(&ids))
    }

    /// With a view of its own.
    pub fn start_with(servers: &[(&str, Script)], view: View) -> Self {
        let in_force = Arc::new(InForce { generation: 1, view: view.clone() });
        let launcher = ScriptedLauncher {
            scripts: Arc::new(
                servers.iter().map(|(id, script)| ((*id).to_owned(), script.clone())).collect(),
            ),
            spawned: Arc::default(),
            counts: Arc::default(),
            partitions: Arc::default(),
            is_full: Arc::default(),
            in_force: watch::Sender::new(in_force),
        };
        let core = Core::start(view, 1, launcher.clone(), None);
        Self { core, launcher }
    }

    pub fn caller(endpoint: &str, era: Era, session: Option<u64>) -> Caller {
        let version = match era {
            Era::Legacy => "2025-11-25",
            Era::Modern => "2026-07-28",
        };
        let endpoint = match endpoint {
            "" => Endpoint::Aggregate,
            name => Endpoint::Server(ServerName::new(name).unwrap()),
        };
        let capabilities = no_capabilities();
        Caller {
            endpoint,
            view: None,
            era,
            version,
            principal: Principal::TokenBearer,
            session,
            relay: None,
            capabilities,
        }
    }

    /// Asks as a client of `era` at `endpoint` (empty: the aggregate) and returns the whole response.
    pub async fn ask(&self, endpoint: &str, era: Era, method: &str, params: Value) -> Value {
        self.ask_with_stream(endpoint, era, method, params).await.0
    }

    pub async fn ask_with_stream(
        &self,
        endpoint: &str,
        era: Era,
        method: &str,
        mut params: Value,
    ) -> (Value, Vec<Value>) {
        if era == Era::Modern {
            params["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2026-07-28".into();
            params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
        }
        let session = (era == Era::Legacy).then_some(1);
        let body =
            json!({"jsonrpc": "2.0", "id": "c\u{e9}1", "method": method, "params": params}).to_string();
        let (sender, mut stream) = mpsc::channel(64);
        let answer = self.raw(Self::caller(endpoint, era, session), body, sender).await;
        let value: Value = serde_json::from_slice(&answer.response).expect("a response is JSON");
        assert_eq!(value["id"], "c\u{e9}1", "the id is echoed");
        assert_eq!(answer.error_code, value["error"]["code"].as_i64(), "{value}");
        let mut notifications = Vec::new();
        while let Ok(message) = stream.try_recv() {
            notifications.push(serde_json::from_slice(&message).unwrap());
        }
        (value, notifications)
    }

    pub async fn raw(&self, caller: Caller, body: String, stream: mpsc::Sender<Bytes>) -> Answer {
        self.core.clone().request(caller, body.into(), stream).await
    }
}
