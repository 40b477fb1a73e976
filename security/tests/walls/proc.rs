//! What only1mcp says of a server, held against what the kernel says in /proc.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use serde_json::Value;

use only1mcp_escape::catalogue::Mode;
use only1mcp_escape::runner::daemon::Daemon;

/// Walls that are namespaces: the name in `status`, the name in /proc.
const NAMESPACES: [(&str, &str); 7] = [
    ("user namespace", "user"),
    ("mount namespace", "mnt"),
    ("pid namespace", "pid"),
    ("network namespace", "net"),
    ("ipc namespace", "ipc"),
    ("uts namespace", "uts"),
    ("cgroup namespace", "cgroup"),
];

/// Every sentence of `status` and the plan that the kernel contradicts.
pub fn disagreements(daemon: &Daemon, server: &str) -> Vec<String> {
    let status = daemon.status(server).unwrap();
    let init = daemon.server_process(server).unwrap();
    let process = child_of(init).unwrap_or(init);
    let walls = names(&status, "walls");
    let mut found = Vec::new();
    check(&mut found, "state is ready", status.get("state").and_then(Value::as_str) == Some("ready"));
    for (wall, link) in NAMESPACES {
        check(&mut found, wall, walls.contains(wall) == namespace_differs(process, link));
    }
    check_status_file(&mut found, &walls, process, daemon.mode);
    check(&mut found, "own uid", walls.contains("own uid") == own_uid(daemon, server));
    check(&mut found, "memory limit", walls.contains("memory limit") == cgroup_file(process, "memory.max"));
    check(&mut found, "process limit", walls.contains("process limit") == cgroup_file(process, "pids.max"));
    check(&mut found, "cpu limit", walls.contains("cpu limit") == cgroup_file(process, "cpu.max"));
    check(&mut found, "own session", session_of(init) == Some(init));
    let missing = names(&status, "walls_missing");
    check(&mut found, "no wall both stands and is missing", walls.is_disjoint(&missing));
    check(&mut found, "all 17 walls are named", walls.len() + missing.len() == 17);
    check_landlock(&mut found, &status, &walls);
    check_limits(&mut found, daemon, server, process);
    check_mounts(&mut found, daemon, server, process);
    check_explanation(&mut found, daemon, server, process, &status);
    found
}

fn check(found: &mut Vec<String>, what: &str, agrees: bool) {
    if !agrees {
        found.push(format!("{what}: said and enforced differ"));
    }
}

fn names(status: &Value, key: &str) -> BTreeSet<String> {
    let list = status.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    list.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

fn child_of(init: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{init}/task/{init}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

fn session_of(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(3)?.parse().ok()
}

fn namespace_differs(process: u32, link: &str) -> bool {
    let of = |process: &str| fs::read_link(format!("/proc/{process}/ns/{link}")).ok();
    match of(&process.to_string()) {
        Some(theirs) => Some(theirs) != of("self"),
        // Undumpable: ask what an ordinary reader may know, and fail loudly otherwise.
        None => fs::metadata(format!("/proc/{process}/ns/{link}")).is_ok_and(|own| {
            fs::metadata(format!("/proc/self/ns/{link}")).is_ok_and(|ours| own.ino() != ours.ino())
        }),
    }
}

fn check_status_file(found: &mut Vec<String>, walls: &BTreeSet<String>, process: u32, mode: Mode) {
    let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = |key: &str| -> String {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        line.unwrap_or_default().trim().to_owned()
    };
    let empty = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]
        .into_iter()
        .all(|key| !line(key).is_empty() && line(key).chars().all(|digit| digit == '0'));
    check(found, "no capabilities", walls.contains("no capabilities") && empty);
    check(found, "no new privileges", walls.contains("no new privileges") && line("NoNewPrivs") == "1");
    let filters: u32 = line("Seccomp_filters").parse().unwrap_or(0);
    check(found, "seccomp", walls.contains("seccomp") && line("Seccomp") == "2" && filters >= 2);
    // A person may not drop groups in a user namespace of their own.
    check(found, "no supplementary groups", !mode.has_pool() || line("Groups").is_empty());
    check(found, "never root", !line("Uid").split_whitespace().any(|uid| uid == "0"));
}

/// In root mode: neither the supervisor's, nor the proxy's, nor another server's.
fn own_uid(daemon: &Daemon, server: &str) -> bool {
    if !daemon.mode.has_pool() {
        return daemon.server_person(server).unwrap() != *daemon.person();
    }
    let own = daemon.server_person(server).unwrap().uid;
    let others = crate::PROFILES.iter().filter(|other| **other != server);
    let proxy =
        fs::metadata(format!("/proc/{}", daemon.process("serve").unwrap())).map_or(0, |proxy| proxy.uid());
    own != 0
        && own != proxy
        && others.into_iter().all(|other| daemon.server_person(other).unwrap().uid != own)
}

/// Whether the process is in a cgroup v2 group with this limit set.
fn cgroup_file(process: u32, file: &str) -> bool {
    let groups = fs::read_to_string(format!("/proc/{process}/cgroup")).unwrap_or_default();
    let Some(group) = groups.lines().find_map(|line| line.strip_prefix("0::")) else {
        return false;
    };
    ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].into_iter().any(|mount| {
        fs::read_to_string(format!("{mount}{group}/{file}")).is_ok_and(|limit| !limit.starts_with("max"))
    })
}

