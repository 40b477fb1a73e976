//! A running `only1mcp start`: its own folders, its own port, ready when its servers are, ended when dropped.

use crate::configuration::Configuration;
use crate::mcp::Endpoint;
use crate::processes::{self, Process, wait_until};
use crate::scratch::Scratch;
use crate::{http, is_root, programs, run};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs::{self, File};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// For daemons of tests.
const PORTS: std::ops::Range<u32> = 10_000..18_000;
const READY_LIMIT: Duration = Duration::from_secs(45);
/// Lines told of the beginning and of the end of a daemon's output.
const STORY_LINES: usize = 50;
const STOP_LIMIT: Duration = Duration::from_secs(25);

/// Which of our own processes is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `only1mcp start`.
    Supervisor,
    /// `only1mcp serve`.
    Proxy,
    /// `only1mcp-launcher`.
    Launcher,
}

/// A daemon of this test alone.
pub struct Daemon {
    /// Its folder: `etc/config.yaml`, `state`, `run`, `out.log`, `err.log`, `home`.
    pub scratch: Scratch,
    child: Mutex<Child>,
    address: String,
    pid: i32,
}

impl Daemon {
    /// Starts a daemon and waits until each server is ready, or has failed.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start(configuration: &Configuration) -> Self {
        let scratch = Scratch::new();
        scratch.write("etc/config.yaml", &configuration.text(&scratch.mark()));
        Self::start_in(scratch, &[])
    }

    /// Starts a daemon and waits for one server alone: what becomes of the others takes its time.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start_for(configuration: &Configuration, server: &str) -> Self {
        let scratch = Scratch::new();
        scratch.write("etc/config.yaml", &configuration.text(&scratch.mark()));
        let daemon = Self::launch(scratch, &[]);
        daemon.wait_for(server, "ready");
        daemon
    }

    /// Starts a daemon in a folder that holds `etc/config.yaml`, with further arguments.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start_in(scratch: Scratch, arguments: &[&str]) -> Self {
        Self::launch(scratch, arguments).when_settled()
    }

    /// Waits until each server is ready, or has failed.
    ///
    /// # Panics
    /// If that takes too long.
    #[must_use]
    pub fn when_settled(self) -> Self {
        let ready = wait_until(READY_LIMIT, || self.lives() && self.settled() || !self.lives());
        assert!(ready && self.lives(), "the daemon did not become ready:\n{}", self.story());
        self
    }

    /// Starts a daemon and waits for nothing.
    ///
    /// # Panics
    /// If it cannot be started at all.
    #[must_use]
    pub fn launch(scratch: Scratch, arguments: &[&str]) -> Self {
        Self::launch_by(&[], scratch, arguments)
    }

    /// Starts a daemon by way of another program, which must execute what follows its own arguments.
    ///
    /// # Panics
    /// If it cannot be started at all.
    #[must_use]
    pub fn launch_by(by: &[&str], scratch: Scratch, arguments: &[&str]) -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        scratch.folder("home", 0o755);
        let mut command = command(&scratch, &["start", "--listen", &address]);
        command.args(source(&scratch)).args(places(&scratch)).args(arguments);
        let mut command = led_by(by, command);
        let log = |name: &str| Stdio::from(File::create(scratch.join(name)).expect("make a log file"));
        command.stdin(Stdio::null()).stdout(log("out.log")).stderr(log("err.log"));
        let child = spawn(command).expect("start the daemon");
        let pid = i32::try_from(child.id()).unwrap_or_default();
        Self { scratch, child: Mutex::new(child), address, pid }
    }

    /// Whether the supervisor still runs.
    #[must_use]
    pub fn lives(&self) -> bool {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(child.try_wait(), Ok(None))
    }

    /// Whether each server is ready, has failed, or waits until it is needed.
    #[must_use]
    pub fn settled(&self) -> bool {
        let Some(status) = self.try_status() else { return false };
        let Some(servers) = status["servers"].as_array() else { return false };
        servers.iter().all(|server| matches!(server["state"].as_str(), Some("ready" | "failed" | "idle")))
    }

    /// What `GET /status` says; None if nobody answers.
    #[must_use]
    pub fn try_status(&self) -> Option<Value> {
        let response = http::get_unix(&self.scratch.join("run/admin.sock"), "/status").ok()?;
        serde_json::from_str(&response.body).ok()
    }

    /// What `GET /status` says.
    ///
    /// # Panics
    /// If nobody answers.
    #[must_use]
    pub fn status(&self) -> Value {
        self.try_status().unwrap_or_else(|| panic!("no status:\n{}", self.story()))
    }

    /// What `GET /status` says of one server.
    ///
    /// # Panics
    /// If nobody answers, or nothing is said.
    #[must_use]
    pub fn server_status(&self, id: &str) -> Value {
        let status = self.status();
        let found = status["servers"].as_array().and_then(|all| all.iter().find(|server| server["id"] == id));
        found.unwrap_or_else(|| panic!("no server {id} in {status:#}")).clone()
    }

    /// Waits until a server is in this state.
    ///
    /// # Panics
    /// If it does not get there.
    pub fn wait_for(&self, id: &str, state: &str) {
        let found = || {
            let status = self.try_status()?;
            let all = status["servers"].as_array()?;
            all.iter().find(|server| server["id"] == id)?["state"].as_str().map(str::to_owned)
        };
        let reached = wait_until(READY_LIMIT, || found().as_deref() == Some(state));
        assert!(reached, "{id} is {:?}, not {state}:\n{}", found(), self.story());
    }

    /// The aggregate endpoint, with the token where one is needed.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        let token = if is_root() { Some(self.token()) } else { None };
        Endpoint { address: self.address.clone(), path: "/mcp".to_owned(), token }
    }

    /// The bearer token.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn token(&self) -> String {
        fs::read_to_string(self.scratch.join("state/token")).expect("read the token").trim().to_owned()
    }

    /// A command of the program that speaks to this daemon.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = command(&self.scratch, words);
        command.args(places(&self.scratch));
        command
    }

    /// The supervisor and all below it, and whatever carries this daemon's mark.
    #[must_use]
    pub fn processes(&self) -> Vec<Process> {
        let mut all = processes::tree(self.pid);
        let known: Vec<i32> = all.iter().map(|process| process.pid).collect();
        let marked = processes::marked(&self.scratch.mark()).into_iter();
        all.extend(marked.filter(|process| !known.contains(&process.pid)));
        all
    }

    /// One of our own processes; None if it does not run now.
    #[must_use]
    pub fn role(&self, role: Role) -> Option<Process> {
        let is = |process: &Process| {
            let mut words = process.command_line.split(' ');
            let program = words.next().unwrap_or_default();
            match role {
                Role::Supervisor => process.pid == self.pid,
                Role::Proxy => program.ends_with("only1mcp") && words.next() == Some("serve"),
                Role::Launcher => program.ends_with("only1mcp-launcher") && process.parent == self.pid,
            }
        };
        processes::tree(self.pid).into_iter().find(is)
    }

    /// Sends a signal to one of our own processes.
    ///
    /// # Panics
    /// If it does not run.
    pub fn signal(&self, role: Role, signal: Signal) {
        let process = self.role(role).unwrap_or_else(|| panic!("no {role:?}:\n{}", self.story()));
        kill(Pid::from_raw(process.pid), signal).expect("send a signal");
    }

    /// Asks the daemon to end; its exit code. Afterwards nothing of it runs.
    ///
    /// # Panics
    /// If it does not end, or leaves a process.
    pub fn stop(self) -> i32 {
        let before = self.processes();
        let _ = kill(Pid::from_raw(self.pid), Signal::SIGTERM);
        let code = self.wait(STOP_LIMIT).unwrap_or_else(|| panic!("it does not end:\n{}", self.story()));
        self.assert_nothing_left(&before);
        code
    }

    /// Waits for the supervisor's end; None if the time is over first.
    #[must_use]
    pub fn wait(&self, limit: Duration) -> Option<i32> {
        run::wait(&mut self.child.lock().unwrap_or_else(PoisonError::into_inner), limit)
    }

    /// Checks that none of `before`, and nothing marked, still runs; waits a moment for the kernel to reap.
    ///
    /// # Panics
    /// If something is left.
    pub fn assert_nothing_left(&self, before: &[Process]) {
        let left = || {
            let mut left: Vec<Process> = before.iter().filter(|process| process.lives()).cloned().collect();
            left.extend(processes::marked(&self.scratch.mark()));
            left
        };
        let gone = wait_until(Duration::from_secs(5), || left().is_empty());
        assert!(gone, "processes left:\n{:#?}\n{}", left(), self.story());
    }

    /// What the daemon printed.
    #[must_use]
    pub fn printed(&self) -> String {
        fs::read_to_string(self.scratch.join("out.log")).unwrap_or_default()
    }

    /// What the daemon logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.scratch.join("err.log")).unwrap_or_default()
    }

    /// All that helps to understand a failure.
    #[must_use]
    pub fn story(&self) -> String {
        let status = self.try_status().map_or_else(|| "none".to_owned(), |status| status.to_string());
        let (out, err) = (ends_of(&self.printed()), ends_of(&self.log()));
        format!("--- out\n{out}\n--- err\n{err}\n--- status\n{status}")
    }
}

