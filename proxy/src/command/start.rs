//! `only1mcp start`: everything that must be right before the first child runs, in order; then supervise.

pub mod aside;
pub mod instance;
pub mod pool;
pub mod readable;
pub mod sockets;
pub mod stage;
pub mod token;

use super::arguments::StartArguments;
use super::compile::{self, Task};
use super::directories::{Configuration, Directories, Mode};
use super::exit_code::Exit;
use super::failure::Failure;
use super::paint::Paint;
use super::program::{LowDescriptors, Program, Programs};
use super::supervisor::{Supervisor, Surroundings, Worker};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use only1mcp_policy::view::{ToolView, View};
use sockets::Sockets;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Output;

/// Where a daemon in the background listens if its port is taken.
const ANY_PORT: &str = "127.0.0.1:0";

/// Starts the daemon and stays until it is told to end.
///
/// # Errors
/// Whatever stands in the way of a start; nothing of ours is left running then.
pub fn run(arguments: &StartArguments) -> Result<Exit, Failure> {
    attach(arguments)?;
    let directories = Directories::resolve(&arguments.places)?;
    refuse_beside_systemd(&directories)?;
    let config = directories.configuration(&arguments.source)?;
    let programs = Programs::beside_us()?;
    directories.prepare_runtime()?;
    let _claim = instance::claim(&directories.runtime)?;
    directories.prepare_state()?;
    let inside = prepare_programs(arguments, &directories, &config, &programs)?;
    let view = checked_view(arguments, &directories, &config, &inside)?;
    let listen = arguments.listen.as_ref().unwrap_or(&view.proxy.listen);
    if let Some(warning) = warning_of_strangers(arguments.listen.as_deref()) {
        eprintln!("{warning}");
    }
    let token = token::ensure(&directories.state)?;
    let low = LowDescriptors::take().map_err(|cause| internal("descriptors", &cause))?;
    let sockets = bind(arguments, &directories, listen)?;
    let workers = workers(arguments, &directories, &config, &programs, inside.directory(), &token, sockets);
    // Before either of them starts: they begin where we are.
    aside::step_aside();
    let ended = Supervisor::new(workers)?.run();
    drop(low);
    sockets::remove(&directories);
    ended
}

/// What the check says of such an address in the configuration; one that was typed it has not seen.
fn warning_of_strangers(listen: Option<&str>) -> Option<String> {
    let address =
        listen?.parse::<std::net::SocketAddr>().ok().filter(|address| !address.ip().is_loopback())?;
    Some(format!(
        "warning: {address} can be reached from other machines, and the proxy speaks no TLS\n\
         help: listen on 127.0.0.1 and put a TLS proxy in front; clients need the bearer token"
    ))
}

/// What makes compiler and launcher put the probe in a server's place.
fn probe_words(arguments: &StartArguments) -> Vec<OsString> {
    let (Some(server), Some(canary)) = (&arguments.probe, &arguments.canary) else { return Vec::new() };
    vec!["--probe".into(), server.into(), "--canary".into(), canary.into()]
}

/// A second daemon would take the sockets away from the first.
fn refuse_beside_systemd(directories: &Directories) -> Result<(), Failure> {
    if directories.mode != Mode::System {
        return Ok(());
    }
    let text = format!("systemd runs a daemon in {}", directories.runtime.display());
    Err(Failure::new(Exit::TemporaryFailure, text).help(
        "`systemctl restart only1mcp` starts it anew; for a second one give --runtime-dir, --state-dir and --listen",
    ))
}

/// Whose child we want to be: nobody's terminal's, or the client's for as long as it lives.
fn attach(arguments: &StartArguments) -> Result<(), Failure> {
    let done = if arguments.detached {
        // Its directory may be unmounted one day.
        nix::unistd::setsid().and_then(|_| nix::unistd::chdir("/"))
    } else if arguments.tied {
        set_pdeathsig(Signal::SIGTERM)
    } else {
        Ok(())
    };
    done.map_err(|errno| internal("process", &errno.into()))?;
    // The parent may have ended before we asked to be told.
    if arguments.tied && nix::unistd::getppid().as_raw() == 1 {
        return Err(Failure::new(Exit::TemporaryFailure, "the process that started us has ended"));
    }
    Ok(())
}

fn internal(what: &str, cause: &std::io::Error) -> Failure {
    Failure::new(Exit::Internal, format!("cannot prepare our {what}: {cause}"))
}

