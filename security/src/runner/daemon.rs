//! The daemon under test, with one probe per profile, and what it says about itself: `only1mcp start`, or the
//! installed services.

use std::cell::OnceCell;
use std::ffi::OsString;
use std::fmt::Write;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use only1mcp_wire::ServerName;
use only1mcp_wire::plan::{PlanSet, ServerPlan};
use serde_json::Value;

use super::canaries::{Canaries, LOADERS, VARIABLE};
use super::fault::{Context, Fault};
use super::machine::{Person, Programs};
use super::relay::Relay;
use super::supervisor::Supervisor;
use super::trial::Subject;
use crate::catalogue::Mode;
use crate::probe::Targets;

/// How long the daemon may take to serve all tools.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Where the package and its services have everything.
const INSTALLED_CONFIG: &str = "/etc/only1mcp/config.yaml";
const INSTALLED_STATE: &str = "/var/lib/only1mcp";
const INSTALLED_RUNTIME: &str = "/run/only1mcp";
/// Where `only1mcp.socket` listens.
const INSTALLED_PORT: u16 = 8080;

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

/// How a daemon is started.
#[derive(Clone, Debug)]
pub struct Setup {
    /// In which mode it is expected to run.
    pub mode: Mode,
    /// By whom.
    pub person: Person,
    /// From where.
    pub programs: Programs,
    /// The configuration, or the word `builtin`.
    pub config: PathBuf,
    /// Its state directory.
    pub state: PathBuf,
    /// Its runtime directory.
    pub runtime: PathBuf,
    /// Where its output goes.
    pub log: PathBuf,
    /// Further words for `only1mcp start`.
    pub start_words: Vec<OsString>,
    /// Further words for `only1mcp-compile`.
    pub compile_words: Vec<OsString>,
    /// Variables it has beside a login's.
    pub environment: Vec<(OsString, OsString)>,
}

/// A running daemon.
pub struct Daemon {
    /// Its mode.
    pub mode: Mode,
    setup: Setup,
    supervisor: Supervisor,
    port: u16,
    /// Its configuration, state and runtime directories.
    pub config: PathBuf,
    state: PathBuf,
    /// Where its sockets are.
    pub runtime: PathBuf,
    plans: OnceCell<PlanSet>,
}

impl Daemon {
    /// Starts it with one server per profile.
    ///
    /// # Errors
    /// If its directories cannot be made, or it cannot be started.
    pub fn start(
        mode: Mode,
        person: &Person,
        canaries: &Canaries,
        profiles: &[&str],
        programs: &Programs,
    ) -> Result<Self, Fault> {
        let root = mode.has_pool();
        let base = &canaries.base;
        let config = directory(base, "config", 0o755, person)?.join("config.yaml");
        let state = directory(base, "state", if root { 0o755 } else { 0o700 }, person)?;
        let runtime = directory(base, "runtime", if root { 0o711 } else { 0o700 }, person)?;
        fs::write(&config, configuration(profiles, base)).doing(|| format!("write {}", config.display()))?;
        give(&config, person)?;
        Self::launch(Setup {
            mode,
            person: person.clone(),
            programs: programs.clone(),
            config,
            state,
            runtime,
            log: base.join("log"),
            start_words: Vec::new(),
            compile_words: Vec::new(),
            environment: Vec::new(),
        })
    }

