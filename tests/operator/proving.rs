//! `policy test` on the real programs: what holds, what is granted, what a person is told, and that nothing is left.

use harness::daemon::{command, places};
use harness::processes::{marked, wait_until};
use harness::programs;
use harness::run::{self, Outcome};
use harness::scratch::Scratch;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long one whole test of a policy may take; alone it takes ten seconds, on a busy machine six times that.
const LIMIT: Duration = Duration::from_secs(240);

/// `policy test` of a server, with all directories in the scratch folder.
fn proving(scratch: &Scratch, server: &str, words: &[&str]) -> Command {
    scratch.folder("canaries", 0o755);
    scratch.folder("home", 0o755);
    let mut command = command(scratch, &["policy", "test", server]);
    command.args(places(scratch)).arg("--canaries").arg(scratch.join("canaries")).args(words);
    command
}

fn proven(scratch: &Scratch, server: &str, words: &[&str]) -> Outcome {
    run::run_with_input(&mut proving(scratch, server, words), "", LIMIT)
}

fn configured(policy: &str) -> Scratch {
    let scratch = Scratch::new();
    let policy = policy.replace("CANARIES", &scratch.join("canaries").display().to_string());
    let server = format!(
        "  - {{id: a, transport: stdio, command: only1mcp-probe, args: [serve], policy: {policy}}}\n  \
         - {{id: b, transport: stdio, command: only1mcp-builtin, args: [notes], policy: native}}\n"
    );
    scratch.write("etc/config.yaml", &format!("servers:\n{server}"));
    scratch
}

fn config(scratch: &Scratch) -> String {
    scratch.join("etc/config.yaml").display().to_string()
}

/// The verdict on one attempt in a JSON document.
fn verdict<'a>(document: &'a Value, id: &str) -> &'a str {
    let attempts = document["attempts"].as_array().unwrap();
    let found = attempts.iter().find(|attempt| attempt["id"] == id).unwrap();
    found["verdict"].as_str().unwrap()
}

/// What an outcome comes from: the attempts with remarks. The whole document would hide them.
fn remarked(document: &Value) -> Vec<&Value> {
    let attempts = document["attempts"].as_array().unwrap();
    attempts.iter().filter(|attempt| attempt["remarks"] != serde_json::json!([])).collect()
}

/// All files below a folder.
fn walk(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let below = |path: PathBuf| if path.is_dir() { [walk(&path), vec![path]].concat() } else { vec![path] };
    let mut found: Vec<PathBuf> = entries.flatten().flat_map(|entry| below(entry.path())).collect();
    found.sort();
    found
}

#[test]
fn the_walls_of_the_embedded_default_hold_and_every_attempt_is_in_the_table() {
    let scratch = Scratch::new();
    scratch.write("state/servers/probe/shared/kept.txt", "of the real server");
    let before = walk(&scratch.join("state"));
    let outcome = proven(&scratch, "probe", &["--config", "builtin", "--json"]);
    let document: Value = serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{outcome:?}"));
    assert_eq!((outcome.code, &document["answer"]), (0, &"hold".into()), "{:#?}", remarked(&document));
    let attempts = document["attempts"].as_array().unwrap();
    let listed = run::run(Command::new(programs::program("only1mcp-probe")).arg("list"));
    assert_eq!(attempts.len(), listed.stdout.lines().count());
    for attempt in attempts {
        let verdict = attempt["verdict"].as_str().unwrap();
        assert!(["held", "left_open"].contains(&verdict), "{attempt:#}");
        assert!(!attempt["answer"].as_str().unwrap().is_empty() && attempt["twin"] == "works", "{attempt:#}");
    }
    assert!(document["walls"].as_array().unwrap().contains(&"seccomp".into()), "{document:#}");
    assert_eq!(document["granted"], serde_json::json!([]));
    assert_eq!(walk(&scratch.join("state")), before, "the state of the real instance was touched");
    assert_nothing_left(&scratch);
}

