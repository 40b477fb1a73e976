//! Configurations and policies, in YAML and TOML: any text is refused with findings or means something sound.

use crate::bounds;
use crate::host::Host;
use only1mcp_policy::check::{self, Checked};
use only1mcp_policy::document::Source;
use only1mcp_policy::explain::explain;
use only1mcp_policy::finding::Findings;
use only1mcp_policy::limits::{DOCUMENT_BYTES_MAX, FINDINGS_MAX};
use only1mcp_policy::{document, plan, show};
use only1mcp_wire::PlanSet;
use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// Heap that checking one document may hold at once: a node with its place for each of 16384, several times.
const HEAP_BYTES_MAX: usize = 64 << 20;
/// How long checking one document in all its roles may take, in a build without optimisation.
const TIME_MAX: Duration = Duration::from_secs(20);
/// What documents are checked against.
static HOST: LazyLock<Host> = LazyLock::new(Host::new);
/// A server that uses the policy `p`.
const USER_OF_POLICY: &str = "servers: [{id: a, command: node, policy: p}]\n";
/// What stands in the place of a secret in what is shown.
const REDACTED: &str = "[redacted]";

/// The text is checked as a configuration and as a policy, in both languages.
///
/// # Panics
/// If a property does not hold.
pub fn holds(bytes: &[u8]) {
    // The program reads files as text and refuses others before anything looks at them.
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let start = Instant::now();
    bounds::holding(HEAP_BYTES_MAX, || {
        for file in ["/etc/only1mcp/config.yaml", "/etc/only1mcp/config.toml"] {
            reads_or_says_why(file, text);
            as_configuration(file, text, &BTreeMap::new());
        }
        for file in ["/etc/only1mcp/policies/p.yaml", "/etc/only1mcp/policies/p.toml"] {
            let policies = BTreeMap::from([("p".to_owned(), source(file, text))]);
            as_configuration("/etc/only1mcp/config.yaml", USER_OF_POLICY, &policies);
        }
    });
    assert!(start.elapsed() < TIME_MAX, "{} bytes took {:?}", bytes.len(), start.elapsed());
}

fn source(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned() }
}

/// A document without a tree has an error; one with a tree was short enough.
fn reads_or_says_why(file: &str, text: &str) {
    let mut findings = Findings::default();
    match document::read(&source(file, text), &mut findings) {
        Some(_) => assert!(!findings.has_errors() && text.len() <= DOCUMENT_BYTES_MAX, "{file} was read"),
        None => assert!(findings.has_errors(), "{file} was refused without a word"),
    }
    sound_findings(&findings);
}

fn as_configuration(file: &str, text: &str, policies: &BTreeMap<String, Source>) {
    let (checked, findings) = checked(file, text, policies);
    sound_findings(&findings);
    if findings.has_errors() {
        return;
    }
    // A set that is too large for the wire is refused by the same code that the launcher reads with.
    if let Ok(bytes) = plan::plan_set(&checked, vec![file.to_owned()], &findings) {
        assert!(PlanSet::from_bytes(&bytes).is_ok_and(|set| set.to_bytes() == bytes), "the plan is not read");
    }
    for server in &checked.servers {
        let explained = explain(server, &plan::plan(server)).to_text();
        plain_text(&explained);
    }
    shows_what_it_means(&checked);
}

fn checked(file: &str, text: &str, policies: &BTreeMap<String, Source>) -> (Checked, Findings) {
    let mut findings = Findings::default();
    let checked = check::check(&HOST.input(source(file, text), policies.clone()), &mut findings);
    (checked, findings)
}

/// What is shown is a configuration itself; it is shown the same again and makes the same plans.
fn shows_what_it_means(checked_before: &Checked) {
    let shown = show::show(checked_before);
    plain_text(&shown);
    if shown.contains(REDACTED) || shown.len() > DOCUMENT_BYTES_MAX {
        return;
    }
    let (again, findings) = checked("/etc/only1mcp/config.yaml", &shown, &BTreeMap::new());
    assert!(!findings.has_errors(), "what is shown is refused: {}\n{shown}", findings.to_text());
    let settings = shown.split("\n# ").next().unwrap_or_default().trim_end();
    assert_eq!(show::show(&again).trim_end(), settings, "what is shown is shown otherwise");
    assert!(plan::plans(&again) == plan::plans(checked_before), "what is shown has other plans:\n{shown}");
}

/// Findings are few, say what to do, and cannot steer the terminal they are printed on.
fn sound_findings(findings: &Findings) {
    let all = findings.sorted();
    assert!(all.len() <= FINDINGS_MAX, "{} findings", all.len());
    for finding in all {
        assert!(!finding.message.is_empty() && !finding.help.is_empty(), "{finding:?} says too little");
        plain_text(&finding.message);
        plain_text(&finding.help);
        assert!(!finding.to_line().contains('\n'), "{finding:?} can be taken for two");
    }
}

/// What is printed cannot steer the terminal.
fn plain_text(text: &str) {
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "control characters in {text:?}");
}
