//! Whether arguments fit a tool's schema: asked where a client has not seen the schema and may be wrong.

use crate::limits::{CHECKED_NODES_MAX, CHECKED_PATTERNS_MAX, PATTERN_BYTES_MAX, SCHEMA_DEPTH_MAX};
use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

/// Mistakes that are told at once.
const MISTAKES_MAX: usize = 5;
/// Bytes of what is told of one.
const MISTAKE_BYTES_MAX: usize = 200;

/// What checks arguments by this schema; nothing if the schema cannot be followed, as when it refers to the network,
/// or if that could take long: its server alone can judge then.
#[must_use]
pub fn validator(schema: &Value) -> Option<Validator> {
    let mut budget = Budget {
        root: schema,
        nodes: CHECKED_NODES_MAX,
        patterns: CHECKED_PATTERNS_MAX,
        under_way: Vec::new(),
    };
    budget.spend(schema)?;
    // A server's patterns must not keep a processor busy.
    let patterns = PatternOptions::regex().size_limit(PATTERN_BYTES_MAX);
    jsonschema::options().with_pattern_options(patterns).build(schema).ok()
}

/// What following a schema may take: each reference counts as what it refers to, as often as it is there.
struct Budget<'a> {
    root: &'a Value,
    nodes: usize,
    patterns: usize,
    /// References that are being followed: one that leads back to itself can be followed for ever.
    under_way: Vec<&'a str>,
}

impl<'a> Budget<'a> {
    /// Nothing if there is not enough.
    fn spend(&mut self, value: &'a Value) -> Option<()> {
        self.nodes = self.nodes.checked_sub(1)?;
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| self.spend(item)),
            Value::Object(members) => {
                members.iter().try_for_each(|(key, value)| match (key.as_str(), value) {
                    // Definitions count where they are used.
                    ("$defs" | "definitions", _) => Some(()),
                    ("$ref", Value::String(reference)) => self.follow(reference),
                    ("$dynamicRef" | "$recursiveRef", _) => None,
                    ("pattern", Value::String(_)) => {
                        self.patterns = self.patterns.checked_sub(1)?;
                        Some(())
                    }
                    ("patternProperties", Value::Object(by_pattern)) => {
                        self.patterns = self.patterns.checked_sub(by_pattern.len())?;
                        self.spend(value)
                    }
                    _ => self.spend(value),
                })
            }
            _ => Some(()),
        }
    }

    fn follow(&mut self, reference: &'a str) -> Option<()> {
        // A long chain would take more stack than there is.
        if self.under_way.len() >= SCHEMA_DEPTH_MAX || self.under_way.contains(&reference) {
            return None;
        }
        let target = self.root.pointer(reference.strip_prefix('#')?)?;
        self.under_way.push(reference);
        self.spend(target)?;
        self.under_way.pop();
        Some(())
    }
}

/// What is wrong with these arguments, each with its place; empty if they fit.
#[must_use]
pub fn mistakes(validator: &Validator, arguments: &Value) -> Vec<String> {
    let tell = |error: jsonschema::ValidationError<'_>| {
        let place = error.instance_path().to_string();
        let place = if place.is_empty() { "arguments".to_owned() } else { place };
        crate::mcp::object::cut(&format!("{place}: {error}"), MISTAKE_BYTES_MAX).to_owned()
    };
    validator.iter_errors(arguments).take(MISTAKES_MAX).map(tell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn mistakes_are_told_with_their_place() {
        let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["a"]});
        let validator = validator(&schema).unwrap();
        assert_eq!(mistakes(&validator, &json!({"a": 1, "n": 2})), Vec::<String>::new());
        let told = mistakes(&validator, &json!({"n": "x"}));
        assert!(told.iter().any(|told| told.starts_with("/n: ")), "{told:?}");
        assert!(
            told.iter().any(|told| told.starts_with("arguments: ") && told.contains("\"a\"")),
            "{told:?}"
        );
    }

    #[test]
    fn what_cannot_be_followed_is_left_to_the_server_and_nothing_is_fetched() {
        for schema in [
            json!({"$ref": "http://127.0.0.1:9/schema.json"}),
            json!({"properties": {"a": {"$ref": "file:///etc/passwd"}}}),
            json!({"type": "no such type"}),
            json!({"pattern": "("}),
        ] {
            assert!(validator(&schema).is_none(), "{schema}");
        }
    }

    #[test]
    fn what_could_take_long_is_left_to_the_server() {
        let cycle =
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"properties": {"a": {"$ref": "#/$defs/a"}}}}});
        assert!(validator(&cycle).is_none());
        let link = |n: usize| (format!("a{n}"), json!({"$ref": format!("#/$defs/a{}", n + 1)}));
        let mut chain: serde_json::Map<String, Value> = (0..40).map(link).collect();
        chain.insert("a40".to_owned(), json!({}));
        assert!(validator(&json!({"$ref": "#/$defs/a0", "$defs": chain})).is_none());
        let mut definitions = json!({"a24": {"type": "string"}});
        for number in 0..24 {
            let next = json!({"$ref": format!("#/$defs/a{}", number + 1)});
            definitions[format!("a{number}")] = json!({"anyOf": [next, next]});
        }
        assert!(validator(&json!({"$ref": "#/$defs/a0", "$defs": definitions})).is_none());
        let many: serde_json::Map<String, Value> = (0..500)
            .map(|n| (format!("p{n}"), json!({"pattern": format!("[\\p{{L}}\\p{{N}}]{{40}}x{n}")})))
            .collect();
        assert!(validator(&json!({"properties": many})).is_none());
        let heavy = json!({"properties": {"a": {"pattern": "[\\p{L}\\p{N}]{400}"}}});
        assert!(validator(&heavy).is_none());
        let evil = json!({"properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}});
        let text = format!("{}!", "a".repeat(5000));
        assert_eq!(mistakes(&validator(&evil).unwrap(), &json!({"a": text})).len(), 1);
    }
}
