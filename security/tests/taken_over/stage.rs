//! The place of the crime: a real launcher with a configured server, and all that a taken-over proxy would like to have.

use crate::attacker::WORD;
use command_fds::{CommandFdExt, FdMapping};
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
use nix::unistd::geteuid;
use std::fs::{self, File, Permissions};
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The ordinary user, if root runs this: any uid that is nobody's.
const PERSON: u32 = 45_678;
/// The proxy's uid in root mode: the second of the default pool.
const PROXY: u32 = 1_879_048_193;
/// What a view must not hold: the command, the variable, its value, the credential and its name.
pub const SECRETS: [&str; 5] =
    ["/usr/bin/cat", "MARKED", "plain-value", "s3cret-of-a-server", "token-of-a-server"];
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// How the launcher runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Started by a person.
    User,
    /// Started by root.
    Root,
}

/// What the attacker aims at.
#[derive(Clone, Debug, Default)]
pub struct Targets {
    /// Whom to become and then lock; nobody without.
    pub lock_as: Option<u32>,
    pub launcher: String,
    pub config: String,
    pub policy: String,
    pub credential: String,
    pub state: String,
    pub token: String,
    pub directory: String,
    pub socket: String,
    pub port: u16,
    pub launcher_pid: u32,
    pub victim_pid: u32,
}

impl Targets {
    /// Reads what [`Targets::words`] wrote.
    pub fn parse(words: &[String]) -> Self {
        let number = |index: usize| words[index].parse::<u32>().unwrap();
        Self {
            lock_as: words[0].parse().ok(),
            launcher: words[1].clone(),
            config: words[2].clone(),
            policy: words[3].clone(),
            credential: words[4].clone(),
            state: words[5].clone(),
            token: words[6].clone(),
            directory: words[7].clone(),
            socket: words[8].clone(),
            port: words[9].parse().unwrap(),
            launcher_pid: number(10),
            victim_pid: number(11),
        }
    }

    fn words(&self) -> Vec<String> {
        let paths = [
            &self.launcher,
            &self.config,
            &self.policy,
            &self.credential,
            &self.state,
            &self.token,
            &self.directory,
            &self.socket,
        ];
        let first = self.lock_as.map_or_else(|| "nobody".to_owned(), |uid| uid.to_string());
        let mut words = vec![first];
        words.extend(paths.into_iter().cloned());
        words.extend([self.port.to_string(), self.launcher_pid.to_string(), self.victim_pid.to_string()]);
        words
    }
}

/// A launcher, its directories, and the bystanders.
pub struct Stage {
    pub mode: Mode,
    base: PathBuf,
    uid: u32,
    launcher: Child,
    victim: Child,
    targets: Targets,
    _socket: UnixListener,
    _port: TcpListener,
}

#[expect(clippy::disallowed_methods, reason = "the stage starts programs")]
fn as_user(uid: u32, program: &Path) -> Command {
    let mut command = if uid == geteuid().as_raw() {
        Command::new(program)
    } else {
        let mut command = Command::new("/usr/bin/setpriv");
        command.args([
            format!("--reuid={uid}"),
            format!("--regid={uid}"),
            "--clear-groups".into(),
            "--".into(),
        ]);
        command.arg(program);
        command
    };
    command.env_clear().env("PATH", "/usr/bin:/bin").current_dir("/");
    command
}

fn write(path: &Path, text: &str, mode: u32, owner: u32) -> String {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    chown(path, Some(owner), Some(owner)).unwrap();
    path.display().to_string()
}

/// Copies that every uid of the pool can execute.
fn programs(base: &Path) -> PathBuf {
    let built = Path::new(env!("CARGO_BIN_EXE_only1mcp-probe")).parent().unwrap();
    let built = std::env::var_os("ONLY1MCP_BIN_DIR").map_or_else(|| built.to_owned(), PathBuf::from);
    let copies = base.join("bin");
    fs::create_dir_all(&copies).unwrap();
    let own = std::env::current_exe().unwrap();
    for name in
        ["only1mcp-launcher", "only1mcp-init", "only1mcp-compile", "only1mcp-probe", "only1mcp-builtin"]
    {
        fs::copy(built.join(name), copies.join(name))
            .unwrap_or_else(|error| panic!("{name} is not built: {error}"));
    }
    fs::copy(own, copies.join("attacker")).unwrap();
    copies
}

