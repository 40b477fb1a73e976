//! One server on trial: every attempt as control outside, attack inside, twin inside, then the canaries.

use std::fs;

use only1mcp_escape::catalogue::Attempt;
use only1mcp_escape::probe::outcome::Outcome;
use only1mcp_escape::probe::{Report, Targets};
use serde_json::{Value, json};

use crate::canaries::Canaries;
use crate::control;
use crate::daemon::Daemon;
use crate::machine::{Mode, Person};
use crate::relay::Relay;

/// One server on trial.
pub struct Trial<'a> {
    daemon: &'a Daemon,
    canaries: &'a mut Canaries,
    relay: &'a mut Relay,
    server: String,
    person: Person,
    targets: Targets,
    landlock_abi: u8,
}

/// What came of one attempt.
pub struct Row {
    /// The control.
    pub outside: String,
    /// The attack.
    pub inside: String,
    /// The twin.
    pub twin: String,
    /// What is not as it must be.
    pub failures: Vec<String>,
}

impl<'a> Trial<'a> {
    /// Puts `server` on trial, with canaries of its own uid.
    pub fn of(daemon: &'a Daemon, canaries: &'a mut Canaries, relay: &'a mut Relay, server: &str) -> Self {
        let person = daemon.server_person(server);
        canaries.refill(&person);
        canaries.hunt(&person);
        let mut targets = canaries.targets();
        let other = if server == "node" { "native" } else { "node" };
        let other_state = daemon.server_state(other).join("canary.txt");
        fs::write(&other_state, "state of another server").unwrap();
        let owner = daemon.server_person(other);
        std::os::unix::fs::chown(&other_state, Some(owner.uid), Some(owner.gid)).unwrap();
        targets.set("other_state", other_state.to_string_lossy());
        targets.set("config", daemon.config.to_string_lossy());
        targets.set("runtime", daemon.runtime.to_string_lossy());
        targets.set("mcp", daemon.address());
        targets.set("launcher", daemon.process("only1mcp-launcher").to_string());
        targets.set("proxy", daemon.process("serve").to_string());
        targets.set("mode", daemon.mode.name());
        if daemon.mode == Mode::Minimal {
            // There is no root of its own, in which its directory would be called /state, and no PID 1.
            targets.set("scratch", daemon.server_state(server).to_string_lossy());
            let init = daemon.server_process(server).to_string();
            targets.set("init", init.clone());
            targets.set("own_init", init);
        }
        let calls: Vec<String> = daemon.plan(server).system_calls.iter().map(u32::to_string).collect();
        targets.set("system_calls", calls.join(","));
        let landlock_abi = daemon.status(server).get("landlock_abi").and_then(Value::as_u64).unwrap_or(0);
        let landlock_abi = u8::try_from(landlock_abi).unwrap();
        Self { daemon, canaries, relay, server: server.to_owned(), person, targets, landlock_abi }
    }

    /// Runs one attempt as a triple.
    pub fn run(&mut self, attempt: &Attempt) -> Row {
        self.canaries.refill(&self.person);
        let control =
            control::run(attempt, self.daemon.mode, &self.person, &self.targets, &self.canaries.base);
        let mut failures = control.failures;
        self.canaries.refill(&self.person);
        let before = self.canaries.touches();
        let inside = self.ask("attempt", attempt);
        let words = self.judge_attempt(attempt, inside, &mut failures);
        if self.canaries.touches() != before {
            failures.push("inside: a listening canary was reached".to_owned());
        }
        failures.extend(self.canaries.harm());
        let twin = match self.ask("twin", attempt) {
            Ok(report) if report.outcome == Outcome::Allowed && report.acts.iter().all(allowed) => {
                "works".to_owned()
            }
            Ok(report) => {
                failures.push(format!("twin inside: {}", report.detail));
                "fails".to_owned()
            }
            Err(error) => {
                failures.push(format!("twin inside: {error}"));
                "fails".to_owned()
            }
        };
        Row { outside: control.words, inside: words, twin, failures }
    }

    /// Ends the trial: the victim says whether it was harmed.
    pub fn finish(self) -> Vec<String> {
        self.canaries.call_off()
    }

    fn ask(&mut self, tool: &str, attempt: &Attempt) -> Result<Report, String> {
        let targets: serde_json::Map<String, Value> =
            self.targets.iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
        let name = format!("{}__{tool}", self.server);
        let said = self.relay.call(&name, &json!({"id": attempt.id, "targets": targets}))?;
        serde_json::from_value(said).map_err(|error| error.to_string())
    }

    fn judge_attempt(
        &self,
        attempt: &Attempt,
        inside: Result<Report, String>,
        failures: &mut Vec<String>,
    ) -> String {
        let report = match inside {
            Ok(report) => report,
            Err(error) => {
                failures.push(format!("inside: {error}"));
                return "failed".to_owned();
            }
        };
        let mut answers: Vec<String> = Vec::new();
        for act in &report.acts {
            let expected = self.expected(attempt, &act.act);
            let answer = act.answer();
            if answer != expected {
                failures
                    .push(format!("inside: {}: {answer} instead of {expected} ({})", act.act, act.detail));
            }
            if !answers.iter().any(|known| known == answer) {
                answers.push(answer.to_owned());
            }
        }
        if report.acts.is_empty() {
            failures.push("inside: no act at all".to_owned());
        }
        if self.canaries.betrayed_by(&report.detail) {
            failures.push("inside: the secret was read".to_owned());
        }
        answers.join(" ")
    }

    /// The catalogue's answer, unless this very policy grants the act.
    fn expected(&self, attempt: &Attempt, act: &str) -> &'static str {
        let plan = self.daemon.plan(&self.server);
        let granted = match act {
            _ if attempt.id == "K21" => plan.jit,
            "memfd_create" | "execve(/proc/self/fd/memfd)" => plan.jit,
            "execute a file written to scratch" => plan.state_executable,
            "execute a file written to /tmp" => {
                plan.scratch.iter().any(|scratch| scratch.path == "/tmp" && scratch.executable)
            }
            _ => false,
        };
        if granted {
            return "allowed";
        }
        attempt.expected(self.daemon.mode, self.landlock_abi).to(act)
    }
}

fn allowed(act: &only1mcp_escape::probe::Act) -> bool {
    act.outcome == Outcome::Allowed
}
