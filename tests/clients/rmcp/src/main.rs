//! The client of crates.io's `rmcp`: one conversation per cell, one line of JSON each.
//!
//!     only1mcp-rmcp-client JOB.json MODE
//!
//! JOB: as python_client.py reads it. MODE: `legacy`, `auto` or a modern revision.

#![expect(deprecated, reason = "sampling and subscriptions of the older revisions are part of the tests")]

use rmcp::model::{
    CallToolRequestParams, ClientConfig, CreateMessageRequestParams, CreateMessageResult,
    ElicitRequestParams, ElicitResult, ErrorData, ProgressNotificationParam, ProtocolVersion,
    ResourceUpdatedNotificationParam, ServerNotification, SubscriptionFilter,
};
use rmcp::service::{NotificationContext, RequestContext, RunningService};
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::{StreamableHttpClientTransport, TokioChildProcess};
use rmcp::{ClientHandler, ClientLifecycleMode, ClientServiceExt, RoleClient};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_millis(500);

type Failure = Box<dyn std::error::Error>;

/// What answers and hears for the user and the model of this client.
struct Client {
    able: bool,
    progress: Arc<Mutex<Vec<f64>>>,
    updates: mpsc::UnboundedSender<String>,
}

type Service = RunningService<RoleClient, Client>;

fn from(value: impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn wrong(error: serde_json::Error) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}

impl ClientHandler for Client {
    fn get_info(&self) -> ClientConfig {
        let able = if self.able { json!({"elicitation": {}, "sampling": {}}) } else { json!({}) };
        let mut info = ClientConfig::default();
        if let Ok(capabilities) = serde_json::from_value(able) {
            info.capabilities = capabilities;
        }
        info
    }

    async fn create_elicitation(
        &self,
        _request: ElicitRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let content = json!({"name": "Ada", "username": "Ada", "email": "ada@example.com"});
        serde_json::from_value(json!({"action": "accept", "content": content})).map_err(wrong)
    }

    async fn create_message(
        &self,
        _request: CreateMessageRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        let content = json!({"type": "text", "text": "said by the model"});
        let said = json!({"role": "assistant", "content": content, "model": "none"});
        serde_json::from_value(said).map_err(wrong)
    }

    async fn on_progress(&self, told: ProgressNotificationParam, _context: NotificationContext<RoleClient>) {
        if let Ok(mut progress) = self.progress.lock() {
            progress.push(told.progress);
        }
    }

    async fn on_resource_updated(
        &self,
        updated: ResourceUpdatedNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        let _ = self.updates.send(updated.uri);
    }
}

async fn connect(job: &Value, cell: &Value, mode: &str, client: Client) -> Result<Service, Failure> {
    let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
    let lifecycle = match mode {
        "legacy" => ClientLifecycleMode::Initialize,
        "auto" => ClientLifecycleMode::Auto { preferred_versions, legacy_version: None },
        _ => ClientLifecycleMode::Discover { preferred_versions },
    };
    if let Some(words) = cell["command"].as_array() {
        let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
        let mut command = tokio::process::Command::new(words[0]);
        command.args(&words[1..]);
        return Ok(client.serve_with_lifecycle(TokioChildProcess::new(command)?, lifecycle).await?);
    }
    let url = format!("{}{}", text(&job["url"]), text(&cell["path"]));
    let mut config = StreamableHttpClientTransportConfig::with_uri(url);
    if let Some(token) = job["token"].as_str() {
        config = config.auth_header(token);
    }
    let transport = StreamableHttpClientTransport::from_config(config);
    Ok(client.serve_with_lifecycle(transport, lifecycle).await?)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

async fn call(service: &Service, tool: &Value, arguments: &Value) -> Result<Value, Failure> {
    let params = json!({"name": tool, "arguments": arguments});
    let params: CallToolRequestParams = serde_json::from_value(params)?;
    Ok(from(service.call_tool(params).await?))
}

fn text_of(result: &Value) -> String {
    let blocks = result["content"].as_array().cloned().unwrap_or_default();
    blocks.iter().map(|block| text(&block["text"]).to_owned()).collect::<Vec<_>>().join("\n")
}

struct Heard {
    progress: Arc<Mutex<Vec<f64>>>,
    updates: mpsc::UnboundedReceiver<String>,
}

async fn act(service: &Service, act: &Value, modern: bool, heard: &mut Heard) -> Result<Value, Failure> {
    let again = || call(service, &act["tool"], &act["arguments"]);
    match text(&act["act"]) {
        "progress" => {
            again().await?;
            Ok(from(heard.progress.lock().map(|told| told.clone()).unwrap_or_default()))
        }
        "subscribe" if modern => {
            let filter = json!({"resourceSubscriptions": [act["uri"]]});
            let filter: SubscriptionFilter = serde_json::from_value(filter)?;
            let mut listening = service.listen(filter).await?;
            again().await?;
            again().await?;
            let uri = match listening.next().await? {
                Some(ServerNotification::ResourceUpdatedNotification(updated)) => updated.params.uri,
                other => format!("{other:?}"),
            };
            Ok(uri.into())
        }
        "subscribe" => {
            service.subscribe(serde_json::from_value(json!({"uri": act["uri"]}))?).await?;
            again().await?;
            again().await?;
            Ok(heard.updates.recv().await.into())
        }
        "cancel" => {
            let given_up = timeout(PATIENCE, again()).await.is_err();
            // Else closing the client could overtake the word that the call is given up.
            service.list_all_tools().await?;
            Ok(if given_up { "given up" } else { "answered" }.into())
        }
        _ => Ok(text_of(&again().await?).into()),
    }
}

async fn visit(job: &Value, cell: &Value, mode: &str) -> Result<Value, Failure> {
    let (updated, updates) = mpsc::unbounded_channel();
    let mut heard = Heard { progress: Arc::default(), updates };
    let able = cell["acts"].is_array();
    let client = Client { able, progress: heard.progress.clone(), updates: updated };
    let service = connect(job, cell, mode, client).await?;
    let version = from(service.peer_info().map(|info| info.protocol_version.clone()));
    let tools = service.list_all_tools().await?.len();
    let result = call(&service, &cell["tool"], &cell["arguments"]).await?;
    let mut acts = json!({});
    for one in cell["acts"].as_array().into_iter().flatten() {
        acts[text(&one["act"])] = act(&service, one, version == "2026-07-28", &mut heard).await?;
    }
    let is_error = result["isError"] == true;
    service.cancel().await?;
    Ok(
        json!({"version": version, "tools": tools, "text": text_of(&result), "is_error": is_error, "acts": acts}),
    )
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut words = std::env::args().skip(1);
    let (file, mode) = (words.next().ok_or("no job")?, words.next().ok_or("no mode")?);
    let job: Value = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    for cell in job["cells"].as_array().into_iter().flatten() {
        let mut seen = match timeout(LIMIT, visit(&job, cell, &mode)).await {
            Ok(Ok(seen)) => seen,
            Ok(Err(error)) => json!({"error": format!("{error}: {error:?}")}),
            Err(_) => json!({"error": "no end in 60 s"}),
        };
        seen["server"] = cell["server"].clone();
        println!("{seen}");
    }
    Ok(())
}
