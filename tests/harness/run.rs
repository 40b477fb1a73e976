//! One command from start to end, with a time limit.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What a command did.
#[derive(Debug)]
pub struct Outcome {
    /// Its exit code; 128 + signal if a signal ended it, as a shell says.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it complained.
    pub stderr: String,
}

/// Runs a command to its end.
///
/// # Panics
/// If it cannot be started, or takes longer than a minute.
pub fn run(command: &mut Command) -> Outcome {
    run_with_input(command, "", Duration::from_secs(60))
}

/// Runs a command to its end, giving it `input`.
///
/// # Panics
/// If it cannot be started, or takes longer than `limit`.
pub fn run_with_input(command: &mut Command, input: &str, limit: Duration) -> Outcome {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let stdout = reader(child.stdout.take());
    let stderr = reader(child.stderr.take());
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(input.as_bytes());
    }
    let code = wait(&mut child, limit).unwrap_or_else(|| {
        let _ = child.kill();
        panic!("{command:?} took longer than {limit:?}")
    });
    let text = |handle: std::thread::JoinHandle<String>| handle.join().unwrap_or_default();
    Outcome { code, stdout: text(stdout), stderr: text(stderr) }
}

fn reader(stream: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            let _ = stream.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Waits for a child; None if the time is over first.
pub fn wait(child: &mut Child, limit: Duration) -> Option<i32> {
    use std::os::unix::process::ExitStatusExt;
    let end = Instant::now() + limit;
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return status.code().or_else(|| status.signal().map(|signal| 128 + signal));
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
