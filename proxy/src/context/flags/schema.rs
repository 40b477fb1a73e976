//! What is odd about the schemas of a definition: what they refer to, how deep they are, and that they are there.

use super::{FlagKind, quoted};
use crate::context::definition::Definition;
use crate::limits::SCHEMA_DEPTH_MAX;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::ptr;

const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];

/// What is odd about the schemas of its arguments and of its result. Of one kind at most one.
#[must_use]
pub fn look(definition: &Definition) -> Vec<FlagKind> {
    let mut found = Vec::new();
    match definition.input_schema() {
        None => found.push(FlagKind::NoSchema),
        Some(Value::Object(members)) if members.get("type").is_some_and(|kind| kind == "object") => {}
        Some(_) => found.push(FlagKind::NotOfAnObject),
    }
    for schema in ["inputSchema", "outputSchema"] {
        if let Some(root) = definition.members().get(schema) {
            inside(root, &mut found);
        }
    }
    found
}

fn inside(root: &Value, found: &mut Vec<FlagKind>) {
    let mut facts = Facts::default();
    facts.gather(root, 1);
    let mut add = |kind: FlagKind| {
        if !found.iter().any(|known| std::mem::discriminant(known) == std::mem::discriminant(&kind)) {
            found.push(kind);
        }
    };
    if let Some(target) = facts.elsewhere {
        add(FlagKind::Elsewhere(quoted(target)));
    }
    if facts.levels > SCHEMA_DEPTH_MAX {
        add(FlagKind::Deep);
    }
    if facts.refers_inside && is_cyclic(root) {
        add(FlagKind::Cyclic);
    }
}

/// What one look at each schema inside a schema says.
#[derive(Default)]
struct Facts<'a> {
    levels: usize,
    elsewhere: Option<&'a str>,
    refers_inside: bool,
}

impl<'a> Facts<'a> {
    /// A parser has bounded how deep it is.
    fn gather(&mut self, schema: &'a Value, level: usize) {
        self.levels = self.levels.max(level);
        let Value::Object(members) = schema else { return };
        for target in references(members) {
            match is_elsewhere(target) {
                true => self.elsewhere = self.elsewhere.or(Some(target)),
                false => self.refers_inside = true,
            }
        }
        for_each_inside(members, &mut |schema| self.gather(schema, level + 1));
    }
}

fn references(members: &Map<String, Value>) -> impl Iterator<Item = &str> {
    REFERENCES.into_iter().filter_map(|key| members.get(key)?.as_str())
}

/// An address, with its scheme or without.
fn is_elsewhere(target: &str) -> bool {
    let scheme = target.split_once(':').map(|(scheme, _)| scheme).unwrap_or_default();
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    is_scheme || target.starts_with("//")
}

/// The schemas directly inside a schema. Values that are data are none, whatever they look like.
fn for_each_inside<'a>(members: &'a Map<String, Value>, each: &mut impl FnMut(&'a Value)) {
    for (key, value) in members {
        match (key.as_str(), value) {
            ("const" | "enum" | "default" | "example" | "examples", _) => {}
            (
                "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas"
                | "dependencies",
                Value::Object(schemas),
            ) => schemas.values().for_each(&mut *each),
            (_, Value::Object(_)) => each(value),
            (_, Value::Array(schemas)) => {
                schemas.iter().filter(|schema| schema.is_object()).for_each(&mut *each)
            }
            _ => {}
        }
    }
}

