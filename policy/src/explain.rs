//! What a policy comes to: mounts, rules, system calls, limits and the program, for people and as JSON.

mod text;

use crate::check::server::Server;
use crate::document::units::{show_duration, show_size};
use crate::system_calls::numbers::NEVER;
use crate::system_calls::{self, number};
use crate::view::ToolRules;
use only1mcp_wire::plan::{Bind, Limits, VariableValue};
use only1mcp_wire::{ServerPlan, Wall};
use serde::Serialize;

/// A server's confinement.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// Its name.
    pub server: String,
    /// Its policy's name.
    pub policy: String,
    /// The built-in profile that the policy starts from.
    pub profile: String,
    /// The plan's digest, hexadecimal.
    pub digest: String,
    /// What is executed.
    pub program: Program,
    /// Its variables.
    pub environment: Vec<Variable>,
    /// Paths of the host.
    pub mounts: Vec<Mount>,
    /// tmpfs mounts.
    pub scratch: Vec<Scratch>,
    /// Symbolic links: path and target.
    pub links: Vec<(String, String)>,
    /// Files that exist only inside.
    pub files: Vec<String>,
    /// Landlock rules: path and rights.
    pub landlock: Vec<(String, String)>,
    /// Groups of system calls.
    pub system_calls: Vec<Group>,
    /// System calls that no policy can grant.
    pub never: Vec<String>,
    /// Where it may connect to.
    pub network: Vec<String>,
    /// Whether memory may be written and executed.
    pub jit: bool,
    /// The limits, as a policy writes them.
    pub limits: Vec<(String, String)>,
    /// Walls without which it is not started.
    pub walls_required: Vec<String>,
    /// Which tools may be called.
    pub tools: ToolRules,
    /// Time-outs.
    pub timeouts: Vec<(String, String)>,
}

/// What is executed.
#[derive(Debug, Serialize)]
pub struct Program {
    /// The path inside.
    pub path: String,
    /// The arguments as written, `argv[0]` included.
    pub arguments: Vec<String>,
    /// The working directory inside.
    pub working_directory: String,
    /// How it was found.
    pub chain: Vec<String>,
}

/// A variable: its value is not told.
#[derive(Debug, Serialize)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Where it comes from.
    pub source: String,
}

/// A path of the host.
#[derive(Debug, Serialize)]
pub struct Mount {
    /// The path inside.
    pub path: String,
    /// The path on the host.
    pub source: String,
    /// `read`, `read, execute` or `read, write`.
    pub access: String,
    /// Why.
    pub reason: String,
}

/// A tmpfs.
#[derive(Debug, Serialize)]
pub struct Scratch {
    /// Where.
    pub path: String,
    /// How large.
    pub size: String,
    /// How many files.
    pub files: u64,
    /// Whether files in it may be executed.
    pub executable: bool,
}

/// A group of system calls.
#[derive(Debug, Serialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: String,
    /// The calls.
    pub calls: Vec<String>,
}

/// The walls that stand around every server outside minimal mode.
const WALLS_ALWAYS: [Wall; 8] = [
    Wall::MountNamespace,
    Wall::PidNamespace,
    Wall::NetworkNamespace,
    Wall::IpcNamespace,
    Wall::Landlock,
    Wall::Seccomp,
    Wall::NoNewPrivileges,
    Wall::NoCapabilities,
];

/// Explains a server.
#[must_use]
pub fn explain(server: &Server, plan: &ServerPlan) -> Explanation {
    let policy = &server.policy;
    Explanation {
        server: server.name.to_string(),
        policy: policy.name.clone(),
        profile: policy.profile.name.clone(),
        digest: crate::plan::hexadecimal(&plan.digest),
        program: program(server, plan),
        environment: plan.environment.iter().map(|variable| explain_variable(server, variable)).collect(),
        mounts: server.root.mounts.iter().map(explain_mount).collect(),
        scratch: plan.scratch.iter().map(explain_scratch).collect(),
        links: plan.links.iter().map(|link| (link.path.clone(), link.target.clone())).collect(),
        files: plan.files.iter().map(|file| file.path.clone()).collect(),
        landlock: plan
            .rules
            .iter()
            .map(|rule| (rule.path.clone(), rights(rule.write, rule.execute)))
            .collect(),
        system_calls: groups(&plan.system_calls),
        never: NEVER.iter().map(|&call| call.to_owned()).collect(),
        network: Vec::new(),
        jit: plan.jit,
        limits: limits(server, plan),
        walls_required: walls(plan),
        tools: policy.tools.clone(),
        timeouts: vec![
            ("startup_timeout".to_owned(), show_duration(server.startup_timeout_ms)),
            ("request_timeout".to_owned(), show_duration(server.request_timeout_ms)),
        ]
        .into_iter()
        .chain(server.idle_timeout_ms.map(|idle| ("idle_timeout".to_owned(), show_duration(idle))))
        .collect(),
    }
}

