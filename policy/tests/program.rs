//! The program from outside: its exit codes and streams, and that it is locked down while it works.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test: the program is what is tested")]

use nix::fcntl::{FcntlArg, fcntl};
use only1mcp_wire::PlanSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_only1mcp-compile");

/// A directory with a configuration and stand-ins for the programs that ship beside the compiler.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("only1mcp-compile-{name}-{}", std::process::id()));
        fs::create_dir_all(path.join("bin")).unwrap();
        let path = fs::canonicalize(path).unwrap();
        for directory in [path.clone(), path.join("bin")] {
            fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
        }
        for program in ["only1mcp-probe", "only1mcp-builtin"] {
            fs::copy("/usr/bin/true", path.join("bin").join(program)).unwrap();
        }
        Self(path)
    }

    fn file(&self, name: &str, content: &str) -> String {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::set_permissions(path.parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn command(&self, action: &str, config: &str) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args([action, "--config", config, "--mode", "user", "--state-dir", "/var/lib/only1mcp"]);
        command.arg("--program-dir").arg(self.0.join("bin"));
        command
    }

    fn run(&self, action: &str, config: &str) -> Output {
        self.command(action, config).output().unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_built_in_configuration_becomes_a_plan_set() {
    let folder = Folder::new("plan");
    let output = folder.run("plan", "builtin");
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    let set = PlanSet::from_bytes(&output.stdout).unwrap();
    let names: Vec<&str> = set.servers.iter().map(|plan| plan.name.as_str()).collect();
    assert_eq!(names, ["notes", "probe"]);
    for plan in &set.servers {
        for bind in &plan.binds {
            let real = fs::canonicalize(&bind.source).unwrap();
            assert_eq!(real, Path::new(&bind.source), "a source with a symbolic link in it");
        }
        assert!(plan.binds.iter().any(|bind| bind.target == plan.program));
    }
}

#[test]
fn errors_are_told_on_standard_error_and_no_plan_is_printed() {
    let folder = Folder::new("errors");
    let config = folder.file("config.yaml", "servers: [{id: a, command: no-such-command, policy: native}]\n");
    let plan = folder.run("plan", &config);
    assert_eq!((plan.status.code(), plan.stdout.len()), (Some(65), 0));
    assert!(text(&plan.stderr).contains("config.yaml:1:28: the command `no-such-command` is not in"));
    let check = folder.run("check", &config);
    assert_eq!((check.status.code(), check.stderr.len()), (Some(65), 0));
    assert!(text(&check.stdout).contains("help: install no-such-command"));
    let json = folder.command("check", &config).arg("--json").output().unwrap();
    let findings: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(findings[0]["line"], 1);
    assert_eq!(findings[0]["severity"], "error");
}

#[test]
fn policies_stand_beside_the_configuration_and_stray_files_are_told() {
    let folder = Folder::new("policies");
    let config = folder.file("config.yaml", "servers: [{id: a, command: only1mcp-probe, policy: p}]\n");
    folder.file("policies/p.yaml", "extends: native\nlimits: {memory: 64MiB}\n");
    folder.file("policies/p.yaml~", "extends: node\n");
    let output = folder.run("plan", &config);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("p.yaml~: this file is ignored"));
    let set = PlanSet::from_bytes(&output.stdout).unwrap();
    assert_eq!(set.servers[0].limits.memory_bytes, 64 << 20);
    assert!(set.inputs.iter().any(|input| input.ends_with("policies/p.yaml")));
    assert_eq!(set.warnings.len(), 1);
}

#[test]
fn toml_says_the_same_as_yaml() {
    let folder = Folder::new("toml");
    let yaml = folder
        .file("config.yaml", "servers: [{id: a, command: only1mcp-probe, policy: {extends: native}}]\n");
    let toml = folder.file(
        "config.toml",
        "[[servers]]\nid = 'a'\ncommand = 'only1mcp-probe'\npolicy = { extends = 'native' }\n",
    );
    let view = |config: &str| text(&folder.run("view", config).stdout);
    assert!(view(&yaml).contains("\"digest\""));
    assert_eq!(view(&yaml), view(&toml));
}

#[test]
fn exit_codes_tell_usage_and_missing_files_apart() {
    let folder = Folder::new("codes");
    assert_eq!(folder.run("dance", "builtin").status.code(), Some(64));
    assert_eq!(folder.run("check", "/nowhere/config.yaml").status.code(), Some(74));
    let mut unknown = folder.command("explain", "builtin");
    assert_eq!(unknown.args(["--server", "none"]).output().unwrap().status.code(), Some(64));
    assert_eq!(folder.run("schema", "builtin").status.code(), Some(0));
}

#[test]
fn y08_the_runtime_directory_cannot_be_granted() {
    let folder = Folder::new("runtime");
    let (run, other) = (folder.0.join("run"), folder.0.join("other/only1mcp"));
    fs::create_dir_all(&run).unwrap();
    fs::create_dir_all(&other).unwrap();
    for granted in [&run, &other] {
        let policy = format!("{{extends: native, filesystem: {{read: ['{}']}}}}", granted.display());
        let config = folder.file(
            "config.yaml",
            &format!("servers: [{{id: a, command: only1mcp-probe, policy: {policy}}}]\n"),
        );
        for action in ["check", "plan"] {
            let mut command = folder.command(action, &config);
            command.arg("--runtime-dir").arg(&run).env("XDG_RUNTIME_DIR", folder.0.join("other"));
            let output = command.output().unwrap();
            assert_eq!(output.status.code(), Some(65));
            let said = text(&output.stdout) + &text(&output.stderr);
            assert!(said.contains("it holds the sockets or the state of only1mcp"), "{said}");
        }
    }
}

#[test]
fn one_policy_file_can_be_checked_by_itself() {
    let folder = Folder::new("single");
    let policy = folder.file("x.yaml", "extends: native\nlimits: {memory: 64MB}\n");
    let output = folder.command("check", "builtin").args(["--policy-file", &policy]).output().unwrap();
    assert_eq!(output.status.code(), Some(65));
    assert!(text(&output.stdout).contains("x.yaml:2:18: `64MB`"), "{}", text(&output.stdout));
}

/// It is caught in the act: its output does not fit into the pipe, so that it has to wait.
#[test]
fn it_is_locked_down_while_it_works() {
    let folder = Folder::new("locked");
    let (reader, writer) = std::io::pipe().unwrap();
    fcntl(&writer, FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
    let mut child = folder
        .command("explain", "builtin")
        .args(["--server", "probe"])
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let about = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", child.id())).unwrap_or_default();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !about("status").contains("Seccomp:\t2") && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    let (status, limits) = (about("status"), about("limits"));
    assert!(status.contains("Seccomp:\t2") && status.contains("NoNewPrivs:\t1"), "{status}");
    for (limit, most) in [
        ("Max cpu time", "5"),
        ("Max file size", "0"),
        ("Max core file size", "0"),
        ("Max open files", "64"),
        ("Max address space", "536870912"),
    ] {
        let line = limits.lines().find(|line| line.starts_with(limit)).unwrap();
        assert!(line.split_whitespace().filter(|word| *word == most).count() >= 2, "{line}");
    }
    drop(reader);
    assert_eq!(child.wait().unwrap().code(), Some(74));
}
