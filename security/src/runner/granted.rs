//! What the policy itself lets a server do: an attempt that does it has not escaped.

use only1mcp_policy::path::{is_within, parent};
use only1mcp_wire::plan::ServerPlan;

use crate::attempts::leaks::FOREIGN_VARIABLES;
use crate::catalogue::Attempt;
use crate::probe::{Act, Targets};

/// Targets that are paths of the host, which a policy may grant.
const PATHS: [&str; 5] = ["secret", "socket", "config", "other_state", "runtime"];
/// The directory of canaries that every sandbox on trial sees; its neighbours could be granted.
const CANARIES: &str = "readonly";

/// What the inside must answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// As the catalogue says.
    Catalogue,
    /// It must work: the policy says so.
    Done,
    /// The policy grants what is aimed at; whether it works is up to the other walls.
    Any,
}

/// The policy as an attempt meets it.
pub struct Granted<'a> {
    /// The policy.
    pub plan: &'a ServerPlan,
    /// Where things are.
    pub targets: &'a Targets,
    /// What the attempt was aimed at, outside and inside.
    pub aims: [&'a [String]; 2],
}

impl Granted<'_> {
    /// What the policy makes of one act.
    #[must_use]
    pub fn expectation(&self, attempt: &Attempt, act: &Act) -> Expectation {
        let plan = self.plan;
        let done = match act.act.as_str() {
            _ if attempt.id == "K21" => plan.jit,
            "memfd_create" | "execve(/proc/self/fd/memfd)" => plan.jit,
            "execute a file written to scratch" => plan.state_executable,
            "execute a file written to /tmp" => {
                plan.scratch.iter().any(|scratch| scratch.path == "/tmp" && scratch.executable)
            }
            "variables of credentials" => plan
                .environment
                .iter()
                .any(|variable| FOREIGN_VARIABLES.iter().any(|prefix| variable.name.starts_with(prefix))),
            _ => false,
        };
        if done {
            Expectation::Done
        } else if self.aims.iter().copied().flatten().any(|aim| self.is_granted(aim)) {
            Expectation::Any
        } else {
            Expectation::Catalogue
        }
    }

    fn is_granted(&self, aim: &str) -> bool {
        let Some((_, path)) = self.targets.iter().find(|(key, _)| *key == aim) else { return false };
        match aim {
            CANARIES => self.shows(parent(path)),
            _ if PATHS.contains(&aim) => self.shows(path),
            _ => false,
        }
    }

    /// Whether a path of the host is visible inside, under the same name.
    fn shows(&self, path: &str) -> bool {
        self.plan.binds.iter().any(|bind| bind.source == bind.target && is_within(path, &bind.target))
    }
}