/// Root mode: the pool is free, other uids reach what they need. The programs to use inside.
fn prepare_programs(
    arguments: &StartArguments,
    directories: &Directories,
    config: &Configuration,
    programs: &Programs,
) -> Result<Programs, Failure> {
    for program in Program::HELPERS {
        programs.command(program)?;
    }
    if directories.mode == Mode::User {
        return Ok(programs.clone());
    }
    arguments.pool.check(&pool::Accounts::read())?;
    let staged = stage::stage(programs, &directories.runtime)?;
    let launcher = arguments.pool.launcher();
    readable::require_executable(&staged.path(Program::Compile), launcher)?;
    if let Configuration::File(path) = config {
        readable::require_readable(path, launcher)?;
    }
    Ok(staged)
}

/// Checks the whole configuration, tells the findings, and learns what the proxy may know.
fn checked_view(
    arguments: &StartArguments,
    directories: &Directories,
    config: &Configuration,
    programs: &Programs,
) -> Result<View, Failure> {
    let run = |task| {
        let mut command = compile::command(programs, directories, task, config)?;
        command.current_dir("/").args(probe_words(arguments));
        if directories.mode == Mode::Root {
            // As the launcher will: what it cannot read must not pass the check. Setting the uid
            // of a command as root also drops all supplementary groups.
            command.uid(arguments.pool.launcher()).gid(arguments.pool.launcher());
        }
        compile::output(command)
    };
    let check = run(Task::Check)?;
    tell_findings(&check);
    if !check.status.success() {
        let text = format!("the configuration {} has errors", config.as_argument().display());
        let exit = if check.status.code() == Some(65) { Exit::Data } else { compile::passed(&check) };
        return Err(
            Failure::new(exit, text).help("mend what is listed above; `only1mcp config check` looks again")
        );
    }
    let view = run(Task::View)?;
    serde_json::from_slice(&view.stdout).map_err(|cause| {
        let said = String::from_utf8_lossy(&view.stderr);
        Failure::new(Exit::Internal, format!("only1mcp-compile view answered nonsense: {cause} {said}"))
    })
}

/// Clients of a daemon in the background come over the relay: that another user's daemon has the port must
/// not keep them out.
fn bind(arguments: &StartArguments, directories: &Directories, listen: &str) -> Result<Sockets, Failure> {
    let owner = arguments.pool.proxy();
    match sockets::bind_all(directories, listen, owner) {
        Err(taken) if arguments.detached && taken.exit == Exit::TemporaryFailure => {
            taken.print();
            eprintln!("only1mcp: listening on another port instead; see `only1mcp status`");
            sockets::bind_all(directories, ANY_PORT, owner)
        }
        bound => bound,
    }
}

fn tell_findings(check: &Output) {
    let said = [check.stdout.as_slice(), check.stderr.as_slice()].concat();
    let text = String::from_utf8_lossy(&said);
    if !check.status.success() || text.contains("warning:") {
        eprint!("{}", Paint::of(&std::io::stderr()).findings(&text));
    }
}

fn workers(
    arguments: &StartArguments,
    directories: &Directories,
    config: &Configuration,
    programs: &Programs,
    program_dir: &Path,
    token: &Path,
    sockets: Sockets,
) -> [Worker; 2] {
    let mode = directories.mode;
    let mut launcher = Worker::new("launcher", programs.path(Program::Launcher), Surroundings::Inherited);
    launcher.argument("--mode", mode.as_str());
    launcher.argument("--config", config.as_argument());
    launcher.argument("--state-dir", &directories.state);
    launcher.argument("--runtime-dir", &directories.runtime);
    launcher.argument("--program-dir", program_dir);
    if arguments.allow_degraded {
        launcher.flag("--allow-degraded");
    }
    for word in probe_words(arguments) {
        launcher.word(word);
    }
    launcher.hand(vec![(sockets.launch, "launch")]);

    let mut proxy = Worker::new("proxy", programs.path(Program::Main), Surroundings::Bare);
    proxy.flag("serve");
    proxy.argument("--mode", mode.as_str());
    proxy.argument("--launcher", directories.launch_socket());
    proxy.argument("--token-file", token);
    if let Some(view) = arguments.view {
        proxy.argument("--view", ToolView::from(view).word());
    }
    proxy.flag_on_first_start("--start-screen");
    proxy.hand(sockets.proxy);

    if mode == Mode::Root {
        launcher.argument("--pool", arguments.pool.to_string());
        proxy.argument("--user", arguments.pool.proxy().to_string());
    }
    [launcher, proxy]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_other_machines_reach_is_warned_of() {
        for quiet in [None, Some("127.0.0.1:8080"), Some("[::1]:8080"), Some("8080")] {
            assert_eq!(warning_of_strangers(quiet), None);
        }
        for loud in ["0.0.0.0:8080", "[::]:8080", "192.0.2.1:80"] {
            assert!(warning_of_strangers(Some(loud)).is_some_and(|warning| warning.contains(loud)));
        }
    }
}
