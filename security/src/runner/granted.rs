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

/// What a policy may let a server do with a path of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// See what is there.
    Read,
    /// Change it.
    Write,
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

    /// Whether a path of the host can be read or written inside.
    #[must_use]
    pub fn gives(&self, path: &str, access: Access) -> bool {
        let binds = self.plan.binds.iter().filter(|bind| is_within(path, &bind.source));
        // The innermost mount decides.
        let bind = binds.max_by_key(|bind| bind.source.len());
        bind.is_some_and(|bind| access == Access::Read || bind.writable)
    }

    /// Whether a path of the host is visible inside, under the same name.
    fn shows(&self, path: &str) -> bool {
        self.plan.binds.iter().any(|bind| bind.source == bind.target && is_within(path, &bind.target))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue;
    use nix::errno::Errno;
    use only1mcp_wire::ServerName;
    use only1mcp_wire::plan::{Bind, BindKind, Limits, Requires, SpawnLimits};

    fn plan(granted: &[(&str, &str)], jit: bool) -> ServerPlan {
        let bind = |(source, target): &(&str, &str)| Bind {
            source: (*source).to_owned(),
            target: (*target).to_owned(),
            kind: BindKind::Directory,
            device: 0,
            inode: 0,
            writable: false,
            executable: false,
        };
        ServerPlan {
            name: ServerName::new("x").unwrap(),
            digest: [0; 32],
            program: String::new(),
            arguments: Vec::new(),
            environment: Vec::new(),
            working_directory: String::new(),
            binds: granted.iter().map(bind).collect(),
            links: Vec::new(),
            files: Vec::new(),
            scratch: Vec::new(),
            state_executable: false,
            rules: Vec::new(),
            system_calls: Vec::new(),
            jit,
            limits: Limits {
                memory_bytes: 0,
                processes: 0,
                cpu_percent: 0,
                open_files: 0,
                file_bytes: 0,
                io_read_bytes: None,
                io_write_bytes: None,
            },
            requires: Requires { cgroup: false, landlock_abi: 0 },
            spawn: SpawnLimits { instances: 0, burst: 0, per_minute: 0 },
        }
    }

    fn expectation(plan: &ServerPlan, id: &str, aims: &[&str]) -> Expectation {
        let pairs = [
            "secret=/srv/canaries/home/.ssh/id_rsa",
            "readonly=/srv/canaries/granted",
            "tcp=/srv/canaries/x",
        ];
        let targets = Targets::parse(pairs).unwrap();
        let aims: Vec<String> = aims.iter().map(|&aim| aim.to_owned()).collect();
        let granted = Granted { plan, targets: &targets, aims: [&[], &aims] };
        let act = Act::of("read the secret", Err(Errno::ENOENT));
        granted.expectation(catalogue::find(id).unwrap(), &act)
    }

    #[test]
    fn only_what_is_aimed_at_a_granted_path_is_granted() {
        let own = ("/srv/canaries/granted", "/srv/canaries/granted");
        let narrow = plan(&[own], false);
        assert_eq!(expectation(&narrow, "F01.ssh", &["secret"]), Expectation::Catalogue);
        assert_eq!(expectation(&narrow, "F08", &["readonly"]), Expectation::Catalogue);
        let wide = plan(&[own, ("/srv", "/srv")], false);
        assert_eq!(expectation(&wide, "F01.ssh", &["secret"]), Expectation::Any);
        assert_eq!(expectation(&wide, "F04", &["readonly"]), Expectation::Any);
        assert_eq!(expectation(&wide, "F01.ssh", &[]), Expectation::Catalogue);
        assert_eq!(expectation(&wide, "N01", &["tcp"]), Expectation::Catalogue);
        let elsewhere = plan(&[("/other", "/srv")], false);
        assert_eq!(expectation(&elsewhere, "F01.ssh", &["secret"]), Expectation::Catalogue);
    }

    #[test]
    fn the_innermost_grant_says_whether_a_path_may_be_written() {
        let mut plan = plan(&[("/srv/a", "/srv/a"), ("/srv/a/b", "/inside")], false);
        plan.binds.iter_mut().for_each(|bind| bind.writable = bind.source == "/srv/a");
        let targets = Targets::default();
        let granted = Granted { plan: &plan, targets: &targets, aims: [&[], &[]] };
        assert!(granted.gives("/srv/a/x", Access::Write) && granted.gives("/srv/a/b/x", Access::Read));
        assert!(!granted.gives("/srv/a/b/x", Access::Write), "a read-only mount lies over it");
        assert!(!granted.gives("/srv/ab", Access::Read) && !granted.gives("/srv", Access::Read));
    }

    #[test]
    fn written_memory_is_executed_only_where_the_policy_says_so() {
        assert_eq!(expectation(&plan(&[], false), "K21", &[]), Expectation::Catalogue);
        assert_eq!(expectation(&plan(&[], true), "K21", &[]), Expectation::Done);
    }
}
