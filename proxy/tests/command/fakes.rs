//! A directory with the program under test and small stand-ins for all programs it starts.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long anything in these tests may take.
const PATIENCE: Duration = Duration::from_secs(30);

const COMPILE: &str = r#"#!/bin/sh
here=$(dirname "$0")
case "$1" in
  check) if [ "$3" = builtin ]; then exit 0; fi; cat "$3" >&2; exit 65 ;;
  view) echo '{"proxy":{"listen":"127.0.0.1:0","name_characters_max":48,"rate_limit":null,"view":"full","auto_threshold":10000,"views":[]},"servers":[]}' ;;
  *) echo "$@"; echo "to the log" >&2; exit 3 ;;
esac
"#;

/// Notes how it was started, and stays. Dies with its parent, as the real ones do.
const STAYS: &str = r#"#!/bin/sh
echo "$$ $* LISTEN=$LISTEN_FDS:$LISTEN_FDNAMES SECRET=$SECRET" >> "@LOG@"
exec setpriv --pdeathsig KILL sh -c '[ $PPID != 1 ] && exec sleep 1000'
"#;

/// Answers `GET /status` on the admin socket and echoes lines on the relay, until it is ended.
const ANSWERS: &str = r#"#!/usr/bin/python3
import ctypes, os, socket, sys, threading
# Like the real one, it ends with the supervisor: PR_SET_PDEATHSIG, SIGKILL.
ctypes.CDLL(None).prctl(1, 9)
with open("@LOG@", "a") as log:
    print(os.getpid(), *sys.argv[1:], file=log)
names = os.environ["LISTEN_FDNAMES"].split(":")
def listener(name):
    return socket.socket(fileno=3 + names.index(name))
def status(connection):
    body = open("@STATUS@", "rb").read()
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
    connection.close()
def echo(connection):
    while data := connection.recv(65536):
        connection.sendall(data)
    connection.close()
def serve(sock, answer):
    while True:
        threading.Thread(target=answer, args=(sock.accept()[0],), daemon=True).start()
threading.Thread(target=serve, args=(listener("admin"), status), daemon=True).start()
serve(listener("relay"), echo)
"#;

/// The directory; removed at the end, and with it all daemons below it are ended.
pub struct Fakes {
    pub directory: PathBuf,
}

/// What stands in for the proxy.
pub enum Proxy {
    Stays,
    Answers,
}

impl Fakes {
    pub fn new(proxy: &Proxy) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("o1-{}-{number}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
        let fakes = Self { directory };
        let tested = Path::new(env!("CARGO_BIN_EXE_only1mcp"));
        let program = fakes.program();
        shell("cp \"$1\" \"$2\"", &[tested, &program]);
        fs::write(fakes.directory.join("status"), include_str!("../../golden/status.json")).unwrap();
        fakes.script("only1mcp-compile", COMPILE);
        fakes.script("only1mcp-launcher", STAYS);
        fakes.script("only1mcp", if matches!(proxy, Proxy::Stays) { STAYS } else { ANSWERS });
        for idle in ["only1mcp-init", "only1mcp-builtin", "only1mcp-probe"] {
            fakes.script(idle, "#!/bin/sh\n");
        }
        fakes
    }

    fn program(&self) -> PathBuf {
        self.directory.join("only1mcp-under-test")
    }

    pub fn script(&self, name: &str, text: &str) {
        let path = self.directory.join(name);
        let log = self.directory.join(format!("{name}.log"));
        let status = self.directory.join("status");
        let text = text.replace("@LOG@", log.to_str().unwrap()).replace("@STATUS@", status.to_str().unwrap());
        shell("printf %s \"$2\" > \"$1\"; chmod 755 \"$1\"", &[&path, Path::new(&text)]);
    }

    /// Has the configuration say where to listen.
    pub fn listen_on(&self, address: SocketAddr) {
        self.script("only1mcp-compile", &COMPILE.replace("127.0.0.1:0", &address.to_string()));
    }

    /// The program with these words, and no environment that could lead it to a real instance.
    #[expect(clippy::disallowed_methods, reason = "a test starts the program it tests")]
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.program());
        command.args(words).env("HOME", &self.directory).env("SECRET", "of-the-shell");
        command.env_remove("XDG_RUNTIME_DIR").env_remove("XDG_STATE_HOME").env_remove("XDG_CONFIG_HOME");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The same with the directories of this test.
    pub fn placed(&self, words: &[&str]) -> Command {
        let mut command = self.command(words);
        command.arg("--state-dir").arg(self.directory.join("state"));
        command.arg("--runtime-dir").arg(self.directory.join("run"));
        command
    }

    /// A daemon whose two workers have begun.
    pub fn started(&self, words: &[&str]) -> Daemon {
        let mut all = vec!["start", "--config", "builtin"];
        all.extend(words);
        let daemon = Daemon(self.placed(&all).spawn().unwrap());
        self.starts("only1mcp-launcher", 1);
        self.starts("only1mcp", 1);
        daemon
    }

    /// The lines of all starts of a program, once there are `count`.
    pub fn starts(&self, name: &str, count: usize) -> Vec<String> {
        let log = self.directory.join(format!("{name}.log"));
        eventually(|| {
            let lines: Vec<String> =
                fs::read_to_string(&log).unwrap_or_default().lines().map(str::to_owned).collect();
            (lines.len() >= count).then_some(lines)
        })
    }

    /// The pid of the latest start of a program.
    pub fn pid(&self, name: &str) -> Pid {
        pid_of(self.starts(name, 1).last().unwrap())
    }
}

impl Drop for Fakes {
    fn drop(&mut self) {
        for pid in ["run", "state/private"].iter().flat_map(|below| supervisors(&self.directory.join(below)))
        {
            let _ = kill(pid, Signal::SIGKILL);
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Programs are written by another process: a file that we had open for writing could still be open in
/// a sibling's fork when it is to be executed.
#[expect(clippy::disallowed_methods, reason = "a test makes its programs")]
fn shell(script: &str, words: &[&Path]) {
    let status = Command::new("/bin/sh").args(["-ec", script, "sh"]).args(words).status().unwrap();
    assert!(status.success(), "{script}");
}

/// A running `start`; killed at the end.
pub struct Daemon(Child);

impl Daemon {
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    pub fn send(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id().try_into().unwrap()), signal).unwrap();
    }

    /// Exit code and standard error, once it has ended.
    pub fn finish(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.0.wait().unwrap().code(), said)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Pids in all `supervisor.pid` below a directory.
fn supervisors(directory: &Path) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut found = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            found.extend(supervisors(&path));
        } else if path.ends_with("supervisor.pid") {
            let text = fs::read_to_string(&path).unwrap_or_default();
            found.extend(text.trim().parse().ok().map(Pid::from_raw));
        }
    }
    found
}

pub fn pid_of(line: &str) -> Pid {
    Pid::from_raw(line.split(' ').next().unwrap().parse().unwrap())
}

pub fn alive(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

/// Waits until `look` sees something.
pub fn eventually<T>(look: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "it did not happen within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Exit code and standard error.
pub fn ended(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), text(&output.stderr))
}
