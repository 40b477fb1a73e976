//! The probe in the place of one server, under that very server's confinement: what `policy test` attacks from.
//!
//! Nothing of the policy changes but what must: the program is the probe, its tools may all be called, and secrets
//! stay away from it. One directory of canaries is added, which could be granted by any policy. No other server is
//! left, so whoever is started this way serves nobody.

use crate::check::{Checked, Input};
use crate::files::FileKind;
use crate::finding::{Findings, Place};
use crate::floor::{self, Access};
use crate::limits::{REQUEST_TIMEOUT_MS_DEFAULT, STARTUP_TIMEOUT_MS_DEFAULT};
use crate::path::{Way, follow, form_error, join};
use crate::resolve::OWN_PROGRAMS;
use crate::root::Use;
use crate::view::{Scope, ToolRules};
use only1mcp_wire::plan::VariableValue;

/// The probe's file name.
pub const PROBE: &str = "only1mcp-probe";
/// What a variable holds inside instead of a credential.
const WITHHELD: &str = "withheld";
/// Why the canaries are visible.
const CANARY_REASON: &str = "canaries of the test; the policy does not grant them";

/// Which server the probe stands in for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandIn {
    /// The server's name.
    pub server: String,
    /// The directory of canaries, visible read-only inside.
    pub canary: String,
}

/// Leaves one server, executing the probe.
pub fn put(
    stand_in: &StandIn,
    checked: &mut Checked,
    input: &Input<'_>,
    place: &Place,
    findings: &mut Findings,
) {
    let known: Vec<String> = checked.servers.iter().map(|server| server.name.to_string()).collect();
    checked.servers.retain(|server| server.name.as_str() == stand_in.server);
    let Some(server) = checked.servers.first_mut() else {
        if !findings.has_errors() {
            let message = format!("no server `{}` is configured", stand_in.server);
            findings.error(place, message, format!("configured are: {}", known.join(", ")));
        }
        return;
    };
    let program = join(OWN_PROGRAMS, PROBE);
    let Some(probe) =
        found(&join(&input.own.program_directory, PROBE), FileKind::File, input, place, findings)
    else {
        return;
    };
    let Some(canary) = canary(stand_in, input, place, findings) else { return };
    server.root.mount(&probe.real, &program, probe.status, Use::Execute, "the probe");
    server.root.mount(&canary.real, &canary.real, canary.status, Use::Read, CANARY_REASON);
    server.root.sort();
    server.resolution.program.clone_from(&program);
    server.resolution.chain = vec![format!("the probe stands in for {}", server.name)];
    server.resolution.inputs.push(probe.real);
    server.arguments = vec![PROBE.to_owned(), "serve".to_owned()];
    server.written_arguments.clone_from(&server.arguments);
    for variable in &mut server.environment {
        if matches!(variable.value, VariableValue::Credential(_)) {
            variable.value = VariableValue::Literal(WITHHELD.to_owned());
        }
    }
    server.policy.tools = ToolRules { allow: vec!["*".to_owned()], deny: Vec::new() };
    server.startup_timeout_ms = STARTUP_TIMEOUT_MS_DEFAULT;
    server.request_timeout_ms = REQUEST_TIMEOUT_MS_DEFAULT;
    server.scope = Scope::Shared;
    server.idle_timeout_ms = None;
}

/// The directory of canaries: nothing that a policy could not grant.
fn canary(stand_in: &StandIn, input: &Input<'_>, place: &Place, findings: &mut Findings) -> Option<Way> {
    let path = stand_in.canary.as_str();
    let refused = form_error(path)
        .map(|(why, help)| (why.to_owned(), help))
        .or_else(|| floor::refuse(path, Access::Read, &input.own));
    if let Some((why, help)) = refused {
        findings.error(place, format!("canaries cannot lie in {path}: it {why}"), help);
        return None;
    }
    let way = found(path, FileKind::Directory, input, place, findings)?;
    if way.real != path {
        let message = format!("{path} is or goes through a symbolic link");
        findings.error(place, message, format!("name {}", way.real));
        return None;
    }
    Some(way)
}