#[test]
fn what_the_policy_grants_is_granted_and_not_held() {
    let grant = "{extends: native, filesystem: {read: [CANARIES]}}";
    let scratch = configured(grant);
    let outcome = proven(&scratch, "a", &["--config", &config(&scratch), "--json"]);
    let document: Value = serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{outcome:?}"));
    assert_eq!((outcome.code, &document["answer"]), (0, &"hold".into()), "{:#?}", remarked(&document));
    let granted = format!("read {}", scratch.join("canaries").display());
    assert_eq!(document["granted"], serde_json::json!([granted]));
    for id in ["F01.ssh", "F02", "F03", "F04", "N19"] {
        assert_eq!(verdict(&document, id), "granted", "{id}");
    }
    for id in ["F01.shadow", "F08", "N01", "K01", "P01"] {
        assert_eq!(verdict(&document, id), "held", "{id}");
    }
    // The same without the grant, as people read it.
    let scratch = configured("native");
    let outcome = proven(&scratch, "a", &["--config", &config(&scratch)]);
    assert_eq!(outcome.code, 0, "{}{}", outcome.stdout, outcome.stderr);
    let line = outcome.stdout.lines().find(|line| line.starts_with("F01.ssh ")).unwrap();
    assert!(line.contains("ENOENT") && line.trim_end().ends_with("held"), "{line}");
    for said in ["Server a: policy native", "What the policy grants:\n  nothing\n", "The walls hold"] {
        assert!(outcome.stdout.contains(said), "{said}: {}", outcome.stdout);
    }
}

#[test]
fn bad_input_is_told_before_anything_is_started() {
    let scratch = configured("native");
    let broken = scratch.write("etc/broken.yaml", "servers: [{id: a, transport: http, url: 'http://x'}]\n");
    let missing = scratch.join("etc/nowhere.yaml");
    let cases = [
        ("c", scratch.join("etc/config.yaml"), 65, "no server `c` is configured\nhelp: configured are: a, b"),
        ("a", broken, 65, "`transport: http` is not built yet"),
        ("a", missing, 74, "cannot read configuration"),
    ];
    for (server, config, code, said) in cases {
        let outcome = proven(&scratch, server, &["--config", &config.display().to_string()]);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (code, ""), "{outcome:?}");
        assert!(outcome.stderr.contains(said), "{}", outcome.stderr);
        assert_nothing_left(&scratch);
    }
    let nowhere = run::run(
        command(&scratch, &["policy", "test", "probe", "--canaries", "/nowhere"]).args(places(&scratch)),
    );
    assert_eq!(nowhere.code, 73, "{nowhere:?}");
}

#[test]
fn a_missing_program_is_named() {
    let scratch = Scratch::new();
    let names = ["", "-launcher", "-init", "-compile", "-builtin", "-escape", "-probe"];
    for missing in ["-probe", "-escape"] {
        let folder = scratch.folder(&format!("without{missing}"), 0o755);
        for name in names.into_iter().filter(|name| *name != missing) {
            let name = format!("only1mcp{name}");
            std::fs::copy(programs::program(&name), folder.join(&name)).unwrap();
        }
        let mut command = Command::new(folder.join("only1mcp"));
        command.args(["policy", "test", "probe", "--config", "builtin"]).args(places(&scratch));
        let outcome = run::run(&mut command);
        assert_eq!(outcome.code, 69, "{outcome:?}");
        assert!(outcome.stderr.contains(&format!("only1mcp{missing} is missing")), "{}", outcome.stderr);
    }
}

#[test]
fn a_test_that_is_interrupted_is_no_proof_and_leaves_nothing() {
    let scratch = Scratch::new();
    let mut child = proving(&scratch, "probe", &["--config", "builtin"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = || !walk(&scratch.join("run")).iter().all(|path| !path.ends_with("relay.sock"));
    assert!(wait_until(LIMIT, begun), "it does not begin");
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    let code = run::wait(&mut child, LIMIT);
    let mut said = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut said).unwrap();
    assert_eq!(code, Some(69), "{said}");
    assert!(said.contains("nothing is proven"), "{said}");
    assert_nothing_left(&scratch);
}

/// No directory and no process of a test that has ended.
fn assert_nothing_left(scratch: &Scratch) {
    for folder in ["state", "run", "canaries"] {
        let left: Vec<PathBuf> = walk(&scratch.join(folder));
        assert!(left.iter().all(|path| !path.display().to_string().contains("policy-test-")), "{left:?}");
    }
    let gone = wait_until(Duration::from_secs(5), || marked(&scratch.mark()).is_empty());
    assert!(gone, "processes are left: {:?}", marked(&scratch.mark()));
}
