//! The real program, started as a supervisor starts it, as root or as an ordinary user, or as systemd does.

use super::plans::Home;
use super::proxy::Proxy;
use command_fds::{CommandFdExt, FdMapping};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
use nix::unistd::Pid;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The ordinary user of the tests: any uid that is nobody's.
pub const PERSON: u32 = 45_678;
/// The account that systemd would start it as, with two capabilities.
pub const ACCOUNT: u32 = 45_679;
const CAPABILITIES: &str = "-all,+setuid,+setgid";

/// Who starts the launcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Root,
    Person,
    System,
}

impl Who {
    /// The mode to start it in.
    pub fn mode(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Person => "user",
            Self::System => "system",
        }
    }

    /// The uid it gets, if it is not the test's own.
    fn other_uid(self) -> Option<u32> {
        let root = nix::unistd::geteuid().is_root();
        match self {
            Self::Person if root => Some(PERSON),
            Self::System => Some(ACCOUNT),
            Self::Root | Self::Person => None,
        }
    }

    /// Gives it what an administrator or the package would.
    pub fn give(self, path: &Path) {
        if let Some(uid) = self.other_uid() {
            chown(path, Some(uid), Some(uid)).unwrap();
        }
    }
}

/// Everyone who can be tried here: all when the tests run as root, else only the one they run as.
pub fn everyone() -> Vec<Who> {
    let root = nix::unistd::geteuid().is_root();
    if root { vec![Who::Root, Who::Person, Who::System] } else { vec![Who::Person] }
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
    pub fn start_within(wrapper: &[&str], who: Who, home: Home, flags: &[&str]) -> Self {
        Self::start_by(&[], wrapper, who, home, flags)
    }

    /// The same, but the other program still runs as whoever runs the tests.
    pub fn start_by_root(wrapper: &[&str], who: Who, home: Home) -> Self {
        Self::start_by(wrapper, &[], who, home, &[])
    }

    #[expect(clippy::disallowed_methods, reason = "tests start programs")]
    fn start_by(before: &[&str], within: &[&str], who: Who, home: Home, flags: &[&str]) -> Self {
        let path = home.path.join("launch.sock");
        let listener =
            socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).unwrap();
        bind(listener.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
        listen(&listener, Backlog::new(4).unwrap()).unwrap();
        let mode = if who == Who::System { 0o660 } else { 0o666 };
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        let own = nix::unistd::geteuid().as_raw();
        let uid = if who == Who::Person { who.other_uid().unwrap_or(own) } else { own };
        let mut words: Vec<String> = before.iter().map(|&word| word.to_owned()).collect();
        if let Some(id) = who.other_uid() {
            // What the package or the person prepared.
            for owned in ["state/servers", "state/credentials"] {
                who.give(&home.path.join(owned));
            }
            words.extend(as_account(id, who).split(' ').map(str::to_owned));
        }
        words.extend(within.iter().map(|&word| word.to_owned()));
        words.push(env!("CARGO_BIN_EXE_only1mcp-launcher").to_owned());
        let log = File::create(home.path.join("log")).unwrap();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(["--mode", who.mode(), "--config", "builtin"]).args(flags);
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

/// The words that make a command another user's; systemd's, with the capabilities of the unit.
fn as_account(id: u32, who: Who) -> String {
    let user = format!("/usr/bin/setpriv --reuid {id} --regid {id} --clear-groups");
    if who == Who::Person {
        return format!("{user} --");
    }
    let sets = [("inh", "-caps"), ("ambient", "-caps"), ("bounding", "-set")];
    let sets = sets.map(|(set, rest)| format!("--{set}{rest} {CAPABILITIES}"));
    format!("{user} --no-new-privs {} --", sets.join(" "))
}

/// Waits until something holds, at most ten seconds.
pub fn eventually(what: &str, holds: impl Fn() -> bool) {
    eventually_within(Duration::from_secs(10), what, holds);
}

/// Waits until something holds, at most so long.
pub fn eventually_within(limit: Duration, what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + limit;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// How many processes of the machine have this word in their command line.
pub fn alive(marker: &str) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let command_lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    command_lines.filter(|line| line.split(|&byte| byte == 0).any(|word| word == marker.as_bytes())).count()
}
