//! Where schemas stand in a schema. All else is data, or a keyword nobody here knows, and is never looked into.

use serde_json::{Map, Value};

/// What a schema is to the one it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// A property, or a definition, of this name.
    Named(&'a str),
    /// Anything else.
    Part,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    Schema,
    Schemas,
    NamedSchemas,
    Data,
}

fn holds(key: &str) -> Holds {
    match key {
        "additionalProperties"
        | "propertyNames"
        | "contains"
        | "not"
        | "if"
        | "then"
        | "else"
        | "unevaluatedItems"
        | "unevaluatedProperties"
        | "additionalItems" => Holds::Schema,
        // One schema, or in older dialects one for each item.
        "items" | "anyOf" | "oneOf" | "allOf" | "prefixItems" => Holds::Schemas,
        "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas"
        | "dependencies" => Holds::NamedSchemas,
        _ => Holds::Data,
    }
}

/// Gives each schema that stands directly in this one.
pub fn each_child<'a>(schema: &'a Map<String, Value>, give: &mut impl FnMut(Place<'a>, &'a Value)) {
    for (key, value) in schema {
        match (holds(key), value) {
            (Holds::Data, _) => {}
            (Holds::NamedSchemas, Value::Object(named)) => {
                named.iter().for_each(|(name, value)| give(Place::Named(name), value));
            }
            (Holds::Schemas, Value::Array(values)) => {
                values.iter().for_each(|value| give(Place::Part, value))
            }
            (Holds::Schema | Holds::Schemas, value) => give(Place::Part, value),
            (Holds::NamedSchemas, _) => {}
        }
    }
}

/// Gives each schema that stands directly in this one, to be changed, with the depth it has.
pub fn each_child_mut(
    schema: &mut Map<String, Value>,
    depth: usize,
    give: &mut impl FnMut(Place<'_>, &mut Value, usize),
) {
    for (key, value) in schema {
        match (holds(key), value) {
            (Holds::Data, _) => {}
            (Holds::NamedSchemas, Value::Object(named)) => {
                named.iter_mut().for_each(|(name, value)| give(Place::Named(name), value, depth));
            }
            (Holds::Schemas, Value::Array(values)) => {
                values.iter_mut().for_each(|value| give(Place::Part, value, depth));
            }
            (Holds::Schema | Holds::Schemas, value) => give(Place::Part, value, depth),
            (Holds::NamedSchemas, _) => {}
        }
    }
}