/// The first and the last lines of a text.
fn ends_of(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() <= 2 * STORY_LINES {
        return lines.join("\n");
    }
    let (first, rest) = lines.split_at(STORY_LINES);
    let (left_out, last) = rest.split_at(rest.len() - STORY_LINES);
    format!("{}\n[{} lines]\n{}", first.join("\n"), left_out.len(), last.join("\n"))
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let pid = Pid::from_raw(self.pid);
        if self.lives() && kill(pid, Signal::SIGTERM).is_ok() && self.wait(STOP_LIMIT).is_none() {
            let _ = kill(pid, Signal::SIGKILL);
            let _ = self.wait(STOP_LIMIT);
        }
        for process in processes::marked(&self.scratch.mark()) {
            let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
        }
    }
}

/// The program with these words, in a clean environment whose home is the scratch folder's; it dies with the test.
#[must_use]
pub fn command(scratch: &Scratch, words: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM"]).arg(programs::program("only1mcp")).args(words);
    clean(&mut command, &scratch.join("home").display().to_string());
    command
}

/// The command as the arguments of another one, in the same environment.
fn led_by(by: &[&str], command: Command) -> Command {
    let [program, arguments @ ..] = by else { return command };
    let mut leader = Command::new(program);
    leader.args(arguments).arg(command.get_program()).args(command.get_args());
    clean(&mut leader, "/");
    for (name, value) in command.get_envs() {
        leader.env(name, value.unwrap_or_default());
    }
    leader
}

