//! What holds of every document: a narrower policy allows less, and no document ends the program.

use super::*;
use crate::view::Verdict;
use only1mcp_wire::ServerPlan;
use std::collections::BTreeSet;

#[test]
fn y15_a_narrower_policy_never_allows_more() {
    // Each pair: the first is narrower in one point than the second.
    let pairs = [
        ("filesystem: {read: [/data/in]}", "filesystem: {write: [/data/in]}"),
        ("filesystem: {}", "filesystem: {read: [/data/in]}"),
        ("limits: {memory: 64MiB, processes: 2}", "limits: {memory: 1GiB, processes: 99}"),
        ("limits: {io: {write: 1MiB}}", "limits: {}"),
        ("memory: {jit: false}", "memory: {jit: true}"),
        ("tools: {allow: [a]}", "tools: {allow: ['*']}"),
    ];
    for (narrow, wide) in pairs {
        let plan_of = |policy: &str| {
            let run = with_policy(&format!("extends: node\n{policy}\n"));
            plan::plan(only_server(&run))
        };
        let (narrow, wide) = (plan_of(narrow), plan_of(wide));
        for bind in &narrow.binds {
            let other = wide.binds.iter().find(|other| other.target == bind.target).unwrap();
            assert!(other.writable || !bind.writable, "{}", bind.target);
            assert!(other.executable || !bind.executable, "{}", bind.target);
        }
        assert!(narrow.system_calls.iter().all(|call| wide.system_calls.contains(call)));
        assert!(!narrow.jit || wide.jit);
        assert!(narrow.limits.memory_bytes <= wide.limits.memory_bytes);
        assert!(narrow.limits.processes <= wide.limits.processes);
        let fastest = |bytes: Option<u64>| bytes.unwrap_or(u64::MAX);
        assert!(fastest(narrow.limits.io_write_bytes) <= fastest(wide.limits.io_write_bytes));
    }
}

/// How many random pairs of policies are compared.
const PAIRS: usize = 250;
/// The paths a random policy may name: each before those below it.
const PATHS: [&str; 5] = ["/data/in", "/data/out", "/data/deep", "/data/deep/one", "/data/deep/one/two"];
const TOOLS: [&str; 6] = ["read", "write", "read_*", "*", "delete", "*_all"];
/// Names that a tool may have.
const CALLED: [&str; 8] = ["read", "write", "read_file", "read_all", "delete", "delete_all", "x", ""];

/// A random policy, as its members.
#[derive(Clone, Debug)]
struct Drawn {
    /// Nothing, read, execute or write, for each path.
    grants: [usize; PATHS.len()],
    jit: bool,
    /// Memory in MiB, processes, open files, scratch in MiB, processor in percent.
    limits: [usize; 5],
    allowed: BTreeSet<usize>,
    denied: BTreeSet<usize>,
}

/// The smallest value of each limit.
const LEAST: [usize; 5] = [64, 1, 16, 1, 1];

impl Drawn {
    fn random(state: &mut u64) -> Self {
        let mut of = |most: usize| random(state) % most;
        Self {
            grants: std::array::from_fn(|_| of(4)),
            jit: of(2) == 1,
            limits: std::array::from_fn(|index| LEAST[index] + of(1000)),
            allowed: (0..TOOLS.len()).filter(|_| of(2) == 1).collect(),
            denied: (0..TOOLS.len()).filter(|_| of(4) == 0).collect(),
        }
    }

    /// One that asks for no more in any point, and for less in some.
    fn narrowed(&self, state: &mut u64) -> Self {
        let mut of = |most: usize| random(state) % most;
        let mut narrow = self.clone();
        for grant in &mut narrow.grants {
            // Executing and writing both contain reading, and neither contains the other.
            *grant = match (*grant, of(3)) {
                (_, 0) => 0,
                (1.., 1) => 1,
                (kept, _) => kept,
            };
        }
        // A grant below another one takes away as well as gives: without it the outer one would count.
        for at in 0..PATHS.len() {
            let (less, more) = (narrow.in_effect(at), self.in_effect(at));
            if less != more && less > 1 {
                narrow.grants[at] = more.min(1);
            }
        }
        narrow.jit = self.jit && of(2) == 1;
        for (limit, least) in narrow.limits.iter_mut().zip(LEAST) {
            *limit = least + of(*limit - least + 1);
        }
        narrow.allowed.retain(|_| of(3) > 0);
        narrow.denied.extend((0..TOOLS.len()).filter(|_| of(4) == 0));
        narrow
    }

    /// The grant that counts at a path: its own, or that of the nearest path above it.
    fn in_effect(&self, at: usize) -> usize {
        let above = |outer: &usize| {
            self.grants[*outer] > 0
                && (PATHS[at] == PATHS[*outer] || PATHS[at].starts_with(&format!("{}/", PATHS[*outer])))
        };
        (0..PATHS.len()).rev().find(above).map_or(0, |outer| self.grants[outer])
    }

    fn text(&self) -> String {
        let granted = |kind: usize| {
            let paths: Vec<&str> =
                (0..PATHS.len()).filter(|&at| self.grants[at] == kind).map(|at| PATHS[at]).collect();
            paths.join(", ")
        };
        let tools = |chosen: &BTreeSet<usize>| {
            chosen.iter().map(|&at| format!("'{}'", TOOLS[at])).collect::<Vec<_>>().join(", ")
        };
        let [memory, processes, open_files, scratch, cpu] = self.limits;
        format!(
            "extends: node\nfilesystem: {{read: [{}], execute: [{}], write: [{}]}}\nmemory: {{jit: {}}}\n\
             limits: {{memory: {memory}MiB, processes: {processes}, open_files: {open_files}, scratch: {scratch}MiB, \
             cpu: {cpu}%}}\ntools: {{allow: [{}], deny: [{}]}}\n",
            granted(1),
            granted(2),
            granted(3),
            self.jit,
            tools(&self.allowed),
            tools(&self.denied),
        )
    }
}

