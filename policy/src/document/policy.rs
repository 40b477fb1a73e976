//! A policy as an operator wrote it: nothing filled in, every value with its place.

use super::keys::{FILESYSTEM, IO, LIMITS, MEMORY, NETWORK, POLICY, REQUIRES, TOOLS};
use super::node::Node;
use super::reader::{Fields, Unit};
use crate::finding::{Findings, Place, Spot};
use crate::limits;

/// `policies/NAME.yaml`, or the mapping below `policy`.
#[derive(Debug)]
pub struct PolicyDocument {
    /// Where it stands.
    pub place: Place,
    /// `extends`.
    pub extends: Option<Spot<String>>,
    /// `filesystem.read`.
    pub read: Vec<Spot<String>>,
    /// `filesystem.execute`.
    pub execute: Vec<Spot<String>>,
    /// `filesystem.write`.
    pub write: Vec<Spot<String>>,
    /// `limits`.
    pub limits: LimitsDocument,
    /// `requires`.
    pub requires: RequiresDocument,
    /// `tools`.
    pub tools: ToolsDocument,
    /// `memory.jit`.
    pub jit: Option<Spot<bool>>,
}

/// `limits`.
#[derive(Clone, Debug, Default)]
pub struct LimitsDocument {
    /// Bytes.
    pub memory: Option<u64>,
    /// Processes and threads.
    pub processes: Option<u64>,
    /// Hundredths of a processor.
    pub cpu: Option<u64>,
    /// Open files of a process.
    pub open_files: Option<u64>,
    /// Bytes of `/tmp` and of `/dev/shm`.
    pub scratch: Option<u64>,
    /// Bytes of the largest file.
    pub file_size: Option<u64>,
    /// Bytes read from a disk per second.
    pub io_read: Option<u64>,
    /// Bytes written to a disk per second.
    pub io_write: Option<u64>,
}

/// `requires`.
#[derive(Clone, Debug, Default)]
pub struct RequiresDocument {
    /// Limits by cgroup.
    pub cgroup: Option<bool>,
    /// The lowest Landlock ABI.
    pub landlock: Option<u64>,
}

/// `tools`. Absent and empty are different things.
#[derive(Clone, Debug, Default)]
pub struct ToolsDocument {
    /// Patterns of which one must match.
    pub allow: Option<Vec<String>>,
    /// Patterns of which none may match.
    pub deny: Option<Vec<String>>,
}

/// Reads a policy.
pub fn read(node: &Node, findings: &mut Findings) -> Option<PolicyDocument> {
    let fields = Fields::open(node, POLICY, findings)?;
    if fields.get("extends").is_none() {
        findings.error(
            &fields.place,
            "the policy has no `extends`",
            "name the profile it starts from: extends: native, node, python, jvm or go",
        );
    }
    let files = fields.fields("filesystem", FILESYSTEM, findings);
    let mut grants = |name: &str| read_grants(files.as_ref(), name, findings);
    let (read, execute, write) = (grants("read"), grants("execute"), grants("write"));
    refuse_network(&fields, findings);
    Some(PolicyDocument {
        place: fields.place.clone(),
        extends: fields.text("extends", findings),
        read,
        execute,
        write,
        limits: read_limits(&fields, findings),
        requires: read_requires(&fields, findings),
        tools: read_tools(&fields, findings),
        jit: fields.fields("memory", MEMORY, findings).and_then(|memory| memory.switch("jit", findings)),
    })
}

fn read_grants(files: Option<&Fields<'_>>, name: &str, findings: &mut Findings) -> Vec<Spot<String>> {
    let mut grants = files.and_then(|files| files.texts(name, findings)).unwrap_or_default();
    if let Some(over) = grants.get(limits::GRANTS_MAX) {
        let message = format!("`{name}` has more than {} entries", limits::GRANTS_MAX);
        findings.error(&over.place, message, "grant a directory above them");
        grants.truncate(limits::GRANTS_MAX);
    }
    grants
}

/// Nothing but the empty network exists so far, so a grant would be a promise that is not kept.
fn refuse_network(fields: &Fields<'_>, findings: &mut Findings) {
    let Some(network) = fields.fields("network", NETWORK, findings) else { return };
    for host in network.texts("allow", findings).unwrap_or_default() {
        let (message, help) = if host.value.contains('*') {
            (format!("`{}` has a wildcard", host.value), "name each host; wildcards are never allowed")
        } else {
            (
                format!("network access to `{}` is not built yet", host.value),
                "remove the entry; servers have no network so far",
            )
        };
        findings.error(&host.place, message, help);
    }
}

/// Reads `limits`, of a policy or a profile.
pub fn read_limits(fields: &Fields<'_>, findings: &mut Findings) -> LimitsDocument {
    let Some(below) = fields.fields("limits", LIMITS, findings) else { return LimitsDocument::default() };
    let mut quantity =
        |name, range, unit| below.quantity(name, &range, unit, findings).map(|quantity| quantity.value);
    let memory = quantity("memory", limits::MEMORY_BYTES, Unit::Size);
    let cpu = quantity("cpu", limits::CPU_PERCENT, Unit::Percent);
    let scratch = quantity("scratch", limits::SCRATCH_BYTES, Unit::Size);
    let file_size = quantity("file_size", limits::FILE_BYTES, Unit::Size);
    let mut count = |name, range| below.count(name, &range, findings).map(|count| count.value);
    let processes = count("processes", limits::PROCESSES);
    let open_files = count("open_files", limits::OPEN_FILES);
    let io = below.fields("io", IO, findings);
    let mut per_second = |name| {
        let quantity = io.as_ref()?.quantity(name, &limits::IO_BYTES, Unit::Size, findings);
        quantity.map(|quantity| quantity.value)
    };
    let (io_read, io_write) = (per_second("read"), per_second("write"));
    LimitsDocument { memory, processes, cpu, open_files, scratch, file_size, io_read, io_write }
}

/// Reads `requires`, of a policy or a profile.
pub fn read_requires(fields: &Fields<'_>, findings: &mut Findings) -> RequiresDocument {
    let Some(below) = fields.fields("requires", REQUIRES, findings) else {
        return RequiresDocument::default();
    };
    RequiresDocument {
        cgroup: below.switch("cgroup", findings).map(|cgroup| cgroup.value),
        landlock: below.count("landlock", &limits::LANDLOCK_ABI, findings).map(|abi| abi.value),
    }
}

/// Reads `tools`, of a policy or a profile.
pub fn read_tools(fields: &Fields<'_>, findings: &mut Findings) -> ToolsDocument {
    let Some(below) = fields.fields("tools", TOOLS, findings) else { return ToolsDocument::default() };
    let mut patterns = |name| {
        let spots = below.texts(name, findings)?;
        for spot in &spots {
            check_pattern(spot, findings);
        }
        Some(spots.into_iter().map(|spot| spot.value).collect())
    };
    ToolsDocument { allow: patterns("allow"), deny: patterns("deny") }
}

/// Refuses what is no pattern for tools.
pub fn check_pattern(pattern: &Spot<String>, findings: &mut Findings) {
    let stem = pattern.value.strip_suffix('*').unwrap_or(&pattern.value);
    if pattern.value.is_empty() || stem.contains('*') {
        findings.error(
            &pattern.place,
            format!("`{}` is not a pattern for tools", pattern.value),
            "write a tool's name, or the beginning of names followed by one *",
        );
    }
}
