//! A proof per policy: the whole catalogue against one server's own confinement, on this machine.
//!
//! The real programs are started once more over the user's own configuration, with the probe in the place of the
//! server, no other server, and directories of their own. Nothing of the real daemon is used or touched.

mod report;

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use only1mcp_policy::stand_in::StandIn;
use serde_json::Value;

use crate::catalogue::{self, Attempt, Mode};
use crate::runner::canaries::{Canaries, VARIABLE};
use crate::runner::daemon::{Daemon, Setup};
use crate::runner::fault::{Context, Fault};
use crate::runner::machine::{Person, Programs};
use crate::runner::trial::{Row, Trial};
use crate::runner::verdict::Verdict;

/// What is to be proven, and with what.
#[derive(Clone, Debug)]
pub struct Order {
    /// The server whose policy is tried.
    pub server: String,
    /// The configuration, or the word `builtin`.
    pub config: PathBuf,
    /// An empty directory for the state of this run.
    pub state: PathBuf,
    /// An empty directory for the sockets of this run.
    pub runtime: PathBuf,
    /// An empty directory for canaries, which other uids can reach.
    pub canaries: PathBuf,
    /// As root: the pool of uids, as `only1mcp start` takes it.
    pub pool: Option<String>,
    /// Whether fewer walls will do.
    pub allow_degraded: bool,
    /// Where the programs are.
    pub programs: Programs,
}

/// What came of it.
pub struct Proof {
    /// The server.
    pub server: String,
    /// What `policy explain` says of it.
    explanation: Value,
    /// What `status` says of it.
    status: Value,
    /// How it ran.
    pub mode: Mode,
    /// The Landlock ABI in force.
    landlock_abi: u8,
    /// Each attempt.
    rows: Vec<(&'static Attempt, Row)>,
    /// Harm that was only seen at the end.
    aftermath: Vec<String>,
}

impl Order {
    /// Where the canaries are that the sandbox sees.
    #[must_use]
    pub fn canary(canaries: &Path) -> PathBuf {
        canaries.join("granted")
    }

    /// Tries every attempt.
    ///
    /// # Errors
    /// If the programs cannot be started or do not answer: then nothing is proven.
    pub fn prove(&self) -> Result<Proof, Fault> {
        let person = Person::own();
        let mode = if person.uid == 0 { Mode::Root } else { Mode::User };
        let mut canaries = Canaries::within(&self.canaries, mode, &person, &self.programs)?;
        let mut daemon = Daemon::launch(self.setup(mode, &person))?;
        let mut relay = daemon.relay(&[&self.server])?;
        let whole = daemon.whole_status()?;
        if whole.get("mode").and_then(Value::as_str) == Some(Mode::Minimal.name()) {
            daemon.mode = Mode::Minimal;
        }
        let neighbour = self.neighbour()?;
        let mut subject = daemon.subject_beside(&self.server, &neighbour)?;
        if self.config == Path::new("builtin") {
            // There is no file; what lies beside the state is as secret.
            subject.targets.set("config", self.state.join("token").to_string_lossy());
        }
        let (landlock_abi, mode) = (subject.landlock_abi, subject.mode);
        let (explanation, status) = (daemon.explanation(&self.server)?, daemon.status(&self.server)?);
        let mut call = |tool: &str, arguments: &_| relay.call(&format!("{}__{tool}", self.server), arguments);
        let mut trial = Trial::of(subject, &mut canaries, &mut call, &self.programs)?;
        let mut rows = Vec::new();
        for attempt in catalogue::all() {
            rows.push((attempt, trial.run(attempt)?));
        }
        let mut aftermath = trial.finish();
        drop(relay);
        aftermath.extend(daemon.end()?);
        let server = self.server.clone();
        Ok(Proof { server, explanation, status, mode, landlock_abi, rows, aftermath })
    }

    fn setup(&self, mode: Mode, person: &Person) -> Setup {
        let stand_in = StandIn {
            server: self.server.clone(),
            canary: Self::canary(&self.canaries).to_string_lossy().into_owned(),
        };
        let probe: Vec<OsString> =
            vec!["--probe".into(), stand_in.server.into(), "--canary".into(), stand_in.canary.into()];
        let mut start_words = probe.clone();
        start_words.push("--tied".into());
        if let Some(pool) = &self.pool {
            start_words.extend(["--pool".into(), pool.into()]);
        }
        start_words.extend(self.allow_degraded.then(|| "--allow-degraded".into()));
        let mut compile_words = probe;
        compile_words.extend(["--mode".into(), mode.name().into()]);
        compile_words.extend(["--state-dir".into(), self.state.clone().into()]);
        compile_words.extend(["--runtime-dir".into(), self.runtime.clone().into()]);
        Setup {
            mode,
            person: person.clone(),
            programs: self.programs.clone(),
            config: self.config.clone(),
            state: self.state.clone(),
            runtime: self.runtime.clone(),
            log: self.canaries.join("log"),
            start_words,
            compile_words,
            // What the configuration refers to as ${NAME}.
            environment: std::env::vars_os().filter(|(name, _)| name != VARIABLE).collect(),
        }
    }

    /// The state of a server that does not exist, for the probe to look for.
    fn neighbour(&self) -> Result<PathBuf, Fault> {
        let name = if self.server == "neighbour" { "neighbour-2" } else { "neighbour" };
        let file = self.state.join("servers").join(name).join("shared/canary.txt");
        let making = || format!("make {}", file.display());
        let directory = file.parent().unwrap_or(&self.state);
        fs::create_dir_all(directory).doing(making)?;
        fs::write(&file, "state of another server").doing(making)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).doing(making)?;
        Ok(file)
    }
}

impl Proof {
    /// The worst that came of any attempt, as an answer to whether the walls hold.
    #[must_use]
    pub fn answer(&self) -> Answer {
        let count = |verdict| self.count(verdict);
        if count(Verdict::Through) + count(Verdict::Open) > 0 || !self.aftermath.is_empty() {
            Answer::Broken
        } else if count(Verdict::Untried) > 0 || self.rows.is_empty() {
            Answer::Unproven
        } else {
            Answer::Hold
        }
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.rows.iter().filter(|(_, row)| row.verdict == verdict).count()
    }
}

/// Whether the walls hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Every attempt was stopped, or is granted.
    Hold,
    /// An attempt got through.
    Broken,
    /// An attempt could not be tried.
    Unproven,
}