/// Where a walk along schemas and references is.
enum Step<'a> {
    Enter(&'a Value),
    Leave(&'a Value),
}

/// Whether a schema can be reached from inside itself. Each is entered once, and no stack is used: references may
/// make a long chain.
fn is_cyclic(root: &Value) -> bool {
    // Whether the walk is still inside.
    let mut entered: HashMap<*const Value, bool> = HashMap::new();
    let mut steps = vec![Step::Enter(root)];
    while let Some(step) = steps.pop() {
        let schema = match step {
            Step::Enter(schema) => schema,
            Step::Leave(schema) => {
                entered.insert(ptr::from_ref(schema), false);
                continue;
            }
        };
        match entered.insert(ptr::from_ref(schema), true) {
            Some(true) => return true,
            Some(false) => drop(entered.insert(ptr::from_ref(schema), false)),
            None => {
                steps.push(Step::Leave(schema));
                let Value::Object(members) = schema else { continue };
                let targets =
                    references(members).filter_map(|target| root.pointer(target.strip_prefix('#')?));
                steps.extend(targets.map(Step::Enter));
                for_each_inside(members, &mut |schema| steps.push(Step::Enter(schema)));
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn kinds(schema: Value) -> Vec<FlagKind> {
        look(&Definition::parse(&json!({"name": "x", "inputSchema": schema}).to_string()).unwrap())
    }

    fn object(members: Value) -> Vec<FlagKind> {
        let mut schema = json!({"type": "object"});
        schema.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        kinds(schema)
    }

    fn nested(levels: usize) -> Value {
        (1..levels)
            .fold(json!({"type": "object"}), |inner, _| json!({"type": "object", "properties": {"a": inner}}))
    }

    #[test]
    fn what_is_fetched_from_elsewhere_is_named_and_what_is_data_or_inside_is_not() {
        for target in ["https://evil.example/s.json", "//evil.example/s", "file:///etc/passwd", "urn:x"] {
            for key in ["$ref", "$dynamicRef"] {
                let found = object(json!({"properties": {"a": {"items": {"anyOf": [{key: target}]}}}}));
                assert_eq!(found, [FlagKind::Elsewhere(target.to_owned())]);
            }
        }
        let output =
            json!({"name": "x", "inputSchema": {"type": "object"}, "outputSchema": {"$ref": "http://a"}});
        let found = look(&Definition::parse(&output.to_string()).unwrap());
        assert_eq!(found, [FlagKind::Elsewhere("http://a".to_owned())]);
        for harmless in [
            json!({"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "string"}}}),
            json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "https://example.com/x"}),
            json!({"properties": {"$ref": {"type": "string", "format": "uri"}}}),
            json!({"properties": {"a": {"default": {"$ref": "https://a"}, "enum": [{"$ref": "https://a"}]}}}),
        ] {
            assert_eq!(object(harmless.clone()), [], "{harmless}");
        }
    }

    #[test]
    fn a_schema_that_refers_to_itself_is_found_and_one_that_refers_twice_to_another_is_not() {
        let property = |target: &str| json!({"properties": {"a": {"$ref": target}}});
        for cyclic in [
            property("#"),
            property("#/properties/a"),
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}),
            json!({"$defs": {"node": {"properties": {"next": {"items": {"$ref": "#/$defs/node"}}}}}}),
        ] {
            assert_eq!(object(cyclic.clone()), [FlagKind::Cyclic], "{cyclic}");
        }
        let twice = json!({"allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}, {"$ref": "#/$defs/missing"}],
            "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"type": "string"}}});
        assert_eq!(object(twice), []);
    }

    #[test]
    fn a_long_chain_of_references_needs_no_stack() {
        let definitions: Map<String, Value> =
            (0..20_000).map(|n| (n.to_string(), json!({"$ref": format!("#/$defs/{}", n + 1)}))).collect();
        assert_eq!(object(json!({"$ref": "#/$defs/0", "$defs": definitions})), []);
    }

    #[test]
    fn a_deep_schema_is_found_and_one_at_the_limit_is_not() {
        assert_eq!(kinds(nested(SCHEMA_DEPTH_MAX)), []);
        assert_eq!(kinds(nested(SCHEMA_DEPTH_MAX + 1)), [FlagKind::Deep]);
    }

    #[test]
    fn a_schema_that_is_missing_or_not_of_an_object_is_found() {
        assert_eq!(look(&Definition::parse(r#"{"name":"x"}"#).unwrap()), [FlagKind::NoSchema]);
        for schema in
            [json!(null), json!(true), json!({}), json!({"type": "array"}), json!({"type": ["object"]})]
        {
            assert_eq!(kinds(schema.clone()), [FlagKind::NotOfAnObject], "{schema}");
        }
        assert_eq!(kinds(json!({"type": "object"})), []);
    }
}
