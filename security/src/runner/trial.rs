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

/// What came of one attack inside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attack {
    /// How many acts it is.
    pub acts: usize,
    /// All answers in words.
    pub answers: String,
    /// What is not as it must be.
    pub failures: Vec<String>,
    /// What went through though it must not: acts, and canaries that were reached.
    pub open: Vec<String>,
    /// What could not be tried.
    pub untried: Vec<String>,
}

impl Attack {
    fn failed(error: String) -> Self {
        Self {
            answers: "failed".to_owned(),
            failures: vec![error.clone()],
            untried: vec![error],
            ..Self::default()
        }
    }
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
        let attack = self.attack(attempt)?;
        let twin = self.twin(attempt);
        let twin_words = if twin.is_some() { "fails" } else { "works" }.to_owned();
        let failures = control.failures.into_iter().chain(attack.failures).chain(twin).collect();
        Ok(Row { outside: control.words, inside: attack.answers, twin: twin_words, failures })
    }

    /// Runs the attack inside, without its control and its twin.
    ///
    /// # Errors
    /// If a canary fails of itself.
    pub fn attack(&mut self, attempt: &Attempt) -> Result<Attack, Fault> {
        self.canaries.refill(&self.subject.person)?;
        let before = self.canaries.touches()?;
        let mut attack = match self.ask("attempt", attempt) {
            Ok(report) => self.judged(attempt, &report),
            Err(error) => Attack::failed(format!("inside: {error}")),
        };
        let mut harm = self.canaries.harm();
        if self.canaries.touches()? != before {
            harm.push("a listening canary was reached".to_owned());
        }
        attack.failures.extend(harm.iter().map(|what| format!("inside: {what}")));
        attack.open.extend(harm);
        Ok(attack)
    }

    /// Does the legitimate neighbour inside; what is wrong with it comes back.
    pub fn twin(&mut self, attempt: &Attempt) -> Option<String> {
        match self.ask("twin", attempt) {
            Ok(report) if report.outcome == Outcome::Allowed && report.acts.iter().all(allowed) => None,
            Ok(report) => Some(format!("twin inside: {}", report.detail)),
            Err(error) => Some(format!("twin inside: {error}")),
        }
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

    fn judged(&self, attempt: &Attempt, report: &Report) -> Attack {
        let mut attack = Attack { acts: report.acts.len(), ..Attack::default() };
        let mut answers: Vec<&str> = Vec::new();
        for act in &report.acts {
            let (answer, expected) = (act.answer(), self.expected(attempt, &act.act));
            if answer != expected {
                let words = format!("inside: {}: {answer} instead of {expected} ({})", act.act, act.detail);
                attack.failures.push(words);
            }
            match act.outcome {
                Outcome::Allowed if expected != "allowed" => attack.open.push(act.act.clone()),
                Outcome::Error => attack.untried.push(format!("{}: {}", act.act, act.detail)),
                _ => {}
            }
            if !answers.contains(&answer) {
                answers.push(answer);
            }
        }
        if report.acts.is_empty() {
            attack.failures.push("inside: no act at all".to_owned());
            attack.untried.push("no act at all".to_owned());
        }
        if self.canaries.betrayed_by(&report.detail) {
            attack.failures.push("inside: the secret was read".to_owned());
            attack.open.push("the secret was read".to_owned());
        }
        attack.answers = answers.join(" ");
        attack
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
