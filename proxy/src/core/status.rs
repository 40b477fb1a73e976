//! What `status` shows: the JSON of `GET /status` on the administration socket.

use crate::context::flags::Flags;
use crate::core::Core;
use crate::core::member::Member;
use crate::exchange::Era;
use crate::kernel;
use crate::servers::durations::Snapshot;
use crate::servers::replica::Replica;
use crate::servers::spawn::{InForce, Reloads};
use futures_util::future::join_all;
use only1mcp_policy::view::{PrincipalView, ProxyView, RateLimitView, Scope, ToolView};
use only1mcp_wire::{Machine, Usage, Wall};
use serde::Serialize;
use std::sync::Arc;
use tokio::runtime::Handle;

/// The whole proxy at one moment.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Status {
    /// Of this program.
    pub version: &'static str,
    /// `user`, `root`, `system` or `minimal`.
    pub mode: &'static str,
    /// The generation of the configuration in force.
    pub generation: u64,
    /// How often the configuration was read again.
    pub reloads: ReloadStatus,
    /// Addresses listened on. Filled by the front.
    pub listen: Vec<String>,
    /// The kernel's Landlock ABI.
    pub landlock_abi: u8,
    /// Whether memory, process and cpu limits can be enforced here.
    pub cgroup_limits: bool,
    /// How tools are shown.
    pub view: ViewStatus,
    /// How often one principal may call one server.
    pub rate_limit: Option<RateLimitView>,
    /// Calls that were refused because of it.
    pub rate_limited: u64,
    /// Calls that wait for an answer of their client.
    pub parked_calls: usize,
    /// Descriptors the proxy has open.
    pub open_descriptors: usize,
    /// Tasks of the proxy that have not ended.
    pub tasks: usize,
    /// The servers, in the order of the configuration.
    pub servers: Vec<ServerStatus>,
}

/// How often the configuration was read again since the proxy began.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ReloadStatus {
    /// Times it was found to be in order.
    pub accepted: u64,
    /// Times it was refused.
    pub refused: u64,
    /// Errors found the last time; while there are any, an older one is in force.
    pub last_errors: u32,
}

/// How tools are shown to clients on `/mcp`, unless their URL or a setting of their own says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ViewStatus {
    /// The view in force.
    pub in_force: ToolView,
    /// What `proxy.view` says.
    pub configured: ToolView,
    /// What `start --view` says, which goes before it.
    pub said: Option<ToolView>,
    /// What `auto` stands for now, where it is in force and the tools of all servers were seen.
    pub decided: Option<Decided>,
    /// What is said of single principals, which goes before all that.
    pub principals: Vec<PrincipalStatus>,
}

/// How one principal is shown the tools.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PrincipalStatus {
    /// `token` or `uid:NUMBER`.
    pub principal: String,
    /// Its view.
    pub view: ToolView,
}

/// What the view `auto` stands for at one moment, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decided {
    /// Which view clients see.
    pub shown: ToolView,
    /// Tokens that all listed tools take in full, about, for a client with a process of each server.
    pub tokens: usize,
    /// From how many on it is not the full view.
    pub threshold: u32,
}

/// One server at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct ServerStatus {
    /// Its name.
    pub id: String,
    /// `starting`, `ready`, `restarting`, `failed`, `quarantined`, `idle` or `stopped`.
    pub state: &'static str,
    /// Processes that run, of a server that clients do not share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<usize>,
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
    /// What is odd about its tools.
    pub flags: Flags,
    /// Why its lists could not be fetched the last time.
    pub list_error: Option<String>,
    /// Requests of clients it was asked.
    pub calls: u64,
    /// Those of them that failed without an answer of the server.
    pub failures: u64,
    /// Requests that were given to a second process.
    pub retries: u64,
    /// Times a process of it was started again.
    pub restarts: u64,
    /// Requests of clients that are not answered yet.
    pub in_flight: u64,
    /// Requests of clients that wait for others to end.
    pub queued: usize,
    /// How long requests took.
    #[serde(skip)]
    pub durations: Snapshot,
    /// Its replicas.
    pub replicas: Vec<ReplicaStatus>,
    /// Why it failed or ended last.
    pub last_error: Option<String>,
    /// What it uses of its limits, where that is counted. Filled by [`measure`].
    pub usage: Option<UsageStatus>,
}

