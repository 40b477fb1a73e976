//! Differences in words.

use super::{Act, Direction, Right};
use crate::document::units::show_size;

/// Limits that are bytes.
const SIZES: [&str; 3] = ["memory", "scratch", "file_size"];

/// What a difference says.
pub(super) fn of(direction: Direction, act: &Act) -> String {
    let may = match direction {
        Direction::Wider => "may",
        Direction::Narrower => "may no longer",
    };
    match act {
        Act::Existence if direction == Direction::Wider => "is new: all it may do was not allowed".to_owned(),
        Act::Existence => "is gone, with all it was allowed".to_owned(),
        Act::Files { path, right } => {
            let verb = match right {
                Right::Read => "read",
                Right::Write => "write",
                Right::Execute => "execute files in",
            };
            format!("{may} {verb} {path}")
        }
        Act::Source { path } => format!("sees something else of this machine at {path}: not to be compared"),
        Act::ExecuteOwn { path } => format!("{may} execute what it has written to {path}"),
        Act::SystemCalls { group, calls } => {
            format!("{may} make the system calls {} (group {group})", calls.join(", "))
        }
        Act::Jit => format!("{may} write memory and execute it (jit)"),
        Act::Limit { name, old, new } => {
            let raised = if direction == Direction::Wider { "raised" } else { "lowered" };
            format!("limit {name} {raised} from {} to {}", quantity(name, *old), quantity(name, *new))
        }
        Act::Wall { name } if direction == Direction::Wider => format!("is started even without {name}"),
        Act::Wall { name } => format!("is no longer started without {name}"),
        Act::Tools { pattern, except } => {
            let but = if except.is_empty() { String::new() } else { format!(" but {}", except.join(", ")) };
            match pattern.as_str() {
                "*" => format!("all tools{but} {may} be called"),
                pattern if pattern.ends_with('*') => format!("the tools {pattern}{but} {may} be called"),
                pattern => format!("the tool {pattern} {may} be called"),
            }
        }
        Act::Variable { name, credential, changed } => variable(may, name, credential.as_deref(), *changed),
    }
}

fn variable(may: &str, name: &str, credential: Option<&str>, changed: bool) -> String {
    match (credential, changed) {
        (Some(credential), true) => format!("the variable {name} now holds the credential {credential}"),
        (Some(credential), false) => format!("{may} know the credential {credential} (variable {name})"),
        (None, true) => format!("the variable {name} has another value: not to be compared"),
        (None, false) => format!("{may} know the variable {name}"),
    }
}

fn quantity(name: &str, value: u64) -> String {
    match name {
        "cpu" => format!("{value}%"),
        name if SIZES.contains(&name) => show_size(value),
        _ => value.to_string(),
    }
}