impl Stage {
    /// Sets it up, and waits until the launcher serves.
    pub fn new(mode: Mode) -> Self {
        let base = PathBuf::from(format!("/var/tmp/only1mcp-taken-over-{}-{mode:?}", std::process::id()));
        fs::create_dir(&base).unwrap();
        fs::set_permissions(&base, Permissions::from_mode(0o755)).unwrap();
        let uid = match mode {
            Mode::User if geteuid().is_root() => PERSON,
            _ => geteuid().as_raw(),
        };
        let copies = programs(&base);
        let mut targets = documents(&base, uid);
        let listener = UnixListener::bind(base.join("host.sock")).unwrap();
        fs::set_permissions(base.join("host.sock"), Permissions::from_mode(0o666)).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap();
        targets.socket = base.join("host.sock").display().to_string();
        targets.port = port.local_addr().unwrap().port();
        targets.launcher = base.join("run/launch.sock").display().to_string();
        let proxy = if mode == Mode::Root { PROXY } else { uid };
        let launcher = launch(mode, &base, &copies, uid, proxy);
        let victim = as_user(proxy, Path::new("/usr/bin/sleep")).arg("600").spawn().unwrap();
        (targets.launcher_pid, targets.victim_pid) = (launcher.id(), victim.id());
        let stage = Self { mode, base, uid, launcher, victim, targets, _socket: listener, _port: port };
        let deadline = Instant::now() + START_TIMEOUT;
        while !stage.log().contains("is in force") {
            assert!(Instant::now() < deadline, "the launcher is not ready:\n{}", stage.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        stage
    }

    /// The launcher's log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.base.join("log")).unwrap_or_default()
    }

    /// Whether an act needs more than the control has: into a process that is not dumpable only root sees.
    pub fn needs_more(&self, act: &str) -> bool {
        let launchers =
            ["ptrace(SEIZE, launcher)", "process_vm_readv(launcher)", "open the memory of launcher"];
        // These are asked of the launcher; its answer to a name it knows is their control.
        let only_wire = act.starts_with("spawn ");
        // Root of a container may lack CAP_SYS_RESOURCE; user mode shows that the question is real.
        let limits = self.uid == 0 && act == "prlimit(another process)";
        only_wire || limits || self.uid != 0 && launchers.contains(&act)
    }

    /// The answers to a proxy under its lock.
    pub fn attack(&self) -> Vec<(String, String)> {
        // In root mode it begins as root, as the real one does.
        let uid = if self.mode == Mode::Root { PROXY } else { self.uid };
        self.run(&Targets { lock_as: Some(uid), ..self.targets.clone() })
    }

    /// The answers to the same acts without a lock: as the person, or in root mode as root.
    pub fn control(&self) -> Vec<(String, String)> {
        self.run(&self.targets)
    }

    fn run(&self, targets: &Targets) -> Vec<(String, String)> {
        let mut command = as_user(self.uid, &self.base.join("bin/attacker"));
        let output = command.arg(WORD).args(targets.words()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{}: {said}{complaint}\n{}", output.status, self.log());
        said.lines()
            .map(|line| line.split_once('\t').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap())
            .collect()
    }

    /// Nothing of the host changed, and the launcher serves.
    pub fn untouched(&self) {
        assert!(
            Path::new(&format!("/proc/{}", self.launcher.id())).exists(),
            "the launcher ended: {}",
            self.log()
        );
        assert!(Path::new(&format!("/proc/{}", self.victim.id())).exists(), "the bystander ended");
        let left = ["fresh", "link"].map(|name| self.base.join("open").join(name));
        assert!(left.iter().all(|path| fs::symlink_metadata(path).is_err()), "{left:?}");
    }
}

/// Everything worth having; all of it belongs to whoever starts the launcher.
fn documents(base: &Path, uid: u32) -> Targets {
    let config = "servers:\n- id: named\n  command: /usr/bin/cat\n  env: {MARKED: plain-value, T: {credential: token-of-a-server}}\n  \
                  policy: mine\n";
    let file = |name: &str, text: &str, mode: u32| write(&base.join(name), text, mode, uid);
    let targets = Targets {
        config: file("etc/config.yaml", config, 0o644),
        policy: file("etc/policies/mine.yaml", "extends: native\n", 0o644),
        credential: file("state/credentials/token-of-a-server", "s3cret-of-a-server\n", 0o600),
        state: file("state/servers/other/shared/file", "of another server", 0o600),
        token: file("state/token", "bearer", 0o600),
        directory: base.join("open").display().to_string(),
        ..Targets::default()
    };
    file("run/.keep", "", 0o600);
    file("open/.keep", "", 0o600);
    for (name, mode) in [
        ("etc", 0o755),
        ("etc/policies", 0o755),
        ("state", 0o711),
        ("state/credentials", 0o700),
        ("state/servers", 0o711),
        ("state/servers/other", 0o711),
        ("state/servers/other/shared", 0o700),
        ("run", 0o711),
        ("open", 0o777),
    ] {
        fs::set_permissions(base.join(name), Permissions::from_mode(mode)).unwrap();
        chown(base.join(name), Some(uid), Some(uid)).unwrap();
    }
    targets
}

/// The launcher with its socket, which only the proxy's user may connect to.
fn launch(mode: Mode, base: &Path, programs: &Path, uid: u32, proxy: u32) -> Child {
    let path = base.join("run/launch.sock");
    let listener = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(listener.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
    listen(&listener, Backlog::new(4).unwrap()).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    chown(&path, Some(proxy), Some(proxy)).unwrap();
    let mut command = as_user(uid, &programs.join("only1mcp-launcher"));
    command.args(["--mode", if mode == Mode::Root { "root" } else { "user" }]);
    command.arg("--config").arg(base.join("etc/config.yaml"));
    command.arg("--state-dir").arg(base.join("state")).arg("--program-dir").arg(programs);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(base.join("log")).unwrap());
    command.fd_mappings(vec![FdMapping { parent_fd: listener, child_fd: 3 }]).unwrap();
    command.spawn().unwrap()
}

impl Drop for Stage {
    fn drop(&mut self) {
        for child in [&mut self.launcher, &mut self.victim] {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.base);
    }
}
