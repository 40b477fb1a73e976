//! Checked servers become the binary plans that the launcher carries out, and the view for the proxy.

use crate::check::Checked;
use crate::check::server::Server;
use crate::finding::{Finding, Findings, Severity};
use crate::limits::{SCOPED_PROCESSES_MAX, SPAWN_BURST, SPAWN_INSTANCES, SPAWNS_PER_MINUTE};
use crate::system_calls;
use crate::view::{ProxyView, RoutingView, Scope, ServerView, View};
use only1mcp_wire::plan::{BindKind, PlanSet, ServerPlan, SpawnLimits};
use only1mcp_wire::{DecodeError, Encode, ServerName};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use thiserror::Error;

/// The plan of one server, with its digest.
#[must_use]
pub fn plan(server: &Server) -> ServerPlan {
    let mut plan = ServerPlan {
        name: server.name.clone(),
        digest: [0; 32],
        program: server.resolution.program.clone(),
        arguments: server.arguments.clone(),
        environment: server.environment.clone(),
        working_directory: server.working_directory.clone(),
        binds: server.root.mounts.iter().map(|mount| mount.bind.clone()).collect(),
        links: server.root.links.clone(),
        files: server.root.files.clone(),
        scratch: server.root.scratch.clone(),
        state_executable: server.policy.profile.state_executable,
        rules: server.root.rules.clone(),
        system_calls: system_calls::numbers_of(&server.policy.profile.groups),
        jit: server.policy.jit,
        limits: server.policy.limits.clone(),
        requires: server.policy.requires.clone(),
        spawn: spawn_limits(server.scope, 1),
    };
    plan.digest = digest(&plan);
    // Not part of the digest: one replica more or less is no reason to replace the others.
    plan.spawn = spawn_limits(server.scope, server.pool.replicas);
    plan
}

/// SHA-256 of the plan's encoding; the digest must be zeros.
fn digest(plan: &ServerPlan) -> [u8; 32] {
    let mut bytes = Vec::new();
    plan.encode(&mut bytes);
    Sha256::digest(&bytes).into()
}

/// A digest in hexadecimal.
#[must_use]
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// All plans by name.
#[must_use]
pub fn plans(checked: &Checked) -> BTreeMap<ServerName, ServerPlan> {
    checked.servers.iter().map(|server| (server.name.clone(), plan(server))).collect()
}

/// One process and its successor; of replicas, or where clients do not share one, so many of both.
fn spawn_limits(scope: Scope, replicas: u32) -> SpawnLimits {
    let (processes, per_minute) = match scope {
        Scope::Shared => (replicas, SPAWNS_PER_MINUTE / 2 * replicas),
        Scope::Session | Scope::Principal => (SCOPED_PROCESSES_MAX, 2 * SCOPED_PROCESSES_MAX),
    };
    SpawnLimits {
        instances: SPAWN_INSTANCES * processes,
        burst: SPAWN_BURST.max(processes),
        per_minute: SPAWNS_PER_MINUTE.max(per_minute),
    }
}

/// What the proxy may know.
#[must_use]
pub fn view(checked: &Checked, plans: &BTreeMap<ServerName, ServerPlan>) -> View {
    let server_view = |server: &Server| {
        let plan = plans.get(&server.name)?;
        Some(ServerView {
            id: server.name.to_string(),
            digest: hexadecimal(&plan.digest),
            tools: server.policy.tools.clone(),
            startup_timeout_ms: server.startup_timeout_ms,
            request_timeout_ms: server.request_timeout_ms,
            scope: server.scope,
            idle_timeout_ms: server.idle_timeout_ms,
            replicas: server.pool.replicas,
            routing: RoutingView {
                algorithm: checked.proxy.algorithm,
                virtual_nodes: checked.proxy.virtual_nodes,
                key: server.pool.key,
            },
            retry: server.pool.retry.clone(),
            trust_annotations: server.pool.trust_annotations,
            health: server.pool.health.or(checked.proxy.health),
            recycle: server.pool.recycle,
            concurrency: server.pool.concurrency,
            expose: server.context.expose,
            read_only: server.context.read_only.clone(),
            results: server.context.results,
        })
    };
    View {
        proxy: ProxyView {
            listen: checked.proxy.listen.to_string(),
            name_characters_max: checked.proxy.name_characters_max,
            rate_limit: checked.proxy.rate_limit,
            view: checked.proxy.view,
            auto_threshold: checked.proxy.auto_threshold,
            views: checked.proxy.views.clone(),
        },
        servers: checked.servers.iter().filter_map(server_view).collect(),
    }
}

/// Why there is no plan set.
#[derive(Debug, Error)]
pub enum PlanError {
    /// The view cannot be written as JSON.
    #[error("the view cannot be written: {0}")]
    View(#[from] serde_json::Error),
    /// The launcher would not read it.
    #[error("the configuration is too large for one plan set: {0}")]
    Size(#[from] DecodeError),
}

/// The bytes of everything the launcher needs. `documents` are the files the configuration came from.
///
/// # Errors
/// [`PlanError`] if the launcher would not take it.
pub fn plan_set(
    checked: &Checked,
    documents: Vec<String>,
    findings: &Findings,
) -> Result<Vec<u8>, PlanError> {
    let plans = plans(checked);
    let view = serde_json::to_vec(&view(checked, &plans))?;
    let warnings = findings.sorted().into_iter().filter(|finding| finding.severity == Severity::Warning);
    let set = PlanSet {
        inputs: inputs(checked, &plans, documents),
        warnings: warnings.map(Finding::to_line).collect(),
        view,
        servers: plans.into_values().collect(),
    };
    let bytes = set.to_bytes();
    // Every bound of the wire at once, by the very code the launcher reads with.
    PlanSet::from_bytes(&bytes)?;
    Ok(bytes)
}

/// What to watch: the documents, the programs, what they belong to, and single files that are bound,
/// since a file that was replaced by another no longer is the one that was checked. Granted directories
/// are not watched: what is written in them is the servers' own business.
fn inputs(
    checked: &Checked,
    plans: &BTreeMap<ServerName, ServerPlan>,
    documents: Vec<String>,
) -> Vec<String> {
    let mut inputs = documents;
    let binds = plans.values().flat_map(|plan| &plan.binds);
    inputs.extend(binds.filter(|bind| bind.kind == BindKind::File).map(|bind| bind.source.clone()));
    for server in &checked.servers {
        inputs.extend(server.resolution.inputs.clone());
        inputs.extend(server.resolution.needs.iter().map(|need| need.source.clone()));
    }
    inputs.sort_unstable();
    inputs.dedup();
    inputs
}
