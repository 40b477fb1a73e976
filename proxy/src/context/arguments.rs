//! Whether arguments fit a tool's schema: asked where a client has not seen the schema and may be wrong.

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

/// Mistakes that are told at once.
const MISTAKES_MAX: usize = 5;
/// Bytes of what is told of one.
const MISTAKE_BYTES_MAX: usize = 200;

/// What checks arguments by this schema; nothing if the schema cannot be followed, as when it refers to the network:
/// its server alone can judge then.
#[must_use]
pub fn validator(schema: &Value) -> Option<Validator> {
    // A server's patterns must not keep a processor busy.
    jsonschema::options().with_pattern_options(PatternOptions::regex()).build(schema).ok()
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
    fn a_cycle_and_an_evil_pattern_end() {
        let cycle =
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"properties": {"a": {"$ref": "#/$defs/a"}}}}});
        assert!(mistakes(&validator(&cycle).unwrap(), &json!({"a": {"a": {}}})).is_empty());
        let evil = json!({"properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}});
        let text = format!("{}!", "a".repeat(5000));
        assert_eq!(mistakes(&validator(&evil).unwrap(), &json!({"a": text})).len(), 1);
    }
}
