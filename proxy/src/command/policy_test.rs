//! `policy test`: has `only1mcp-escape` attack one server's sandbox, in directories that are gone afterwards.
//!
//! That program starts us once more as `start`, tied to itself; when it ends, so does what it started.

use super::arguments::{PolicyTestArguments, Pool};
use super::compile::{self, Task};
use super::directories::{Configuration, Directories, Mode};
use super::exit_code::Exit;
use super::failure::Failure;
use super::limits::{STOP_ALL, TEST_LOOK};
use super::paint::Paint;
use super::program::{Program, Programs};
use super::start::instance;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// The directory that the probe sees, below the canaries'.
const SHOWN: &str = "granted";
/// What the names of our directories begin with.
const NAME: &str = "policy-test-";

/// Attacks the sandbox of one server; the answer is the attacker's.
///
/// # Errors
/// When the configuration has errors, or the test cannot be made.
pub fn run(arguments: &PolicyTestArguments) -> Result<Exit, Failure> {
    let directories = Directories::resolve(&arguments.places)?;
    let config = directories.configuration(&arguments.source)?;
    let programs = Programs::beside_us()?;
    for program in Program::HELPERS.into_iter().chain([Program::Escape]) {
        programs.command(program)?;
    }
    let scratch = Scratch::make(&directories, &arguments.canaries)?;
    check(&programs, &directories, &scratch, &config, &arguments.server)?;
    let command = escape(arguments, &programs, &scratch, &config)?;
    let ended = attack(command);
    scratch.wait_until_free();
    ended.and_then(answer)
}

/// Errors of the configuration are told before anything is started; what the daemon's own directories forbid, too.
fn check(
    programs: &Programs,
    directories: &Directories,
    scratch: &Scratch,
    config: &Configuration,
    server: &str,
) -> Result<(), Failure> {
    let mut command = compile::command(programs, directories, Task::Check, config)?;
    command.arg("--probe").arg(server).arg("--canary").arg(scratch.canaries.join(SHOWN));
    let check = compile::output(command)?;
    if check.status.success() {
        return Ok(());
    }
    let said = [check.stdout.as_slice(), check.stderr.as_slice()].concat();
    eprint!("{}", Paint::of(&io::stderr()).findings(&String::from_utf8_lossy(&said)));
    let text = format!("{server} cannot be tested with the configuration {}", config.as_argument().display());
    Err(Failure::new(compile::passed(&check), text).help("mend what is listed above"))
}

fn escape(
    arguments: &PolicyTestArguments,
    programs: &Programs,
    scratch: &Scratch,
    config: &Configuration,
) -> Result<Command, Failure> {
    let mut command = programs.command(Program::Escape)?;
    command.arg("--server").arg(&arguments.server).arg("--config").arg(config.as_argument());
    command.arg("--state-dir").arg(&scratch.own.state).arg("--runtime-dir").arg(&scratch.own.runtime);
    command.arg("--canaries").arg(&scratch.canaries);
    if scratch.own.mode == Mode::Root {
        let pool = arguments.pool.unwrap_or_else(|| Pool::of_test(std::process::id()));
        command.arg("--pool").arg(pool.to_string());
    }
    command.args(arguments.allow_degraded.then_some("--allow-degraded"));
    command.args(arguments.json.then_some("--json"));
    Ok(command)
}

/// Runs it to its end; a signal to us ends it, so that we are left to clean up.
fn attack(mut command: Command) -> Result<ExitStatus, Failure> {
    let failed = |what: &str, cause: io::Error| {
        Failure::new(Exit::Unavailable, format!("cannot {what} only1mcp-escape: {cause}"))
    };
    let stopped = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stopped)).map_err(|cause| failed("watch", cause))?;
    }
    let mut child = command.spawn().map_err(|cause| failed("run", cause))?;
    loop {
        if let Some(status) = child.try_wait().map_err(|cause| failed("wait for", cause))? {
            return Ok(status);
        }
        if stopped.swap(false, Ordering::Relaxed) {
            end(&child);
        }
        std::thread::sleep(TEST_LOOK);
    }
}

fn end(child: &Child) {
    if let Ok(pid) = i32::try_from(child.id()) {
        // We have not reaped it, so the pid cannot be another's; a terminal may have ended it already.
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
}

fn answer(status: ExitStatus) -> Result<Exit, Failure> {
    match status.code().map(u8::try_from) {
        Some(Ok(0)) => Ok(Exit::Ok),
        Some(Ok(code)) => Ok(Exit::Passed(code)),
        _ => {
            let signal = status.signal().and_then(|number| Signal::try_from(number).ok());
            let by = signal.map_or_else(|| status.to_string(), |signal| signal.to_string());
            Err(Failure::new(Exit::Unavailable, format!("the test was ended by {by}: nothing is proven")))
        }
    }
}

/// Directories of this one run; gone with it.
struct Scratch {
    own: Directories,
    canaries: PathBuf,
}

impl Scratch {
    fn make(real: &Directories, canaries: &Path) -> Result<Self, Failure> {
        real.prepare_state()?;
        real.prepare_runtime()?;
        let name = format!("{NAME}{}", std::process::id());
        let own =
            Directories { state: real.state.join(&name), runtime: real.runtime.join(&name), ..real.clone() };
        let canaries = canaries.canonicalize().map(|canaries| canaries.join(&name)).map_err(|cause| {
            let text = format!("cannot lay canaries in {}: {cause}", canaries.display());
            Failure::new(Exit::CannotCreate, text).help("name another directory with --canaries DIR")
        })?;
        let scratch = Self { own, canaries };
        // What a process of the same number has left.
        scratch.remove();
        let shown = scratch.canaries.join(SHOWN);
        // As root, the servers' uids must reach it, and controls list it.
        let mode = if scratch.own.mode == Mode::Root { 0o755 } else { 0o700 };
        let made = DirBuilder::new().mode(mode).create(&scratch.canaries);
        made.and_then(|()| DirBuilder::new().mode(0o755).create(&shown)).map_err(|cause| {
            Failure::new(Exit::CannotCreate, format!("cannot create {}: {cause}", shown.display()))
                .help("name another directory with --canaries DIR")
        })?;
        scratch.own.prepare_state()?;
        scratch.own.prepare_runtime()?;
        Ok(scratch)
    }

    /// Until what was started in them has ended, should the attacker have been ended before it.
    fn wait_until_free(&self) {
        let deadline = Instant::now() + STOP_ALL;
        while instance::claim(&self.own.runtime).is_err() && Instant::now() < deadline {
            std::thread::sleep(TEST_LOOK);
        }
    }

    fn remove(&self) {
        for directory in [&self.canaries, &self.own.runtime, &self.own.state] {
            match std::fs::remove_dir_all(directory) {
                Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                    eprintln!("only1mcp: {} is left over: {cause}", directory.display());
                }
                _ => {}
            }
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.remove();
    }
}