    /// Starts it over any configuration, listening on a free port, with the canaries of the environment.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn launch(setup: Setup) -> Result<Self, Fault> {
        let port = free_port().doing(|| "find a free port".to_owned())?;
        let logging = || format!("write {}", setup.log.display());
        let child = starter(setup.mode, &setup.person, &setup.programs.find("only1mcp")?)
            .args(["start", "--listen", &format!("127.0.0.1:{port}")])
            .args((setup.mode == Mode::Minimal).then_some("--allow-degraded"))
            .arg("--config")
            .arg(&setup.config)
            .arg("--state-dir")
            .arg(&setup.state)
            .arg("--runtime-dir")
            .arg(&setup.runtime)
            .args(&setup.start_words)
            .envs(setup.environment.iter().cloned())
            .env(VARIABLE, "canary")
            .env("AWS_SECRET_ACCESS_KEY", "canary")
            .envs(LOADERS)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(fs::File::create(&setup.log).doing(logging)?)
            .stderr(fs::File::options().append(true).open(&setup.log).doing(logging)?)
            .spawn()
            .doing(|| "start only1mcp".to_owned())?;
        Ok(Self {
            mode: setup.mode,
            supervisor: Supervisor::Ours(child, setup.log.clone()),
            port,
            config: setup.config.clone(),
            state: setup.state.clone(),
            runtime: setup.runtime.clone(),
            setup,
            plans: OnceCell::new(),
        })
    }

    /// Gives the installed services one server per profile, and starts them anew.
    ///
    /// # Errors
    /// If the package is not installed, or systemd refuses.
    pub fn installed(canaries: &Canaries, profiles: &[&str], programs: &Programs) -> Result<Self, Fault> {
        let setup = Setup {
            mode: Mode::System,
            person: Person { uid: 0, gid: 0 },
            programs: programs.clone(),
            config: INSTALLED_CONFIG.into(),
            state: INSTALLED_STATE.into(),
            runtime: INSTALLED_RUNTIME.into(),
            log: PathBuf::new(),
            start_words: Vec::new(),
            compile_words: ["--mode", "system"].map(OsString::from).into(),
            environment: Vec::new(),
        };
        // Written over, not replaced: it keeps the owner and mode that the package gave it.
        fs::write(&setup.config, configuration(profiles, &canaries.base))
            .doing(|| format!("write {INSTALLED_CONFIG}"))?;
        Ok(Self {
            mode: setup.mode,
            supervisor: Supervisor::systemd()?,
            port: INSTALLED_PORT,
            config: setup.config.clone(),
            state: setup.state.clone(),
            runtime: setup.runtime.clone(),
            setup,
            plans: OnceCell::new(),
        })
    }

    /// A client, once all servers' tools are listed.
    ///
    /// # Errors
    /// If the daemon ends, or does not serve all of them in time.
    pub fn relay(&mut self, profiles: &[&str]) -> Result<Relay, Fault> {
        self.relay_within(profiles, START_TIMEOUT)
    }

    /// A client, once all servers' tools are listed; but no later than `patience` from now.
    ///
    /// # Errors
    /// As [`Self::relay`].
    pub fn relay_within(&mut self, profiles: &[&str], patience: Duration) -> Result<Relay, Fault> {
        let deadline = Instant::now() + patience;
        let mut last = String::new();
        while Instant::now() < deadline {
            if let Some(reason) = self.supervisor.ended()? {
                return Err(self.fault(&format!("the daemon ended at once, {reason}")));
            }
            let relay = Relay::connect(&self.setup.programs, &self.setup.person, &self.runtime, &self.state);
            match relay.and_then(|mut relay| Ok((relay.tools()?, relay))) {
                Ok((tools, relay)) if has_all(&tools, profiles) => return Ok(relay),
                Ok((tools, _)) => {
                    last = format!("only these tools: {tools:?}");
                    self.refuse_failed(profiles)?;
                }
                Err(error) => last = error,
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Err(self.fault(&format!("the daemon does not serve all probes: {last}")))
    }

    /// A server that has failed will not serve however long we wait.
    fn refuse_failed(&self, servers: &[&str]) -> Result<(), Fault> {
        let text = |status: &Value, key: &str| status.get(key).and_then(Value::as_str).map(str::to_owned);
        for server in servers {
            let status = self.status(server)?;
            if text(&status, "state").as_deref() == Some("failed") {
                let why = text(&status, "last_error").unwrap_or_default();
                return Err(self.fault(&format!("{server} cannot be started: {why}")));
            }
        }
        Ok(())
    }

    /// Something wrong with the daemon, with all it printed.
    fn fault(&self, what: &str) -> Fault {
        Fault::Program(format!("{what}\n{}", self.log()))
    }

    /// What it printed.
    #[must_use]
    pub fn log(&self) -> String {
        self.supervisor.log()
    }

    /// Where it listens for clients.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// One server, to be put on trial; `other` is the server whose state it must not reach.
    ///
    /// # Errors
    /// If the daemon does not say of it what must be known.
    pub fn subject(&self, server: &str, other: &str) -> Result<Subject, Fault> {
        // Another name for each who looks for it: it may have been the other's turn before.
        let other_state = self.server_state(other)?.join(format!("canary-for-{server}.txt"));
        fs::write(&other_state, "state of another server")
            .doing(|| format!("write {}", other_state.display()))?;
        give(&other_state, &self.server_person(other)?)?;
        self.subject_beside(server, &other_state)
    }

    /// One server, to be put on trial; `other_state` is a file of another server, which it must not reach.
    ///
    /// # Errors
    /// If the daemon does not say of it what must be known.
    pub fn subject_beside(&self, server: &str, other_state: &Path) -> Result<Subject, Fault> {
        let mut targets = Targets::default();
        targets.set("other_state", other_state.to_string_lossy());
        targets.set("config", self.config.to_string_lossy());
        targets.set("runtime", self.runtime.to_string_lossy());
        targets.set("mcp", self.address());
        targets.set("own_place", self.server_state(server)?.to_string_lossy());
        targets.set("launcher", self.process("only1mcp-launcher")?.to_string());
        targets.set("proxy", self.process("serve")?.to_string());
        if self.mode == Mode::Minimal {
            // There is no root of its own, in which its directory would be called /state, and no PID 1.
            targets.set("scratch", self.server_state(server)?.to_string_lossy());
            let init = self.server_process(server)?.to_string();
            targets.set("init", init.clone());
            targets.set("own_init", init);
        }
        let status = self.status(server)?;
        let landlock_abi = status.get("landlock_abi").and_then(Value::as_u64).unwrap_or(0);
        let landlock_abi = u8::try_from(landlock_abi)
            .map_err(|_| Fault::Program(format!("{landlock_abi} is no Landlock ABI")))?;
        let (person, plan) = (self.server_person(server)?, self.plan(server)?.clone());
        Ok(Subject { mode: self.mode, person, plan, landlock_abi, targets })
    }

    /// The plan of one server.
    ///
    /// # Errors
    /// If the compiler gives none.
    pub fn plan(&self, server: &str) -> Result<&ServerPlan, Fault> {
        let plans = if let Some(plans) = self.plans.get() {
            plans
        } else {
            let plans = PlanSet::from_bytes(&self.compile("plan", &[])?)
                .map_err(|error| Fault::Program(format!("the plan cannot be read: {error}")))?;
            self.plans.get_or_init(|| plans)
        };
        let unknown = || Fault::Program(format!("there is no plan of {server}"));
        let name = ServerName::new(server).map_err(|_| unknown())?;
        plans.server(&name).ok_or_else(unknown)
    }

    /// What the compiler prints about the configuration in force.
    fn compile(&self, command: &str, more: &[&str]) -> Result<Vec<u8>, Fault> {
        // In root mode the pool's uids may not reach the build directory: copies are run.
        let copies = self.runtime.join("bin");
        let directory =
            if self.mode == Mode::Root { copies } else { self.setup.programs.folder().to_path_buf() };
        let mut program = self.compiler()?;
        program.arg(command).arg("--config").arg(&self.config).arg("--program-dir").arg(directory).args(more);
        program.args(&self.setup.compile_words).envs(self.setup.environment.iter().cloned());
        let output = program.output().doing(|| "run only1mcp-compile".to_owned())?;
        if !output.status.success() {
            return Err(Fault::Program(format!("{command}: {}", String::from_utf8_lossy(&output.stderr))));
        }
        Ok(output.stdout)
    }

    /// The compiler, which sees the files that the launcher sees: systemd gives that a `/dev` of its own.
    fn compiler(&self) -> Result<Command, Fault> {
        let program = self.setup.programs.find("only1mcp-compile")?;
        if self.mode != Mode::System {
            return Ok(self.setup.person.command(program));
        }
        let mut entered = self.setup.person.command("/usr/bin/nsenter");
        entered
            .arg(format!("--target={}", self.process("only1mcp-launcher")?))
            .arg("--mount")
            .arg("--")
            .arg(program);
        Ok(entered)
    }

    /// What `explain` says about one server.
    ///
    /// # Errors
    /// If the compiler says nothing.
    pub fn explanation(&self, server: &str) -> Result<Value, Fault> {
        let output = self.compile("explain", &["--server", server, "--json"])?;
        serde_json::from_slice(&output).map_err(|error| Fault::Program(format!("explain: {error}")))
    }

    /// What `status` says about one server.
    ///
    /// # Errors
    /// If there is no status, or the server is not in it.
    pub fn status(&self, server: &str) -> Result<Value, Fault> {
        let status = self.whole_status()?;
        let servers = status.get("servers").and_then(Value::as_array).cloned().unwrap_or_default();
        let found = servers.into_iter().find(|entry| entry.get("id").and_then(Value::as_str) == Some(server));
        found.ok_or_else(|| self.fault(&format!("status does not list {server}: {status}")))
    }

    /// All that `status` says.
    ///
    /// # Errors
    /// If there is no status.
    pub fn whole_status(&self) -> Result<Value, Fault> {
        let mut command = self.setup.person.command(self.setup.programs.find("only1mcp")?);
        command.args(["status", "--json", "--runtime-dir"]).arg(&self.runtime);
        let output = command.arg("--state-dir").arg(&self.state).output();
        let output = output.doing(|| "run only1mcp status".to_owned())?;
        let said = String::from_utf8_lossy(&output.stderr);
        serde_json::from_slice(&output.stdout)
            .map_err(|error| self.fault(&format!("no status: {error}: {said}")))
    }

    /// The first process of one server, its init, as the host numbers it.
    ///
    /// # Errors
    /// If it has none.
    pub fn server_process(&self, server: &str) -> Result<u32, Fault> {
        let status = self.status(server)?;
        let pid = status.get("pid").and_then(Value::as_u64).and_then(|pid| u32::try_from(pid).ok());
        pid.ok_or_else(|| self.fault(&format!("no pid: {status}")))
    }

    /// Who a server is, as the host sees it.
    ///
    /// # Errors
    /// If it does not run.
    pub fn server_person(&self, server: &str) -> Result<Person, Fault> {
        Person::of_process(self.server_process(server)?)
    }

    /// The process of ours whose command line holds `word`: `serve` or `only1mcp-launcher`.
    ///
    /// # Errors
    /// If there is none.
    pub fn process(&self, word: &str) -> Result<u32, Fault> {
        self.supervisor.process(word)
    }

    /// The state directory of one server.
    ///
    /// # Errors
    /// If it has none.
    pub fn server_state(&self, server: &str) -> Result<PathBuf, Fault> {
        let below = find(&self.state.join("servers"), server);
        let directory = below.ok_or_else(|| self.fault(&format!("no state directory of {server}")))?;
        let inner = fs::read_dir(&directory).ok().and_then(|mut entries| {
            entries.find_map(|entry| entry.ok().map(|entry| entry.path()).filter(|path| path.is_dir()))
        });
        Ok(inner.unwrap_or(directory))
    }

    /// Ends it; what is left over comes back.
    ///
    /// # Errors
    /// If it cannot be told to end.
    pub fn end(mut self) -> Result<Vec<String>, Fault> {
        self.supervisor.end()
    }

    /// Who started it.
    #[must_use]
    pub const fn person(&self) -> &Person {
        &self.setup.person
    }
}

/// The command line up to `start`.
fn starter(mode: Mode, person: &Person, program: &Path) -> Command {
    if mode != Mode::Minimal {
        return person.command(program);
    }
    let mut command = person.command("/usr/bin/unshare");
    command.args(WITHOUT_NAMESPACES).arg(program);
    command
}

fn directory(base: &Path, name: &str, mode: u32, person: &Person) -> Result<PathBuf, Fault> {
    let path = base.join(name);
    fs::create_dir_all(&path)
        .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(mode)))
        .doing(|| format!("make {}", path.display()))?;
    give(&path, person)?;
    Ok(path)
}

