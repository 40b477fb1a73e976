//! R03 and R04: memory without end, of every kind, and a way out into swap.

use crate::delegated::{LIMITS, act, beside_a_good_neighbour, last_act, outside, reader, with};
use harness::daemon::Daemon;
use harness::run::run;
use harness::{programs, run};
use std::path::Path;
use std::process::Command;

const STOPPED: &str = "server \"greedy\" was stopped: memory limit 64 MiB reached";
const BYTES: i64 = 64 << 20;

/// Expects the act to end the server with the right words to its caller and in `status`, and the next one to run.
fn stopped_by(daemon: &Daemon, line: &str) {
    let cgroup = reader(daemon).directory;
    let told = beside_a_good_neighbour(daemon, || last_act(daemon, line));
    let expected = format!("{STOPPED}; it had this tools/call in its hands, so its outcome is unknown");
    assert_eq!(told, expected, "{line}\n{}", daemon.story());
    daemon.wait_for("greedy", "ready");
    assert_eq!(daemon.server_status("greedy")["last_error"], STOPPED);
    assert!(!cgroup.exists(), "{} is left", cgroup.display());
}

fn limited(line: &str) {
    assert_eq!(outside(line), "160 of 160", "outside nothing holds it");
    // Room in /tmp and /dev/shm for more than the memory: not their size is to hold it.
    let daemon = with(&LIMITS.replace("scratch: 8MiB", "scratch: 256MiB"));
    let found = reader(&daemon);
    assert_eq!(found.memory().limit_in_bytes, BYTES);
    assert_eq!(found.file("memory.oom.group").trim(), "1");
    let twin = line.replace("160", "16");
    assert_eq!(act(&daemon, &twin), "16 of 16", "what is within the limit works");
    stopped_by(&daemon, line);
    assert_eq!(act(&daemon, &twin), "16 of 16", "its successor works");
}

#[test]
fn r03_anonymous_memory_ends_at_the_memory_limit() {
    limited("memory 160");
}

#[test]
fn r03_a_file_in_memory_ends_at_the_memory_limit() {
    limited("memfd 160");
}

#[test]
fn r03_shared_memory_ends_at_the_memory_limit() {
    limited("fill /dev/shm/greed 160");
    std::fs::remove_file("/dev/shm/greed").unwrap();
}

#[test]
fn r03_a_scratch_file_ends_at_the_memory_limit() {
    limited("fill /tmp/greed 160");
    std::fs::remove_file("/tmp/greed").unwrap();
}

#[test]
fn r03_the_page_cache_stays_below_the_memory_limit_and_harms_nobody() {
    let file = "/var/tmp/greed";
    assert_eq!(outside(&format!("cache {file} 160")), "320 MiB read");
    let daemon = with(LIMITS);
    let reader = reader(&daemon);
    let told = beside_a_good_neighbour(&daemon, || act(&daemon, "cache /state/greed 160"));
    assert_eq!(told, "320 MiB read", "files larger than the memory can be read");
    let memory = reader.memory();
    assert!(memory.usage_in_bytes <= u64::try_from(BYTES).unwrap());
    let status = daemon.server_status("greedy");
    assert_eq!((&status["restarts"], &status["usage"]["memory_limit_bytes"]), (&0.into(), &BYTES.into()));
    assert!(status["usage"]["memory_limit_reached"].as_u64().unwrap() > 0, "it never came near: {status}");
}

/// Swap on a file, for as long as this lives.
struct Swap;

impl Swap {
    const FILE: &str = "/var/tmp/only1mcp-swap";

    fn on() -> Self {
        let make = format!(
            "dd if=/dev/zero of={0} bs=1M count=256 && chmod 600 {0} && mkswap {0} && swapon {0}",
            Self::FILE
        );
        let outcome = run(Command::new("sh").args(["-ec", &make]));
        assert_eq!(outcome.code, 0, "{outcome:?}");
        Self
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        let _ = run::run(Command::new("swapoff").arg(Self::FILE));
        let _ = std::fs::remove_file(Path::new(Self::FILE));
    }
}

#[test]
fn r04_a_server_cannot_escape_its_memory_limit_into_swap() {
    let _swap = Swap::on();
    let limited =
        ["--scope", "--quiet", "-p", "MemoryMax=64M", "--", &programs::fixture(), "--act", "memory 160"];
    let outcome = run(Command::new("systemd-run").args(limited));
    assert_eq!(outcome.stdout.trim(), "160 of 160", "with the same memory, swap lets it: {outcome:?}");
    let daemon = with(LIMITS);
    let reader = reader(&daemon);
    assert_eq!(reader.swap(), (0, 0));
    assert_eq!(act(&daemon, "memory 16"), "16 of 16", "what is within the limit works");
    stopped_by(&daemon, "memory 160");
}
