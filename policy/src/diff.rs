//! What one policy allows that another does not: checked confinements in, differences out.
//!
//! Effects are compared and not texts: moving a key is no difference, and what was granted by a wider grant already
//! is none either. What cannot be compared counts as wider.

mod files;
mod tools;
mod words;

use crate::confinement::{Confinement, Confinements, Given};
use crate::system_calls;
use serde::Serialize;
use std::collections::BTreeSet;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The server or policy.
    pub subject: String,
    /// Whether the new one allows more there.
    pub direction: Direction,
    /// What it is about.
    #[serde(flatten)]
    pub act: Act,
    /// All in words.
    pub text: String,
}

/// Which way a difference goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The new one allows it, the old one did not.
    Wider,
    /// The old one allowed it, the new one does not.
    Narrower,
}

/// What is allowed or not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "area", rename_all = "snake_case")]
pub enum Act {
    /// All of it: the server or policy is not in the other set.
    Existence,
    /// Using a path of the host and all below it, but for what is said of longer paths.
    Files {
        /// The path.
        path: String,
        /// How.
        right: Right,
    },
    /// Another file or directory of the host stands at this path.
    Source {
        /// The path inside.
        path: String,
    },
    /// Executing files that it has written itself, in this directory.
    ExecuteOwn {
        /// The directory inside.
        path: String,
    },
    /// System calls of one group.
    SystemCalls {
        /// The group.
        group: String,
        /// The calls.
        calls: Vec<String>,
    },
    /// Memory that is written and executed.
    Jit,
    /// Using more of something.
    Limit {
        /// The limit.
        name: String,
        /// The old value.
        old: u64,
        /// The new value.
        new: u64,
    },
    /// Being started without a wall.
    Wall {
        /// The wall.
        name: String,
    },
    /// Being called.
    Tools {
        /// A tool's name, or a prefix followed by `*`.
        pattern: String,
        /// Patterns below it of which it is not true.
        except: Vec<String>,
    },
    /// Knowing a variable.
    Variable {
        /// Its name.
        name: String,
        /// The credential in it.
        credential: Option<String>,
        /// Whether the variable was there before, with another value.
        changed: bool,
    },
}

/// How a path may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    /// Read it.
    Read,
    /// Write it.
    Write,
    /// Execute it.
    Execute,
}

impl Right {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Execute];
}

/// Whether any difference is wider.
#[must_use]
pub fn is_wider(differences: &[Difference]) -> bool {
    differences.iter().any(|difference| difference.direction == Direction::Wider)
}

/// Compares two sets, each policy or server with that of its name; one with one whatever their names.
#[must_use]
pub fn diff(old: &Confinements, new: &Confinements) -> Vec<Difference> {
    if let ([old], [new]) = (old.all.as_slice(), new.all.as_slice()) {
        return compare(old, new);
    }
    let find = |set: &Confinements, name: &str| set.all.iter().find(|one| one.name == name).cloned();
    let names: BTreeSet<&str> = old.all.iter().chain(&new.all).map(|one| one.name.as_str()).collect();
    let mut differences = Vec::new();
    for name in names {
        match (find(old, name), find(new, name)) {
            (Some(old), Some(new)) => differences.extend(compare(&old, &new)),
            (None, Some(_)) => differences.push(Difference::new(name, Direction::Wider, Act::Existence)),
            (Some(_), None) => differences.push(Difference::new(name, Direction::Narrower, Act::Existence)),
            (None, None) => {}
        }
    }
    differences
}

/// Compares two confinements.
#[must_use]
pub fn compare(old: &Confinement, new: &Confinement) -> Vec<Difference> {
    let mut found = Vec::new();
    for (direction, less, more) in [(Direction::Wider, old, new), (Direction::Narrower, new, old)] {
        let mut acts = files::beyond(less, more);
        acts.extend(executing_own(less, more));
        acts.extend(calls_beyond(less, more));
        acts.extend((more.jit && !less.jit).then_some(Act::Jit));
        acts.extend(limits_beyond(less, more, direction));
        acts.extend(without_walls(less, more));
        acts.extend(tools::beyond(&less.tools, &more.tools));
        acts.extend(variables_beyond(less, more, direction));
        // What cannot be compared counts as wider, and is said once.
        if direction == Direction::Wider {
            acts.extend(files::replaced(old, new));
        }
        found.extend(acts.into_iter().map(|act| Difference::new(&new.name, direction, act)));
    }
    found
}

impl Difference {
    fn new(subject: &str, direction: Direction, act: Act) -> Self {
        Self { subject: subject.to_owned(), direction, text: words::of(direction, &act), act }
    }
}

fn executing_own(less: &Confinement, more: &Confinement) -> Vec<Act> {
    let places = [
        ("/state", more.state_executable && !less.state_executable),
        ("/tmp", more.tmp_executable && !less.tmp_executable),
    ];
    let of = |(path, is): (&str, bool)| is.then(|| Act::ExecuteOwn { path: path.to_owned() });
    places.into_iter().filter_map(of).collect()
}

/// By group, so that a person can tell what they are for.
fn calls_beyond(less: &Confinement, more: &Confinement) -> Vec<Act> {
    let had: BTreeSet<&String> = less.system_calls.iter().collect();
    let gained: BTreeSet<&String> = more.system_calls.iter().filter(|call| !had.contains(call)).collect();
    let mut left = gained.clone();
    let mut acts = Vec::new();
    for group in system_calls::groups() {
        let calls: Vec<String> = group.calls.iter().filter(|call| left.remove(call)).cloned().collect();
        if !calls.is_empty() {
            acts.push(Act::SystemCalls { group: group.name.clone(), calls });
        }
    }
    if !left.is_empty() {
        let calls = left.into_iter().cloned().collect();
        acts.push(Act::SystemCalls { group: "other".to_owned(), calls });
    }
    acts
}

fn limits_beyond(less: &Confinement, more: &Confinement, direction: Direction) -> Vec<Act> {
    let of = |(name, high): &(String, u64)| {
        let (_, low) = less.limits.iter().find(|(other, _)| other == name)?;
        let (old, new) = if direction == Direction::Wider { (*low, *high) } else { (*high, *low) };
        (high > low).then(|| Act::Limit { name: name.clone(), old, new })
    };
    more.limits.iter().filter_map(of).collect()
}

/// Walls that `less` requires and `more` does not.
fn without_walls(less: &Confinement, more: &Confinement) -> Vec<Act> {
    let mut acts = Vec::new();
    if less.cgroup && !more.cgroup {
        acts.push(Act::Wall { name: "limits by cgroup".to_owned() });
    }
    if less.landlock_abi > more.landlock_abi {
        acts.push(Act::Wall { name: format!("landlock at level {}", less.landlock_abi) });
    }
    acts
}

fn variables_beyond(less: &Confinement, more: &Confinement, direction: Direction) -> Vec<Act> {
    let of = |given: &Given| {
        let known = less.variables.iter().find(|other| other.name == given.name);
        let changed = known.is_some_and(|known| known != given);
        // A changed value is both gained and lost; it is said once.
        let told = known.is_none() || changed && direction == Direction::Wider;
        let (name, credential) = (given.name.clone(), given.credential.clone());
        told.then_some(Act::Variable { name, credential, changed })
    };
    more.variables.iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests;
