//! The real program, started as a supervisor starts it: as root, or as an ordinary user.

use super::plans::Home;
use super::proxy::Proxy;
use command_fds::{CommandFdExt, FdMapping};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
use nix::unistd::Pid;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The ordinary user of the tests: any uid that is nobody's.
pub const PERSON: u32 = 45_678;

/// Who starts the launcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Root,
    Person,
}

/// Everyone who can be tried here: both when the tests run as root, else only the one they run as.
pub fn everyone() -> Vec<Who> {
    if nix::unistd::geteuid().is_root() { vec![Who::Root, Who::Person] } else { vec![Who::Person] }
}

/// A launcher that runs.
pub struct Launcher {
    pub home: Home,
    pub process: Child,
    /// The uid of its proxy.
    pub uid: u32,
}

impl Launcher {
    pub fn start(who: Who, home: Home) -> Self {
        Self::start_within(&[], who, home, &[])
    }

    /// Starts it by way of another program, which must execute what follows its own arguments.
    #[expect(clippy::disallowed_methods, reason = "tests start programs")]
    pub fn start_within(wrapper: &[&str], who: Who, home: Home, flags: &[&str]) -> Self {
        let path = home.path.join("launch.sock");
        let listener =
            socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).unwrap();
        bind(listener.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
        listen(&listener, Backlog::new(4).unwrap()).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
        let switch = who == Who::Person && nix::unistd::geteuid().is_root();
        let uid = if switch { PERSON } else { nix::unistd::geteuid().as_raw() };
        let id = uid.to_string();
        let mut words: Vec<&str> = Vec::new();
        if switch {
            // The person's own: state and what is in it.
            for owned in ["state", "state/credentials"] {
                chown(home.path.join(owned), Some(PERSON), Some(PERSON)).unwrap();
            }
            words.extend(["/usr/bin/setpriv", "--reuid", &id, "--regid", &id, "--clear-groups", "--"]);
        }
        words.extend(wrapper);
        words.push(env!("CARGO_BIN_EXE_only1mcp-launcher"));
        let mode = if who == Who::Root { "root" } else { "user" };
        let log = File::create(home.path.join("log")).unwrap();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).args(["--mode", mode, "--config", "builtin"]).args(flags);
        command.arg("--state-dir").arg(home.path.join("state"));
        command.arg("--program-dir").arg(home.path.join("programs"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command.fd_mappings(vec![FdMapping { parent_fd: listener, child_fd: 3 }]).unwrap();
        Self { home, process: command.spawn().unwrap(), uid }
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.home.path.join("launch.sock")
    }

    /// A proxy that said HELLO.
    pub fn proxy(&self) -> Proxy {
        Proxy::greet(&self.socket(), self.uid)
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.home.path.join("log")).unwrap()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id().cast_signed()), signal).unwrap();
    }

    /// How many children it has, zombies among them.
    pub fn children(&self) -> usize {
        let pid = self.process.id();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        children.split_whitespace().count()
    }

    /// The cgroup it made for itself and its servers, if this machine lets it.
    pub fn subtree(&self) -> Option<PathBuf> {
        let own = std::fs::read_to_string(format!("/proc/{}/cgroup", self.process.id())).unwrap();
        let path = own.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default();
        let subtree = path.strip_suffix("/supervisor")?;
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
        let mount =
            mounts.lines().find(|line| line.contains(" cgroup2 ")).unwrap().split(' ').nth(1).unwrap();
        Some(format!("{mount}{subtree}").into())
    }

    /// How many servers have a cgroup.
    pub fn cgroups(&self) -> usize {
        let Some(subtree) = self.subtree() else { return 0 };
        let entries = std::fs::read_dir(subtree).unwrap().flatten();
        entries.filter(|entry| entry.file_name().to_str().unwrap().starts_with("i-")).count()
    }

    /// How many descriptors it has open. It is not dumpable, so only root may look; others see none.
    pub fn descriptors(&self) -> usize {
        let listed = std::fs::read_dir(format!("/proc/{}/fd", self.process.id()));
        if nix::unistd::geteuid().is_root() { listed.unwrap().count() } else { 0 }
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the launcher's log:\n{}", self.log());
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits until something holds, at most ten seconds.
pub fn eventually(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "not within ten seconds: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// How many processes of the machine have this word in their command line.
pub fn alive(marker: &str) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let command_lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    command_lines.filter(|line| line.split(|&byte| byte == 0).any(|word| word == marker.as_bytes())).count()
}
