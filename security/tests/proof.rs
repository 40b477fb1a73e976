//! `policy test` must be able to say no: under launchers that lack a wall it names what got through.
//!
//! The programs stand beside the probe, or in `ONLY1MCP_BIN_DIR`; the launcher is built with the feature `weakened`.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use only1mcp_escape::catalogue::{self, Mode};
use only1mcp_escape::probe::Targets;
use only1mcp_escape::runner::canaries::Canaries;
use only1mcp_escape::runner::machine::{Person, Programs};
use only1mcp_escape::runner::trial::{Attack, Subject, Trial};
use only1mcp_wire::ServerName;
use only1mcp_wire::plan::{Limits, Requires, ServerPlan, SpawnLimits};
use serde_json::Value;

/// Where each run has its own directory: all uids reach it.
const BASE: &str = "/var/tmp";
/// All programs but the launcher.
const OTHERS: [&str; 6] = [
    "only1mcp",
    "only1mcp-init",
    "only1mcp-compile",
    "only1mcp-probe",
    "only1mcp-builtin",
    "only1mcp-escape",
];

/// A folder with all programs and a launcher that lacks what is named, and the answer of `policy test` there.
struct Weakened {
    code: Option<i32>,
    document: Value,
}

impl Weakened {
    fn test(lacking: &str) -> Self {
        let person = Person::ordinary().unwrap();
        let shipped = Programs::of(shipped());
        // For its folder alone, which is gone in the end.
        let canaries = Canaries::new(Path::new(BASE), Mode::User, &person, &shipped).unwrap();
        let folder = canaries.base.join("programs");
        for name in ["programs", "state", "run", "laid"] {
            let path = canaries.base.join(name);
            fs::create_dir(&path).unwrap();
            std::os::unix::fs::chown(&path, Some(person.uid), Some(person.gid)).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        }
        for name in OTHERS {
            fs::copy(shipped.find(name).unwrap(), folder.join(name)).unwrap();
        }
        fs::copy(launcher(), folder.join("only1mcp-launcher")).unwrap();
        fs::write(folder.join("weakened"), lacking).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = person.command(folder.join("only1mcp"));
        command.args(["policy", "test", "probe", "--config", "builtin", "--json"]);
        for (flag, name) in [("--state-dir", "state"), ("--runtime-dir", "run"), ("--canaries", "laid")] {
            command.arg(flag).arg(canaries.base.join(name));
        }
        let output = command.output().unwrap();
        let document = serde_json::from_slice(&output.stdout);
        assert!(document.is_ok(), "{lacking}: {}", String::from_utf8_lossy(&output.stderr));
        Self { code: output.status.code(), document: document.unwrap() }
    }

    /// All that a reader must see of an answer that should have been another.
    fn told(&self) -> String {
        let attempts = self.document.get("attempts").and_then(Value::as_array).into_iter().flatten();
        let usual =
            |attempt: &&Value| attempt.get("remarks").is_some_and(|remarks| remarks == &Value::Array(vec![]));
        let remarked: Vec<&Value> = attempts.filter(|attempt| !usual(attempt)).collect();
        format!("{:?}: {:#}", self.document.get("answer"), serde_json::json!(remarked))
    }

    /// The attempts with this verdict.
    fn with(&self, verdict: &str) -> Vec<String> {
        let attempts = self.document.get("attempts").and_then(Value::as_array).unwrap();
        let text = |attempt: &Value, key: &str| attempt.get(key).and_then(Value::as_str).unwrap().to_owned();
        let found = attempts.iter().filter(|attempt| text(attempt, "verdict") == verdict);
        found.map(|attempt| text(attempt, "id")).collect()
    }
}

/// The programs that ship.
fn shipped() -> PathBuf {
    let beside_probe = Path::new(env!("CARGO_BIN_EXE_only1mcp-probe")).parent().unwrap().to_path_buf();
    std::env::var_os("ONLY1MCP_BIN_DIR").map_or(beside_probe, PathBuf::from)
}

/// The launcher that can lack anything.
#[expect(clippy::disallowed_methods, reason = "the test builds a program")]
fn launcher() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("weakened");
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--locked", "--quiet", "-p", "only1mcp-launcher", "--features", "weakened"]);
    build.arg("--target-dir").arg(&target).current_dir(env!("CARGO_MANIFEST_DIR"));
    assert!(build.status().unwrap().success(), "the weakened launcher cannot be built");
    target.join("debug/only1mcp-launcher")
}

