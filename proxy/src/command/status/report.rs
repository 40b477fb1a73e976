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
    /// Addresses it serves MCP on.
    pub listen: Vec<String>,
    /// Landlock's level on this machine; 0 without.
    pub landlock_abi: u32,
    /// Whether memory, process and processor limits can be enforced.
    pub cgroup_limits: bool,
    /// Accepted keys whose feature does not exist yet.
    #[serde(default)]
    pub inert: Vec<String>,
    /// Its servers.
    pub servers: Vec<Server>,
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
    /// Calls it answered.
    #[serde(default)]
    pub calls: u64,
    /// How often it was started again.
    #[serde(default)]
    pub restarts: u64,
    /// What went wrong last.
    #[serde(default)]
    pub last_error: Option<String>,
    /// What it uses of its limits, where that is counted.
    #[serde(default)]
    pub usage: Option<Usage>,
}
