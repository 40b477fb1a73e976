//! Who keeps the daemon running: `only1mcp start`, started by the runner itself, or the services of systemd.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::canaries::{LOADERS, VARIABLE};
use super::fault::{Context, Fault};
use super::machine::Person;

/// How long the daemon may take to end.
const END_TIMEOUT: Duration = Duration::from_secs(30);
/// Our services, the one that is told to start first.
const SERVICES: [&str; 2] = ["only1mcp.service", "only1mcp-launcher.service"];

/// Who keeps the daemon running.
pub enum Supervisor {
    /// `only1mcp start`, and the file it prints to.
    Ours(Child, PathBuf),
    /// The installed services. What they were before is not restored: this is for machines that are thrown away.
    Systemd,
}

impl Supervisor {
    /// Starts the installed services anew, with the forbidden variables in their environment.
    ///
    /// # Errors
    /// If systemd refuses.
    pub fn systemd() -> Result<Self, Fault> {
        let loaders: String = LOADERS.iter().map(|(name, value)| format!(" {name}={value}")).collect();
        for service in SERVICES {
            let folder = PathBuf::from(format!("/run/systemd/system/{service}.d"));
            let text =
                format!("[Service]\nEnvironment={VARIABLE}=canary AWS_SECRET_ACCESS_KEY=canary{loaders}\n");
            fs::create_dir_all(&folder)
                .and_then(|()| fs::write(folder.join("canary.conf"), text))
                .doing(|| format!("write {}", folder.display()))?;
        }
        systemctl(&["daemon-reload"])?;
        systemctl(&["stop", SERVICES[0], SERVICES[1]])?;
        systemctl(&["start", SERVICES[0]])?;
        Ok(Self::Systemd)
    }

    /// Why the daemon no longer runs, if so.
    ///
    /// # Errors
    /// If nobody knows.
    pub fn ended(&mut self) -> Result<Option<String>, Fault> {
        match self {
            Self::Ours(child, _) => {
                let status = child.try_wait().doing(|| "wait for the daemon".to_owned())?;
                Ok(status.map(|status| status.to_string()))
            }
            // It restarts what fails; then its log says why.
            Self::Systemd => Ok(None),
        }
    }

    /// What the daemon printed.
    #[must_use]
    pub fn log(&self) -> String {
        match self {
            Self::Ours(_, log) => fs::read_to_string(log).unwrap_or_default(),
            Self::Systemd => {
                let arguments = ["--no-pager", "--lines=100", "--unit=only1mcp*"];
                let output = root("/usr/bin/journalctl").args(arguments).output();
                output.map_or_else(|error| error.to_string(), |output| text(&output.stdout))
            }
        }
    }

    /// The process of ours whose command line holds `word`: `serve` or `only1mcp-launcher`.
    ///
    /// # Errors
    /// If there is none.
    pub fn process(&self, word: &str) -> Result<u32, Fault> {
        let found = match self {
            Self::Ours(child, _) => child_named(child.id(), word)?,
            Self::Systemd => {
                let service = if word == "serve" { SERVICES[0] } else { SERVICES[1] };
                let output = systemctl(&["show", "--property=MainPID", "--value", service])?;
                output.trim().parse().ok().filter(|&pid| pid != 0)
            }
        };
        found.ok_or_else(|| Fault::Program(format!("no process {word} is running\n{}", self.log())))
    }

    /// Ends the daemon; what is left over, or not as it must be, comes back.
    ///
    /// # Errors
    /// If it cannot be told to end.
    pub fn end(&mut self) -> Result<Vec<String>, Fault> {
        let roots = match self {
            Self::Ours(child, _) => vec![child.id()],
            Self::Systemd => vec![self.process("serve")?, self.process("only1mcp-launcher")?],
        };
        let mut ours = Vec::new();
        for root in roots {
            ours.extend(descendants(root)?);
        }
        let ended = match self {
            Self::Ours(child, _) => end_child(child)?,
            Self::Systemd => end_services()?,
        };
        std::thread::sleep(Duration::from_millis(100));
        let left =
            ours.iter().filter(|&&pid| is_left_over(pid)).map(|pid| format!("process {pid} was left over"));
        Ok(left.chain(ended.map(|wrong| format!("{wrong}\n{}", self.log()))).collect())
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        match self {
            Self::Ours(child, _) => {
                let _ = child.kill();
                let _ = child.wait();
            }
            Self::Systemd => drop(systemctl(&["stop", SERVICES[0], SERVICES[1]])),
        }
    }
}

/// Tells it to end and waits; what was wrong comes back.
fn end_child(child: &mut Child) -> Result<Option<String>, Fault> {
    let ending = || "end the daemon".to_owned();
    let pid = i32::try_from(child.id()).map_err(|_| Fault::Program("no pid".to_owned()))?;
    kill(Pid::from_raw(pid), Signal::SIGTERM).doing(ending)?;
    let deadline = Instant::now() + END_TIMEOUT;
    loop {
        match child.try_wait().doing(ending)? {
            Some(status) if status.success() => return Ok(None),
            Some(status) => return Ok(Some(format!("the daemon ended with {status}"))),
            None if Instant::now() > deadline => return Ok(Some("the daemon did not end".to_owned())),
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Stops both; a service that had to be killed, or ended with an error, comes back.
fn end_services() -> Result<Option<String>, Fault> {
    systemctl(&["stop", SERVICES[0], SERVICES[1]])?;
    let results = systemctl(&["show", "--property=Result", "--value", SERVICES[0], SERVICES[1]])?;
    let well =
        results.split_whitespace().count() == 2 && results.split_whitespace().all(|one| one == "success");
    Ok((!well).then(|| {
        format!("the services ended with {}", results.split_whitespace().collect::<Vec<_>>().join(", "))
    }))
}

fn systemctl(arguments: &[&str]) -> Result<String, Fault> {
    let named = || format!("run systemctl {}", arguments.join(" "));
    let output: Output = root("/usr/bin/systemctl").args(arguments).output().doing(named)?;
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    Err(Fault::Program(format!("cannot {}: {}", named(), text(&output.stderr))))
}

fn root(program: &str) -> Command {
    Person { uid: 0, gid: 0 }.command(program)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The first of a process's children whose command line holds `word`.
fn child_named(supervisor: u32, word: &str) -> Result<Option<u32>, Fault> {
    let children = parents()?.into_iter().filter(|(_, parent)| *parent == supervisor);
    let named = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|&byte| byte == 0).take(2).any(|part| part.ends_with(word.as_bytes()))
    };
    Ok(children.map(|(pid, _)| pid).find(named))
}

/// Whether a process still runs after its daemon; if so, it is ended now.
fn is_left_over(process: u32) -> bool {
    let pid = i32::try_from(process).map(Pid::from_raw);
    pid.is_ok_and(|pid| kill(pid, Signal::SIGKILL).is_ok())
}

fn descendants(root: u32) -> Result<Vec<u32>, Fault> {
    let parents = parents()?;
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    Ok(found.split_off(1))
}

/// Every process with its parent.
fn parents() -> Result<Vec<(u32, u32)>, Fault> {
    let entries = fs::read_dir("/proc").doing(|| "list /proc".to_owned())?;
    let parent = |entry: fs::DirEntry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        Some((pid, stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?))
    };
    Ok(entries.filter_map(|entry| parent(entry.ok()?)).collect())
}