fn found(
    path: &str,
    kind: FileKind,
    input: &Input<'_>,
    place: &Place,
    findings: &mut Findings,
) -> Option<Way> {
    match follow(input.files, path) {
        Ok(way) if way.status.kind == kind => Some(way),
        Ok(_) => {
            findings.error(place, format!("{path} is something else than expected"), "see what is there");
            None
        }
        Err(error) => {
            let (message, help) = error.explain();
            findings.error(place, message, help);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::tests::{host, input};
    use crate::check::{BUILT_IN_NAME, check};
    use crate::files::tree::Tree;
    use crate::plan;
    use only1mcp_wire::plan::ServerPlan;

    const CONFIG: &str = "servers:\n  - {id: a, transport: stdio, command: node, args: [--quiet], \
        env: {TOKEN: {credential: token}, COLOUR: red}, policy: {extends: node, filesystem: {read: [/data/in]}, \
        tools: {allow: [read]}}}\n  - {id: b, transport: stdio, command: node, policy: native}\n";

    fn tree() -> Tree {
        host().dir("/srv/canary")
    }

    fn tried(server: &str, canary: &str) -> Result<Vec<ServerPlan>, String> {
        let tree = tree();
        let input = input(&tree, CONFIG, &[]);
        let mut findings = Findings::default();
        let mut checked = check(&input, &mut findings);
        let stand_in = StandIn { server: server.to_owned(), canary: canary.to_owned() };
        put(&stand_in, &mut checked, &input, &Place::whole(BUILT_IN_NAME), &mut findings);
        if findings.has_errors() {
            return Err(findings.to_text());
        }
        Ok(plan::plans(&checked).into_values().collect())
    }

    fn untouched(server: &str) -> ServerPlan {
        let tree = tree();
        let input = input(&tree, CONFIG, &[]);
        let checked = check(&input, &mut Findings::default());
        plan::plans(&checked).into_values().find(|plan| plan.name.as_str() == server).unwrap()
    }

    #[test]
    fn the_probe_runs_under_the_servers_own_confinement_and_nothing_else_is_left() {
        let plans = tried("a", "/srv/canary").unwrap();
        assert_eq!(plans.len(), 1);
        let (plan, own) = (&plans[0], untouched("a"));
        assert_eq!(plan.program, "/opt/only1mcp/only1mcp-probe");
        assert_eq!(plan.arguments, ["only1mcp-probe", "serve"]);
        let new: Vec<&str> = plan
            .binds
            .iter()
            .filter(|bind| !own.binds.contains(bind))
            .map(|bind| bind.target.as_str())
            .collect();
        assert_eq!(new, ["/opt/only1mcp/only1mcp-probe", "/srv/canary"]);
        assert!(own.binds.iter().all(|bind| plan.binds.contains(bind)));
        assert_eq!(
            (&plan.system_calls, plan.jit, &plan.limits, &plan.requires, &plan.scratch),
            (&own.system_calls, own.jit, &own.limits, &own.requires, &own.scratch)
        );
    }

    #[test]
    fn no_secret_gets_to_the_probe() {
        let plan = tried("a", "/srv/canary").unwrap().remove(0);
        let value = |name: &str| plan.environment.iter().find(|own| own.name == name).unwrap().value.clone();
        assert_eq!(value("TOKEN"), VariableValue::Literal("withheld".into()));
        assert_eq!(value("COLOUR"), VariableValue::Literal("red".into()));
    }

    #[test]
    fn an_unknown_server_is_an_error_that_names_the_others() {
        let text = tried("c", "/srv/canary").unwrap_err();
        assert!(text.contains("no server `c` is configured") && text.contains("a, b"), "{text}");
    }

    #[test]
    fn canaries_lie_only_where_a_policy_could_grant_them() {
        for bad in ["/etc", "/", "/var/lib/only1mcp", "srv", "/srv/nowhere", "/etc/localtime"] {
            assert!(tried("a", bad).is_err(), "{bad}");
        }
    }
}
