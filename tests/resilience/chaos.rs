//! A minute of load at three replicas, while everything that can break them does.

use crate::load::{Load, check, report};
use crate::{ledger, pids, recovered, replicas, signal_all};
use harness::configuration::Configuration;
use harness::daemon::{Daemon, Role};
use nix::sys::signal::Signal;
use serde_json::json;
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const PER_SECOND: u32 = 200;
const SECONDS: u64 = 60;

#[test]
fn under_chaos_nothing_repeatable_is_lost_and_nothing_else_is_repeated() {
    let daemon = Daemon::start(&Configuration::new().fixture_with("pool", "--ledger", &replicas(3)));
    recovered(&daemon, "pool", &[]);
    let endpoint = daemon.endpoint().server("pool");
    let rude = Rude::begin(endpoint.address.clone());
    let (begun, load) = (Instant::now(), Load::begin(&endpoint, PER_SECOND));
    let wait_for = |second: u64| {
        let due = begun + Duration::from_secs(second);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    };
    let told =
        |what: &str, took: Duration| println!("chaos: {what}: all replicas ready again after {took:.1?}");
    let replica = |number: usize| pids(&daemon, "pool").get(number).copied().expect("three replicas run");

    wait_for(3);
    let victim = replica(0);
    signal_all(victim, Signal::SIGKILL);
    told("one replica killed", recovered(&daemon, "pool", &[victim]));

    wait_for(8);
    let frozen = replica(1);
    signal_all(frozen, Signal::SIGSTOP);
    wait_for(13);
    signal_all(frozen, Signal::SIGCONT);
    told("one replica stopped for five seconds", recovered(&daemon, "pool", &[]));

    wait_for(18);
    break_by(&endpoint, "flood");
    told("one replica flooded", recovered(&daemon, "pool", &[]));

    wait_for(23);
    let stuck = replica(2);
    signal_all(stuck, Signal::SIGSTOP);
    told("one replica stopped for good", recovered(&daemon, "pool", &[stuck]));

    wait_for(42);
    break_by(&endpoint, "hang_up");
    told("one replica closed its output", recovered(&daemon, "pool", &[]));

    wait_for(46);
    let all = pids(&daemon, "pool");
    daemon.signal(Role::Launcher, Signal::SIGKILL);
    told("the launcher killed", recovered(&daemon, "pool", &all));

    wait_for(53);
    for number in 0..3 {
        signal_all(replica(number), Signal::SIGKILL);
        std::thread::sleep(Duration::from_millis(1500));
    }
    told("one after the other killed", recovered(&daemon, "pool", &[]));

    wait_for(SECONDS);
    let outcomes = load.end();
    rude.end();
    let failed = report("chaos", &outcomes);
    let status = daemon.server_status("pool");
    println!(
        "chaos: {} requests given to a second process, {} restarts",
        status["retries"], status["restarts"]
    );
    let expected = u64::from(PER_SECOND) * SECONDS;
    assert!(
        outcomes.len() as u64 >= expected * 9 / 10,
        "only {} of {expected} requests were made",
        outcomes.len()
    );
    check(&outcomes, &failed, &ledger(&daemon));
    // Else nothing was in the hands of those that died, and this shows little.
    assert!(
        !failed.is_empty() && status["retries"].as_u64().unwrap_or_default() > 0,
        "nobody was hit: {status:#}"
    );
    assert!(status["restarts"].as_u64().unwrap_or_default() >= 8, "nothing was broken: {status:#}");
    assert_eq!(daemon.stop(), 0);
}

/// Has one replica break itself; the call is not answered.
fn break_by(endpoint: &harness::mcp::Endpoint, tool: &str) {
    let endpoint = endpoint.clone();
    let tool = tool.to_owned();
    let calling = std::thread::spawn(move || endpoint.call(&tool, &json!({})).json());
    let answer = calling.join().expect("an answer");
    let message = answer["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("outcome is unknown"), "{answer}");
}

/// Clients that break off in the middle, again and again.
struct Rude {
    is_over: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

impl Rude {
    fn begin(address: String) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = is_over.clone();
        let thread = std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                if let Ok(mut stream) = TcpStream::connect(&address) {
                    let _ = stream.write_all(
                        b"POST /mcp/pool HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
                    );
                }
                std::thread::sleep(Duration::from_millis(250));
            }
        });
        Self { is_over, thread }
    }

    fn end(self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().expect("it ends in peace");
    }
}
