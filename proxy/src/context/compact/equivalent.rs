//! Shorter ways to write a schema that accept the same values, in all dialects we know.

use super::references::ANNOTATIONS;
use serde_json::{Map, Value, json};

/// Keywords that only look at values of one type.
const OF_ONE_TYPE: [&str; 21] = [
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "properties",
    "required",
    "additionalProperties",
    "patternProperties",
    "propertyNames",
    "minProperties",
    "maxProperties",
    "items",
    "minItems",
    "maxItems",
    "uniqueItems",
    "contains",
];

/// Writes one schema shorter; those in it are done already.
pub fn simplify(schema: &mut Map<String, Value>, depth: usize) {
    schema.retain(|key, value| !always_true(key, value));
    if let Some(Value::Array(types)) = schema.get_mut("type")
        && types.len() == 1
        && let Some(only) = types.pop()
    {
        schema.insert("type".to_owned(), only);
    }
    // What clients read of the whole stays in sight.
    if depth > 0 {
        merge_alternatives(schema);
    }
}

/// Whether this keyword refuses nothing.
fn always_true(key: &str, value: &Value) -> bool {
    let anything = *value == Value::Bool(true) || value.as_object().is_some_and(Map::is_empty);
    match key {
        "additionalProperties" => anything,
        "propertyNames" => anything || *value == json!({"type": "string"}),
        "required" => value.as_array().is_some_and(Vec::is_empty),
        "patternProperties" => value.as_object().is_some_and(Map::is_empty),
        "minLength" | "minItems" | "minProperties" => value.as_u64() == Some(0),
        "uniqueItems" => *value == Value::Bool(false),
        _ => false,
    }
}

/// Alternatives that one schema without alternatives can say.
fn merge_alternatives(schema: &mut Map<String, Value>) {
    let mut others = schema.keys().filter(|key| !ANNOTATIONS.contains(&key.as_str()));
    let (Some(key), None) = (others.next().cloned(), others.next()) else { return };
    let Some(Value::Array(branches)) = schema.get(&key) else { return };
    let Some(branches) = branches.iter().map(Value::as_object).collect::<Option<Vec<_>>>() else { return };
    let merged = match (key.as_str(), branches.as_slice()) {
        ("allOf" | "anyOf" | "oneOf", [only]) => Some((*only).clone()),
        ("anyOf" | "oneOf", branches) => {
            let apart = key == "oneOf";
            either_type(branches, apart)
                .or_else(|| either_value(branches, apart))
                .or_else(|| or_null(branches))
        }
        _ => None,
    };
    let Some(mut merged) = merged else { return };
    // In older dialects nothing may stand beside a reference.
    if merged.contains_key("$ref") && schema.len() > 1 {
        return;
    }
    for (name, value) in std::mem::take(schema) {
        if name != key {
            merged.insert(name, value);
        }
    }
    *schema = merged;
}

/// Alternatives that are types only.
fn either_type(branches: &[&Map<String, Value>], apart: bool) -> Option<Map<String, Value>> {
    let mut types = Vec::<&str>::new();
    for branch in branches {
        let name = branch.get("type").filter(|_| branch.len() == 1)?.as_str()?;
        if types.contains(&name) {
            return None;
        }
        types.push(name);
    }
    // An integer is a number too.
    if apart && types.contains(&"integer") && types.contains(&"number") {
        return None;
    }
    Some(Map::from_iter([("type".to_owned(), json!(types))]))
}

/// Alternatives that are values only.
fn either_value(branches: &[&Map<String, Value>], apart: bool) -> Option<Map<String, Value>> {
    let mut values = Vec::<&Value>::new();
    for branch in branches {
        for value in values_of(branch)? {
            // Numbers can be equal and look different.
            if value.is_f64() || value.is_array() || value.is_object() {
                return None;
            }
            match values.contains(&value) {
                true if apart => return None,
                true => {}
                false => values.push(value),
            }
        }
    }
    Some(Map::from_iter([("enum".to_owned(), json!(values))]))
}

/// The values of a schema that says nothing else.
fn values_of(schema: &Map<String, Value>) -> Option<&[Value]> {
    if schema.len() != 1 {
        return None;
    }
    match (schema.get("const"), schema.get("enum"), schema.get("type")) {
        (Some(value), _, _) => Some(std::slice::from_ref(value)),
        (_, Some(Value::Array(values)), _) => Some(values),
        (_, _, Some(Value::String(name))) if name == "null" => Some(&[Value::Null]),
        _ => None,
    }
}

/// One alternative, or null.
fn or_null(branches: &[&Map<String, Value>]) -> Option<Map<String, Value>> {
    let is_null =
        |branch: &Map<String, Value>| branch.len() == 1 && branch.get("type") == Some(&json!("null"));
    let mut schema = match branches {
        [schema, null] if is_null(null) => (*schema).clone(),
        [null, schema] if is_null(null) => (*schema).clone(),
        _ => return None,
    };
    let rest_is = |keys: &[&str]| {
        schema.keys().all(|key| keys.contains(&key.as_str()) || ANNOTATIONS.contains(&key.as_str()))
    };
    if let Some(Value::Array(values)) = schema.get("enum") {
        if !rest_is(&["enum"]) || values.contains(&Value::Null) {
            return None;
        }
        schema.get_mut("enum")?.as_array_mut()?.push(Value::Null);
        return Some(schema);
    }
    if !rest_is(&[&["type"], OF_ONE_TYPE.as_slice()].concat()) {
        return None;
    }
    let mut types = match schema.get("type")? {
        Value::Array(types) => types.clone(),
        name => vec![name.clone()],
    };
    if types.iter().any(|name| name == "null") {
        return None;
    }
    types.push(json!("null"));
    schema.insert("type".to_owned(), Value::Array(types));
    Some(schema)
}
