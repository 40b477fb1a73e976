//! What `status` shows: the JSON of `GET /status` on the administration socket.

use serde::Serialize;

/// The whole proxy at one moment.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Status {
    /// Of this program.
    pub version: &'static str,
    /// `user`, `root`, `system` or `minimal`.
    pub mode: &'static str,
    /// The generation of the configuration in force.
    pub generation: u64,
    /// Addresses listened on. Filled by the front.
    pub listen: Vec<String>,
    /// The kernel's Landlock ABI.
    pub landlock_abi: u8,
    /// Whether memory, process and cpu limits can be enforced here.
    pub cgroup_limits: bool,
    /// Keys that are accepted but have no effect yet.
    pub inert: Vec<String>,
    /// The servers, in the order of the configuration.
    pub servers: Vec<ServerStatus>,
}

/// One server at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct ServerStatus {
    /// Its name.
    pub id: String,
    /// `starting`, `ready`, `restarting`, `failed` or `stopped`.
    pub state: &'static str,
    /// `legacy` or `modern`, once known.
    pub era: Option<&'static str>,
    /// The revision of the protocol it speaks.
    pub version: Option<String>,
    /// The process id of its PID 1, as the launcher sees it.
    pub pid: Option<u32>,
    /// The running instance, in hexadecimal.
    pub instance: Option<String>,
    /// The digest of the plan in force around it, or of the one it would be started with.
    pub digest: String,
    /// The walls that stand around it.
    pub walls: Vec<&'static str>,
    /// The walls that do not.
    pub walls_missing: Vec<&'static str>,
    /// The Landlock ABI in force around it.
    pub landlock_abi: u8,
    /// Tools it offers to clients.
    pub tools: usize,
    /// Resources it offers.
    pub resources: usize,
    /// Prompts it offers.
    pub prompts: usize,
    /// Requests of clients it was asked.
    pub calls: u64,
    /// Times it was started again.
    pub restarts: u64,
    /// Why it failed or ended last.
    pub last_error: Option<String>,
}
