//! The daemon under test: `only1mcp start` with one probe per profile, and what it says about itself.

use std::cell::OnceCell;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use only1mcp_wire::ServerName;
use only1mcp_wire::plan::{PlanSet, ServerPlan};
use serde_json::Value;

use crate::canaries::{Canaries, VARIABLE};
use crate::machine::{self, Mode, Person};
use crate::relay::Relay;

/// How long the daemon may take to serve all tools.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long it may take to end.
const END_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs what follows where no user namespace can be made: in one that allows no more of them.
const WITHOUT_NAMESPACES: [&str; 7] = [
    "--user",
    "--map-current-user",
    "--keep-caps",
    "/bin/sh",
    "-c",
    "echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --ambient-caps -all --inh-caps -all -- \"$@\"",
    "without-namespaces",
];

/// A running daemon.
pub struct Daemon {
    /// Its mode.
    pub mode: Mode,
    person: Person,
    child: Child,
    port: u16,
    /// Its configuration, state and runtime directories.
    pub config: PathBuf,
    state: PathBuf,
    /// Where its sockets are.
    pub runtime: PathBuf,
    log: PathBuf,
    plans: OnceCell<PlanSet>,
}

impl Daemon {
    /// Starts it with one server per profile.
    pub fn start(mode: Mode, person: &Person, canaries: &Canaries, profiles: &[&str]) -> Self {
        let directory = |name: &str, mode| {
            let path = canaries.base.join(name);
            fs::create_dir_all(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            chown(&path, Some(person.uid), Some(person.gid)).unwrap();
            path
        };
        let config = directory("config", 0o755).join("config.yaml");
        let state = directory("state", if mode.has_pool() { 0o755 } else { 0o700 });
        let runtime = directory("runtime", if mode.has_pool() { 0o711 } else { 0o700 });
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        fs::write(&config, configuration(profiles, port, &canaries.base)).unwrap();
        chown(&config, Some(person.uid), Some(person.gid)).unwrap();
        let log = canaries.base.join("log");
        let mut command = starter(mode, person);
        let child = command
            .arg("start")
            .args((mode == Mode::Minimal).then_some("--allow-degraded"))
            .arg("--config")
            .arg(&config)
            .arg("--state-dir")
            .arg(&state)
            .arg("--runtime-dir")
            .arg(&runtime)
            .env(VARIABLE, "canary")
            .env("AWS_SECRET_ACCESS_KEY", "canary")
            .current_dir(&canaries.base)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(fs::File::create(&log).unwrap())
            .stderr(fs::File::options().append(true).open(&log).unwrap())
            .spawn()
            .unwrap();
        Self {
            mode,
            person: person.clone(),
            child,
            port,
            config,
            state,
            runtime,
            log,
            plans: OnceCell::new(),
        }
    }

    /// A client, once all servers' tools are listed.
    pub fn relay(&mut self, profiles: &[&str]) -> Relay {
        let deadline = Instant::now() + START_TIMEOUT;
        let mut last = String::new();
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the daemon ended at once, {status}\n{}", self.log());
            }
            match Relay::connect(&self.person, &self.runtime, &self.state).and_then(|mut relay| {
                let tools = relay.tools()?;
                Ok((relay, tools))
            }) {
                Ok((relay, tools)) if has_all(&tools, profiles) => return relay,
                Ok((_, tools)) => last = format!("only these tools: {tools:?}"),
                Err(error) => last = error,
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        panic!("the daemon does not serve all probes: {last}\n{}", self.log());
    }

    /// What it printed.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Where it listens for clients.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The plan of one server.
    pub fn plan(&self, server: &str) -> &ServerPlan {
        let plans = self.plans.get_or_init(|| PlanSet::from_bytes(&self.compile("plan", &[])).unwrap());
        plans.server(&ServerName::new(server).unwrap()).unwrap()
    }

    /// What the compiler prints about the configuration in force.
    fn compile(&self, command: &str, more: &[&str]) -> Vec<u8> {
        // In root mode the pool's uids may not reach the build directory: copies are run.
        let copies = self.runtime.join("bin");
        let directory = if self.mode.has_pool() { copies } else { machine::programs() };
        let mut program = self.person.command(machine::program("only1mcp-compile"));
        program.arg(command).arg("--config").arg(&self.config).arg("--program-dir").arg(directory).args(more);
        let output = program.output().unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// What `explain` says about one server.
    pub fn explanation(&self, server: &str) -> Value {
        let output = self.compile("explain", &["--server", server, "--json"]);
        serde_json::from_slice(&output).unwrap()
    }

    /// What `status` says about one server.
    pub fn status(&self, server: &str) -> Value {
        let mut command = self.person.command(machine::program("only1mcp"));
        command.args(["status", "--json", "--runtime-dir"]).arg(&self.runtime);
        let output = command.arg("--state-dir").arg(&self.state).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let status: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("no status: {error}: {said}\n{}", self.log()));
        let servers = status.get("servers").and_then(Value::as_array).cloned().unwrap_or_default();
        let found = servers.into_iter().find(|entry| entry.get("id").and_then(Value::as_str) == Some(server));
        found.unwrap_or_else(|| panic!("status does not list {server}: {status}"))
    }

    /// The first process of one server, its init, as the host numbers it.
    pub fn server_process(&self, server: &str) -> u32 {
        let status = self.status(server);
        let pid = status.get("pid").and_then(Value::as_u64).unwrap_or_else(|| panic!("no pid: {status}"));
        u32::try_from(pid).unwrap()
    }

    /// Who a server is, as the host sees it.
    pub fn server_person(&self, server: &str) -> Person {
        let status = fs::read_to_string(format!("/proc/{}/status", self.server_process(server))).unwrap();
        let id = |key: &str| -> u32 {
            let line = status.lines().find(|line| line.starts_with(key)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        Person { uid: id("Uid:"), gid: id("Gid:") }
    }

    /// The first of our processes whose command line holds `word`, among the supervisor's children.
    pub fn process(&self, word: &str) -> u32 {
        let found = fs::read_dir("/proc").unwrap().filter_map(Result::ok).find_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            let parent: u32 = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
            let line = fs::read(entry.path().join("cmdline")).ok()?;
            let words: Vec<&[u8]> = line.split(|&byte| byte == 0).collect();
            let named = words.iter().take(2).any(|part| part.ends_with(word.as_bytes()));
            (parent == self.child.id() && named).then_some(pid)
        });
        found.unwrap_or_else(|| panic!("no process {word} below the supervisor\n{}", self.log()))
    }

    /// The state directory of one server.
    pub fn server_state(&self, server: &str) -> PathBuf {
        let below = find(&self.state.join("servers"), server);
        let directory = below.unwrap_or_else(|| panic!("no state directory of {server}"));
        let inner = fs::read_dir(&directory).ok().and_then(|mut entries| {
            entries.find_map(|entry| entry.ok().map(|entry| entry.path()).filter(|path| path.is_dir()))
        });
        inner.unwrap_or(directory)
    }

    /// Ends it; what is left over comes back.
    pub fn end(mut self) -> Vec<String> {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        let ours: Vec<u32> = descendants(self.child.id());
        kill(pid, Signal::SIGTERM).unwrap();
        let deadline = Instant::now() + END_TIMEOUT;
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None if Instant::now() > deadline => {
                    return vec![format!("the daemon did not end\n{}", self.log())];
                }
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        std::thread::sleep(Duration::from_millis(100));
        let alive = |pid: &&u32| fs::metadata(format!("/proc/{pid}")).is_ok();
        let left = ours.iter().filter(alive).map(|pid| format!("process {pid} was left over"));
        let ended = (!status.success()).then(|| format!("the daemon ended with {status}\n{}", self.log()));
        left.chain(ended).collect()
    }

    /// Who started it.
    pub fn person(&self) -> &Person {
        &self.person
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command line up to `start`.
fn starter(mode: Mode, person: &Person) -> Command {
    let program = machine::program("only1mcp");
    if mode != Mode::Minimal {
        return person.command(program);
    }
    let mut command = person.command("/usr/bin/unshare");
    command.args(WITHOUT_NAMESPACES).arg(program);
    command
}

fn has_all(tools: &[String], profiles: &[&str]) -> bool {
    profiles.iter().all(|profile| tools.contains(&format!("{profile}__attempt")))
}

fn configuration(profiles: &[&str], port: u16, base: &Path) -> String {
    let granted = base.join("granted");
    let mut text = format!("proxy:\n  listen: 127.0.0.1:{port}\nservers:\n");
    for profile in profiles {
        text.push_str(&format!(
            "  - id: {profile}\n    transport: stdio\n    command: only1mcp-probe\n    args: [serve]\n    \
             policy:\n      extends: {profile}\n      filesystem:\n        read: [{}]\n",
            granted.display()
        ));
    }
    text
}

fn find(directory: &Path, name: &str) -> Option<PathBuf> {
    let entries: Vec<PathBuf> =
        fs::read_dir(directory).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    let own = entries.iter().find(|path| path.file_name().is_some_and(|found| found == name)).cloned();
    own.or_else(|| entries.iter().filter(|path| path.is_dir()).find_map(|path| find(path, name)))
}

fn descendants(root: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            Some((pid, stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?))
        })
        .collect();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    found.split_off(1)
}
