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
        let left = ours.iter().filter(|process| process.is_left_over());
        let left = left.map(|process| format!("process {} was left over", process.pid));
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
    let children = processes()?.into_iter().filter(|process| process.parent == supervisor);
    let named = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|&byte| byte == 0).take(2).any(|part| part.ends_with(word.as_bytes()))
    };
    Ok(children.map(|process| process.pid).find(named))
}

/// A process, told from a later one with the same number by when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Process {
    pid: u32,
    parent: u32,
    /// In the kernel's ticks since it booted.
    began: u64,
}

impl Process {
    fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // After the name come the state, the parent, and the beginning as field 22.
        let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(1);
        let parent = fields.next()?.parse().ok()?;
        Some(Self { pid, parent, began: fields.nth(17)?.parse().ok()? })
    }

    /// Whether it still runs after its daemon; if so, it is ended now.
    fn is_left_over(&self) -> bool {
        let runs = Self::of(self.pid).is_some_and(|now| now.began == self.began);
        let pid = i32::try_from(self.pid).map(Pid::from_raw);
        runs && pid.is_ok_and(|pid| kill(pid, Signal::SIGKILL).is_ok())
    }
}

fn descendants(root: u32) -> Result<Vec<Process>, Fault> {
    let all = processes()?;
    let mut found: Vec<Process> = all.iter().filter(|process| process.parent == root).copied().collect();
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(all.iter().filter(|process| process.parent == parent.pid));
        next += 1;
    }
    Ok(found)
}

fn processes() -> Result<Vec<Process>, Fault> {
    let entries = fs::read_dir("/proc").doing(|| "list /proc".to_owned())?;
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Ok(pids.filter_map(Process::of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_another_process_has_now_is_not_left_over() {
        let mut sleeping = Person::own().command("/bin/sleep").arg("60").spawn().unwrap();
        let own = descendants(std::process::id()).unwrap();
        let process = own.into_iter().find(|process| process.pid == sleeping.id()).unwrap();
        let before = Process { began: process.began - 1, ..process };
        assert!(!before.is_left_over() && sleeping.try_wait().unwrap().is_none());
        assert!(process.is_left_over());
        sleeping.wait().unwrap();
        assert!(!process.is_left_over());
    }
}
