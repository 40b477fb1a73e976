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
    let gained =
        |name: &str| more.verdict(name) == Verdict::Allowed && less.verdict(name) != Verdict::Allowed;
    let family = |prefix: &str| gained(&format!("{prefix}{FRESH}"));
    let mut acts = Vec::new();
    for pattern in &patterns {
        let told = match pattern.strip_suffix('*') {
            // The prefix itself is a name, too, and every pattern that matches the family matches it; but a
            // pattern without a star may match it alone, and then it is in the list.
            Some(prefix) => !family(prefix) || covered(prefix, &patterns, family),
            None => {
                !gained(pattern)
                    || covered(pattern, &patterns, family)
                    || family_of(pattern, &patterns, family)
            }
        };
        if !told {
            acts.push(Act::Tools { pattern: (*pattern).to_owned() });
        }
    }
    acts
}

/// Whether the longest shorter prefix of `text` gains its whole family: then it has been said.
fn covered(text: &str, patterns: &BTreeSet<&str>, family: impl Fn(&str) -> bool) -> bool {
    let shorter = prefixes(patterns).filter(|prefix| text.starts_with(prefix) && *prefix != text);
    shorter.max_by_key(|prefix| prefix.len()).is_some_and(family)
}

/// Whether `text` is itself a prefix whose family is gained.
fn family_of(text: &str, patterns: &BTreeSet<&str>, family: impl Fn(&str) -> bool) -> bool {
    prefixes(patterns).any(|prefix| prefix == text) && family(text)
}

fn prefixes<'a>(patterns: &'a BTreeSet<&str>) -> impl Iterator<Item = &'a str> {
    patterns.iter().filter_map(|pattern| pattern.strip_suffix('*'))
}
