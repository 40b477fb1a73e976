//! What is reported where limits stand, and that no cgroup outlives whose it was.

use crate::delegated::{LIMITS, act, configuration, eventually, reader, start, with};
use cgroups_rs::fs::MaxValue;
use harness::daemon::{Daemon, Role};
use harness::processes::wait_until;
use nix::sys::signal::Signal;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Directories of the launchers, and of the servers below them, in the scope of a daemon.
fn cgroups(scope: &Path) -> Vec<PathBuf> {
    let listed = |path: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
        entries.filter(|path| path.is_dir()).collect()
    };
    let launchers = listed(scope);
    let below = launchers.iter().flat_map(|path| listed(path)).collect::<Vec<_>>();
    launchers.into_iter().chain(below).collect()
}

fn scope_of(daemon: &Daemon) -> PathBuf {
    reader(daemon).directory.parent().and_then(Path::parent).unwrap().to_owned()
}

#[test]
fn the_limits_are_those_of_the_policy_and_status_says_so() {
    let daemon = start(&configuration(LIMITS, ", requires: {cgroup: true}"));
    let reader = reader(&daemon);
    assert_eq!(reader.memory().limit_in_bytes, 64 << 20);
    assert_eq!(reader.swap(), (0, 0));
    assert_eq!(reader.processes(), (MaxValue::Value(32), 2));
    assert_eq!(reader.cpu_quota(), (100_000, 100_000));
    assert_eq!(reader.file("cgroup.max.descendants").trim(), "0");
    let status = daemon.server_status("greedy");
    let walls = status["walls"].as_array().unwrap();
    for wall in ["memory limit", "process limit", "cpu limit", "cgroup kill"] {
        assert!(walls.contains(&wall.into()), "{wall} is not in {status}");
    }
    assert_eq!(status["walls_missing"], json!([]), "an io limit was not asked for, so it is not missing");
    let usage = &status["usage"];
    assert_eq!((&usage["processes"], &usage["process_limit"]), (&2.into(), &32.into()));
    let used = usage["memory_bytes"].as_u64().unwrap();
    assert!(used > 0 && used.abs_diff(reader.memory().usage_in_bytes) < 4 << 20, "{usage}");
}

#[test]
fn a_server_that_ends_takes_its_cgroup_along() {
    let daemon = with(LIMITS);
    let cgroup = reader(&daemon).directory;
    assert!(cgroup.is_dir());
    let _ = daemon.endpoint().call("greedy__crash", &json!({}));
    eventually("its cgroup is gone", &daemon, || !cgroup.exists());
    daemon.wait_for("greedy", "ready");
    assert_eq!(act(&daemon, "memory 1"), "1 of 1");
}

#[test]
fn a_stubborn_server_and_what_it_forked_are_killed_with_their_cgroup() {
    let stubborn = configuration(LIMITS, "").fixture("stubborn", "--stubborn");
    let daemon = start(&stubborn);
    let scope = scope_of(&daemon);
    assert!(cgroups(&scope).len() >= 4, "{:?}", cgroups(&scope));
    assert_eq!(daemon.stop(), 0);
    let gone = wait_until(Duration::from_secs(10), || !scope.exists());
    assert!(gone, "left: {:?}", cgroups(&scope));
}

#[test]
fn what_a_killed_launcher_leaves_is_gone_after_the_next_start() {
    let daemon = with(LIMITS);
    let (old, scope) = (reader(&daemon).directory, scope_of(&daemon));
    daemon.signal(Role::Launcher, Signal::SIGKILL);
    eventually("the old cgroups are gone", &daemon, || !old.parent().unwrap().exists());
    daemon.wait_for("greedy", "ready");
    assert_eq!(reader(&daemon).memory().limit_in_bytes, 64 << 20, "limits stand again");
    let launchers =
        fs::read_dir(&scope).unwrap().flatten().filter(|entry| entry.path().join("supervisor").exists());
    assert_eq!(launchers.count(), 1);
}
