//! The virtual machine: commands in it, and what the kernel and systemd say of the two units.

use harness::processes::{self, Process};
use harness::run::{Outcome, run_with_input};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The proxy's unit.
pub const PROXY: &str = "only1mcp.service";
/// The launcher's unit.
pub const LAUNCHER: &str = "only1mcp-launcher.service";
/// The uids of servers.
const POOL: std::ops::Range<u32> = 1_879_048_192..1_879_113_728;
/// An emulated machine is slow.
const COMMAND_LIMIT: Duration = Duration::from_secs(240);

/// Refuses to go on anywhere else: these tests install packages and kill services.
pub fn require() {
    let inside = Path::new("/var/lib/only1mcp-vm").is_dir() && std::env::var_os("VM_RESULTS").is_some();
    assert!(inside, "these tests change the whole machine: run them with tests/system/run");
}

/// Runs a command; its words must hold no spaces.
pub fn outcome(line: &str) -> Outcome {
    said_to(line, "")
}

/// Runs a command with this on its standard input.
pub fn said_to(line: &str, input: &str) -> Outcome {
    require();
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().expect("a command"));
    run_with_input(command.args(words), input, COMMAND_LIMIT)
}

/// What a command prints that must succeed.
pub fn said(line: &str) -> String {
    let outcome = outcome(line);
    assert_eq!(outcome.code, 0, "{line}: {outcome:?}");
    outcome.stdout.trim_end().to_owned()
}

/// Runs a shell script that must succeed.
pub fn shell(script: &str, input: &str) -> String {
    require();
    let mut command = Command::new("bash");
    let outcome = run_with_input(command.args(["-c", script]), input, COMMAND_LIMIT);
    assert_eq!(outcome.code, 0, "{script}: {outcome:?}");
    outcome.stdout
}

/// The main process of a unit.
pub fn main_process(unit: &str) -> Option<Process> {
    let pid = said(&format!("systemctl show --property MainPID --value {unit}"));
    Process::read(pid.parse().ok()?)
}

/// The id of an account.
pub fn uid(account: &str) -> u32 {
    said(&format!("id -u {account}")).parse().expect("a uid")
}

/// All that runs of us: of either account, or of a uid of the pool.
pub fn ours() -> Vec<Process> {
    let accounts = [uid("only1mcp"), uid("only1mcp-launcher")];
    let owner = |process: &Process| {
        let status = fs::read_to_string(format!("/proc/{}/status", process.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?.to_owned();
        line.split_whitespace().nth(1)?.parse::<u32>().ok()
    };
    let ours =
        |process: &Process| owner(process).is_some_and(|uid| POOL.contains(&uid) || accounts.contains(&uid));
    processes::all().into_iter().filter(ours).collect()
}

/// The servers alone.
pub fn servers() -> Vec<Process> {
    let mains: Vec<i32> =
        [PROXY, LAUNCHER].into_iter().filter_map(main_process).map(|main| main.pid).collect();
    ours().into_iter().filter(|process| !mains.contains(&process.pid)).collect()
}

/// The directories of the launcher's cgroup, below it.
pub fn cgroups() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![PathBuf::from("/sys/fs/cgroup/system.slice").join(LAUNCHER)];
    while let Some(directory) = left.pop() {
        let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
        let below = entries.map(|entry| entry.path()).filter(|path| path.is_dir());
        for path in below {
            left.push(path.clone());
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The machine's mounts, as its first process sees them.
pub fn mounts() -> Vec<String> {
    let table = fs::read_to_string("/proc/1/mountinfo").expect("read the mounts");
    // The numbers of a mount are given anew; where and what it is stays.
    let mut mounts: Vec<String> =
        table.lines().map(|line| line.splitn(4, ' ').nth(3).unwrap_or_default().to_owned()).collect();
    mounts.sort();
    mounts
}

/// How many mount namespaces there are besides the first process' own.
pub fn mount_namespaces() -> usize {
    let namespace = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
    let mut all: Vec<PathBuf> = ours().iter().filter_map(|process| namespace(process.pid)).collect();
    all.sort();
    all.dedup();
    all.len()
}