fn check_landlock(found: &mut Vec<String>, status: &Value, walls: &BTreeSet<String>) {
    let said = status.get("landlock_abi").and_then(Value::as_i64).unwrap_or(0);
    let kernel = only1mcp_escape::call!(444, 0, 0, 1).unwrap_or(0);
    check(found, "landlock", walls.contains("landlock") == (kernel > 0));
    check(
        found,
        &format!("landlock ABI {said}, kernel {kernel}"),
        said <= kernel && (said > 0) == (kernel > 0),
    );
}

/// The words of `explain` are about the plan in force, and true of the process.
fn check_explanation(found: &mut Vec<String>, daemon: &Daemon, server: &str, process: u32, status: &Value) {
    let explained = daemon.explanation(server).unwrap();
    check(found, "digest of explain", explained.get("digest") == status.get("digest"));
    let list = |key: &str| explained.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let text =
        |entry: &Value, key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mounts: BTreeSet<String> = list("mounts").iter().map(|mount| text(mount, "path")).collect();
    let planned: BTreeSet<String> =
        daemon.plan(server).unwrap().binds.iter().map(|bind| bind.target.clone()).collect();
    check(found, "mounts of explain", mounts == planned);
    let names: BTreeSet<String> = list("environment").iter().map(|entry| text(entry, "name")).collect();
    check(found, "environment of explain", names == environment(process));
    let program = explained.pointer("/program/path").and_then(Value::as_str).unwrap_or_default();
    let executed = fs::read_link(format!("/proc/{process}/exe")).unwrap_or_default();
    check(found, "program of explain", executed.file_name() == std::path::Path::new(program).file_name());
    let calls: usize = list("system_calls")
        .iter()
        .map(|group| group.get("calls").and_then(Value::as_array).map_or(0, Vec::len))
        .sum();
    check(found, "system calls of explain", calls == daemon.plan(server).unwrap().system_calls.len());
}

fn environment(process: u32) -> BTreeSet<String> {
    let bytes = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    text.split('\0').filter_map(|entry| Some(entry.split_once('=')?.0.to_owned())).collect()
}

fn check_limits(found: &mut Vec<String>, daemon: &Daemon, server: &str, process: u32) {
    let text = fs::read_to_string(format!("/proc/{process}/limits")).unwrap_or_default();
    let hard = |name: &str| -> String {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().nth(1).unwrap_or_default().to_owned()
    };
    let limits = &daemon.plan(server).unwrap().limits;
    check(found, "open files", hard("Max open files") == limits.open_files.to_string());
    check(found, "file size", hard("Max file size") == limits.file_bytes.to_string());
    check(found, "core files", hard("Max core file size") == "0");
}

/// Every mount the kernel shows is in the plan, and every planned one stands and is as writable as planned.
fn check_mounts(found: &mut Vec<String>, daemon: &Daemon, server: &str, process: u32) {
    let plan = daemon.plan(server).unwrap();
    let text = fs::read_to_string(format!("/proc/{process}/mountinfo")).unwrap_or_default();
    let mounted: Vec<(&str, bool)> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            let place = words.nth(4)?;
            Some((place, words.next()?.split(',').any(|option| option == "ro")))
        })
        .collect();
    for bind in &plan.binds {
        let last = mounted.iter().rev().find(|(place, _)| *place == bind.target);
        // A device is written to through a read-only mount, too, and those of systemd's private /dev are so mounted.
        let device = fs::metadata(&bind.source).is_ok_and(|source| source.file_type().is_char_device());
        let agrees = |ro: bool| ro != bind.writable || (ro && device);
        check(found, &format!("mount of {}", bind.target), last.is_some_and(|(_, ro)| agrees(*ro)));
    }
    // What the launcher adds to every plan.
    let own = ["/", "/proc", "/state", "/opt/only1mcp/init"];
    for (place, _) in &mounted {
        let planned = plan
            .binds
            .iter()
            .any(|bind| bind.target == *place || place.starts_with(&format!("{}/", bind.target)))
            || plan.scratch.iter().any(|scratch| scratch.path == *place);
        check(found, &format!("unplanned mount at {place}"), planned || own.contains(place));
    }
}
