//! Reads a tree by the tables of [`super::keys`], gathering every finding instead of the first.

use super::keys::{Key, Shape};
use super::node::{Entry, Node, Value};
use super::units::{self, UnitError};
use crate::finding::{Findings, Place, Spot};

/// A mapping whose keys were checked against a table.
pub struct Fields<'n> {
    /// Where the mapping stands.
    pub place: Place,
    entries: &'n [Entry],
}

impl<'n> Fields<'n> {
    /// Whether nothing is written in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Opens a mapping and reports every key that `keys` does not have or that is not built.
    pub fn open(node: &'n Node, keys: &'static [Key], findings: &mut Findings) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            let names: Vec<&str> = keys.iter().map(|key| key.name).collect();
            mismatch(node, "a mapping", &format!("its keys are: {}", names.join(", ")), findings);
            return None;
        };
        for entry in entries {
            check_key(entry, keys, findings);
        }
        Some(Self { place: node.place.clone(), entries })
    }

    /// The value of a key, if the key is there.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'n Node> {
        self.entries.iter().find(|entry| entry.key == name).map(|entry| &entry.node)
    }

    /// A mapping below this one.
    pub fn fields(&self, name: &str, keys: &'static [Key], findings: &mut Findings) -> Option<Self> {
        Fields::open(self.get(name)?, keys, findings)
    }

    /// A list of mappings below this one.
    pub fn mappings(&self, name: &str, keys: &'static [Key], findings: &mut Findings) -> Vec<Self> {
        let Some(node) = self.get(name) else { return Vec::new() };
        let Value::List(items) = &node.value else {
            mismatch(node, "a list", "begin each entry on its own line with `- `", findings);
            return Vec::new();
        };
        items.iter().filter_map(|item| Fields::open(item, keys, findings)).collect()
    }

    /// A text.
    pub fn text(&self, name: &str, findings: &mut Findings) -> Option<Spot<String>> {
        text(self.get(name)?, findings)
    }

    /// A list of texts. `Some` and empty if the list is there and empty.
    pub fn texts(&self, name: &str, findings: &mut Findings) -> Option<Vec<Spot<String>>> {
        let node = self.get(name)?;
        let Value::List(items) = &node.value else {
            mismatch(node, "a list of texts", "write it as [first, second]; [] is an empty list", findings);
            return None;
        };
        Some(items.iter().filter_map(|item| text(item, findings)).collect())
    }

    /// A truth value.
    pub fn switch(&self, name: &str, findings: &mut Findings) -> Option<Spot<bool>> {
        let node = self.get(name)?;
        if let Value::Switch(value) = node.value {
            return Some(Spot::new(value, &node.place));
        }
        mismatch(node, "true or false", "write true or false, without quotes", findings);
        None
    }

    /// A whole number within `range`.
    pub fn count(
        &self,
        name: &str,
        range: &std::ops::RangeInclusive<u64>,
        findings: &mut Findings,
    ) -> Option<Spot<u64>> {
        let node = self.get(name)?;
        let help = format!("write a whole number from {} to {}", range.start(), range.end());
        let Value::Integer(value) = node.value else {
            mismatch(node, "a whole number", &help, findings);
            return None;
        };
        match u64::try_from(value) {
            Ok(value) if range.contains(&value) => Some(Spot::new(value, &node.place)),
            _ => {
                findings.error(&node.place, format!("`{name}: {value}` is out of range"), help);
                None
            }
        }
    }

    /// A quantity with a unit, within `range`.
    pub fn quantity(
        &self,
        name: &str,
        range: &std::ops::RangeInclusive<u64>,
        unit: Unit,
        findings: &mut Findings,
    ) -> Option<Spot<u64>> {
        let node = self.get(name)?;
        let text = match &node.value {
            Value::Text(text) => text.clone(),
            Value::Integer(number) => number.to_string(),
            _ => {
                mismatch(node, unit.phrase(), &format!("write it such as {}", unit.example()), findings);
                return None;
            }
        };
        match unit.read(&text) {
            Ok(value) if range.contains(&value) => Some(Spot::new(value, &node.place)),
            Ok(_) => {
                let (least, most) = (unit.show(*range.start()), unit.show(*range.end()));
                findings.error(
                    &node.place,
                    format!("`{name}: {text}` is out of range"),
                    format!("write something from {least} to {most}"),
                );
                None
            }
            Err(UnitError { message, help }) => {
                findings.error(&node.place, message, help);
                None
            }
        }
    }
}

/// What kind of quantity is read.
#[derive(Clone, Copy, Debug)]
pub enum Unit {
    /// Bytes.
    Size,
    /// Hundredths.
    Percent,
    /// Milliseconds.
    Duration,
}

impl Unit {
    const fn phrase(self) -> &'static str {
        match self {
            Self::Size => "a size",
            Self::Percent => "a percentage",
            Self::Duration => "a time span",
        }
    }

    const fn example(self) -> &'static str {
        match self {
            Self::Size => "512MiB",
            Self::Percent => "100%",
            Self::Duration => "30s",
        }
    }

    fn read(self, text: &str) -> Result<u64, UnitError> {
        match self {
            Self::Size => units::size(text),
            Self::Percent => units::percent(text),
            Self::Duration => units::duration_ms(text),
        }
    }

    fn show(self, value: u64) -> String {
        match self {
            Self::Size => units::show_size(value),
            Self::Percent => format!("{value}%"),
            Self::Duration => units::show_duration(value),
        }
    }
}

