//! Everything of a launch that can be decided, read or allocated before the fork.

use super::failure::{At, Failure};
use super::identity::Identity;
use super::places::Places;
use crate::confine::namespaces::SupplementaryGroups;
use crate::confine::seccomp::Filters;
use crate::machine::{Isolation, Machine};
use crate::weakened::{Weakness, lacks};
use nix::errno::Errno;
use only1mcp_wire::plan::{AccessRule, Bind, STATE_DIRECTORY, ServerPlan, VariableValue};
use only1mcp_wire::{Partition, Step};
use std::ffi::CString;

/// What is to be launched.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// The plan in force.
    pub plan: &'a ServerPlan,
    /// Its filters, compiled when it came into force.
    pub filters: &'a Filters,
    /// Who shares it.
    pub partition: Partition,
    /// What is put around it.
    pub isolation: Isolation,
}

/// A launch with all decisions taken; the child only carries it out.
#[derive(Debug)]
pub struct Ready<'a> {
    pub plan: &'a ServerPlan,
    pub filters: &'a Filters,
    pub isolation: Isolation,
    pub identity: Identity,
    pub groups: SupplementaryGroups,
    pub init: Bind,
    pub state: Bind,
    pub rules: Vec<AccessRule>,
    pub landlock_abi: u8,
    pub working_directory: String,
    pub program: CString,
    pub arguments: Vec<CString>,
    pub environment: Vec<CString>,
}

/// Makes everything ready, or says what is missing.
pub fn prepare<'a>(order: &Order<'a>, machine: &mut Machine) -> Result<Ready<'a>, Failure> {
    let plan = order.plan;
    let (directory, identity) = machine.state.provide(&plan.name, order.partition)?;
    let state = Bind { executable: plan.state_executable, ..directory };
    let init = machine.init()?;
    // Without a root of its own a server's files are where those of minimal mode are.
    let files = if lacks(Weakness::MountNamespace) { Isolation::LandlockOnly } else { order.isolation };
    let places = Places::new(files, plan, &state, &init);
    Ok(Ready {
        plan,
        filters: order.filters,
        isolation: order.isolation,
        identity,
        groups: identity.groups(),
        rules: places.rules(rules(plan, &init)),
        landlock_abi: machine.landlock_abi,
        working_directory: places.path(&plan.working_directory),
        program: text(&places.path(&init.target))?,
        arguments: arguments(plan, &places)?,
        environment: environment(plan, &places, machine)?,
        init,
        state,
    })
}

/// The rules of the plan, and those for what the launcher itself puts into the root.
fn rules(plan: &ServerPlan, init: &Bind) -> Vec<AccessRule> {
    let rule = |path: &str, write, execute| AccessRule { path: path.to_owned(), read: true, write, execute };
    let mut rules = plan.rules.clone();
    rules.push(rule(&init.target, false, true));
    rules.push(rule(STATE_DIRECTORY, true, plan.state_executable));
    rules.push(rule("/proc", false, false));
    rules
}

/// `only1mcp-init PROGRAM ARG0 ARG1...`
fn arguments(plan: &ServerPlan, places: &Places<'_>) -> Result<Vec<CString>, Failure> {
    let own = ["only1mcp-init".to_owned(), places.path(&plan.program)];
    let servers = plan.arguments.iter().map(|argument| places.argument(argument));
    own.into_iter().chain(servers).map(|argument| text(&argument)).collect()
}

fn environment(plan: &ServerPlan, places: &Places<'_>, machine: &Machine) -> Result<Vec<CString>, Failure> {
    let value = |value: &VariableValue| match value {
        VariableValue::Literal(value) => Ok(places.value(value)),
        VariableValue::Credential(name) => machine.credentials.read(name),
    };
    let variables = plan.environment.iter();
    let own = variables.map(|variable| text(&format!("{}={}", variable.name, value(&variable.value)?)));
    let inherited = lacks(Weakness::InheritedEnvironment).then(std::env::vars).into_iter().flatten();
    own.chain(inherited.map(|(name, value)| text(&format!("{name}={value}")))).collect()
}

fn text(text: &str) -> Result<CString, Failure> {
    CString::new(text).map_err(|_| Errno::EINVAL).at(Step::Prepare)
}
