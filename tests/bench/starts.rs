//! From the wish to the first answer: the same server started bare, and by the launcher behind all walls.

use crate::launcher::Launcher;
use crate::{milliseconds, quantile};
use harness::configuration::Configuration;
use harness::mcp::{message, modern_meta};
use harness::programs;
use serde_json::json;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Prints the table.
pub fn print(starts: usize) {
    // Each name is started once: the launcher bounds how often one may be.
    let names: Vec<String> = (0..starts).map(|number| format!("server-{number}")).collect();
    let all = |configuration: Configuration, name: &String| configuration.fixture(name, "--era modern");
    let mut launcher = Launcher::start(&names.iter().fold(Configuration::new(), all));
    // In turns, so that both meet the same machine.
    let (mut bare, mut walled): (Vec<_>, Vec<_>) =
        names.iter().map(|name| (bare_start(), walled_start(&mut launcher, name))).unzip();
    bare.sort();
    walled.sort();
    println!("start to first answer, {starts} starts     p50 ms    p90 ms");
    for (name, times) in [("bare", &bare), ("by the launcher, behind all walls", &walled)] {
        println!(
            "{name:<36} {:>8.2} {:>9.2}",
            milliseconds(quantile(times, 0.5)),
            milliseconds(quantile(times, 0.9))
        );
    }
    let (bare, walled) = (milliseconds(quantile(&bare, 0.5)), milliseconds(quantile(&walled, 0.5)));
    println!("{:<36} {:>8.2}    ratio {:.1}", "the sandbox", walled - bare, walled / bare);
}

fn bare_start() -> Duration {
    let start = Instant::now();
    let mut command = Command::new(programs::fixture());
    command.args(["--era", "modern"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("start the fixture");
    let (stdin, stdout) = (child.stdin.take().expect("stdin"), child.stdout.take().expect("stdout"));
    first_answer(stdin, stdout);
    let time = start.elapsed();
    let _ = child.wait();
    time
}

fn walled_start(launcher: &mut Launcher, name: &str) -> Duration {
    let start = Instant::now();
    let server = launcher.spawn(name);
    first_answer(server.stdin, server.stdout);
    start.elapsed()
}

/// Asks one question and waits for the answer; the server ends with its input.
fn first_answer(mut stdin: impl Write, stdout: impl Read) {
    let request = message(1, "server/discover", &json!({"_meta": modern_meta()}));
    writeln!(stdin, "{request}").expect("write to the fixture");
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).expect("read from the fixture");
    assert!(line.contains("supportedVersions"), "not an answer: {line}");
}