/// A text.
pub fn text(node: &Node, findings: &mut Findings) -> Option<Spot<String>> {
    match &node.value {
        Value::Text(text) => return Some(Spot::new(text.clone(), &node.place)),
        Value::Integer(number) => {
            mismatch(node, "text", &format!("put it in quotes: \"{number}\""), findings)
        }
        Value::Switch(value) => mismatch(node, "text", &format!("put it in quotes: \"{value}\""), findings),
        Value::Null => {
            mismatch(node, "text", "write a value, or remove the key; \"\" is an empty text", findings)
        }
        _ => mismatch(node, "text", "write text, in quotes if it looks like something else", findings),
    }
    None
}

fn mismatch(node: &Node, expected: &str, help: &str, findings: &mut Findings) {
    findings.error(&node.place, format!("expected {expected}, found {}", node.kind()), help);
}

fn check_key(entry: &Entry, keys: &'static [Key], findings: &mut Findings) {
    let Some(key) = keys.iter().find(|key| key.name == entry.key) else {
        let names: Vec<&str> = keys.iter().map(|key| key.name).collect();
        let help = match nearest(&entry.key, &names) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("the keys here are: {}", names.join(", ")),
        };
        findings.error(&entry.place, format!("there is no key `{}` here", entry.key), help);
        return;
    };
    match key.shape {
        Shape::NotBuilt(help) => {
            findings.error(&entry.place, format!("`{}` is not built yet", key.name), help);
        }
        Shape::Choice(built, later) => check_choice(entry, built, later, findings),
        _ => {}
    }
}

fn check_choice(entry: &Entry, built: &[&str], later: &[&str], findings: &mut Findings) {
    let Some(choice) = text(&entry.node, findings) else { return };
    if built.contains(&choice.value.as_str()) {
        return;
    }
    let help = format!("write one of: {}", built.join(", "));
    let message = if later.contains(&choice.value.as_str()) {
        format!("`{}: {}` is not built yet", entry.key, choice.value)
    } else {
        format!("`{}` cannot be `{}`", entry.key, choice.value)
    };
    findings.error(&entry.node.place, message, help);
}

/// The name that differs from `text` by at most two letters.
#[must_use]
pub fn nearest<'a>(text: &str, names: &[&'a str]) -> Option<&'a str> {
    let near = names.iter().map(|name| (distance(text, name), *name)).min()?;
    (near.0 <= 2 && near.0 < text.chars().count()).then_some(near.1)
}

/// How many letters must be added, removed, changed or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, &left) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, &right) in b.iter().enumerate() {
            let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX / 2);
            let change = at(&row, j) + usize::from(left != right);
            let mut best = change.min(at(&row, j + 1) + 1).min(at(&next, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(&right) && b.get(j - 1) == Some(&left);
            if swapped {
                best = best.min(at(&before, j - 1) + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{keys, yaml};

    fn findings(text: &str) -> String {
        let mut findings = Findings::default();
        let node = yaml::read("t.yaml", text, &mut findings).unwrap();
        let fields = Fields::open(&node, keys::LIMITS, &mut findings).unwrap();
        fields.quantity("memory", &crate::limits::MEMORY_BYTES, Unit::Size, &mut findings);
        fields.count("processes", &crate::limits::PROCESSES, &mut findings);
        findings.to_text()
    }

    #[test]
    fn y01_a_misspelt_key_is_an_error_with_the_right_one_named() {
        let text = findings("memroy: 1GiB\nprocesses: 3\n");
        assert_eq!(text, "error: t.yaml:1:1: there is no key `memroy` here\nhelp: did you mean `memory`?\n");
    }

    #[test]
    fn all_findings_are_gathered_not_only_the_first() {
        let text = findings("memory: 1GB\nprocesses: -1\nfoo: bar\n");
        assert_eq!(text.matches("error:").count(), 3, "{text}");
    }

    #[test]
    fn y03_numbers_in_disguise_are_not_numbers() {
        for value in
            ["0777", "1_000", "1e3", ".5", "'64'", "true", "[]", "null", "-3", "99999999999999999999"]
        {
            assert!(findings(&format!("processes: {value}\n")).contains("t.yaml:1:12"), "{value}");
        }
    }

    #[test]
    fn y03_numbers_of_another_base_are_refused_by_the_document() {
        for value in ["0x10", "0X1F", "0o17", "0b11", "-0x1", "+0o7"] {
            let mut findings = Findings::default();
            let _ = yaml::read("t.yaml", &format!("processes: {value}\n"), &mut findings);
            assert!(findings.to_text().contains("error: t.yaml:1:12: `"), "{value}: {}", findings.to_text());
        }
    }

    #[test]
    fn y03_an_endless_number_is_refused() {
        let mut findings = Findings::default();
        assert!(yaml::read("t.yaml", "processes: .inf\n", &mut findings).is_none());
    }
}
