//! From the wish to the first answer: the same server started bare, and by the launcher behind all walls.

use crate::{milliseconds, quantile};
use harness::configuration::Configuration;
use harness::daemon::Daemon;
use harness::mcp::{message, modern_meta};
use harness::programs;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Prints the table.
pub fn print(starts: usize) {
    let mut bare: Vec<Duration> = (0..starts).map(|_| bare_start()).collect();
    let mut walled: Vec<Duration> = (0..starts).map(|_| walled_start()).collect();
    bare.sort();
    walled.sort();
    println!("start to first answer, {starts} starts     p50 ms    p90 ms");
    for (name, times) in [("bare", &bare), ("killed, then called through only1mcp", &walled)] {
        println!(
            "{name:<36} {:>8.2} {:>9.2}",
            milliseconds(quantile(times, 0.5)),
            milliseconds(quantile(times, 0.9))
        );
    }
    let (bare, walled) = (milliseconds(quantile(&bare, 0.5)), milliseconds(quantile(&walled, 0.5)));
    println!("{:<36} {:>8.2}    ratio {:.1}", "the sandbox and the way there", walled - bare, walled / bare);
}

fn bare_start() -> Duration {
    let start = Instant::now();
    let mut command = Command::new(programs::fixture());
    command.args(["--era", "modern"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("start the fixture");
    let (mut stdin, stdout) = (child.stdin.take().expect("stdin"), child.stdout.take().expect("stdout"));
    let request = message(1, "server/discover", &json!({"_meta": modern_meta()}));
    writeln!(stdin, "{request}").expect("write to the fixture");
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).expect("read from the fixture");
    let time = start.elapsed();
    drop(stdin);
    let _ = child.wait();
    time
}

/// Kills the server and calls it at once: detection, a new sandbox, the probe of its era and the call.
///
/// Each time in a daemon of its own: one that dies again and again would be given time before its next start.
fn walled_start() -> Duration {
    let daemon = Daemon::start(&Configuration::new().fixture("server", "--era modern"));
    let pid = daemon.server_status("server")["pid"]
        .as_i64()
        .and_then(|pid| i32::try_from(pid).ok())
        .expect("a pid");
    let start = Instant::now();
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("kill the server");
    // A call that met the dying server is told that its outcome is unknown: this one may be repeated.
    while !daemon.endpoint().call("server__echo", &json!({"text": "alive"})).body.contains("alive") {}
    start.elapsed()
}