#[test]
fn a_launcher_without_a_wall_turns_the_verdict_red_with_the_attempts_named() {
    let cases: [(&str, &[&str]); 3] = [
        ("seccomp", &["K01", "K08", "K10"]),
        ("network namespace", &["N01", "N02"]),
        ("inherited environment", &["L01"]),
    ];
    for (lacking, expected) in cases {
        let weakened = Weakened::test(lacking);
        let through = weakened.with("through");
        assert_eq!(weakened.code, Some(1), "without {lacking}: {}", weakened.told());
        assert_eq!(weakened.document.get("answer"), Some(&"broken".into()), "without {lacking}");
        for id in expected {
            assert!(through.iter().any(|found| found == id), "without {lacking}: {id} not in {through:?}");
        }
        // The other walls are not blamed.
        assert!(!weakened.with("held").is_empty(), "without {lacking}");
    }
}

#[test]
fn the_same_launcher_with_all_its_walls_holds() {
    let whole = Weakened::test("");
    assert_eq!((whole.code, whole.with("through")), (Some(0), Vec::new()), "{}", whole.told());
}

#[test]
fn who_started_the_probe_with_which_signals_ignored_changes_no_answer() {
    let probe = shipped().join("only1mcp-probe");
    let scratch = std::env::temp_dir().join(format!("only1mcp-ignored-{}", std::process::id()));
    fs::create_dir(&scratch).unwrap();
    let mut command = Person::own().command("/bin/sh");
    command.args(["-c", "trap '' INT QUIT HUP; exec \"$@\"", "sh"]).arg(probe);
    command.args(["attempt", "R19", "--target"]).arg(format!("scratch={}", scratch.display()));
    let output = command.output().unwrap();
    fs::remove_dir_all(&scratch).unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let dumped = report["acts"]
        .as_array()
        .unwrap()
        .iter()
        .find(|act| act["act"].as_str().unwrap().contains("core file when"));
    assert_eq!(dumped.unwrap()["outcome"], "allowed", "{report}");
}

/// A server without any grant.
fn bare_plan() -> ServerPlan {
    let limits = Limits {
        memory_bytes: 0,
        processes: 0,
        cpu_percent: 0,
        open_files: 0,
        file_bytes: 0,
        io_read_bytes: None,
        io_write_bytes: None,
    };
    ServerPlan {
        name: ServerName::new("x").unwrap(),
        digest: [0; 32],
        program: String::new(),
        arguments: Vec::new(),
        environment: Vec::new(),
        working_directory: String::new(),
        binds: Vec::new(),
        links: Vec::new(),
        files: Vec::new(),
        scratch: Vec::new(),
        state_executable: false,
        rules: Vec::new(),
        system_calls: Vec::new(),
        jit: false,
        limits,
        requires: Requires { cgroup: false, landlock_abi: 0 },
        spawn: SpawnLimits { instances: 0, burst: 0, per_minute: 0 },
    }
}

/// What is made of a server that answers as it must and knocks at a canary the first `knocks` times.
fn tried_by_one_that_knocks(knocks: usize) -> Attack {
    let person = Person::ordinary().unwrap();
    let programs = Programs::of(shipped());
    let mut canaries = Canaries::new(Path::new(BASE), Mode::User, &person, &programs).unwrap();
    let mut asked = 0;
    let mut call = |_: &str, arguments: &Value| {
        asked += 1;
        if asked <= knocks {
            drop(std::net::TcpStream::connect(arguments["targets"]["tcp"].as_str().unwrap()).unwrap());
        }
        let act = serde_json::json!({"act": "read", "outcome": "denied", "errno": "ENOENT", "signal": null, "detail": ""});
        Ok(
            serde_json::json!({"id": "F01.ssh", "outcome": "denied", "errno": "ENOENT", "signal": null, "detail": "",
            "acts": [act], "aims": []}),
        )
    };
    let subject =
        Subject { mode: Mode::User, person, plan: bare_plan(), landlock_abi: 7, targets: Targets::default() };
    let mut trial = Trial::of(subject, &mut canaries, &mut call, &programs).unwrap();
    trial.attack(catalogue::find("F01.ssh").unwrap()).unwrap()
}

#[test]
fn who_reaches_a_canary_once_leaves_a_doubt_and_who_does_so_again_has_escaped() {
    let quiet = tried_by_one_that_knocks(0);
    assert!(quiet.open.is_empty() && quiet.untried.is_empty(), "{quiet:?}");
    let once = tried_by_one_that_knocks(1);
    assert!(once.open.is_empty() && once.untried[0].contains("once and not again"), "{once:?}");
    let again = tried_by_one_that_knocks(2);
    assert_eq!(again.open, ["a listening canary was reached"], "{again:?}");
}