/// The flag for the scratch folder's configuration, if it has one: without, the embedded default is meant.
#[must_use]
pub fn source(scratch: &Scratch) -> Vec<String> {
    let file = scratch.join("etc/config.yaml");
    if file.exists() { vec!["--config".to_owned(), file.display().to_string()] } else { Vec::new() }
}

/// The flags for the scratch folder's state and runtime folders.
#[must_use]
pub fn places(scratch: &Scratch) -> Vec<String> {
    let path = |name: &str| scratch.join(name).display().to_string();
    vec!["--state-dir".to_owned(), path("state"), "--runtime-dir".to_owned(), path("run")]
}

/// Removes the environment but for what a login shell would give.
pub fn clean(command: &mut Command, home: &str) {
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    command.env_clear().envs([("PATH", path), ("HOME", home), ("LANG", "C.UTF-8"), ("NO_COLOR", "1")]);
    // Coverage counts what the programs write when they end, if the place is named.
    if let Some(file) = std::env::var_os("LLVM_PROFILE_FILE") {
        command.env("LLVM_PROFILE_FILE", file);
    }
    command.current_dir("/");
}

/// A port that was free a moment ago: one that no other test gets, and below those that the kernel gives to whoever
/// asks for any, so that nobody takes it by chance.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut ports = (0..PORTS.end - PORTS.start).map(|_| {
        let next = std::process::id().wrapping_mul(97).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        PORTS.start + next % (PORTS.end - PORTS.start)
    });
    let free = ports.find_map(|port| {
        let port = u16::try_from(port).ok()?;
        TcpListener::bind(("127.0.0.1", port)).ok().map(|_| port)
    });
    free.expect("a free port")
}

/// Starts a child from a thread that lives as long as this process: `--pdeathsig` counts the thread's death.
fn spawn(command: Command) -> std::io::Result<Child> {
    type Job = (Command, Sender<std::io::Result<Child>>);
    static JOBS: OnceLock<Mutex<Sender<Job>>> = OnceLock::new();
    let jobs = JOBS.get_or_init(|| {
        let (sender, receiver) = channel::<Job>();
        std::thread::spawn(move || {
            for (mut command, answer) in receiver {
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(sender)
    });
    let (sender, receiver) = channel();
    let sent = jobs.lock().unwrap_or_else(PoisonError::into_inner).send((command, sender));
    sent.map_err(std::io::Error::other)?;
    receiver.recv().map_err(std::io::Error::other)?
}
