//! A daemon in a scope of its own that systemd has delegated to it, with a greedy server and a good neighbour.

use crate::reader::Reader;
use harness::configuration::Configuration;
use harness::daemon::Daemon;
use harness::processes::wait_until;
use harness::programs;
use harness::run::{Outcome, run};
use harness::scratch::Scratch;
use serde_json::{Value, json};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// systemd gives what follows a cgroup of its own, with every controller, and leaves it alone.
const SCOPE: [&str; 6] = ["systemd-run", "--scope", "--quiet", "-p", "Delegate=yes", "--"];
/// How long a neighbour may take to answer while another server does its worst, on an emulated machine.
const NEIGHBOUR_TIME_MAX: Duration = Duration::from_secs(10);
/// The limits of the greedy server, unless a test says otherwise.
pub const LIMITS: &str = "memory: 64MiB, processes: 32, cpu: 100%, scratch: 8MiB";

/// Servers `greedy` and `good`; `limits` are those of the greedy one, `more` what else its policy says.
pub fn configuration(limits: &str, more: &str) -> Configuration {
    let folder = programs::folder().display().to_string();
    let write = format!("filesystem: {{read: [{folder}], write: [state]}}");
    let files = if more.contains("filesystem") { more.to_owned() } else { format!("{write}{more}") };
    let policy = format!("{{extends: native, limits: {{{limits}}}, {files}}}");
    let arguments = ["--greedy", "--mark", "@MARK@"];
    Configuration::new().server("greedy", &programs::fixture(), &arguments, &policy, "").fixture("good", "")
}

/// Starts it.
pub fn start(configuration: &Configuration) -> Daemon {
    let scratch = Scratch::new();
    scratch.write("etc/config.yaml", &configuration.text(&scratch.mark()));
    Daemon::launch_by(&SCOPE, scratch, &[]).when_settled()
}

/// Starts it with these limits of the greedy server.
pub fn with(limits: &str) -> Daemon {
    start(&configuration(limits, ""))
}

/// One act of the greedy server: its answer.
pub fn act(daemon: &Daemon, line: &str) -> String {
    daemon.endpoint().call_text("greedy__act", &json!({"line": line}))
}

/// One act that must end the greedy server: the error that its caller gets.
pub fn last_act(daemon: &Daemon, line: &str) -> String {
    let answer = daemon.endpoint().call("greedy__act", &json!({"line": line})).json();
    let message = answer.pointer("/error/message").and_then(Value::as_str);
    message.unwrap_or_else(|| panic!("{line} was answered: {answer}\n{}", daemon.story())).to_owned()
}

/// The same act where nothing holds it.
pub fn outside(line: &str) -> String {
    let Outcome { code, stdout, stderr } = run(Command::new(programs::fixture()).args(["--act", line]));
    assert_eq!(code, 0, "{stderr}");
    stdout.trim().to_owned()
}

/// The greedy server's cgroup.
pub fn reader(daemon: &Daemon) -> Reader {
    Reader::of(daemon.server_status("greedy")["pid"].as_u64().unwrap())
}

/// Does something while the neighbour is asked again and again; it must answer each time, and soon.
pub fn beside_a_good_neighbour<T>(daemon: &Daemon, work: impl FnOnce() -> T) -> T {
    let endpoint = daemon.endpoint();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let neighbour = scope.spawn(|| {
            let mut answers = 0;
            while !done.load(Ordering::SeqCst) || answers == 0 {
                let begun = Instant::now();
                assert_eq!(endpoint.call_text("good__echo", &json!({"text": "here"})), "here");
                assert!(begun.elapsed() < NEIGHBOUR_TIME_MAX, "it took {:?}", begun.elapsed());
                answers += 1;
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let result = work();
        done.store(true, Ordering::SeqCst);
        neighbour.join().unwrap();
        result
    })
}

/// Waits until something is so.
pub fn eventually(what: &str, daemon: &Daemon, holds: impl FnMut() -> bool) {
    assert!(wait_until(Duration::from_secs(20), holds), "{what}: not so\n{}", daemon.story());
}