/// One replica of a server at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct ReplicaStatus {
    /// From 0 on.
    pub number: u32,
    /// `starting`, `ready`, `ill`, `restarting`, `failed`, `quarantined`, `idle` or `stopped`.
    pub state: &'static str,
    /// The process id of its PID 1, as the launcher sees it.
    pub pid: Option<u32>,
    /// `closed`, `open` or `half-open`: whether requests reach it.
    pub circuit: &'static str,
    /// Requests in its hands.
    pub in_flight: usize,
    /// Requests its process has been given.
    pub calls: u64,
    /// Times it was started again.
    pub restarts: u64,
    /// Why it failed or ended last.
    pub last_error: Option<String>,
}

/// What a server uses of its limits, and how often it ran into them since it was started.
#[derive(Clone, Debug, Serialize)]
pub struct UsageStatus {
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Bytes of memory it may use.
    pub memory_limit_bytes: u64,
    /// Times something had to be given up to stay below.
    pub memory_limit_reached: u64,
    /// Processes and threads.
    pub processes: u64,
    /// Processes and threads it may have.
    pub process_limit: u64,
    /// Processes and threads it was refused.
    pub process_limit_reached: u64,
    /// Processor time, milliseconds.
    pub cpu_ms: u64,
    /// Times it had to wait for processor time.
    pub cpu_throttled_periods: u64,
    /// How long it had to wait, milliseconds.
    pub cpu_throttled_ms: u64,
    /// Bytes read from disks.
    pub io_read_bytes: u64,
    /// Bytes written to disks.
    pub io_written_bytes: u64,
}

impl From<Usage> for UsageStatus {
    fn from(usage: Usage) -> Self {
        Self {
            memory_bytes: usage.memory_bytes,
            memory_limit_bytes: usage.memory_limit_bytes,
            memory_limit_reached: usage.memory_limit_reached,
            processes: usage.processes,
            process_limit: usage.process_limit,
            process_limit_reached: usage.process_limit_reached,
            cpu_ms: usage.cpu_us / 1000,
            cpu_throttled_periods: usage.cpu_throttled_periods,
            cpu_throttled_ms: usage.cpu_throttled_us / 1000,
            io_read_bytes: usage.io_read_bytes,
            io_written_bytes: usage.io_written_bytes,
        }
    }
}

/// Asks what every running server uses. All at once: one that does not answer in time is left without.
pub async fn measure(status: &mut Status, core: &Core) {
    let catalogue = core.catalogue();
    let shown: Vec<Arc<Member>> = catalogue.members.iter().map(|member| stand_in(core, member)).collect();
    let usages = join_all(shown.iter().map(|member| async {
        match member.server.lead() {
            Some(ready) => ready.connection.usage().await,
            None => None,
        }
    }))
    .await;
    for (member, usage) in shown.iter().zip(usages) {
        let server = status.servers.iter_mut().find(|server| server.id == member.name().as_str());
        if let (Some(server), Some(usage)) = (server, usage) {
            server.usage = Some(usage.into());
        }
    }
}

/// The proxy now.
#[must_use]
pub fn of(core: &Core, in_force: &InForce, machine: &Machine, reloads: Reloads) -> Status {
    let catalogue = core.catalogue();
    Status {
        version: env!("CARGO_PKG_VERSION"),
        mode: machine.mode.phrase(),
        generation: in_force.generation,
        reloads: ReloadStatus {
            accepted: reloads.accepted,
            refused: reloads.refused,
            last_errors: reloads.last_errors,
        },
        listen: Vec::new(),
        landlock_abi: machine.landlock_abi,
        cgroup_limits: machine.cgroup_limits,
        view: of_view(core, &in_force.view.proxy),
        rate_limit: in_force.view.proxy.rate_limit,
        rate_limited: core.limiter.refused(),
        parked_calls: core.parked.len(),
        open_descriptors: kernel::open_descriptors(),
        tasks: Handle::try_current().map_or(0, |runtime| runtime.metrics().num_alive_tasks()),
        servers: catalogue.members.iter().map(|member| of_server(core, member)).collect(),
    }
}

