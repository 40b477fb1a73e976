//! Everything of a launch that can be decided, read or allocated before the fork.

use super::failure::{At, Failure};
use super::identity::Identity;
use crate::confine::namespaces::SupplementaryGroups;
use crate::confine::seccomp::Filters;
use crate::machine::Machine;
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
}

/// A launch with all decisions taken; the child only carries it out.
#[derive(Debug)]
pub struct Ready<'a> {
    pub plan: &'a ServerPlan,
    pub filters: &'a Filters,
    pub identity: Identity,
    pub groups: SupplementaryGroups,
    pub init: Bind,
    pub state: Bind,
    pub rules: Vec<AccessRule>,
    pub landlock_abi: u8,
    pub program: CString,
    pub arguments: Vec<CString>,
    pub environment: Vec<CString>,
}

/// Makes everything ready, or says what is missing.
pub fn prepare<'a>(order: &Order<'a>, machine: &mut Machine) -> Result<Ready<'a>, Failure> {
    let plan = order.plan;
    let (directory, identity) = machine.state.provide(&plan.name, order.partition)?;
    let state = Bind { executable: plan.state_executable, ..directory };
    Ok(Ready {
        plan,
        filters: order.filters,
        identity,
        groups: identity.groups(),
        rules: rules(plan, &machine.init),
        landlock_abi: machine.landlock_abi,
        program: text(&machine.init.target)?,
        arguments: arguments(plan)?,
        environment: environment(plan, machine)?,
        init: machine.init.clone(),
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
fn arguments(plan: &ServerPlan) -> Result<Vec<CString>, Failure> {
    let own = ["only1mcp-init", plan.program.as_str()];
    own.into_iter().chain(plan.arguments.iter().map(String::as_str)).map(text).collect()
}

fn environment(plan: &ServerPlan, machine: &Machine) -> Result<Vec<CString>, Failure> {
    plan.environment
        .iter()
        .map(|variable| match &variable.value {
            VariableValue::Literal(value) => text(&format!("{}={value}", variable.name)),
            VariableValue::Credential(name) => {
                let value = machine.credentials.read(name)?;
                text(&format!("{}={value}", variable.name))
            }
        })
        .collect()
}

fn text(text: &str) -> Result<CString, Failure> {
    CString::new(text).map_err(|_| Errno::EINVAL).at(Step::Prepare)
}
