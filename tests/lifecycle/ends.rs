//! Ends on purpose, starts beside others, and what is left on disk.

use harness::configuration::Configuration;
use harness::daemon::{Daemon, Role, command, places, source};
use harness::processes::wait_until;
use harness::run;
use nix::sys::signal::Signal;
use std::process::Stdio;
use std::time::Duration;

fn daemon() -> Daemon {
    Daemon::start(&Configuration::new().fixture("one", "").fixture("stubborn", "--stubborn"))
}

#[test]
fn a_polite_signal_ends_everything_with_exit_code_0() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let daemon = daemon();
        let before = daemon.processes();
        assert!(before.len() >= 7, "supervisor, proxy, launcher, two inits, two servers: {before:#?}");
        daemon.signal(Role::Supervisor, signal);
        assert_eq!(daemon.wait(Duration::from_secs(25)), Some(0), "{signal}: {}", daemon.story());
        daemon.assert_nothing_left(&before);
        for socket in ["launch.sock", "relay.sock", "admin.sock"] {
            assert!(!daemon.scratch.join("run").join(socket).exists(), "{socket} is left");
        }
    }
}

#[test]
fn a_second_daemon_in_the_same_place_is_refused_and_the_first_goes_on() {
    let daemon = daemon();
    let mut second = command(&daemon.scratch, &["start", "--listen", "127.0.0.1:0"]);
    let outcome = run::run(second.args(source(&daemon.scratch)).args(places(&daemon.scratch)));
    assert_eq!(outcome.code, 75, "{outcome:?}");
    assert!(outcome.stderr.contains("runs") || outcome.stderr.contains("running"), "{outcome:?}");
    assert_eq!(daemon.endpoint().call_text("one__echo", &serde_json::json!({"text": "on"})), "on");
}

#[test]
fn a_port_that_is_taken_is_told_with_its_number() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let scratch = harness::scratch::Scratch::new();
    let mut start = command(&scratch, &["start", "--listen", &address]);
    let outcome = run::run(start.args(places(&scratch)));
    assert_ne!(outcome.code, 0);
    assert!(outcome.stderr.contains(&address) && outcome.stderr.contains("help: "), "{outcome:?}");
}

#[test]
fn after_a_kill_the_next_start_finds_no_obstacle() {
    let first = daemon();
    first.signal(Role::Supervisor, Signal::SIGKILL);
    assert!(first.wait(Duration::from_secs(5)).is_some());
    let rest = first.processes();
    first.assert_nothing_left(&rest);
    let again = run::run(command(&first.scratch, &["config", "check"]).args(source(&first.scratch)));
    assert_eq!(again.code, 0, "{again:?}");
    let mut start = command(&first.scratch, &["start", "--listen", "127.0.0.1:0"]);
    let mut child = start
        .args(source(&first.scratch))
        .args(places(&first.scratch))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let ready = wait_until(Duration::from_secs(30), || first.settled());
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
    let _ = run::wait(&mut child, Duration::from_secs(25));
    assert!(ready, "the second daemon did not become ready");
}

#[test]
fn descriptors_do_not_grow_while_servers_come_and_go() {
    let daemon = daemon();
    let proxy = daemon.role(Role::Proxy).expect("a proxy");
    let count = |pid: i32| std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
    let crash = || {
        let _ = daemon.endpoint().call("one__crash", &serde_json::json!({}));
        assert_eq!(daemon.endpoint().call_text("one__echo", &serde_json::json!({"text": "x"})), "x");
    };
    crash();
    let launcher = daemon.role(Role::Launcher).expect("a launcher");
    let before = (count(proxy.pid), count(launcher.pid));
    (0..4).for_each(|_| crash());
    let after = (count(proxy.pid), count(launcher.pid));
    assert!(
        after.0 <= before.0 + 2 && after.1 <= before.1 + 1,
        "descriptors grew from {before:?} to {after:?}"
    );
}
