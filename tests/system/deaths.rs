//! Either service killed at once: nothing of the old incarnation stays, and it comes back by itself.

use crate::machine::{self, LAUNCHER, PROXY, main_process, said};
use crate::service;
use harness::processes::{Process, wait_until};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What the guide stops by `only1mcp*`, which would end the machine's own unit here, too.
const ALL_UNITS: &str = "only1mcp.service only1mcp-launcher.service only1mcp.socket only1mcp-relay.socket \
                         only1mcp-admin.socket only1mcp-launcher.socket";
const GONE_LIMIT: Duration = Duration::from_secs(60);

/// What is there of an incarnation.
struct Incarnation {
    processes: Vec<Process>,
    cgroups: Vec<PathBuf>,
}

impl Incarnation {
    /// The servers, and what is around them; with the main process of `unit`.
    fn now(unit: &str) -> Self {
        let mut processes = machine::servers();
        processes.extend(main_process(unit));
        let servers =
            |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("i-"));
        let mut cgroups: Vec<PathBuf> = machine::cgroups();
        if unit == PROXY {
            // The launcher stays, and so does its own place.
            cgroups.retain(servers);
        }
        Self { processes, cgroups }
    }

    fn left(&self) -> String {
        let processes = self.processes.iter().filter(|process| process.lives());
        let cgroups = self.cgroups.iter().filter(|path| path.exists());
        format!("{:?} {:?}", processes.collect::<Vec<_>>(), cgroups.collect::<Vec<_>>())
    }
}

fn kill_and_come_back(unit: &str) {
    service::ready();
    service::assert_all_answer();
    let (mounts, namespaces) = (machine::mounts(), machine::mount_namespaces());
    let before = Incarnation::now(unit);
    assert!(before.processes.len() >= 9, "{:?}", before.processes);
    assert!(before.cgroups.len() >= 4, "{:?}", before.cgroups);
    let begun = Instant::now();
    said(&format!("systemctl kill --kill-whom=main --signal=KILL {unit}"));
    assert!(
        wait_until(GONE_LIMIT, || before.left() == "[] []"),
        "left: {}\n{}",
        before.left(),
        service::story()
    );
    let gone = begun.elapsed();
    service::wait_until_ready();
    service::assert_all_answer();
    assert_eq!(before.left(), "[] []", "nothing came back under its old name");
    assert_eq!(machine::mounts(), mounts, "the machine's mounts are what they were");
    assert_eq!(machine::mount_namespaces(), namespaces, "as many mount namespaces as before");
    println!(
        "{unit}: {} processes and {} cgroups gone after {gone:?}, all servers answer after {:?}",
        before.processes.len(),
        before.cgroups.len(),
        begun.elapsed()
    );
}

#[test]
fn the_launcher_killed_leaves_nothing_and_comes_back() {
    let proxy = || main_process(PROXY).map(|process| process.pid);
    service::ready();
    let before = proxy();
    kill_and_come_back(LAUNCHER);
    assert_eq!(proxy(), before, "the proxy stayed");
}

#[test]
fn the_proxy_killed_leaves_nothing_and_comes_back() {
    let launcher = || main_process(LAUNCHER).map(|process| process.pid);
    service::ready();
    let before = launcher();
    kill_and_come_back(PROXY);
    assert_eq!(launcher(), before, "the launcher stayed");
}

#[test]
fn a_stop_ends_everything_and_a_start_serves_again() {
    service::ready();
    let before = machine::ours();
    said(&format!("systemctl stop {ALL_UNITS}"));
    let left: Vec<_> = before.iter().filter(|process| process.lives()).collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(machine::cgroups(), Vec::<PathBuf>::new());
    assert!(!service::is_active());
    let asked = machine::outcome("only1mcp status");
    assert_eq!(asked.code, 69, "{asked:?}");
    assert!(asked.stderr.contains("systemctl start only1mcp"), "{asked:?}");
    said("systemctl start only1mcp");
    service::wait_until_ready();
    service::assert_all_answer();
}
