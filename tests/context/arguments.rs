//! Arguments that fit a schema: what a model that read it might send.

use serde_json::{Map, Value, json};

/// Nested schemas are followed so deep; below it only what is required is sent.
const DEPTH_MAX: usize = 4;

/// Arguments that fit, every parameter among them.
pub fn fitting(schema: &Value) -> Value {
    let made = value(schema, schema, 0);
    if made.is_object() { made } else { json!({}) }
}

fn value(root: &Value, schema: &Value, depth: usize) -> Value {
    if let Some(path) = schema["$ref"].as_str() {
        let target = path.strip_prefix('#').and_then(|path| root.pointer(path));
        return target.map_or(Value::Null, |target| value(root, target, depth + 1));
    }
    if let Some(constant) = schema.get("const") {
        return constant.clone();
    }
    if let Some(first) = schema["enum"].as_array().and_then(|values| values.first()) {
        return first.clone();
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(first) = schema[key].as_array().and_then(|schemas| schemas.first()) {
            return joined(value(root, first, depth), of_type(root, schema, depth));
        }
    }
    if let Some(all) = schema["allOf"].as_array() {
        let own = of_type(root, schema, depth);
        return all.iter().fold(own, |made, part| joined(value(root, part, depth), made));
    }
    of_type(root, schema, depth)
}

/// The members of both, if both have any.
fn joined(one: Value, other: Value) -> Value {
    match (one, other) {
        (Value::Object(one), Value::Object(mut all)) => {
            all.extend(one);
            Value::Object(all)
        }
        (one, _) => one,
    }
}

fn of_type(root: &Value, schema: &Value, depth: usize) -> Value {
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.first().and_then(Value::as_str),
        kind => kind.as_str(),
    };
    match kind.unwrap_or(if schema.get("properties").is_some() { "object" } else { "any" }) {
        "object" => object(root, schema, depth),
        "array" => {
            let count = schema["minItems"].as_u64().unwrap_or(1).max(1);
            (0..count).map(|_| value(root, &schema["items"], depth + 1)).collect()
        }
        "integer" => json!(number(schema).ceil() as i64),
        "number" => json!(number(schema) + 0.25),
        "boolean" => json!(true),
        "null" => Value::Null,
        _ => json!(text(schema)),
    }
}

fn object(root: &Value, schema: &Value, depth: usize) -> Value {
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut made = Map::new();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        if depth < DEPTH_MAX || required.contains(&name.as_str()) {
            made.insert(name.clone(), value(root, property, depth + 1));
        }
    }
    Value::Object(made)
}

fn number(schema: &Value) -> f64 {
    let bound = |key: &str| schema[key].as_f64();
    let low = bound("minimum").or(bound("exclusiveMinimum").map(|bound| bound + 1.0));
    let high = bound("maximum").or(bound("exclusiveMaximum").map(|bound| bound - 1.0));
    match (low, high) {
        (Some(low), _) => low,
        (None, Some(high)) => high.min(3.0) - 1.0,
        (None, None) => 3.0,
    }
}

/// A text of the form that is asked for; the patterns are those of the recorded servers.
fn text(schema: &Value) -> String {
    if schema["format"] == "uuid" {
        return "123e4567-e89b-42d3-a456-426614174000".to_owned();
    }
    let made = match schema["pattern"].as_str().unwrap_or_default() {
        pattern if pattern.contains("png|svg") => "a.png",
        pattern if pattern.starts_with("^I?") => "I1:2",
        pattern if pattern.contains("-\\d+(") => "ABC-1",
        pattern if pattern.starts_with("^[A-Z]") => "ABC",
        pattern if pattern.starts_with("^https") => "https://example.com/",
        pattern if pattern.starts_with("^(?:[a-z0-9]") => "example.com",
        _ => match schema["format"].as_str() {
            Some("date-time") => "2026-01-02T03:04:05Z",
            Some("uri") => "https://example.com/",
            _ => "text",
        },
    };
    let length = |key: &str| schema[key].as_u64().and_then(|length| usize::try_from(length).ok());
    let made = made.get(..length("maxLength").unwrap_or(made.len()).min(made.len())).unwrap_or(made);
    format!("{made}{}", "x".repeat(length("minLength").unwrap_or_default().saturating_sub(made.len())))
}
