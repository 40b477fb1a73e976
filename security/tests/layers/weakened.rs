//! A daemon whose launcher lacks something: built once, told by a file beside it what, and attacked.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use only1mcp_escape::catalogue::{self, Attempt, Mode, Pace};
use only1mcp_escape::runner::canaries::Canaries;
use only1mcp_escape::runner::daemon::Daemon;
use only1mcp_escape::runner::machine::{Person, Programs};
use only1mcp_escape::runner::relay::Relay;
use only1mcp_escape::runner::trial::{Attack, Call, Trial};

use crate::mistakes::NOTHING_STARTS;
use crate::{BASE, OTHER, PROFILES, SERVER, proc};

/// All programs of a daemon but the launcher.
const OTHERS: [&str; 5] =
    ["only1mcp", "only1mcp-init", "only1mcp-compile", "only1mcp-probe", "only1mcp-builtin"];
/// Where the launcher looks for what it lacks.
const FILE: &str = "weakened";
/// Each run is made as a person of its own, so that one which can reach others reaches none of another run.
static NEXT_PERSON: AtomicU32 = AtomicU32::new(45_700);
/// Attempts that take seconds, beside those that say so; quicker ones ask about the same walls.
const SLOW: [&str; 3] = ["F27", "K01", "P05"];
/// How long the servers may take to be there.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How often the log is asked whether that will never be.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// How long the kernel may take to end the servers of a launcher that was killed.
const ORPHAN_TIMEOUT: Duration = Duration::from_secs(5);

/// What came of attacking a weakened daemon.
#[derive(Debug)]
pub enum Found {
    /// No server was started: the mistake fails closed.
    Nothing,
    /// The answers.
    Answers(Answers),
}

/// All answers of one run.
#[derive(Debug)]
pub struct Answers {
    /// The Landlock ABI in force.
    pub landlock_abi: u8,
    /// What came of each attack.
    pub attacks: BTreeMap<&'static str, Attack>,
    /// Attempts whose legitimate neighbour fails, and why.
    pub twins: BTreeMap<&'static str, String>,
    /// What `status`, the plan and /proc do not agree about, and servers that outlive their launcher.
    pub facts: Vec<String>,
}

impl Found {
    /// The answers, if there was anybody to ask.
    pub const fn answers(&self) -> Option<&Answers> {
        match self {
            Self::Nothing => None,
            Self::Answers(answers) => Some(answers),
        }
    }

    /// The attempts that are not answered as they must be, and those whose twin fails.
    pub fn red_attempts(&self) -> impl Iterator<Item = String> {
        self.answers().into_iter().flat_map(|answers| {
            let attacks = answers.attacks.iter().filter(|(_, attack)| !attack.failures.is_empty());
            let attacks = attacks.map(|(id, _)| (*id).to_owned());
            attacks.chain(answers.twins.keys().map(|id| format!("twin of {id}")))
        })
    }

    /// All that is not as it must be: attempts by their number, facts by their name.
    pub fn red(&self) -> BTreeSet<String> {
        let facts = self.answers().into_iter().flat_map(|answers| answers.facts.iter());
        let facts = facts.map(|fact| fact.split(": said and enforced").next().unwrap_or(fact).to_owned());
        let nothing = matches!(self, Self::Nothing).then(|| NOTHING_STARTS.to_owned());
        self.red_attempts().chain(facts).chain(nothing).collect()
    }
}

/// The attempts that are made.
pub fn attempts() -> impl Iterator<Item = &'static Attempt> {
    catalogue::all().filter(|attempt| is_quick(attempt))
}

/// The attempts that are left out.
pub fn left_out() -> Vec<&'static str> {
    catalogue::all().filter(|attempt| !is_quick(attempt)).map(|attempt| attempt.id).collect()
}

fn is_quick(attempt: &Attempt) -> bool {
    attempt.pace == Pace::Quick && !SLOW.contains(&attempt.id)
}

/// Where the programs that ship are.
pub fn shipped() -> PathBuf {
    let beside_probe = Path::new(env!("CARGO_BIN_EXE_only1mcp-probe")).parent().unwrap().to_path_buf();
    std::env::var_os("ONLY1MCP_BIN_DIR").map_or(beside_probe, PathBuf::from)
}

/// The compiler that this test was built with.
pub fn rustc() -> PathBuf {
    Path::new(env!("CARGO")).with_file_name("rustc")
}

/// The launcher that can lack anything, built by the first who asks.
#[expect(clippy::disallowed_methods, reason = "the test builds a program")]
pub fn launcher() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("weakened");
        let mut build = Command::new(env!("CARGO"));
        build.env("RUSTC", rustc());
        build.args(["build", "--locked", "--quiet", "-p", "only1mcp-launcher", "--features", "weakened"]);
        build.arg("--target-dir").arg(&target).current_dir(env!("CARGO_MANIFEST_DIR"));
        assert!(build.status().unwrap().success(), "the weakened launcher cannot be built");
        target.join("debug/only1mcp-launcher")
    })
}

