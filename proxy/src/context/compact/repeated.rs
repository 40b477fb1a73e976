//! Subschemas that stand in a schema more than once, said once.

use super::references::DEFINITIONS;
use super::walk::{each_child, each_child_mut};
use crate::limits::{REPEATED_BYTES_MIN, SCHEMA_DEPTH_MAX};
use serde_json::{Map, Value, json};
use std::collections::{HashMap, HashSet};

/// What a reference costs. It has fewer bytes, but they are of the kind that takes many tokens.
const REFERENCE_BYTES: usize = 36;
/// What a definition costs beside its schema.
const DEFINITION_BYTES: usize = 12;

/// Moves repeated subschemas to the definitions, the most worthwhile first.
pub fn say_once(schema: &mut Map<String, Value>) {
    let mut names = ('a'..='z').map(String::from);
    while let Some(repeated) = most_worthwhile(schema) {
        let known = |name: &String| schema.get("$defs").is_some_and(|known| known.get(name).is_some());
        let Some(name) = names.find(|name| !known(name)) else { return };
        let reference = json!({"$ref": format!("#/$defs/{name}")});
        each_child_mut(schema, 1, &mut |_, child, depth| replace(child, &repeated, &reference, depth));
        let definitions = schema.entry("$defs").or_insert_with(|| json!({}));
        if let Some(definitions) = definitions.as_object_mut() {
            definitions.insert(name, repeated);
        }
    }
}

fn most_worthwhile(schema: &Map<String, Value>) -> Option<Value> {
    if schema.get("$defs").is_some_and(|definitions| !definitions.is_object()) {
        return None;
    }
    // What is a definition already is only looked into.
    let definitions = DEFINITIONS.iter().filter_map(|place| schema.get(*place)?.as_object());
    let definitions: HashSet<*const Value> =
        definitions.flat_map(Map::values).map(std::ptr::from_ref).collect();
    let mut found = HashMap::<String, (usize, &Value)>::new();
    each_child(schema, &mut |_, child| match child.as_object() {
        Some(members) if definitions.contains(&std::ptr::from_ref(child)) => {
            each_child(members, &mut |_, child| _ = count(child, 2, &mut found));
        }
        _ => _ = count(child, 1, &mut found),
    });
    let saved = |text: &str, times: usize| {
        (times * text.len()).saturating_sub(times * REFERENCE_BYTES + text.len() + DEFINITION_BYTES)
    };
    let worth = found.into_iter().map(|(text, (times, value))| (saved(&text, times), text, value));
    // Equal ones are taken in an order that does not depend on the map.
    let best = worth.max_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)))?;
    (best.0 >= REPEATED_BYTES_MIN).then(|| best.2.clone())
}

/// Counts a schema and those in it, by their text. Tells whether it may move.
fn count<'a>(schema: &'a Value, depth: usize, found: &mut HashMap<String, (usize, &'a Value)>) -> bool {
    let Value::Object(members) = schema else { return true };
    if depth > SCHEMA_DEPTH_MAX {
        return false;
    }
    let mut movable = !members.contains_key("$ref") && !members.keys().any(|key| key.starts_with("x-"));
    each_child(members, &mut |_, child| movable &= count(child, depth + 1, found));
    if movable {
        let text = schema.to_string();
        if text.len() > REFERENCE_BYTES {
            found.entry(text).or_insert((0, schema)).0 += 1;
        }
    }
    movable
}

fn replace(schema: &mut Value, repeated: &Value, reference: &Value, depth: usize) {
    if schema == repeated {
        reference.clone_into(schema);
    } else if depth <= SCHEMA_DEPTH_MAX
        && let Value::Object(members) = schema
    {
        each_child_mut(members, depth + 1, &mut |_, child, depth| replace(child, repeated, reference, depth));
    }
}
