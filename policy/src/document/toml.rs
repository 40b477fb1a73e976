//! TOML text becomes the same tree as YAML.

use super::node::{Entry, Node, Value};
use crate::finding::{Findings, Place};
use crate::limits::DOCUMENT_DEPTH_MAX;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// Reads `text`. `None` means that an error was found.
pub fn read(file: &str, text: &str, findings: &mut Findings) -> Option<Node> {
    let source = Source { file, text };
    match DeTable::parse(text) {
        Ok(table) => {
            let node = source.map(table.get_ref(), &(0..0), 0);
            if node.is_none() {
                findings.error(
                    &Place::whole(file),
                    "nesting is too deep",
                    "no document of only1mcp needs more than seven levels",
                );
            }
            node
        }
        Err(error) => {
            let place = source.place(&error.span().unwrap_or(0..0));
            findings.error(&place, error.message(), "see https://toml.io for how TOML is written");
            None
        }
    }
}

struct Source<'a> {
    file: &'a str,
    text: &'a str,
}

impl Source<'_> {
    fn place(&self, span: &Range<usize>) -> Place {
        let before = self.text.get(..span.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Place { file: self.file.into(), line: small(line), column: small(column) }
    }

    fn map(&self, table: &DeTable<'_>, span: &Range<usize>, depth: usize) -> Option<Node> {
        let mut entries = Vec::new();
        for (key, value) in table {
            let node = self.value(value.get_ref(), &value.span(), depth + 1)?;
            entries.push(Entry { key: key.get_ref().to_string(), place: self.place(&key.span()), node });
        }
        entries.sort_by_key(|entry| (entry.place.line, entry.place.column));
        Some(Node { value: Value::Map(entries), place: self.place(span) })
    }

    fn value(&self, value: &DeValue<'_>, span: &Range<usize>, depth: usize) -> Option<Node> {
        if depth > DOCUMENT_DEPTH_MAX {
            return None;
        }
        let value = match value {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(integer) => i128::from_str_radix(integer.as_str(), integer.radix())
                .map_or(Value::Other("a whole number that is too large"), Value::Integer),
            DeValue::Float(_) => Value::Other("a number with a point or an exponent"),
            DeValue::Boolean(value) => Value::Switch(*value),
            DeValue::Datetime(_) => Value::Other("a date"),
            DeValue::Table(table) => return self.map(table, span, depth),
            DeValue::Array(items) => {
                let read =
                    |item: &toml::Spanned<DeValue<'_>>| self.value(item.get_ref(), &item.span(), depth + 1);
                Value::List(items.iter().map(read).collect::<Option<_>>()?)
            }
        };
        Some(Node { value, place: self.place(span) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::yaml;

    #[test]
    fn toml_and_yaml_become_the_same_values() {
        fn bare(node: &Node) -> String {
            match &node.value {
                Value::Map(entries) => {
                    entries.iter().map(|e| format!("{}={};", e.key, bare(&e.node))).collect::<String>()
                }
                Value::List(items) => format!("[{}]", items.iter().map(bare).collect::<String>()),
                other => format!("{other:?}"),
            }
        }
        let mut findings = Findings::default();
        let toml = read("t", "[[servers]]\nid = 'a'\nn = 3\non = true\n", &mut findings).unwrap();
        let yaml = yaml::read("t", "servers:\n- id: a\n  n: 3\n  \"on\": true\n", &mut findings).unwrap();
        assert_eq!(bare(&toml), bare(&yaml));
    }

    #[test]
    fn y02_a_key_given_twice_is_an_error_in_toml_too() {
        let mut findings = Findings::default();
        assert!(read("t.toml", "a = 1\na = 2\n", &mut findings).is_none());
        assert!(findings.to_text().contains("t.toml:2:1"), "{}", findings.to_text());
    }
}
