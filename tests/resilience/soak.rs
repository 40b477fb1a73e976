//! The same for a long while: what we hold must not grow.

use crate::load::{Load, check, report};
use crate::{ledger, pids, recovered, replicas, signal_all};
use harness::configuration::Configuration;
use harness::daemon::{Daemon, Role};
use harness::is_root;
use nix::sys::signal::Signal;
use std::fs;
use std::time::{Duration, Instant};

const PER_SECOND: u32 = 100;
/// Between two looks, and two deaths of a replica.
const ROUND: Duration = Duration::from_secs(10);
/// What the first rounds may add: buffers and caches find their size.
const WARM_ROUNDS: usize = 2;
/// What memory may vary by after that.
const MEMORY_SLACK_KIB: u64 = 6 * 1024;
/// What descriptors may vary by: connections come and go.
const DESCRIPTOR_SLACK: usize = 150;

/// What one process holds.
#[derive(Clone, Copy, Debug)]
struct Held {
    memory_kib: u64,
    descriptors: usize,
    threads: usize,
}

fn held(pid: i32) -> Held {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned));
        line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default()
    };
    let status = read("status");
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |all| all.count());
    Held {
        memory_kib: field(&status, "RssAnon:"),
        descriptors,
        threads: usize::try_from(field(&status, "Threads:")).unwrap_or_default(),
    }
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
        let (ours, launchers, processes) = (held(proxy), held(launcher), daemon.processes().len());
        println!(
            "soak: {:>4} s: proxy {} KiB, {} descriptors, {} threads; launcher {} KiB, {} descriptors; {processes} processes",
            begun.elapsed().as_secs(),
            ours.memory_kib,
            ours.descriptors,
            ours.threads,
            launchers.memory_kib,
            launchers.descriptors,
        );
        rounds.push((ours, launchers, processes));
    }
    let outcomes = load.end();
    let failed = report("soak", &outcomes);
    check(&outcomes, &failed, &ledger(&daemon));
    let warm = rounds.get(WARM_ROUNDS..).unwrap_or_default();
    let half = warm.len() / 2;
    let most = |of: fn(&(Held, Held, usize)) -> u64, part: &[(Held, Held, usize)]| {
        part.iter().map(of).max().unwrap_or_default()
    };
    let (first, last) = (warm.get(..half).unwrap_or_default(), warm.get(half..).unwrap_or_default());
    let grown = |of: fn(&(Held, Held, usize)) -> u64| most(of, last).saturating_sub(most(of, first));
    assert!(!first.is_empty(), "too short to tell anything");
    assert!(
        grown(|(proxy, ..)| proxy.memory_kib) <= MEMORY_SLACK_KIB,
        "the proxy's memory grows: {rounds:#?}"
    );
    assert!(
        grown(|(_, launcher, _)| launcher.memory_kib) <= 1024,
        "the launcher's memory grows: {rounds:#?}"
    );
    assert!(
        grown(|(proxy, ..)| proxy.descriptors as u64) <= DESCRIPTOR_SLACK as u64,
        "descriptors: {rounds:#?}"
    );
    assert!(
        grown(|(_, launcher, _)| launcher.descriptors as u64) <= 16,
        "the launcher's descriptors: {rounds:#?}"
    );
    assert!(grown(|(.., processes)| *processes as u64) <= 8, "processes are left: {rounds:#?}");
    assert_eq!(daemon.stop(), 0);
}
