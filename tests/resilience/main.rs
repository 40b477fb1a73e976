//! Keeps working: servers killed, stopped, flooding and replaced under load, the launcher killed, the configuration
//! changed, and all of it for a long while. No request that was safe to repeat is lost, none that was not is repeated.
//!
//! `ONLY1MCP_SOAK_SECONDS` sets how long the soak takes (180, and 60 in root mode); `tests/run --soak` sets half an hour.

mod chaos;
mod demonstrations;
mod load;
mod reload;
mod soak;

use harness::daemon::Daemon;
use harness::processes::{self, wait_until};
use std::time::{Duration, Instant};

/// A server with replicas that share a ledger.
fn replicas(count: u32) -> String {
    format!(
        "replicas: {count}\nstate: shared\nretry: [look]\nrequest_timeout: 10s\nhealth_check: {{interval: 500ms, timeout: 1s, \
         failure_threshold: 2}}"
    )
}

/// The pids of a server's replicas that run now.
fn pids(daemon: &Daemon, server: &str) -> Vec<i32> {
    let status = daemon.server_status(server);
    let replicas = status["replicas"].as_array().cloned().unwrap_or_default();
    replicas.iter().filter_map(|replica| i32::try_from(replica["pid"].as_i64()?).ok()).collect()
}

/// Waits until all replicas of a server are ready, none of them in one of these processes; how long that took.
fn recovered(daemon: &Daemon, server: &str, but: &[i32]) -> Duration {
    let begun = Instant::now();
    let is_well = || {
        let Some(status) = daemon.try_status() else { return false };
        let servers = status["servers"].as_array().cloned().unwrap_or_default();
        let Some(server) = servers.iter().find(|one| one["id"] == server) else { return false };
        let replicas = server["replicas"].as_array().cloned().unwrap_or_default();
        replicas.iter().all(|replica| {
            replica["state"] == "ready"
                && !but.iter().any(|pid| replica["pid"].as_i64() == Some(i64::from(*pid)))
        })
    };
    assert!(wait_until(Duration::from_secs(40), is_well), "{server} does not recover:\n{}", daemon.story());
    begun.elapsed()
}

/// Sends a signal to a replica: to its first process and all below it.
fn signal_all(pid: i32, signal: nix::sys::signal::Signal) {
    for process in processes::tree(pid) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(process.pid), signal);
    }
}

/// The entries of the ledger that a server's replicas share.
fn ledger(daemon: &Daemon) -> Vec<String> {
    fn find(folder: &std::path::Path) -> Option<std::path::PathBuf> {
        let entries = std::fs::read_dir(folder).ok()?.flatten();
        entries.map(|entry| entry.path()).find_map(|path| match path.file_name()?.to_str()? {
            "ledger" => Some(path),
            _ if path.is_dir() && !path.is_symlink() => find(&path),
            _ => None,
        })
    }
    let text = find(&daemon.scratch.join("state")).and_then(|path| std::fs::read_to_string(path).ok());
    text.unwrap_or_default().lines().map(str::to_owned).collect()
}
