//! The same for a long while: what we hold must not grow.

use crate::load::{Load, check, report};
use crate::{ledger, pids, recovered, replicas, signal_all};
use harness::configuration::Configuration;
use harness::daemon::{Daemon, Role};
use harness::is_root;
use nix::sys::signal::Signal;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

const PER_SECOND: u32 = 100;
/// Between two looks, and two deaths of a replica.
const ROUND: Duration = Duration::from_secs(10);
/// What the first rounds may add: buffers and caches find their size.
const WARM_ROUNDS: usize = 2;
/// What is looked at, how much of it there is, and by how much it may vary.
type Bound = (&'static str, fn(&Held) -> u64, u64);
/// By how much the most of the second half may exceed the most of the first: connections and processes come and go.
const BOUNDS: [Bound; 6] = [
    ("memory of the proxy, KiB", |held| held.proxy_kib, 4 * 1024),
    ("memory of the launcher, KiB", |held| held.launcher_kib, 1024),
    ("descriptors of the proxy", |held| held.descriptors, 120),
    ("tasks of the proxy", |held| held.tasks, 300),
    ("processes", |held| held.processes, 6),
    ("cgroups", |held| held.cgroups, 6),
];

/// What is held at one moment.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    proxy_kib: u64,
    launcher_kib: u64,
    descriptors: u64,
    tasks: u64,
    processes: u64,
    cgroups: u64,
}

impl Held {
    fn now(daemon: &Daemon, proxy: i32, launcher: i32) -> Self {
        // Neither shows its descriptors to others: the proxy counts its own.
        let status = daemon.status();
        let said = |name: &str| status[name].as_u64().unwrap_or_else(|| panic!("no {name} in {status:#}"));
        Self {
            proxy_kib: memory_kib(proxy),
            launcher_kib: memory_kib(launcher),
            descriptors: said("open_descriptors"),
            tasks: said("tasks"),
            processes: daemon.processes().len() as u64,
            cgroups: cgroups(Path::new("/sys/fs/cgroup"), 4),
        }
    }
}

/// Memory of its own, not of files.
fn memory_kib(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.unwrap_or_else(|| panic!("no memory of {pid}"))
}

/// Directories of the cgroup tree, so many levels deep.
fn cgroups(folder: &Path, levels: usize) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let below = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    below.map(|entry| 1 + if levels > 0 { cgroups(&entry.path(), levels - 1) } else { 0 }).sum()
}

fn seconds() -> u64 {
    let asked = std::env::var("ONLY1MCP_SOAK_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    asked.unwrap_or(if is_root() { 60 } else { 180 })
}

#[test]
fn what_is_held_does_not_grow() {
    let daemon = Daemon::start(
        &Configuration::new()
            .fixture_with("pool", "--ledger", &format!("{}\nrecycle: {{calls: 500}}", replicas(2)))
            .fixture("own", ""),
    );
    recovered(&daemon, "pool", &[]);
    let load = Load::begin(&daemon.endpoint().server("pool"), PER_SECOND);
    let begun = Instant::now();
    let role = |role| daemon.role(role).unwrap_or_else(|| panic!("no {role:?}:\n{}", daemon.story())).pid;
    let (proxy, launcher) = (role(Role::Proxy), role(Role::Launcher));
    let mut rounds = Vec::new();
    while begun.elapsed() < Duration::from_secs(seconds()) {
        let round = Instant::now();
        if let Some(victim) = pids(&daemon, "pool").first() {
            signal_all(*victim, Signal::SIGKILL);
        }
        std::thread::sleep(ROUND.saturating_sub(round.elapsed()));
        let held = Held::now(&daemon, proxy, launcher);
        println!("soak: {:>4} s: {held:?}", begun.elapsed().as_secs());
        rounds.push(held);
    }
    let outcomes = load.end();
    let failed = report("soak", &outcomes);
    check(&outcomes, &failed, &ledger(&daemon));
    let warm = rounds.get(WARM_ROUNDS..).unwrap_or_default();
    let half = warm.len() / 2;
    let (first, last) = (warm.get(..half).unwrap_or_default(), warm.get(half..).unwrap_or_default());
    assert!(!first.is_empty(), "too short to tell anything");
    for (what, of, slack) in BOUNDS {
        let most = |part: &[Held]| part.iter().map(of).max().unwrap_or_default();
        let (before, after) = (most(first), most(last));
        assert!(after <= before + slack, "{what} grew from {before} to {after}: {rounds:#?}");
    }
    assert_eq!(daemon.stop(), 0);
}
