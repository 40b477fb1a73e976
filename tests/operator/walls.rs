//! What `status` claims of a server's walls, against what the kernel says of its process.

use harness::configuration::Configuration;
use harness::daemon::{Daemon, Role};
use harness::{is_root, processes};
use serde_json::Value;
use std::collections::HashSet;
use std::fs;

const NAMESPACES: [(&str, &str); 7] = [
    ("user namespace", "user"),
    ("mount namespace", "mnt"),
    ("pid namespace", "pid"),
    ("network namespace", "net"),
    ("ipc namespace", "ipc"),
    ("uts namespace", "uts"),
    ("cgroup namespace", "cgroup"),
];

fn namespace(pid: &str, kind: &str) -> String {
    let link = format!("/proc/{pid}/ns/{kind}");
    fs::read_link(&link).unwrap_or_else(|error| panic!("{link}: {error}")).display().to_string()
}

/// A line of `/proc/PID/status`.
fn field(pid: i64, name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("read the status of a process");
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}:")));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).trim().to_owned()
}

/// The server's own process: the child of the init whose pid `status` tells, or that pid itself.
fn server_process(daemon: &Daemon, pid: i64) -> i64 {
    let pid = i32::try_from(pid).expect("a pid");
    let tree = processes::tree(pid);
    let marked = tree.iter().filter(|one| one.command_line.contains(&daemon.scratch.mark()));
    marked.map(|one| i64::from(one.pid)).max().unwrap_or(i64::from(pid))
}

fn walls(status: &Value) -> HashSet<&str> {
    status["walls"].as_array().expect("walls").iter().filter_map(Value::as_str).collect()
}

fn two_servers() -> Daemon {
    Daemon::start(&Configuration::new().fixture("one", "").fixture("two", ""))
}

#[test]
fn each_claimed_wall_is_seen_in_proc() {
    let daemon = two_servers();
    let status = daemon.server_status("one");
    let pid = server_process(&daemon, status["pid"].as_i64().expect("a pid"));
    let claimed = walls(&status);
    for (wall, kind) in NAMESPACES {
        assert!(claimed.contains(wall), "{wall} is required: {status:#}");
        // Another user's links can only be read by root; the server's own user can read them in user mode.
        if is_root() || fs::read_link(format!("/proc/{pid}/ns/{kind}")).is_ok() {
            assert_ne!(namespace(&pid.to_string(), kind), namespace("self", kind), "{wall}");
        }
    }
    let yes = [
        ("no new privileges", field(pid, "NoNewPrivs"), "1"),
        ("seccomp", field(pid, "Seccomp"), "2"),
        ("no capabilities", field(pid, "CapEff"), "0000000000000000"),
        ("no capabilities", field(pid, "CapPrm"), "0000000000000000"),
        ("no capabilities", field(pid, "CapBnd"), "0000000000000000"),
        ("no capabilities", field(pid, "CapInh"), "0000000000000000"),
        ("no capabilities", field(pid, "CapAmb"), "0000000000000000"),
    ];
    for (wall, seen, wanted) in yes {
        assert!(claimed.contains(wall), "{wall} is required: {status:#}");
        assert_eq!(seen, wanted, "{wall}");
    }
    assert!(claimed.contains("landlock") && status["landlock_abi"].as_u64() >= Some(1), "{status:#}");
    let ids: Vec<String> = field(pid, "NSpid").split_whitespace().map(str::to_owned).collect();
    assert!(ids.len() >= 2, "its pid namespace is below ours: {ids:?}");
    daemon.stop();
}

#[test]
fn two_servers_share_no_namespace_and_in_root_mode_no_uid() {
    let daemon = two_servers();
    let pids =
        ["one", "two"].map(|id| server_process(&daemon, daemon.server_status(id)["pid"].as_i64().unwrap()));
    let [one, two] = pids;
    if fs::read_link(format!("/proc/{one}/ns/user")).is_ok() {
        for (_, kind) in NAMESPACES {
            assert_ne!(namespace(&one.to_string(), kind), namespace(&two.to_string(), kind), "{kind}");
        }
    }
    let uid = |pid: i64| field(pid, "Uid").split_whitespace().next().unwrap_or_default().to_owned();
    assert_eq!(uid(one) != uid(two), is_root());
    assert_eq!(walls(&daemon.server_status("one")).contains("own uid"), is_root());
    for role in [Role::Proxy, Role::Launcher] {
        let ours = i64::from(daemon.role(role).expect("it runs").pid);
        assert_ne!(uid(ours), "0", "nothing that faces a client or runs a server stays root: {role:?}");
        assert_ne!(uid(ours) == uid(one), is_root(), "{role:?}");
    }
    daemon.stop();
}

#[test]
fn limits_that_cannot_be_enforced_are_told_as_missing_and_never_as_standing() {
    let daemon = two_servers();
    let status = daemon.status();
    let server = daemon.server_status("one");
    let missing = server["walls_missing"].as_array().expect("walls_missing");
    let limits = ["memory limit", "process limit", "cpu limit"];
    for limit in limits {
        let told = missing.iter().any(|wall| wall == limit);
        assert_ne!(told, walls(&server).contains(limit), "{limit} is either standing or missing: {server:#}");
        assert_eq!(!told, status["cgroup_limits"] == true, "{limit}: {status:#}");
    }
    let groups = fs::read_to_string(format!("/proc/{}/cgroup", server["pid"])).unwrap_or_default();
    if walls(&server).contains("cgroup kill") {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap();
        assert_ne!(groups, own, "it is in a group of its own");
    }
    daemon.stop();
}

#[test]
fn the_proxy_has_locked_itself() {
    let daemon = two_servers();
    let pid = i64::from(daemon.role(Role::Proxy).expect("a proxy").pid);
    assert_eq!(field(pid, "NoNewPrivs"), "1");
    assert_eq!(field(pid, "Seccomp"), "2");
    assert_eq!(field(pid, "CapEff"), "0000000000000000");
    assert_eq!(
        field(pid, "Groups"),
        if is_root() { String::new() } else { field(std::process::id().into(), "Groups") }
    );
    daemon.stop();
}
