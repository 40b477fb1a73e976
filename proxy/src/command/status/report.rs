//! What `GET /status` answers, as far as the table shows it. A newer daemon may say more.

use super::usage::Usage;
use serde::Deserialize;

/// The daemon.
#[derive(Clone, Debug, Deserialize)]
pub struct Report {
    /// Its version.
    pub version: String,
    /// How it runs.
    pub mode: String,
    /// Which configuration is in force, counted from its start.
    pub generation: u64,
    /// How often the configuration was read again.
    #[serde(default)]
    pub reloads: Reloads,
    /// Addresses it serves MCP on.
    pub listen: Vec<String>,
    /// Landlock's level on this machine; 0 without.
    pub landlock_abi: u32,
    /// Whether memory, process and processor limits can be enforced.
    pub cgroup_limits: bool,
    /// How tools are shown.
    #[serde(default)]
    pub view: Option<View>,
    /// How often one principal may call one server.
    #[serde(default)]
    pub rate_limit: Option<RateLimit>,
    /// Calls that were refused because of it.
    #[serde(default)]
    pub rate_limited: u64,
    /// Its servers.
    pub servers: Vec<Server>,
}

/// How tools are shown to clients that do not say it themselves.
#[derive(Clone, Debug, Deserialize)]
pub struct View {
    /// The view in force.
    pub in_force: String,
    /// What `proxy.view` says.
    pub configured: String,
    /// What `start --view` says, which goes before it.
    #[serde(default)]
    pub said: Option<String>,
    /// What `auto` stands for now.
    #[serde(default)]
    pub decided: Option<Decided>,
    /// What is said of single principals, which goes before all that.
    #[serde(default)]
    pub principals: Vec<Principal>,
}

/// How one principal is shown the tools.
#[derive(Clone, Debug, Deserialize)]
pub struct Principal {
    /// `token` or `uid:NUMBER`.
    pub principal: String,
    /// Its view.
    pub view: String,
}

/// What the view `auto` stands for, and why.
#[derive(Clone, Debug, Deserialize)]
pub struct Decided {
    /// Which view clients see.
    pub shown: String,
    /// Tokens that all tools take in full, about.
    pub tokens: u64,
    /// From how many on it is not the full view.
    pub threshold: u64,
}

/// How often one principal may call one server.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct RateLimit {
    /// Calls per minute.
    pub requests_per_minute: u64,
    /// Calls at once.
    pub burst: u64,
}

/// How often the configuration was read again.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct Reloads {
    /// Errors found the last time.
    #[serde(default)]
    pub last_errors: u64,
}

/// One replica of a server.
#[derive(Clone, Debug, Deserialize)]
pub struct Replica {
    /// From 0 on.
    pub number: u32,
    /// What it is doing.
    pub state: String,
    /// Its pid as we see it.
    #[serde(default)]
    pub pid: Option<u32>,
    /// Whether requests reach it.
    #[serde(default)]
    pub circuit: String,
    /// Requests in its hands.
    #[serde(default)]
    pub in_flight: u64,
    /// Requests its process has been given.
    #[serde(default)]
    pub calls: u64,
    /// How often it was started again.
    #[serde(default)]
    pub restarts: u64,
}

/// What is odd about a server's tools.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Flags {
    /// How much.
    pub total: usize,
    /// The gravest.
    pub shown: Vec<Flag>,
}

/// One thing that is odd.
#[derive(Clone, Debug, Deserialize)]
pub struct Flag {
    /// The tool; empty if it is about the whole list.
    pub tool: String,
    /// What it is.
    pub what: String,
}

/// One server.
#[derive(Clone, Debug, Deserialize)]
pub struct Server {
    /// Its name.
    pub id: String,
    /// What it is doing.
    pub state: String,
    /// Which family of the protocol it speaks.
    #[serde(default)]
    pub era: Option<String>,
    /// Which revision.
    #[serde(default)]
    pub version: Option<String>,
    /// Its pid as we see it.
    #[serde(default)]
    pub pid: Option<u32>,
    /// Processes that run, of a server that clients do not share.
    #[serde(default)]
    pub processes: Option<u64>,
    /// Walls around it.
    #[serde(default)]
    pub walls: Vec<String>,
    /// Walls it goes without.
    #[serde(default)]
    pub walls_missing: Vec<String>,
    /// Tools it offers.
    #[serde(default)]
    pub tools: u64,
    /// What is odd about them.
    #[serde(default)]
    pub flags: Flags,
    /// Why its lists could not be fetched the last time.
    #[serde(default)]
    pub list_error: Option<String>,
    /// Calls it answered.
    #[serde(default)]
    pub calls: u64,
    /// How often it was started again.
    #[serde(default)]
    pub restarts: u64,
    /// Its replicas.
    #[serde(default)]
    pub replicas: Vec<Replica>,
    /// What went wrong last.
    #[serde(default)]
    pub last_error: Option<String>,
    /// What it uses of its limits, where that is counted.
    #[serde(default)]
    pub usage: Option<Usage>,
}
