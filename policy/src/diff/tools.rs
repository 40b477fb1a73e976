//! Tool patterns as languages: whether one set of rules lets a name through that another does not.
//!
//! A pattern is a name, or a prefix followed by `*`. So the verdict about a name depends only on which patterns it
//! equals and on the longest prefix it begins with: one example of each kind decides for all names.

use super::Act;
use crate::view::{ToolRules, Verdict};
use std::collections::BTreeSet;

/// A character no pattern holds: it continues a prefix so that no longer pattern matches.
const FRESH: char = '\u{10ffff}';

/// Everything `more` lets through and `less` does not, as patterns.
pub(super) fn beyond(less: &ToolRules, more: &ToolRules) -> Vec<Act> {
    let all = [&less.allow, &less.deny, &more.allow, &more.deny];
    let patterns: BTreeSet<&str> = all.into_iter().flatten().map(String::as_str).chain(["*"]).collect();
    let gained = |pattern: &str| {
        let name = example(pattern);
        more.verdict(&name) == Verdict::Allowed && less.verdict(&name) != Verdict::Allowed
    };
    let said_above = |pattern: &str| above(pattern, &patterns).is_some_and(gained);
    let mut acts = Vec::new();
    for pattern in patterns.iter().filter(|pattern| gained(pattern) && !said_above(pattern)) {
        let except = patterns.iter().filter(|other| {
            !gained(other)
                && above(other, &patterns).is_some_and(|above| is_part(above, pattern) && gained(above))
        });
        let except = except.map(|other| (*other).to_owned()).collect();
        acts.push(Act::Tools { pattern: (*pattern).to_owned(), except });
    }
    acts
}

/// A name that decides for all names of which this pattern is the closest.
fn example(pattern: &str) -> String {
    pattern.strip_suffix('*').map_or_else(|| pattern.to_owned(), |prefix| format!("{prefix}{FRESH}"))
}

/// The closest pattern with a star that is wider than `pattern`.
fn above<'a>(pattern: &str, patterns: &BTreeSet<&'a str>) -> Option<&'a str> {
    let wider = patterns.iter().copied().filter(|other| *other != pattern && is_part(pattern, other));
    wider.max_by_key(|other| other.len())
}

/// Whether every name of `pattern` is one of `wider`.
fn is_part(pattern: &str, wider: &str) -> bool {
    let text = pattern.strip_suffix('*').unwrap_or(pattern);
    pattern == wider || wider.strip_suffix('*').is_some_and(|prefix| text.starts_with(prefix))
}
