//! A plan's paths, as the server will see them: inside a root of its own, or, in minimal mode, as they
//! are on the machine.
//!
//! Outside, `/state` is the server's directory under its real name, `/tmp` is `.tmp` in it, and what the
//! plan binds is reached where it lies. What exists only inside is left out.

use crate::machine::{INIT_INSIDE, Isolation};
use only1mcp_wire::plan::{AccessRule, Bind, STATE_DIRECTORY, ServerPlan};

/// The directory for temporary files, in the server's own.
pub const SCRATCH: &str = ".tmp";
/// What separates paths in the value of a variable.
const SEPARATORS: [char; 4] = [' ', ':', '=', ','];

/// Where the paths of one launch are.
#[derive(Debug)]
pub struct Places<'a> {
    isolation: Isolation,
    plan: &'a ServerPlan,
    state: &'a str,
    init: &'a str,
}

impl<'a> Places<'a> {
    /// For a server with this state directory.
    pub fn new(isolation: Isolation, plan: &'a ServerPlan, state: &'a Bind, init: &'a Bind) -> Self {
        Self { isolation, plan, state: &state.source, init: &init.source }
    }

    /// Where a path of the plan is.
    pub fn path(&self, inside: &str) -> String {
        self.found(inside).unwrap_or_else(|| inside.to_owned())
    }

    /// The rules for what is there. Of `/proc` nothing is, outside: all processes of this uid are in it.
    pub fn rules(&self, rules: Vec<AccessRule>) -> Vec<AccessRule> {
        let place = |rule: AccessRule| Some(AccessRule { path: self.found(&rule.path)?, ..rule });
        rules.into_iter().filter_map(place).collect()
    }

    /// An argument: changed only if all of it is a path of the server's own.
    pub fn argument(&self, text: &str) -> String {
        self.own(text).unwrap_or_else(|| text.to_owned())
    }

    /// The value of a variable: every path of the server's own in it is changed.
    pub fn value(&self, text: &str) -> String {
        text.split_inclusive(SEPARATORS)
            .map(|part| {
                let path = part.trim_end_matches(SEPARATORS);
                let separator = part.get(path.len()..).unwrap_or_default();
                format!("{}{separator}", self.argument(path))
            })
            .collect()
    }

    fn found(&self, inside: &str) -> Option<String> {
        if self.isolation == Isolation::Namespaces {
            return Some(inside.to_owned());
        }
        if inside == INIT_INSIDE {
            return Some(self.init.to_owned());
        }
        if let Some(rest) = below(STATE_DIRECTORY, inside) {
            return Some(format!("{}{rest}", self.state));
        }
        let around = self.plan.binds.iter().filter(|bind| below(&bind.target, inside).is_some());
        let nearest = around.max_by_key(|bind| bind.target.len())?;
        below(&nearest.target, inside).map(|rest| format!("{}{rest}", nearest.source))
    }

    /// A path of the server's own directory, of `/tmp`, or of our programs. What the policy binds lies
    /// where it is, below `/tmp` too.
    fn own(&self, path: &str) -> Option<String> {
        let bound = || self.plan.binds.iter().any(|bind| below(&bind.target, path).is_some());
        match (self.isolation, below("/tmp", path)) {
            (Isolation::LandlockOnly, Some(rest)) if !bound() => {
                Some(format!("{}/{SCRATCH}{rest}", self.state))
            }
            _ => {
                let own = ["/opt/only1mcp", STATE_DIRECTORY];
                own.iter().any(|own| below(own, path).is_some()).then(|| self.found(path)).flatten()
            }
        }
    }
}

/// What follows `directory` in `path`: empty, or from a slash on.
fn below<'a>(directory: &str, path: &'a str) -> Option<&'a str> {
    path.strip_prefix(directory).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use only1mcp_wire::plan::{BindKind, Limits, Requires, SpawnLimits};

    fn bind(source: &str, target: &str) -> Bind {
        let (source, target) = (source.to_owned(), target.to_owned());
        Bind {
            source,
            target,
            kind: BindKind::Directory,
            device: 0,
            inode: 0,
            writable: false,
            executable: true,
        }
    }

    fn plan() -> ServerPlan {
        ServerPlan {
            name: only1mcp_wire::ServerName::new("x").unwrap(),
            digest: [0; 32],
            program: "/usr/bin/x".into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            working_directory: "/state".into(),
            binds: vec![
                bind("/usr", "/usr"),
                bind("/home/me/only1mcp-probe", "/opt/only1mcp/only1mcp-probe"),
            ],
            links: Vec::new(),
            files: Vec::new(),
            scratch: Vec::new(),
            state_executable: false,
            rules: Vec::new(),
            system_calls: Vec::new(),
            jit: false,
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

    #[test]
    fn outside_paths_lie_where_the_plan_took_them_from() {
        let (plan, state, init) = (plan(), bind("/s/x/shared", "/state"), bind("/p/init", INIT_INSIDE));
        let places = Places::new(Isolation::LandlockOnly, &plan, &state, &init);
        assert_eq!(places.path("/usr/bin/node"), "/usr/bin/node");
        assert_eq!(places.path("/state/a"), "/s/x/shared/a");
        assert_eq!(places.path("/opt/only1mcp/only1mcp-probe"), "/home/me/only1mcp-probe");
        assert_eq!(places.path(INIT_INSIDE), "/p/init");
        for only_inside in ["/etc/passwd", "/proc", "/usrx"] {
            assert_eq!(places.found(only_inside), None);
        }
    }

    #[test]
    fn what_the_policy_binds_below_tmp_is_not_the_servers_own() {
        let (mut plan, state, init) = (plan(), bind("/s", "/state"), bind("/p/init", INIT_INSIDE));
        plan.binds.push(bind("/tmp/app", "/tmp/app"));
        let places = Places::new(Isolation::LandlockOnly, &plan, &state, &init);
        assert_eq!(places.argument("/tmp/app/run.py"), "/tmp/app/run.py");
        assert_eq!(places.argument("/tmp/apple"), "/s/.tmp/apple");
    }

    #[test]
    fn only_paths_of_the_servers_own_are_changed_in_values() {
        let (plan, state, init) = (plan(), bind("/s", "/state"), bind("/p/init", INIT_INSIDE));
        let places = Places::new(Isolation::LandlockOnly, &plan, &state, &init);
        let java = "-Duser.home=/state -Djava.io.tmpdir=/tmp";
        assert_eq!(places.value(java), "-Duser.home=/s -Djava.io.tmpdir=/s/.tmp");
        assert_eq!(places.value("/usr/bin:/bin"), "/usr/bin:/bin");
        assert_eq!(places.value("statement=/stately"), "statement=/stately");
        assert_eq!(places.argument("say /state"), "say /state");
        let inside = Places::new(Isolation::Namespaces, &plan, &state, &init);
        assert_eq!(inside.value(java), java);
    }
}
