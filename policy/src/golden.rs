//! What people read, compared with the files of `policy/golden`. To accept a change, run the tests
//! once with `BLESS=1` in the environment and look at the difference.

use crate::check::{BUILT_IN, BUILT_IN_NAME, Checked, Input, check};
use crate::document::Source;
use crate::explain::explain;
use crate::files::tree::Tree;
use crate::finding::Findings;
use crate::floor::Own;
use crate::plan::plan;
use crate::schema::schema;
use crate::show::show;
use only1mcp_wire::Mode;
use std::collections::BTreeMap;
use std::path::Path;

const ELF: &str = "\x7fELF";

/// A small host in memory.
fn host() -> Tree {
    Tree::new()
        .file("/usr/bin/env", ELF)
        .file("/usr/bin/node", ELF)
        .file("/usr/bin/python3", ELF)
        .link("/bin", "usr/bin")
        .link("/lib64", "usr/lib64")
        .device("/dev/null")
        .device("/dev/urandom")
        .plain("/etc/ld.so.cache", "")
        .plain("/etc/ssl/certs/x.pem", "")
        .plain("/usr/share/zoneinfo/Europe/Berlin", "")
        .link("/etc/localtime", "/usr/share/zoneinfo/Europe/Berlin")
        .plain("/srv/docs/a.txt", "")
        .plain("/srv/project/.git/config", "")
        .file("/srv/app/node_modules/srv/cli.js", "#!/usr/bin/env node\n")
        .plain("/srv/app/package.json", "{}")
        .file("/prog/only1mcp-probe", ELF)
        .file("/prog/only1mcp-builtin", ELF)
}

fn run(tree: &Tree, path: &str, config: &str, policies: &[(&str, &str)]) -> (Checked, Findings) {
    let source = |path: String, text: &str| Source { path, text: text.to_owned() };
    let policies = policies.iter().map(|(name, text)| {
        ((*name).to_owned(), source(format!("/etc/only1mcp/policies/{name}.yaml"), text))
    });
    let input = Input {
        config: source(path.to_owned(), config),
        policies: policies.collect(),
        files: tree,
        own: Own {
            config: Some("/etc/only1mcp/config.yaml".into()),
            state_directory: "/var/lib/only1mcp".into(),
            other_directories: Vec::new(),
            program_directory: "/prog".into(),
            homes: vec!["/home/ann".into()],
        },
        mode: Mode::Root,
        environment: BTreeMap::from([("DOCS".to_owned(), "/srv/docs".to_owned())]),
    };
    let mut findings = Findings::default();
    let checked = check(&input, &mut findings);
    (checked, findings)
}

fn compare(name: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&file, text).unwrap();
    }
    let golden = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(golden == text, "{name} differs; it is now:\n{text}");
}

const GOOD: &str = include_str!("../golden/good.yaml");
const BAD: &str = include_str!("../golden/bad.yaml");
const POLICY: &str = include_str!("../golden/work.yaml");

#[test]
fn findings_read_as_the_golden_file_says() {
    let (_, findings) =
        run(&host(), "/etc/only1mcp/config.yaml", BAD, &[("work", POLICY), ("old", "extend: node\n")]);
    compare("check.txt", &findings.to_text());
    assert!(findings.sorted().iter().all(|finding| !finding.help.is_empty()));
}

#[test]
fn an_explanation_reads_as_the_golden_file_says() {
    let (checked, findings) = run(&host(), "/etc/only1mcp/config.yaml", GOOD, &[("work", POLICY)]);
    assert!(!findings.has_errors(), "{}", findings.to_text());
    let server = checked.servers.iter().find(|server| server.name.as_str() == "app").unwrap();
    let explanation = explain(server, &plan(server));
    compare("explain.txt", &explanation.to_text());
    compare("explain.json", &serde_json::to_string_pretty(&explanation).unwrap());
}

#[test]
fn the_effective_configuration_reads_as_the_golden_file_says() {
    let (checked, _) = run(&host(), "/etc/only1mcp/config.yaml", GOOD, &[("work", POLICY)]);
    let shown = show(&checked);
    compare("show.yaml", &shown);
    // What is shown is a configuration itself, and means the same.
    let (again, findings) = run(&host(), "/etc/only1mcp/config.yaml", &shown, &[]);
    assert!(!findings.has_errors(), "{}", findings.to_text());
    assert_eq!(show(&again), shown);
}

#[test]
fn the_built_in_configuration_reads_as_the_golden_file_says() {
    let (checked, _) = run(&host(), BUILT_IN_NAME, BUILT_IN, &[]);
    compare("builtin-show.yaml", &show(&checked));
}

#[test]
fn the_schema_reads_as_the_golden_file_says() {
    compare("schema.json", &schema());
}

#[test]
fn the_table_of_system_calls_reads_as_the_golden_file_says() {
    let mut text = String::new();
    for group in crate::system_calls::groups() {
        for call in &group.calls {
            let number = crate::system_calls::number(call).unwrap();
            text.push_str(&format!("{number:>4} {call:<24} {}\n", group.name));
        }
    }
    compare("system-calls.txt", &text);
}
