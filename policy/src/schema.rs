//! JSON Schema of the configuration, for editors; made from the same tables the reader uses.

use crate::document::keys::{CONFIG, Key, POLICY, Shape};
use serde_json::{Map, Value, json};

/// The schema of `config.yaml`; `$defs.policy` is that of a policy file.
#[must_use]
pub fn schema() -> String {
    let mut root = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "only1mcp configuration",
    });
    merge(&mut root, mapping(CONFIG));
    merge(&mut root, json!({"$defs": {"policy": mapping(POLICY)}}));
    let mut text = serde_json::to_string_pretty(&root).unwrap_or_default();
    text.push('\n');
    text
}

fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}

/// A mapping with exactly these keys. Keys that are designed but not built are left out: an editor
/// should not offer them.
fn mapping(keys: &[Key]) -> Value {
    let built = keys.iter().filter(|key| !matches!(key.shape, Shape::NotBuilt(_)));
    let properties: Map<String, Value> = built.map(|key| (key.name.to_owned(), property(key))).collect();
    json!({"type": "object", "additionalProperties": false, "properties": properties})
}

fn property(key: &Key) -> Value {
    let mut property = shape(key.shape);
    merge(&mut property, json!({"description": key.about}));
    property
}

fn shape(shape: Shape) -> Value {
    match shape {
        Shape::Text => json!({"type": "string"}),
        Shape::Texts => json!({"type": "array", "items": {"type": "string"}}),
        Shape::Duration => json!({"type": "string", "pattern": "^(0|[1-9][0-9]*)(ms|s|m|h)$"}),
        Shape::Size => json!({"type": "string", "pattern": "^(0|[1-9][0-9]*)(B|KiB|MiB|GiB|TiB)$"}),
        Shape::Percent => json!({"type": "string", "pattern": "^(0|[1-9][0-9]*)%$"}),
        Shape::Count => json!({"type": "integer", "minimum": 0}),
        Shape::Switch => json!({"type": "boolean"}),
        Shape::Choice(built, _) => json!({"enum": built}),
        Shape::Mapping(keys) => mapping(keys),
        Shape::Mappings(keys) => json!({"type": "array", "items": mapping(keys)}),
        Shape::Environment => json!({
            "type": "object",
            "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
            "additionalProperties": {"anyOf": [
                {"type": "string"},
                {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["credential"],
                    "properties": {"credential": {"type": "string"}},
                },
            ]},
        }),
        Shape::Policy => json!({"anyOf": [{"type": "string"}, {"$ref": "#/$defs/policy"}]}),
        Shape::NotBuilt(_) => json!({}),
    }
}
