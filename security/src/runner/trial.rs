//! One server on trial: every attempt as control outside, attack inside, twin inside, then the canaries.

use only1mcp_wire::plan::ServerPlan;
use serde_json::{Value, json};

use super::canaries::Canaries;
use super::control;
use super::fault::Fault;
use super::machine::{Person, Programs};
use crate::catalogue::{Attempt, Mode};
use crate::probe::outcome::Outcome;
use crate::probe::{Act, Report, Targets};

/// What must be known of a sandbox to try it.
pub struct Subject {
    /// How the launcher was started.
    pub mode: Mode,
    /// Who the server is, as the host sees it.
    pub person: Person,
    /// What was granted to it.
    pub plan: ServerPlan,
    /// The Landlock ABI in force, 0 for none.
    pub landlock_abi: u8,
    /// What attempts are aimed at beside the canaries.
    pub targets: Targets,
}

/// Calls a tool of the probe inside: its name and arguments, its structured content.
pub type Call<'a> = &'a mut dyn FnMut(&str, &Value) -> Result<Value, String>;

/// One server on trial.
pub struct Trial<'a> {
    subject: Subject,
    canaries: &'a mut Canaries,
    call: Call<'a>,
    programs: &'a Programs,
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
    /// Puts a server on trial, with canaries of its own uid.
    ///
    /// # Errors
    /// If these cannot be set.
    pub fn of(
        mut subject: Subject,
        canaries: &'a mut Canaries,
        call: Call<'a>,
        programs: &'a Programs,
    ) -> Result<Self, Fault> {
        canaries.refill(&subject.person)?;
        canaries.hunt(&subject.person)?;
        let mut targets = canaries.targets()?;
        for (key, value) in subject.targets.iter() {
            targets.set(key, value);
        }
        targets.set("mode", subject.mode.name());
        let calls: Vec<String> = subject.plan.system_calls.iter().map(u32::to_string).collect();
        targets.set("system_calls", calls.join(","));
        subject.targets = targets;
        Ok(Self { subject, canaries, call, programs })
    }

    /// Runs one attempt as a triple.
    ///
    /// # Errors
    /// If the control cannot be started, or a canary fails of itself.
    pub fn run(&mut self, attempt: &Attempt) -> Result<Row, Fault> {
        let Subject { mode, person, targets, .. } = &self.subject;
        self.canaries.refill(person)?;
        let control = control::run(attempt, *mode, person, targets, &self.canaries.base, self.programs)?;
        let mut failures = control.failures;
        self.canaries.refill(person)?;
        let before = self.canaries.touches()?;
        let inside = self.ask("attempt", attempt);
        let words = self.judge_attempt(attempt, inside, &mut failures);
        if self.canaries.touches()? != before {
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
        Ok(Row { outside: control.words, inside: words, twin, failures })
    }

    /// Ends the trial: the victim says whether it was harmed.
    #[must_use]
    pub fn finish(self) -> Vec<String> {
        self.canaries.call_off()
    }

    fn ask(&mut self, tool: &str, attempt: &Attempt) -> Result<Report, String> {
        let targets: serde_json::Map<String, Value> =
            self.subject.targets.iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
        let said = (self.call)(tool, &json!({"id": attempt.id, "targets": targets}))?;
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
        let plan = &self.subject.plan;
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
        attempt.expected(self.subject.mode, self.subject.landlock_abi).to(act)
    }
}

fn allowed(act: &Act) -> bool {
    act.outcome == Outcome::Allowed
}
