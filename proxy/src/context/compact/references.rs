//! What a schema refers to, and so which of its parts may be moved or left out.

use super::walk::{each_child, each_child_mut};
use crate::limits::SCHEMA_DEPTH_MAX;
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};

/// The keywords under which definitions stand.
pub const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];

/// Keywords that say nothing of which values are valid.
pub const ANNOTATIONS: [&str; 9] = [
    "title",
    "description",
    "default",
    "examples",
    "example",
    "$comment",
    "deprecated",
    "readOnly",
    "writeOnly",
];

/// How much of a schema may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freedom {
    /// Its dialect is none we know.
    Nothing,
    /// What only describes: parts are referred to by their place, or mean something else in another dialect.
    Annotations,
    /// Everything that stays equivalent.
    Structure,
}

/// Keywords that depend on the dialect or on what stands around them.
const BOUND: [&str; 17] = [
    "$id",
    "id",
    "$schema",
    "$anchor",
    "$dynamicRef",
    "$dynamicAnchor",
    "$recursiveRef",
    "$recursiveAnchor",
    "$vocabulary",
    "additionalItems",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "prefixItems",
    "unevaluatedItems",
    "unevaluatedProperties",
    "minContains",
];

const DIALECTS: [&str; 4] = [
    "http://json-schema.org/draft-07/schema",
    "https://json-schema.org/draft-07/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
];

/// How much of this schema may change.
pub fn freedom(schema: &Value) -> Freedom {
    match schema.get("$schema") {
        None => {}
        Some(Value::String(dialect)) if DIALECTS.contains(&dialect.trim_end_matches('#')) => {}
        Some(_) => return Freedom::Nothing,
    }
    let mut bound = false;
    look(schema, 0, &mut bound);
    let mut far = false;
    each_reference(schema, &mut |reference| far |= reference != "#" && target(reference).is_none());
    if bound || far { Freedom::Annotations } else { Freedom::Structure }
}

fn look(schema: &Value, depth: usize, bound: &mut bool) {
    let Value::Object(members) = schema else { return };
    *bound |= BOUND
        .iter()
        .any(|key| members.contains_key(*key) && !(depth == 0 && matches!(*key, "$schema" | "$id")));
    *bound |= members.get("items").is_some_and(Value::is_array);
    // Only newer dialects look at what stands beside a reference.
    let beside = |key: &String| {
        let key = key.as_str();
        let silent = key == "$ref" || ANNOTATIONS.contains(&key) || DEFINITIONS.contains(&key);
        !(silent || (depth == 0 && key == "$schema"))
    };
    *bound |= members.contains_key("$ref") && members.keys().any(beside);
    each_child(members, &mut |_, child| look(child, depth + 1, bound));
}

/// The name of the definition that a reference means, if it means one of the schema's own, as a whole.
pub fn target(reference: &str) -> Option<(&'static str, String)> {
    let (place, name) = reference.strip_prefix("#/")?.split_once('/')?;
    let place = DEFINITIONS.into_iter().find(|known| *known == place)?;
    // Escapes are rare, and then nothing moves.
    (!name.is_empty() && !name.contains(['/', '~', '%'])).then(|| (place, name.to_owned()))
}

/// Every reference, wherever it stands: also in what is data, to be on the safe side.
pub fn each_reference(value: &Value, give: &mut impl FnMut(&str)) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                give(reference);
            }
            members.values().for_each(|value| each_reference(value, give));
        }
        Value::Array(values) => values.iter().for_each(|value| each_reference(value, give)),
        _ => {}
    }
}

/// Leaves out the definitions that nothing refers to.
pub fn drop_unused(schema: &mut Map<String, Value>) {
    // Deeper ones cannot be referred to where this is asked for.
    each_child_mut(schema, 1, &mut |_, child, depth| drop_nested(child, depth));
    let mut used = HashSet::new();
    let mut open = Vec::new();
    let mut whole = false;
    let mut note = |reference: &str, open: &mut Vec<(&'static str, String)>| {
        whole |= reference == "#";
        if let Some(target) = target(reference)
            && used.insert(target.clone())
        {
            open.push(target);
        }
    };
    for (key, value) in schema.iter() {
        if key == "$ref" {
            note(value.as_str().unwrap_or_default(), &mut open);
        } else if !DEFINITIONS.contains(&key.as_str()) {
            each_reference(value, &mut |reference| note(reference, &mut open));
        }
    }
    while let Some((place, name)) = open.pop() {
        if let Some(definition) = schema.get(place).and_then(|place| place.get(&name)) {
            each_reference(definition, &mut |reference| note(reference, &mut open));
        }
    }
    for place in DEFINITIONS {
        if let Some(Value::Object(definitions)) = schema.get_mut(place) {
            definitions.retain(|name, _| used.contains(&(place, name.clone())));
            if definitions.is_empty() {
                schema.shift_remove(place);
            }
        }
    }
}

fn drop_nested(schema: &mut Value, depth: usize) {
    if let Value::Object(members) = schema
        && depth <= SCHEMA_DEPTH_MAX
    {
        DEFINITIONS.iter().for_each(|place| drop(members.shift_remove(*place)));
        each_child_mut(members, depth + 1, &mut |_, child, depth| drop_nested(child, depth));
    }
}

/// Puts definitions that are referred to once, and refer to nothing, where they are used.
pub fn inline_once_used(schema: &mut Map<String, Value>) {
    // What is put in can be the last reference of another definition: each round goes one level up.
    for _ in 0..4 {
        let mut counts = HashMap::<(&'static str, String), usize>::new();
        for value in schema.values() {
            each_reference(value, &mut |reference| {
                if let Some(target) = target(reference) {
                    *counts.entry(target).or_default() += 1;
                }
            });
        }
        // The root's own reference.
        if let Some(target) = schema.get("$ref").and_then(Value::as_str).and_then(target) {
            *counts.entry(target).or_default() += 2;
        }
        counts.retain(|(place, name), count| {
            *count == 1
                && schema.get(*place).and_then(|place| place.get(name)).is_some_and(|definition| {
                    let mut refers = false;
                    each_reference(definition, &mut |_| refers = true);
                    definition.is_object() && !refers
                })
        });
        if counts.is_empty() {
            return;
        }
        let mut taken = HashMap::new();
        for (place, name) in counts.into_keys() {
            if let Some(definition) =
                schema.get_mut(place).and_then(Value::as_object_mut).and_then(|place| place.get(&name))
            {
                taken.insert((place, name), definition.clone());
            }
        }
        each_child_mut(schema, 1, &mut |_, child, depth| put_in(child, &taken, depth));
        drop_unused(schema);
    }
}

fn put_in(schema: &mut Value, taken: &HashMap<(&'static str, String), Value>, depth: usize) {
    let Value::Object(members) = schema else { return };
    if depth > SCHEMA_DEPTH_MAX {
        return;
    }
    let own = members.get("$ref").and_then(Value::as_str).and_then(target);
    if let Some(Value::Object(definition)) = own.and_then(|target| taken.get(&target)) {
        members.shift_remove("$ref");
        for (key, value) in definition {
            // What stands beside the reference is nearer.
            members.entry(key.clone()).or_insert_with(|| value.clone());
        }
        return;
    }
    each_child_mut(members, depth + 1, &mut |_, child, depth| put_in(child, taken, depth));
}
