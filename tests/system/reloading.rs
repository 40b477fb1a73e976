//! Reloaded and restarted as an operator does, by systemd.

use crate::machine::{PROXY, outcome, said};
use crate::service::{self, is_active, status, story};
use harness::http;
use std::fs;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const CONFIG: &str = "/etc/only1mcp/config.yaml";
const ADDED: &str =
    "  - id: added\n    command: /usr/lib/only1mcp/only1mcp-builtin\n    args: [notes]\n    policy: native\n";

fn has_added() -> bool {
    let servers = status().and_then(|status| status["servers"].as_array().cloned()).unwrap_or_default();
    servers.iter().any(|server| server["id"] == "added")
}

#[test]
fn systemd_knows_when_it_serves_watches_it_and_reloads_it() {
    service::ready();
    let shown =
        |property: &str| said(&format!("systemctl show --value -p {property} {PROXY}")).trim().to_owned();
    assert_eq!((shown("Type").as_str(), shown("WatchdogUSec").as_str()), ("notify", "1min"));
    // It has said that it is alive, or the watchdog would not count from a moment.
    assert_ne!(shown("WatchdogTimestampMonotonic"), "0", "{}", story());
    let before = fs::read_to_string(CONFIG).expect("read the configuration");
    fs::write(CONFIG, format!("{before}{ADDED}")).expect("write the configuration");
    said(&format!("systemctl reload {PROXY}"));
    assert!(has_added(), "in force when the command ends:\n{}", story());
    fs::write(CONFIG, "servers: [{id: x, comand: y}]\n").expect("write the configuration");
    let refused = outcome(&format!("systemctl reload {PROXY}"));
    assert!(refused.code != 0 && is_active() && has_added(), "{refused:?}\n{}", story());
    fs::write(CONFIG, before).expect("write the configuration");
    said(&format!("systemctl reload {PROXY}"));
    assert!(!has_added(), "{}", story());
    service::assert_all_answer();
}

#[test]
fn no_new_connection_is_refused_while_the_proxy_restarts() {
    service::ready();
    let is_over = Arc::new(AtomicBool::new(false));
    let over = is_over.clone();
    let knocking = std::thread::spawn(move || {
        let (mut all, mut refused) = (0, Vec::new());
        while !over.load(Ordering::Relaxed) {
            all += 1;
            refused.extend(TcpStream::connect("127.0.0.1:8080").err());
            std::thread::sleep(Duration::from_millis(20));
        }
        (all, refused)
    });
    said(&format!("systemctl restart {PROXY}"));
    // One that came meanwhile is answered.
    let request = http::request("GET", "/healthz", "127.0.0.1:8080", &[], b"");
    let answer = http::raw("127.0.0.1:8080", &request).expect("an answer");
    is_over.store(true, Ordering::Relaxed);
    let (all, refused) = knocking.join().expect("it ends in peace");
    println!("restart: {all} connections, {} refused", refused.len());
    assert!(answer.status == 200 && all > 5 && refused.is_empty(), "{answer:?} {refused:?}");
    service::wait_until_ready();
}
