//! The installed service: brought there once, ready to be called.

use crate::machine::{LAUNCHER, PROXY, said, shell};
use harness::http;
use harness::mcp::Endpoint;
use harness::processes::wait_until;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where the second disk is mounted at every boot, before the services start.
const PARTS: &str = "/srv/only1mcp-parts";
const READY_LIMIT: Duration = Duration::from_secs(600);
const CONFIG: &str = "/etc/only1mcp/config.yaml";

/// Which build of the package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Build {
    /// The one that is installed first.
    First,
    /// The one that comes after it.
    Second,
}

/// The file of a build.
pub fn package(build: Build) -> PathBuf {
    let revision = if build == Build::First { "-1_" } else { "-2_" };
    let entries = fs::read_dir("/stage/packages").expect("the packages are on the second disk");
    let mut paths = entries.flatten().map(|entry| entry.path());
    paths.find(|path| path.display().to_string().contains(revision)).expect("a package of this revision")
}

/// Installs the package with two real servers, once, and waits until everything is ready.
pub fn ready() {
    crate::machine::require();
    if !Path::new("/usr/bin/only1mcp").exists() {
        mount_parts_at_every_boot();
        said(&format!("dpkg -i {}", package(Build::First).display()));
        plant_credentials();
        configure();
        said("systemctl enable --quiet --now only1mcp");
    }
    wait_until_ready();
}

fn mount_parts_at_every_boot() {
    fs::create_dir_all(PARTS).expect("make a directory");
    // No entry of fstab: it would wait for a device that only udev announces, and this machine has none.
    let unit = format!(
        "[Unit]\nDefaultDependencies=no\nAfter=local-fs.target\nBefore=sysinit.target\n\n[Service]\nType=oneshot\nRemainAfterExit=yes\n\
         ExecStart=/bin/mount -t ext4 /dev/vdb {PARTS}\n\n[Install]\nWantedBy=sysinit.target\n"
    );
    fs::write("/etc/systemd/system/parts.service", unit).expect("write a unit");
    said("systemctl daemon-reload");
    said("systemctl enable --quiet --now parts.service");
}

/// What no process but the launcher and one server may ever hold, new for each machine: a file of the launcher's,
/// and one that systemd loads for it.
pub fn credentials() -> [String; 2] {
    ["planted", "of-systemd"]
        .map(|name| fs::read_to_string(format!("/root/{name}")).expect("it was planted").trim().to_owned())
}

/// As the guide says.
fn plant_credentials() {
    for name in ["planted", "of-systemd"] {
        shell(&format!("umask 077; od -An -N24 -tx1 /dev/urandom | tr -d ' \\n' >/root/{name}"), "");
    }
    said("install -o only1mcp-launcher -m 600 /root/planted /var/lib/only1mcp/credentials/planted");
    // Left as root's own: the next start gives it to the launcher.
    said("install -m 600 /root/planted /var/lib/only1mcp/credentials/by-root");
    let drop_in = format!("/etc/systemd/system/{LAUNCHER}.d");
    fs::create_dir_all(&drop_in).expect("make a directory");
    let text = "[Service]\nLoadCredential=of-systemd:/root/of-systemd\n";
    fs::write(format!("{drop_in}/credential.conf"), text).expect("write a drop-in");
    said("systemctl daemon-reload");
}

fn configure() {
    let npm = format!("{PARTS}/npm/node_modules/.bin");
    let config = format!(
        "servers:
  - id: everything
    command: {npm}/mcp-server-everything
    args: [stdio]
    startup_timeout: 5m
    policy: node
    env: {{PLANTED: {{credential: planted}}, OF_SYSTEMD: {{credential: of-systemd}}}}
  - id: time
    command: {PARTS}/python/bin/python3
    args: [-m, mcp_server_time, --local-timezone, UTC]
    startup_timeout: 5m
    policy: python
  - id: probe
    command: /usr/lib/only1mcp/only1mcp-probe
    args: [serve]
    policy: native
  - id: notes
    command: /usr/lib/only1mcp/only1mcp-builtin
    args: [notes]
    policy: native
"
    );
    fs::write(CONFIG, config).expect("write the configuration");
}

/// What `only1mcp status` says; none while nobody answers.
pub fn status() -> Option<Value> {
    let response = http::get_unix(Path::new("/run/only1mcp/admin.sock"), "/status").ok()?;
    serde_json::from_str(&response.body).ok()
}

/// Waits until each server is ready; how long that took.
pub fn wait_until_ready() -> Duration {
    let begun = Instant::now();
    let is_ready = || {
        let servers = status().and_then(|status| status["servers"].as_array().cloned()).unwrap_or_default();
        !servers.is_empty() && servers.iter().all(|server| server["state"] == "ready")
    };
    assert!(wait_until(READY_LIMIT, is_ready), "not ready:\n{}", story());
    begun.elapsed()
}

/// What helps to understand a failure.
pub fn story() -> String {
    let units = shell("systemctl list-units --all --no-pager 'only1mcp*'", "");
    let log = shell("journalctl --no-pager -o cat -u only1mcp -u only1mcp-launcher | tail -40", "");
    format!("{units}\n{log}\n{:?}", status())
}

/// The endpoint for clients, with the token.
pub fn endpoint() -> Endpoint {
    let token = fs::read_to_string("/var/lib/only1mcp/token").expect("read the token").trim().to_owned();
    Endpoint { address: "127.0.0.1:8080".to_owned(), path: "/mcp".to_owned(), token: Some(token) }
}

/// Calls a tool; the text it answers.
pub fn call(tool: &str, arguments: &Value) -> String {
    let response = endpoint().modern("tools/call", &json!({"name": tool, "arguments": arguments}));
    assert_eq!(response.status, 200, "{tool}: {response:?}\n{}", story());
    let answer = response.json();
    let text = answer["result"]["content"][0]["text"].as_str();
    text.unwrap_or_else(|| panic!("{tool}: {answer}\n{}", story())).to_owned()
}

/// Calls a tool of each of the four servers.
pub fn assert_all_answer() {
    assert!(call("everything__echo", &json!({"message": "hello"})).contains("hello"));
    assert!(call("time__get_current_time", &json!({"timezone": "Europe/Berlin"})).contains("Europe/Berlin"));
    assert!(call("notes__list_notes", &json!({})).len() > 1);
    assert!(call("probe__read_file", &json!({"path": "/etc/shadow"})).contains("No such file"));
}

/// Which version the package manager has.
pub fn version() -> String {
    let said = said("dpkg-query --show only1mcp");
    said.split_whitespace().nth(1).unwrap_or_default().to_owned()
}

/// Whether the proxy's unit is active.
pub fn is_active() -> bool {
    crate::machine::outcome(&format!("systemctl is-active --quiet {PROXY}")).code == 0
}