/// Everything the launcher can lack: it says so when it is told to lack what it does not know.
pub fn known() -> BTreeSet<String> {
    let (daemon, _canaries) = start(&["something nobody knows"], Mode::User);
    let deadline = Instant::now() + START_TIMEOUT;
    let mut names = BTreeSet::new();
    while names.is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
        let log = daemon.log();
        let said = log.lines().find_map(|line| line.split_once("known weaknesses: "));
        names.extend(said.into_iter().flat_map(|(_, names)| names.split("; ")).map(str::to_owned));
    }
    daemon.end().unwrap();
    names
}

fn start(lacking: &[&str], mode: Mode) -> (Daemon, Canaries) {
    let person = if mode == Mode::Root { Person::root().unwrap() } else { a_person() };
    let canaries = Canaries::new(Path::new(BASE), mode, &person, &Programs::of(shipped())).unwrap();
    let programs = Programs::of(gather(&canaries.base.join("programs"), lacking));
    (Daemon::start(mode, &person, &canaries, &PROFILES, &programs).unwrap(), canaries)
}

/// Attacks a daemon whose launcher lacks all of `lacking`.
pub fn attack(lacking: &[&str], mode: Mode) -> Found {
    let (mut daemon, mut canaries) = start(lacking, mode);
    let found = match relay(&mut daemon, lacking) {
        None => Found::Nothing,
        Some(mut relay) => {
            let mut call = |tool: &str, arguments: &_| relay.call(&format!("{SERVER}__{tool}"), arguments);
            Found::Answers(ask(&daemon, &mut canaries, &mut call, lacking))
        }
    };
    daemon.end().unwrap();
    found
}

/// A client of the daemon, once all servers are there; `None` if the launcher cannot start one.
fn relay(daemon: &mut Daemon, lacking: &[&str]) -> Option<Relay> {
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        match daemon.relay_within(&PROFILES, LOOK_INTERVAL) {
            Ok(relay) => return Some(relay),
            Err(_) if daemon.log().contains("cannot start server") => return None,
            Err(fault) => assert!(Instant::now() < deadline, "without {lacking:?}: {fault}"),
        }
    }
}

fn ask(daemon: &Daemon, canaries: &mut Canaries, call: Call<'_>, lacking: &[&str]) -> Answers {
    let mut subject = daemon.subject(SERVER, OTHER).unwrap();
    if lacking.contains(&"mount namespace") {
        // Then nothing is called /state, and the server's directory has its real name.
        subject.targets.set("scratch", daemon.server_state(SERVER).unwrap().to_string_lossy());
    }
    let landlock_abi = subject.landlock_abi;
    let shipped = Programs::of(shipped());
    let mut trial = Trial::of(subject, canaries, call, &shipped).unwrap();
    let (mut attacks, mut twins) = (BTreeMap::new(), BTreeMap::new());
    for attempt in attempts() {
        attacks.insert(attempt.id, trial.attack(attempt).unwrap());
        twins.extend(trial.twin(attempt).map(|failure| (attempt.id, failure)));
    }
    let mut facts = trial.finish();
    facts.extend(proc::disagreements(daemon, SERVER));
    facts.extend(outlives_launcher(daemon));
    Answers { landlock_abi, attacks, twins, facts }
}

/// Kills the launcher while the proxy, which would notice, stands still: does the server die with it?
fn outlives_launcher(daemon: &Daemon) -> Option<String> {
    let pid = |process: u32| Pid::from_raw(i32::try_from(process).unwrap());
    let server = pid(daemon.server_process(SERVER).unwrap());
    let proxy = pid(daemon.process("serve").unwrap());
    kill(proxy, Signal::SIGSTOP).unwrap();
    kill(pid(daemon.process("only1mcp-launcher").unwrap()), Signal::SIGKILL).unwrap();
    let deadline = Instant::now() + ORPHAN_TIMEOUT;
    while lives(server) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    let outlived = lives(server);
    let _ = kill(server, Signal::SIGKILL);
    kill(proxy, Signal::SIGCONT).unwrap();
    outlived.then(|| "the server outlives its launcher".to_owned())
}

/// Whether a process runs. One that has ended and that nobody has asked about yet does not.
fn lives(process: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn a_person() -> Person {
    if Person::root().is_none() {
        return Person::own();
    }
    let id = NEXT_PERSON.fetch_add(1, Ordering::Relaxed);
    Person { uid: id, gid: id }
}

/// A folder with all programs, the weakened launcher among them, and the file that says what it lacks.
fn gather(folder: &Path, lacking: &[&str]) -> PathBuf {
    fs::create_dir(folder).unwrap();
    for name in OTHERS {
        place(&shipped().join(name), &folder.join(name));
    }
    place(launcher(), &folder.join("only1mcp-launcher"));
    fs::write(folder.join(FILE), lacking.join("\n")).unwrap();
    folder.to_path_buf()
}

/// A second name if it can be, for the programs are large; else a copy.
fn place(from: &Path, to: &Path) {
    if fs::hard_link(from, to).is_err() {
        fs::copy(from, to).unwrap();
        fs::set_permissions(to, fs::Permissions::from_mode(0o755)).unwrap();
    }
}