fn program(server: &Server, plan: &ServerPlan) -> Program {
    Program {
        path: plan.program.clone(),
        arguments: crate::redact::arguments(&server.written_arguments),
        working_directory: plan.working_directory.clone(),
        chain: server.resolution.chain.clone(),
    }
}

fn explain_variable(server: &Server, variable: &only1mcp_wire::plan::Variable) -> Variable {
    let name = variable.name.clone();
    let from_profile = server.policy.profile.environment.iter().find(|entry| entry.name == name);
    let source = match &variable.value {
        VariableValue::Credential(credential) => format!("credential {credential}"),
        VariableValue::Literal(_) if server.written_environment.iter().any(|own| own.name == name) => {
            "configuration".to_owned()
        }
        VariableValue::Literal(value) => match from_profile {
            Some(entry) => format!("{value}: {}", entry.reason),
            None => value.clone(),
        },
    };
    Variable { name, source }
}

fn explain_mount(mount: &crate::root::Mount) -> Mount {
    let Bind { source, target, writable, executable, .. } = &mount.bind;
    Mount {
        path: target.clone(),
        source: source.clone(),
        access: rights(*writable, *executable),
        reason: mount.reason.clone(),
    }
}

fn explain_scratch(scratch: &only1mcp_wire::plan::Scratch) -> Scratch {
    Scratch {
        path: scratch.path.clone(),
        size: show_size(scratch.bytes),
        files: scratch.inodes,
        executable: scratch.executable,
    }
}

fn rights(write: bool, execute: bool) -> String {
    let mut words = vec!["read"];
    words.extend(write.then_some("write"));
    words.extend(execute.then_some("execute"));
    words.join(", ")
}

/// The groups whose calls are all allowed.
fn groups(allowed: &[u32]) -> Vec<Group> {
    let stands = |call: &String| number(call).is_some_and(|number| allowed.binary_search(&number).is_ok());
    system_calls::groups()
        .iter()
        .filter(|group| group.calls.iter().all(stands))
        .cloned()
        .map(|system_calls::Group { name, reason, calls }| Group { name, reason, calls })
        .collect()
}

fn limits(server: &Server, plan: &ServerPlan) -> Vec<(String, String)> {
    let limits = &plan.limits;
    let shown = [
        ("memory", show_size(limits.memory_bytes)),
        ("processes", limits.processes.to_string()),
        ("cpu", format!("{}%", limits.cpu_percent)),
        ("open_files", limits.open_files.to_string()),
        ("scratch", show_size(server.policy.scratch_bytes)),
        ("file_size", show_size(limits.file_bytes)),
        ("io", io(limits)),
    ];
    shown.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn io(limits: &Limits) -> String {
    let of = |verb: &str, bytes: Option<u64>| bytes.map(|bytes| format!("{verb} {}/s", show_size(bytes)));
    let both = [of("read", limits.io_read_bytes), of("write", limits.io_write_bytes)];
    let limited: Vec<String> = both.into_iter().flatten().collect();
    if limited.is_empty() { "as fast as the disks are".to_owned() } else { limited.join(", ") }
}

fn walls(plan: &ServerPlan) -> Vec<String> {
    let mut walls: Vec<String> = WALLS_ALWAYS.iter().map(|wall| wall.phrase().to_owned()).collect();
    for wall in &mut walls {
        if wall == Wall::Landlock.phrase() {
            *wall = format!("{wall} at level {} or higher", plan.requires.landlock_abi);
        }
    }
    if plan.requires.cgroup {
        let io = if plan.limits.ask_for_io() { ", and io limits on every disk it uses" } else { "" };
        walls.push(format!("memory, process and processor limits by cgroup{io}"));
    }
    walls
}
