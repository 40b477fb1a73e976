//! What came of an attempt: one answer per act, and the report printed for the whole.

use nix::errno::Errno;
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::kernel::Answer;

/// The acts of one attempt, in order.
pub type Acts = Vec<Act>;

/// What came of an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The kernel refused, killed, or had nothing to show.
    Denied,
    /// The kernel did it, or would have.
    Allowed,
    /// Nobody knows: the act could not be tried.
    Error,
}

/// One question to the kernel and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// What was tried, in a few words; the same inside and outside.
    pub act: String,
    /// What came of it.
    pub outcome: Outcome,
    /// The kernel's errno, by name.
    pub errno: Option<String>,
    /// The signal that ended the child, by name.
    pub signal: Option<String>,
    /// More, in words.
    pub detail: String,
}

/// Errnos by which the kernel forbids, whatever the arguments were.
const FORBIDS: [Errno; 3] = [Errno::EPERM, Errno::EACCES, Errno::ENOSYS];

impl Act {
    fn new(act: impl Into<String>, outcome: Outcome, detail: impl Into<String>) -> Self {
        Self { act: act.into(), outcome, errno: None, signal: None, detail: detail.into() }
    }

    /// An act that must succeed to count as allowed.
    pub fn of(act: impl Into<String>, answer: Answer) -> Self {
        match answer {
            Ok(_) => Self::new(act, Outcome::Allowed, "done"),
            Err(errno) => Self::refused(act, errno, Outcome::Denied),
        }
    }

    /// An act with arguments that lead nowhere: any answer but a prohibition means that the kernel took it up.
    pub fn taken(act: impl Into<String>, answer: Answer) -> Self {
        match answer {
            Err(errno) if !FORBIDS.contains(&errno) => Self::refused(act, errno, Outcome::Allowed),
            answer => Self::of(act, answer),
        }
    }

    /// A fact that is hidden, as it should be.
    pub fn hidden(act: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(act, Outcome::Denied, detail)
    }

    /// A fact that can be seen.
    pub fn shown(act: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(act, Outcome::Allowed, detail)
    }

    /// A fact: shown if `visible`, else hidden.
    pub fn fact(act: impl Into<String>, visible: Visible, detail: impl Into<String>) -> Self {
        let outcome = if visible == Visible::Yes { Outcome::Allowed } else { Outcome::Denied };
        Self::new(act, outcome, detail)
    }

    /// An act that could not be tried.
    pub fn failed(act: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(act, Outcome::Error, detail)
    }

    /// The child was ended by a signal.
    pub fn killed(act: impl Into<String>, signal: Signal) -> Self {
        let mut act = Self::new(act, Outcome::Denied, "the kernel ended the process");
        act.signal = Some(signal.to_string());
        act
    }

    fn refused(act: impl Into<String>, errno: Errno, outcome: Outcome) -> Self {
        let mut act = Self::new(act, outcome, errno.desc());
        act.errno = Some(format!("{errno:?}"));
        act
    }

    /// The answer in one word: `allowed`, `hidden`, an errno, a signal or `error`.
    #[must_use]
    pub fn answer(&self) -> &str {
        match self.outcome {
            Outcome::Allowed => "allowed",
            Outcome::Error => "error",
            Outcome::Denied => self.errno.as_deref().or(self.signal.as_deref()).unwrap_or("hidden"),
        }
    }
}

/// Whether a fact can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visible {
    /// It can.
    Yes,
    /// It cannot.
    No,
}

impl From<bool> for Visible {
    fn from(visible: bool) -> Self {
        if visible { Self::Yes } else { Self::No }
    }
}

/// What came of one attempt or twin: the line that the probe prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The attempt.
    pub id: String,
    /// `allowed` if any act was allowed, `error` if one could not be tried.
    pub outcome: Outcome,
    /// The errno, if all acts got the same.
    pub errno: Option<String>,
    /// The signal, if all acts got the same.
    pub signal: Option<String>,
    /// All acts in words.
    pub detail: String,
    /// Each act.
    pub acts: Acts,
    /// The targets it was aimed at.
    #[serde(default)]
    pub aims: Vec<String>,
}

/// What the child says at its end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Done {
    /// Each act.
    pub acts: Acts,
    /// The targets it was aimed at.
    pub aims: Vec<String>,
}

impl From<Acts> for Done {
    fn from(acts: Acts) -> Self {
        Self { acts, aims: Vec::new() }
    }
}

impl Report {
    /// The report on what was done.
    #[must_use]
    pub fn new(id: &str, done: impl Into<Done>) -> Self {
        let Done { acts, aims } = done.into();
        let words: Vec<String> = acts.iter().map(in_words).collect();
        Self {
            id: id.to_owned(),
            outcome: overall(&acts),
            errno: shared(&acts, |act| act.errno.clone()),
            signal: shared(&acts, |act| act.signal.clone()),
            detail: words.join("; "),
            acts,
            aims,
        }
    }
}

fn in_words(act: &Act) -> String {
    match (&act.errno, &act.signal) {
        (Some(errno), _) => format!("{}: the kernel said {errno}: {}", act.act, act.detail),
        (None, Some(signal)) => format!("{}: {signal}: {}", act.act, act.detail),
        (None, None) => format!("{}: {}", act.act, act.detail),
    }
}

fn overall(acts: &Acts) -> Outcome {
    let any = |outcome| acts.iter().any(|act| act.outcome == outcome);
    if acts.is_empty() || any(Outcome::Error) {
        Outcome::Error
    } else if any(Outcome::Allowed) {
        Outcome::Allowed
    } else {
        Outcome::Denied
    }
}

fn shared(acts: &Acts, part: impl Fn(&Act) -> Option<String>) -> Option<String> {
    let first = acts.first().and_then(&part)?;
    acts.iter().all(|act| part(act).as_ref() == Some(&first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errno_is_named_and_explained() {
        let report = Report::new("F01", vec![Act::of("open", Err(Errno::ENOENT))]);
        assert_eq!((report.outcome, report.errno.as_deref()), (Outcome::Denied, Some("ENOENT")));
        assert_eq!(report.detail, "open: the kernel said ENOENT: No such file or directory");
    }

    #[test]
    fn one_allowed_act_makes_the_attempt_allowed() {
        let acts = vec![Act::of("a", Err(Errno::EPERM)), Act::of("b", Ok(0))];
        let report = Report::new("K05", acts);
        assert_eq!((report.outcome, report.errno), (Outcome::Allowed, None));
    }

    #[test]
    fn an_attempt_without_acts_proves_nothing() {
        assert_eq!(Report::new("F01", Vec::new()).outcome, Outcome::Error);
    }

    #[test]
    fn a_call_with_useless_arguments_counts_as_taken_up_unless_forbidden() {
        assert_eq!(Act::taken("bpf", Err(Errno::EFAULT)).outcome, Outcome::Allowed);
        assert_eq!(Act::taken("bpf", Err(Errno::EPERM)).outcome, Outcome::Denied);
    }
}