fn give(path: &Path, person: &Person) -> Result<(), Fault> {
    let named = || format!("give {} to uid {}", path.display(), person.uid);
    chown(path, Some(person.uid), Some(person.gid)).doing(named)
}

/// One that no other daemon of ours gets, and below those that the kernel gives to whoever asks for any: between
/// now and the start of the daemon nobody takes it by chance.
fn free_port() -> std::io::Result<u16> {
    const PORTS: std::ops::Range<u32> = 10_000..18_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let count = PORTS.end - PORTS.start;
    let ports = (0..count).map(|_| {
        let next = std::process::id().wrapping_mul(97).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        PORTS.start + next % count
    });
    let mut ports = ports.filter_map(|port| u16::try_from(port).ok());
    let free = ports.find(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok());
    free.ok_or_else(|| std::io::ErrorKind::AddrInUse.into())
}

fn has_all(tools: &[String], profiles: &[&str]) -> bool {
    profiles.iter().all(|profile| tools.contains(&format!("{profile}__attempt")))
}

fn configuration(profiles: &[&str], base: &Path) -> String {
    let granted = base.join("granted");
    let mut text = "servers:\n".to_owned();
    for profile in profiles {
        let _ = write!(
            text,
            "  - id: {profile}\n    transport: stdio\n    command: only1mcp-probe\n    args: [serve]\n    \
             policy:\n      extends: {profile}\n      filesystem:\n        read: [{}]\n",
            granted.display()
        );
    }
    text
}

fn find(directory: &Path, name: &str) -> Option<PathBuf> {
    let entries: Vec<PathBuf> =
        fs::read_dir(directory).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    let own = entries.iter().find(|path| path.file_name().is_some_and(|found| found == name)).cloned();
    own.or_else(|| entries.iter().filter(|path| path.is_dir()).find_map(|path| find(path, name)))
}