fn of_view(core: &Core, proxy: &ProxyView) -> ViewStatus {
    let (said, configured, threshold) = (core.view_said, proxy.view, proxy.auto_threshold);
    let in_force = said.unwrap_or(configured);
    let decide = || {
        let (catalogue, known) = core.seen();
        let tools = &catalogue.shown;
        let shown = tools.decide(in_force, threshold);
        known.iter().all(|known| *known).then(|| Decided { shown, tokens: tools.tokens(), threshold })
    };
    let decided = if in_force == ToolView::Auto { decide() } else { None };
    let of_principal =
        |own: &PrincipalView| PrincipalStatus { principal: own.principal.text(), view: own.view };
    let principals = proxy.views.iter().map(of_principal).collect();
    ViewStatus { in_force, configured, said, decided, principals }
}

fn of_server(core: &Core, member: &Arc<Member>) -> ServerStatus {
    let shown = of_instance(&stand_in(core, member));
    if member.server.view().scope == Scope::Shared {
        return shown;
    }
    let all = core.instances.all();
    let own = || all.iter().filter(|own| own.name() == member.name());
    ServerStatus {
        processes: Some(core.running_instances(member.name()).len()),
        calls: own().map(|own| own.server.calls()).sum(),
        failures: own().map(|own| own.server.failures()).sum(),
        retries: own().map(|own| own.server.retries()).sum(),
        in_flight: own().map(|own| own.server.unanswered()).sum(),
        queued: own().map(|own| own.server.queued()).sum(),
        durations: own().map(|own| own.server.durations()).sum(),
        restarts: own().map(|own| own.server.restarts()).sum(),
        ..shown
    }
}

/// What a server is to its clients, or what there is of it where it has none.
fn stand_in(core: &Core, member: &Arc<Member>) -> Arc<Member> {
    core.stands_for(member).unwrap_or_else(|| member.clone())
}

fn of_instance(member: &Member) -> ServerStatus {
    let server = &member.server;
    let state = server.state();
    let lead = server.lead();
    let spawned = lead.as_ref().map(|ready| &ready.connection.spawned);
    let (facts, lists) = (server.facts(), member.lists());
    let words = |walls: &mut dyn Iterator<Item = Wall>| walls.map(Wall::phrase).collect();
    ServerStatus {
        id: server.name.as_str().to_owned(),
        state: state.word(),
        processes: None,
        era: facts.as_ref().map(|facts| match facts.era {
            Era::Legacy => "legacy",
            Era::Modern => "modern",
        }),
        version: facts.as_ref().map(|facts| facts.version.clone()),
        pid: spawned.map(|spawned| spawned.pid),
        instance: spawned.map(|spawned| spawned.instance.to_string()),
        digest: spawned.map_or_else(|| server.view().digest.clone(), |spawned| hexadecimal(&spawned.digest)),
        walls: spawned.map_or_else(Vec::new, |spawned| words(&mut spawned.enforced.walls.iter())),
        walls_missing: spawned.map_or_else(Vec::new, |spawned| words(&mut spawned.enforced.missing())),
        landlock_abi: spawned.map_or(0, |spawned| spawned.enforced.landlock_abi),
        tools: lists.tools.len(),
        resources: lists.resources.len(),
        prompts: lists.prompts.len(),
        flags: Flags::clone(&lists.flags),
        list_error: member.list_error(),
        calls: server.calls(),
        failures: server.failures(),
        retries: server.retries(),
        restarts: server.restarts(),
        in_flight: server.unanswered(),
        queued: server.queued(),
        durations: server.durations(),
        replicas: server.pool().replicas.iter().map(|replica| of_replica(replica)).collect(),
        last_error: server.last_error().map(|reason| reason.to_string()),
        usage: None,
    }
}

fn of_replica(replica: &Replica) -> ReplicaStatus {
    let state = replica.state().borrow().word();
    ReplicaStatus {
        number: replica.number,
        state: if state == "ready" && replica.is_ill() { "ill" } else { state },
        pid: replica.running().map(|ready| ready.connection.spawned.pid),
        circuit: replica.circuit_word(),
        in_flight: replica.load(),
        calls: replica.served(),
        restarts: replica.restarts(),
        last_error: replica.last_error().map(|(_, reason)| reason.to_string()),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