/// What a plan lets a server do with a path: what the nearest mount and the nearest rule both allow.
fn access(plan: &ServerPlan, path: &str) -> [bool; 3] {
    let around = |place: &str| path == place || path.starts_with(&format!("{place}/"));
    let mount = plan.binds.iter().filter(|bind| around(&bind.target)).max_by_key(|bind| bind.target.len());
    let Some(mount) = mount else { return [false; 3] };
    // Rules of Landlock add up along the way.
    let rules = || plan.rules.iter().filter(|rule| around(&rule.path));
    [
        rules().any(|rule| rule.read),
        mount.writable && rules().any(|rule| rule.write),
        mount.executable && rules().any(|rule| rule.execute),
    ]
}

/// Every act that the narrow policy allows and the wide one does not.
fn escapes(narrow: &Run, wide: &Run) -> Vec<String> {
    let mut found = Vec::new();
    let (less, more) = (plan::plan(only_server(narrow)), plan::plan(only_server(wide)));
    let probes = [
        "/data",
        "/data/in/x",
        "/data/out/x",
        "/data/out/.git/config",
        "/data/deep/x",
        "/data/deep/one/x",
        "/data/deep/one/two/x",
        "/usr/bin/node",
        "/etc/passwd",
        "/state/x",
        "/home/ann/x",
    ];
    for path in probes {
        for (what, (less, more)) in
            ["read", "write", "execute"].iter().zip(access(&less, path).into_iter().zip(access(&more, path)))
        {
            if less && !more {
                found.push(format!("{what} {path}"));
            }
        }
    }
    found.extend(
        less.system_calls
            .iter()
            .filter(|call| !more.system_calls.contains(call))
            .map(|call| format!("call {call}")),
    );
    let limits = |plan: &ServerPlan| {
        let scratch: u64 = plan.scratch.iter().map(|scratch| scratch.bytes).sum();
        let l = &plan.limits;
        [
            l.memory_bytes,
            l.processes.into(),
            l.open_files.into(),
            l.cpu_percent.into(),
            l.file_bytes,
            scratch,
            u64::from(plan.jit),
        ]
    };
    for (at, (less, more)) in limits(&less).into_iter().zip(limits(&more)).enumerate() {
        if less > more {
            found.push(format!("limit {at}: {less} instead of {more}"));
        }
    }
    let tools = |run: &Run, tool: &str| only_server(run).policy.tools.verdict(tool) == Verdict::Allowed;
    found.extend(
        CALLED
            .iter()
            .filter(|tool| tools(narrow, tool) && !tools(wide, tool))
            .map(|tool| format!("tool {tool:?}")),
    );
    found
}

#[test]
fn y15_whatever_a_random_narrower_policy_allows_the_wider_one_allows() {
    let tree = host().plain("/data/deep/file", "").plain("/data/deep/one/file", "").dir("/data/deep/one/two");
    let of = |drawn: &Drawn| {
        run_on(&tree, "servers: [{id: a, command: node, policy: p}]\n", &[("p", &drawn.text())])
    };
    let (mut state, mut compared, mut differ) = (15, 0, 0);
    while compared < PAIRS {
        let wide = Drawn::random(&mut state);
        let narrow = wide.narrowed(&mut state);
        let (less, more) = (of(&narrow), of(&wide));
        // A policy may contradict itself; then there is nothing to compare.
        if less.findings.has_errors() || more.findings.has_errors() {
            assert!(said(&less).contains("error") || said(&more).contains("error"));
            state = state.wrapping_add(1);
            continue;
        }
        compared += 1;
        differ += usize::from(!escapes(&more, &less).is_empty());
        let found = escapes(&less, &more);
        assert!(found.is_empty(), "{found:#?}\nallowed by\n{}\nand not by\n{}", narrow.text(), wide.text());
    }
    // The comparison sees something: most of the wider ones do allow more.
    assert!(differ > PAIRS / 2, "{differ}");
}

/// A small generator of random numbers: the same ones in every run.
fn random(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*state >> 33).unwrap()
}

#[test]
fn damaged_documents_never_end_the_program_and_every_finding_says_what_to_do() {
    let good = include_str!("../../../golden/bad.yaml");
    let pieces = [
        "\0", "&a ", "*a", "!x ", "- ", ": ", "{", "]", "\"", "'", "|\n", "\t", "---\n", "<<: ", "é", "${",
        "\n", "#",
    ];
    let mut state = 7;
    for _ in 0..400 {
        let mut text: Vec<char> = good.chars().collect();
        for _ in 0..=random(&mut state) % 4 {
            let at = random(&mut state) % text.len();
            let end = (at + random(&mut state) % 9).min(text.len());
            text.splice(at..end, pieces[random(&mut state) % pieces.len()].chars());
        }
        let text: String = text.into_iter().collect();
        for name in ["config.yaml", "config.toml"] {
            let mut findings = Findings::default();
            let source = Source { path: name.into(), text: text.clone() };
            if let Some(node) = document::read(&source, &mut findings) {
                let _ = config::read(&node, &mut findings);
            }
            assert!(
                findings
                    .sorted()
                    .iter()
                    .all(|finding| !finding.help.is_empty() && !finding.message.is_empty())
            );
        }
    }
}
