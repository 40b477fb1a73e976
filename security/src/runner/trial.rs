//! One server on trial: every attempt as control outside, attack inside, twin inside, then the canaries.

use std::path::Path;

use only1mcp_policy::path::is_within;
use only1mcp_wire::plan::ServerPlan;
use serde_json::{Value, json};

use super::canaries::Canaries;
use super::control;
use super::fault::Fault;
use super::granted::{Access, Expectation, Granted};
use super::machine::{Person, Programs};
use super::surroundings::Mover;
use super::verdict::{Evidence, Verdict};
use crate::catalogue::{Attempt, Mode};
use crate::probe::outcome::Outcome;
use crate::probe::{Act, Report, Targets};

/// How often an attempt is made again that seems to have reached a listening canary.
const LOOKS_AGAIN: usize = 2;

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
    /// What it means for the policy.
    pub verdict: Verdict,
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
        for key in ["places", "temporary"] {
            let unseen = without_granted(targets.text(key).unwrap_or_default(), &subject.plan);
            targets.set(key, unseen);
        }
        for (key, bound) in bounds(&subject.plan) {
            targets.set(key, bound.to_string());
        }
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
        let (outside, aims) = (control.words, control.aims);
        let mut evidence = Evidence::default();
        evidence.unproven(control.failures);
        let inside = self.attacked(attempt, &aims, &mut evidence)?;
        let twin = self.twin(attempt);
        let twin_words = if twin.is_some() { "fails" } else { "works" }.to_owned();
        evidence.unproven(twin);
        let verdict = evidence.verdict();
        Ok(Row { outside, inside, twin: twin_words, failures: evidence.into_failures(), verdict })
    }

    /// Runs the attack inside, without its control and its twin.
    ///
    /// # Errors
    /// If a canary fails of itself.
    pub fn attack(&mut self, attempt: &Attempt) -> Result<Attack, Fault> {
        let mut evidence = Evidence::default();
        let answers = self.attacked(attempt, &[], &mut evidence)?;
        Ok(evidence.into_attack(answers))
    }

    /// The answers in words; what they mean goes to the evidence. `aims` are those of the control.
    fn attacked(
        &mut self,
        attempt: &Attempt,
        aims: &[String],
        evidence: &mut Evidence,
    ) -> Result<String, Fault> {
        let before = self.forbidden_touches()?;
        let answers = self.attacked_once(attempt, aims, evidence)?;
        if self.forbidden_touches()? == before {
            return Ok(answers);
        }
        // Anybody on the machine may knock at a canary by chance; what reaches it does so again.
        for _ in 0..LOOKS_AGAIN {
            let before = self.forbidden_touches()?;
            self.attacked_once(attempt, aims, evidence)?;
            if self.forbidden_touches()? != before {
                evidence.harm("a listening canary was reached");
                return Ok(answers);
            }
        }
        evidence
            .unproven(["a listening canary was reached once and not again: by whom is not known".to_owned()]);
        Ok(answers)
    }

    /// How often listening canaries were reached that the policy does not show.
    fn forbidden_touches(&mut self) -> Result<usize, Fault> {
        let touches = self.canaries.touches()?;
        let sockets = touches.sockets.iter().filter(|(path, _)| !self.may(path, Access::Read));
        Ok(touches.others + sockets.map(|(_, count)| count).sum::<usize>())
    }

    fn attacked_once(
        &mut self,
        attempt: &Attempt,
        aims: &[String],
        evidence: &mut Evidence,
    ) -> Result<String, Fault> {
        self.canaries.refill(&self.subject.person)?;
        let _moving = Mover::wanted_by(attempt.id, &self.canaries.base, &self.subject.person)?;
        let answers = match self.ask("attempt", attempt) {
            Ok(report) => self.judge(attempt, &report, aims, evidence),
            Err(error) => {
                evidence.unproven([format!("inside: {error}")]);
                "failed".to_owned()
            }
        };
        for harm in self.canaries.harm() {
            // Where the policy lets it write there, it is the policy's doing.
            if !harm.at.is_some_and(|path| self.may(&path, Access::Write)) {
                evidence.harm(&harm.what);
            }
        }
        Ok(answers)
    }

    /// Whether the policy itself gives the server this access to a path of the host.
    fn may(&self, path: &Path, access: Access) -> bool {
        let granted = Granted { plan: &self.subject.plan, targets: &self.subject.targets, aims: [&[], &[]] };
        path.to_str().is_some_and(|path| granted.gives(path, access))
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

    fn judge(&self, attempt: &Attempt, report: &Report, aims: &[String], evidence: &mut Evidence) -> String {
        let granted =
            Granted { plan: &self.subject.plan, targets: &self.subject.targets, aims: [aims, &report.aims] };
        let catalogue = attempt.expected(self.subject.mode, self.subject.landlock_abi);
        let in_user_mode = attempt.expected(Mode::User, self.subject.landlock_abi);
        let mut answers: Vec<&str> = Vec::new();
        for act in &report.acts {
            let expected = match granted.expectation(attempt, act) {
                Expectation::Catalogue => catalogue.to(&act.act),
                Expectation::Done => {
                    evidence.granted(&act.act);
                    "allowed"
                }
                // Another wall may still hold, by whatever answer.
                Expectation::Any if act.outcome == Outcome::Allowed => {
                    evidence.granted(&act.act);
                    act.answer()
                }
                Expectation::Any => act.answer(),
            };
            evidence.weigh(act, expected, in_user_mode.to(&act.act));
            if !answers.contains(&act.answer()) {
                answers.push(act.answer());
            }
        }
        if report.acts.is_empty() {
            evidence.unproven(["inside: no act at all".to_owned()]);
        }
        let held_by = self.canaries.betrayed_by(&report.detail);
        if !held_by.is_empty() && !held_by.iter().any(|path| self.may(path, Access::Read)) {
            evidence.harm("the secret was read");
        }
        answers.join(" ")
    }
}

/// What the plan bounds, for attempts that go beyond.
fn bounds(plan: &ServerPlan) -> [(&'static str, u64); 5] {
    let scratch = plan.scratch.iter().find(|scratch| scratch.path == "/tmp");
    [
        ("scratch_bytes", scratch.map_or(0, |scratch| scratch.bytes)),
        ("scratch_files", scratch.map_or(0, |scratch| scratch.inodes)),
        ("file_bytes", plan.limits.file_bytes),
        ("open_files", plan.limits.open_files.into()),
        ("processes", plan.limits.processes.into()),
    ]
}

/// Those of the paths that this very policy does not show, nor anything below them.
fn without_granted(paths: &str, plan: &ServerPlan) -> String {
    let seen = |path: &str| {
        plan.binds.iter().any(|bind| is_within(&bind.target, path) || is_within(path, &bind.target))
    };
    paths.split(',').filter(|path| !seen(path)).collect::<Vec<_>>().join(",")
}

fn allowed(act: &Act) -> bool {
    act.outcome == Outcome::Allowed
}
