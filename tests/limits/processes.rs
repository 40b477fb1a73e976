//! R01 and R02: processes and threads without end.

use crate::delegated::{act, beside_a_good_neighbour, eventually, outside, reader, with};
use cgroups_rs::fs::MaxValue;

const LIMITS: &str = "memory: 256MiB, processes: 32, cpu: 100%";

/// Tries to have 200 of something, of which 32 are allowed, and 8 that are.
fn bomb(of: &str) {
    assert_eq!(outside(&format!("{of} 200")), "200 of 200", "outside nothing holds it");
    let daemon = with(LIMITS);
    let reader = reader(&daemon);
    assert_eq!(reader.processes().0, MaxValue::Value(32));
    assert_eq!(act(&daemon, &format!("{of} 8")), "8 of 8", "what is within the limit works");
    assert_eq!(reader.refused_processes(), 0);
    let told = beside_a_good_neighbour(&daemon, || act(&daemon, &format!("{of} 200")));
    let taken = told.strip_suffix(" of 200: EAGAIN").unwrap_or_else(|| panic!("{told}"));
    // PID 1 and the server itself count too.
    assert!((16..=30).contains(&taken.parse::<u32>().unwrap()), "{told}");
    let refused = reader.refused_processes();
    assert!(refused > 0, "the cgroup did not refuse it: another limit did");
    let log = "reached its process limit, ";
    eventually("the launcher logs it", &daemon, || daemon.log().contains(log));
    eventually("the proxy logs it", &daemon, || daemon.log().contains("limit reached"));
    let usage = &daemon.server_status("greedy")["usage"];
    assert_eq!((&usage["process_limit"], &usage["process_limit_reached"]), (&32.into(), &refused.into()));
    assert_eq!(act(&daemon, &format!("{of} 8")), "8 of 8", "it goes on afterwards");
    assert_eq!(daemon.server_status("greedy")["restarts"], 0);
}

#[test]
fn r01_a_fork_bomb_meets_the_process_limit() {
    bomb("fork");
}

#[test]
fn r02_a_thread_bomb_meets_the_process_limit() {
    bomb("threads");
}
