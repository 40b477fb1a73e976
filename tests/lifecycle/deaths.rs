//! Fifty rounds of SIGTERM and SIGKILL at the supervisor, the proxy and the launcher, with stubborn servers; and
//! servers that are killed themselves.

use harness::configuration::Configuration;
use harness::daemon::{Daemon, Role};
use harness::processes::{self, Process, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use std::time::{Duration, Instant};

/// Daemons, each of which goes through [`ROUNDS`].
const DAEMONS: usize = 10;
/// How many of them run at the same time.
const AT_ONCE: usize = 2;
/// What is done to one daemon, in turn; the supervisor's signal comes last and alternates.
const ROUNDS: [(Role, Signal); 4] = [
    (Role::Proxy, Signal::SIGKILL),
    (Role::Launcher, Signal::SIGKILL),
    (Role::Proxy, Signal::SIGTERM),
    (Role::Launcher, Signal::SIGTERM),
];
const GONE_LIMIT: Duration = Duration::from_secs(20);
const BACK_LIMIT: Duration = Duration::from_secs(40);

fn daemon() -> Daemon {
    let configuration = Configuration::new().fixture("stubborn", "--stubborn");
    Daemon::start(&configuration.fixture("old", "--era legacy --lock-era").fixture("plain", ""))
}

/// The servers and their inits: all that is below the launcher.
fn servers(daemon: &Daemon) -> Vec<Process> {
    let launcher = daemon.role(Role::Launcher).unwrap_or_else(|| panic!("no launcher:\n{}", daemon.story()));
    let below: Vec<Process> =
        processes::tree(launcher.pid).into_iter().filter(|one| one.pid != launcher.pid).collect();
    let grandchildren = below.iter().filter(|one| one.command_line.contains("--grandchild")).count();
    assert!(
        grandchildren > 0,
        "the stubborn server left no grandchild, so this would prove little: {below:#?}"
    );
    below
}

fn living(before: &[Process]) -> Vec<&Process> {
    before.iter().filter(|process| process.lives()).collect()
}

/// Calls each server until each call works; how long that took.
fn calls_work(daemon: &Daemon) -> Duration {
    let start = Instant::now();
    for server in ["plain", "old", "stubborn"] {
        let tool = format!("{server}__echo");
        let try_once = || {
            let params = json!({"name": tool, "arguments": {"text": "alive"}});
            let (headers, body) = harness::mcp::Endpoint::modern_parts("tools/call", &params);
            let headers: Vec<(&str, &str)> =
                headers.iter().map(|(key, value)| (*key, value.as_str())).collect();
            let bytes = daemon.endpoint().request("POST", &headers, body.to_string().as_bytes());
            harness::http::raw(&daemon.endpoint().address, &bytes)
                .is_ok_and(|response| response.body.contains("alive"))
        };
        assert!(wait_until(BACK_LIMIT, try_once), "{tool} does not work again:\n{}", daemon.story());
    }
    start.elapsed()
}

/// One round at the proxy or the launcher: all servers go, both come back, calls work.
fn one_of_ours_dies(daemon: &Daemon, role: Role, signal: Signal) -> Duration {
    let victim = daemon.role(role).unwrap_or_else(|| panic!("no {role:?}:\n{}", daemon.story()));
    let old_servers = servers(daemon);
    daemon.signal(role, signal);
    let gone = wait_until(GONE_LIMIT, || !victim.lives() && living(&old_servers).is_empty());
    assert!(!victim.lives(), "{signal} does not end the {role:?}:\n{}", daemon.story());
    assert!(
        gone,
        "after {signal} at the {role:?} these still run: {:#?}\n{}",
        living(&old_servers),
        daemon.story()
    );
    calls_work(daemon)
}

/// The last round: the supervisor ends, and with it everything.
fn the_supervisor_dies(daemon: &Daemon, signal: Signal) {
    let before = daemon.processes();
    daemon.signal(Role::Supervisor, signal);
    assert!(daemon.wait(GONE_LIMIT).is_some(), "the supervisor does not end:\n{}", daemon.story());
    daemon.assert_nothing_left(&before);
}

fn all_rounds_of_one(number: usize) -> Vec<String> {
    let daemon = daemon();
    calls_work(&daemon);
    let mut told = Vec::new();
    for (role, signal) in ROUNDS {
        let back = one_of_ours_dies(&daemon, role, signal);
        told.push(format!("daemon {number}: {signal} at the {role:?}: 0 left, calls work after {back:.1?}"));
    }
    let signal = if number.is_multiple_of(2) { Signal::SIGKILL } else { Signal::SIGTERM };
    the_supervisor_dies(&daemon, signal);
    told.push(format!("daemon {number}: {signal} at the Supervisor: 0 left"));
    told
}

#[test]
fn fifty_rounds_of_death_leave_no_process_and_the_next_call_works() {
    let mut rounds = 0;
    for first in (0..DAEMONS).step_by(AT_ONCE) {
        let told = std::thread::scope(|scope| {
            let threads: Vec<_> = (first..first + AT_ONCE)
                .map(|number| scope.spawn(move || all_rounds_of_one(number)))
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("a round failed")).collect::<Vec<_>>()
        });
        rounds += told.len();
        told.iter().for_each(|line| println!("{line}"));
    }
    assert_eq!(rounds, DAEMONS * (ROUNDS.len() + 1));
}

/// Kills a process and waits until the kernel says that it is dead.
fn kill_and_see(pid: i32) {
    let process = Process::read(pid).expect("it runs");
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    assert!(wait_until(GONE_LIMIT, || !process.lives()), "SIGKILL does not end {process:?}");
}

#[test]
fn a_killed_server_is_back_for_the_next_call() {
    let daemon = daemon();
    for server in ["plain", "old", "stubborn"] {
        let status = daemon.server_status(server);
        let pid = status["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).expect("a pid");
        kill_and_see(pid);
        let text = daemon.endpoint().call_text(&format!("{server}__echo"), &json!({"text": "back"}));
        assert_eq!(text, "back");
        let now = daemon.server_status(server);
        assert_ne!(now["pid"], status["pid"], "it is another process");
        assert_eq!(now["restarts"], 1, "{now:#}");
    }
    daemon.stop();
}

#[test]
fn a_legacy_session_survives_the_death_of_its_server() {
    let daemon = daemon();
    let session = daemon.endpoint().legacy();
    let call = || session.call("old__echo", &json!({"text": "hello"})).json();
    assert_eq!(call()["result"]["content"][0]["text"], "hello");
    let pid =
        daemon.server_status("old")["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).expect("a pid");
    kill_and_see(pid);
    assert_eq!(call()["result"]["content"][0]["text"], "hello");
}
