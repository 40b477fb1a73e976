//! One line of the doctor's answer.

use serde::Serialize;

/// What was tried and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Under which heading it stands.
    pub group: Group,
    /// What was tried.
    pub name: &'static str,
    /// How it went.
    pub outcome: Outcome,
    /// What was seen.
    pub detail: String,
    /// How to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// The headings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    /// Without these no server is started, outside minimal mode.
    Walls,
    /// Memory, process and processor limits.
    Limits,
    /// Settings of the kernel.
    Kernel,
    /// Our own programs and files.
    Installation,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// Worth knowing; other walls make up for it.
    Note,
    /// Not there; servers run without it, and `status` says so.
    Absent,
    /// Not there, and needed.
    Missing,
}

impl Finding {
    /// As it should be.
    pub fn ok(group: Group, name: &'static str, detail: impl Into<String>) -> Self {
        Self { group, name, outcome: Outcome::Ok, detail: detail.into(), help: None }
    }

    /// The same with another outcome.
    #[must_use]
    pub const fn but(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// The same with its mend.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
