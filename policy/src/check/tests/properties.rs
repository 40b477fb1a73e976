//! What holds of every document: a narrower policy allows less, and no document ends the program.

use super::*;

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
