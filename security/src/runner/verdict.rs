//! What the answers to one attempt mean: held, granted, left open, through, or nothing at all.

use super::trial::Attack;
use crate::probe::Act;
use crate::probe::outcome::Outcome;

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Every act was stopped as the catalogue says.
    Held,
    /// Every act was stopped, but one by another answer than the catalogue's.
    HeldOtherwise,
    /// The policy grants what was tried.
    Granted,
    /// No policy and no mode stops it, and the catalogue says why.
    LeftOpen,
    /// This mode does not stop it, though user mode does.
    Open,
    /// Nobody knows: the question was not real, or could not be asked.
    Untried,
    /// An act got through.
    Through,
}

impl Verdict {
    /// All, the best first.
    pub const ALL: [Self; 7] = [
        Self::Held,
        Self::HeldOtherwise,
        Self::Granted,
        Self::LeftOpen,
        Self::Open,
        Self::Untried,
        Self::Through,
    ];

    /// In a few words.
    #[must_use]
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::HeldOtherwise => "held otherwise",
            Self::Granted => "granted",
            Self::LeftOpen => "left open",
            Self::Open => "OPEN in this mode",
            Self::Untried => "NOT TRIED",
            Self::Through => "GOT THROUGH",
        }
    }
}

/// All that was seen of one attempt.
#[derive(Debug, Default)]
pub struct Evidence {
    failures: Vec<String>,
    granted: Vec<String>,
    /// Some act must be stopped; else nothing is claimed that could be left unproven.
    claimed: bool,
    acts: usize,
    /// Some act is stopped in user mode, but not here.
    open: bool,
    /// Some act is allowed, as the catalogue says.
    allowed: bool,
    otherwise: bool,
    untried: Vec<String>,
    through: Vec<String>,
}

impl Evidence {
    /// Reasons why the attempt proves nothing.
    pub fn unproven(&mut self, why: impl IntoIterator<Item = String>) {
        let why: Vec<String> = why.into_iter().collect();
        self.failures.extend(why.iter().cloned());
        self.untried.extend(why);
    }

    /// Something outside was touched that no policy grants.
    pub fn harm(&mut self, what: &str) {
        self.through.push(what.to_owned());
        self.failures.push(format!("inside: {what}"));
    }

    /// The policy grants this act.
    pub fn granted(&mut self, act: &str) {
        self.granted.push(act.to_owned());
    }

    /// Compares an answer with the one expected here, and that with the one user mode must give.
    pub fn weigh(&mut self, act: &Act, expected: &str, in_user_mode: &str) {
        let answer = act.answer();
        let is_granted = self.granted.contains(&act.act);
        self.acts += 1;
        self.claimed |= expected != "allowed" || is_granted;
        if answer == expected {
            let allowed = act.outcome == Outcome::Allowed && !is_granted;
            self.open |= allowed && in_user_mode != expected;
            self.allowed |= allowed;
            return;
        }
        self.failures.push(format!("inside: {}: {answer} instead of {expected} ({})", act.act, act.detail));
        match act.outcome {
            Outcome::Allowed => self.through.push(act.act.clone()),
            Outcome::Error => self.untried.push(format!("{}: {}", act.act, act.detail)),
            // What the policy says works does not: the question was another than we thought.
            Outcome::Denied if is_granted => self.untried.push(format!("{}: {answer}", act.act)),
            Outcome::Denied => self.otherwise = true,
        }
    }

    /// The worst of it.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let found = [
            (!self.through.is_empty(), Verdict::Through),
            (!self.untried.is_empty() && (self.claimed || self.acts == 0), Verdict::Untried),
            (self.open, Verdict::Open),
            (!self.granted.is_empty(), Verdict::Granted),
            (self.otherwise, Verdict::HeldOtherwise),
            (self.allowed && !self.claimed, Verdict::LeftOpen),
        ];
        found.into_iter().find(|(is, _)| *is).map_or(Verdict::Held, |(_, verdict)| verdict)
    }

    /// The same without a verdict.
    #[must_use]
    pub fn into_attack(self, answers: String) -> Attack {
        Attack {
            acts: self.acts,
            answers,
            failures: self.failures,
            open: self.through,
            untried: self.untried,
        }
    }

    /// What is not as it must be, in words.
    #[must_use]
    pub fn into_failures(self) -> Vec<String> {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;

    fn weighed(answer: Result<i64, Errno>, expected: &str, prepare: impl FnOnce(&mut Evidence)) -> Verdict {
        let mut evidence = Evidence::default();
        prepare(&mut evidence);
        evidence.weigh(&Act::of("open", answer), expected, expected);
        evidence.verdict()
    }

    #[test]
    fn each_answer_has_its_meaning() {
        let nothing = |_: &mut Evidence| {};
        assert_eq!(weighed(Err(Errno::ENOENT), "ENOENT", nothing), Verdict::Held);
        assert_eq!(weighed(Err(Errno::EACCES), "ENOENT", nothing), Verdict::HeldOtherwise);
        assert_eq!(weighed(Ok(0), "allowed", nothing), Verdict::LeftOpen);
        assert_eq!(weighed(Ok(0), "ENOENT", nothing), Verdict::Through);
        assert_eq!(weighed(Err(Errno::EPERM), "allowed", nothing), Verdict::HeldOtherwise);
        let granted = |evidence: &mut Evidence| evidence.granted("open");
        assert_eq!(weighed(Err(Errno::EPERM), "allowed", granted), Verdict::Untried);
        assert_eq!(weighed(Ok(0), "allowed", |evidence| evidence.granted("open")), Verdict::Granted);
    }

    #[test]
    fn what_only_this_mode_lets_through_is_open() {
        let mut evidence = Evidence::default();
        evidence.weigh(&Act::of("connect", Ok(0)), "allowed", "ENETUNREACH");
        assert_eq!(evidence.verdict(), Verdict::Open);
    }

    #[test]
    fn an_act_that_no_mode_stops_beside_one_that_is_stopped_leaves_the_attempt_held() {
        let mut evidence = Evidence::default();
        evidence.weigh(&Act::of("chmod", Ok(0)), "allowed", "allowed");
        evidence.weigh(&Act::of("execute", Err(Errno::EACCES)), "EACCES", "EACCES");
        assert_eq!(evidence.verdict(), Verdict::Held);
    }

    #[test]
    fn one_act_that_got_through_outweighs_all_else() {
        let verdict = weighed(Ok(0), "ENOENT", |evidence| {
            evidence.unproven(["the control failed".to_owned()]);
            evidence.granted("another act");
        });
        assert_eq!(verdict, Verdict::Through);
    }

    #[test]
    fn a_control_that_fails_leaves_the_question_open() {
        let verdict = weighed(Err(Errno::ENOENT), "ENOENT", |evidence| {
            evidence.unproven(["the control failed".to_owned()]);
        });
        assert_eq!(verdict, Verdict::Untried);
    }

    #[test]
    fn what_this_mode_does_not_claim_to_stop_needs_no_proof() {
        let no_control = |evidence: &mut Evidence| evidence.unproven(["the control failed".to_owned()]);
        assert_eq!(weighed(Err(Errno::EPERM), "allowed", no_control), Verdict::HeldOtherwise);
    }

    #[test]
    fn harm_is_an_escape_whatever_else_was_granted() {
        assert_eq!(weighed(Err(Errno::ENOENT), "ENOENT", |evidence| evidence.harm("gone")), Verdict::Through);
        let verdict = weighed(Ok(0), "allowed", |evidence| {
            evidence.granted("open");
            evidence.harm("the victim was stopped");
        });
        assert_eq!(verdict, Verdict::Through);
    }
}
