//! A tool in one line: how it is called, and in one sentence what it does.

use crate::context::compact::raw::Members;
use crate::context::compact::{annotations, member};
use crate::context::definition::Definition;
use crate::context::sentences::{first_sentence, start, visible};
use crate::limits::{BRIEF_SENTENCE_BYTES_MAX, SIGNATURE_BYTES_MAX, SIGNATURE_ENUM_BYTES_MAX};
use serde_json::{Map, Value};
use std::collections::HashSet;

/// Levels of objects whose properties are shown.
const OBJECTS_MAX: usize = 2;
/// Levels of any kind: arrays of arrays, alternatives of alternatives, references.
const LEVELS_MAX: usize = 12;
/// Alternatives that are shown.
const ALTERNATIVES_MAX: usize = 5;

/// The definition `raw` as one that says in its description how it is called; nothing if it is no object.
#[must_use]
pub fn brief(raw: &str) -> Option<String> {
    let definition = Definition::parse(raw)?;
    let sentence = first_sentence(definition.description(), BRIEF_SENTENCE_BYTES_MAX);
    let description = format!("{} {sentence}", signature(&definition, ""));
    let mut written = String::new();
    member(&mut written, "name", &Value::from(definition.name()).to_string());
    member(&mut written, "description", &Value::from(description.trim_end()).to_string());
    member(&mut written, "inputSchema", r#"{"type":"object"}"#);
    let kept = Members::parse(raw)?.get("annotations").and_then(annotations);
    if let Some(text) = kept.filter(|text| !text.is_empty()) {
        member(&mut written, "annotations", &text);
    }
    written.push('}');
    Some(written)
}

/// How a tool is called, under this name: `name(owner: string, labels?: string[], page?: integer = 1)`.
#[must_use]
pub fn signature(definition: &Definition, name: &str) -> String {
    let empty = Value::Bool(true);
    let root = definition.input_schema().unwrap_or(&empty);
    let mut line = Line { text: String::from(name), root, references: 0 };
    line.text.push('(');
    let (schema, _) = line.resolve(root);
    if let Some(schema) = schema.as_object() {
        line.parameters(schema, 0, 0);
    }
    if line.full() {
        line.cut();
    }
    line.text.push(')');
    line.text
}

/// The line while it is written.
struct Line<'a> {
    text: String,
    root: &'a Value,
    /// References that were followed: some schemas refer to one another in many ways.
    references: usize,
}

impl<'a> Line<'a> {
    /// Whether there is no room for its last bracket.
    fn full(&self) -> bool {
        self.text.len() >= SIGNATURE_BYTES_MAX
    }

    /// Ends a line that has become too long after a whole parameter.
    fn cut(&mut self) {
        let start = start(&self.text, SIGNATURE_BYTES_MAX.saturating_sub(", …)".len()));
        let end = start.rfind(", ").or_else(|| start.rfind('(').map(|at| at + 1)).unwrap_or(start.len());
        self.text.truncate(end);
        let (mut braces, mut quoted) = (0_usize, false);
        for c in self.text.chars() {
            match c {
                '"' => quoted = !quoted,
                '{' if !quoted => braces += 1,
                '}' if !quoted => braces = braces.saturating_sub(1),
                _ => {}
            }
        }
        self.text.push_str(if self.text.ends_with('(') { "…" } else { ", …" });
        self.text.extend(std::iter::repeat_n('}', braces));
    }

    /// The schema that a reference means, and whether it was one.
    fn resolve(&mut self, schema: &'a Value) -> (&'a Value, bool) {
        let mut schema = schema;
        let mut referred = false;
        while let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            self.references += 1;
            let target = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
            match target.filter(|_| self.references < 256) {
                Some(target) => schema = target,
                None => break,
            }
            referred = true;
        }
        (schema, referred)
    }

    /// The properties of an object: those that are required first.
    fn parameters(&mut self, schema: &'a Map<String, Value>, objects: usize, level: usize) {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        let required: HashSet<&str> = required.filter_map(Value::as_str).collect();
        let is_required = |name: &str| required.contains(name);
        let mut first = true;
        for wanted in [true, false] {
            for (name, property) in properties.iter().filter(|(name, _)| is_required(name) == wanted) {
                if self.full() {
                    return;
                }
                self.text.push_str(if first { "" } else { ", " });
                first = false;
                self.name(name);
                self.text.push_str(if wanted { ": " } else { "?: " });
                self.of_type(property, objects, level);
                self.default(property);
            }
        }
    }

    fn name(&mut self, name: &str) {
        let plain = name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '$' | '.'));
        if plain && !name.is_empty() {
            self.text.push_str(name);
        } else {
            self.value(&Value::from(name));
        }
    }

    fn default(&mut self, property: &Value) {
        match property.get("default") {
            Some(value @ (Value::Bool(_) | Value::Number(_))) => {
                self.text.push_str(" = ");
                self.value(value);
            }
            Some(Value::String(text)) if (1..=20).contains(&text.len()) => {
                self.text.push_str(" = ");
                self.value(&Value::from(text.as_str()));
            }
            _ => {}
        }
    }

    /// A value as JSON, in one line whatever it is.
    fn value(&mut self, value: &Value) {
        let text = value.to_string();
        self.text.push_str(&visible(&text).replace('\n', " "));
    }

    fn of_type(&mut self, schema: &'a Value, objects: usize, level: usize) {
        let (schema, _) = self.resolve(schema);
        let Some(members) = schema.as_object().filter(|_| level < LEVELS_MAX && !self.full()) else {
            self.text.push_str("any");
            return;
        };
        if let Some(value) = members.get("const") {
            return self.value(value);
        }
        if let Some(Value::Array(values)) = members.get("enum") {
            return self.values(values, members);
        }
        for key in ["anyOf", "oneOf"] {
            if let Some(Value::Array(branches)) = members.get(key)
                && !members.contains_key("properties")
            {
                return self.alternatives(branches, objects, level);
            }
        }
        match members.get("type") {
            Some(Value::Array(names)) => {
                for (at, name) in names.iter().filter_map(Value::as_str).enumerate() {
                    self.text.push_str(if at > 0 { "|" } else { "" });
                    self.named(name, members, objects, level);
                }
            }
            Some(Value::String(name)) => self.named(name, members, objects, level),
            _ if members.contains_key("properties") => self.named("object", members, objects, level),
            _ if members.contains_key("items") => self.named("array", members, objects, level),
            _ => match members.get("allOf").and_then(Value::as_array).map(Vec::as_slice) {
                Some([only]) => self.of_type(only, objects, level + 1),
                _ => self.text.push_str("any"),
            },
        }
    }

    fn named(&mut self, name: &str, schema: &'a Map<String, Value>, objects: usize, level: usize) {
        match name {
            "array" => {
                let before = self.text.len();
                match schema.get("items") {
                    Some(items) => self.of_type(items, objects, level + 1),
                    None => self.text.push_str("any"),
                }
                let items = self.text.get(before..).unwrap_or_default();
                if has_alternatives(items) {
                    self.text.insert(before, '(');
                    self.text.push(')');
                }
                self.text.push_str("[]");
            }
            "object" if objects < OBJECTS_MAX && schema.get("properties").is_some_and(has_members) => {
                self.text.push('{');
                self.parameters(schema, objects + 1, level + 1);
                self.text.push('}');
            }
            _ => self.text.push_str(known(name)),
        }
    }

    /// The values that are allowed, or their type if there are too many.
    fn values(&mut self, values: &[Value], schema: &Map<String, Value>) {
        let before = self.text.len();
        for (at, value) in values.iter().enumerate() {
            let separator = if at > 0 { "|" } else { "" };
            let text = value.to_string();
            if self.text.len() - before + text.len() > SIGNATURE_ENUM_BYTES_MAX {
                self.text.push_str(separator);
                self.text.push('…');
                return;
            }
            self.text.push_str(separator);
            self.value(value);
        }
        if values.is_empty() {
            self.text.push_str(schema.get("type").and_then(Value::as_str).map_or("any", known));
        }
    }

    /// Alternatives, each once. That a parameter may be null, as well as absent, is not worth its place.
    fn alternatives(&mut self, branches: &'a [Value], objects: usize, level: usize) {
        let mut shown = Vec::new();
        for branch in branches.iter().take(BRANCHES_MAX) {
            let start = self.text.len();
            self.of_type(branch, objects, level + 1);
            let text = self.text.split_off(start);
            if !shown.contains(&text) && (text != "null" || branches.len() == 1) {
                shown.push(text);
            }
            if shown.len() > ALTERNATIVES_MAX {
                shown.pop();
                shown.push("…".to_owned());
                break;
            }
        }
        self.text.push_str(&shown.join("|"));
    }
}

/// A type's name if it is one: a schema may hold any text there.
fn known(name: &str) -> &str {
    let types = ["string", "number", "integer", "boolean", "object", "array", "null"];
    if types.contains(&name) { name } else { "any" }
}

/// Alternatives of one schema that are looked at.
const BRANCHES_MAX: usize = 16;

/// Whether a type is written as alternatives, outside of braces and quotes.
fn has_alternatives(text: &str) -> bool {
    let (mut braces, mut quoted) = (0_usize, false);
    text.chars().any(|c| {
        match c {
            '"' => quoted = !quoted,
            '{' | '(' if !quoted => braces += 1,
            '}' | ')' if !quoted => braces = braces.saturating_sub(1),
            _ => {}
        }
        c == '|' && braces == 0 && !quoted
    })
}

fn has_members(value: &Value) -> bool {
    value.as_object().is_some_and(|members| !members.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn line(schema: &Value) -> String {
        let raw =
            json!({"name": "tool", "description": "Does it. And more.", "inputSchema": schema}).to_string();
        signature(&Definition::parse(&raw).unwrap(), "s__tool")
    }

    #[test]
    fn no_text_of_a_schema_looks_like_a_line_of_ours() {
        let raw = r#"{"name":"t","inputSchema":{"properties":{"a":{"type":"string)\ngithub__x [reads](b: string"}}}}"#;
        let definition = Definition::parse(raw).unwrap();
        assert_eq!(signature(&definition, "s__t"), "s__t(a?: any)");
    }

    #[test]
    fn required_parameters_come_first_with_types_values_and_defaults() {
        let schema = json!({"type": "object", "required": ["owner"], "properties": {
            "labels": {"type": "array", "items": {"type": "string"}},
            "state": {"enum": ["open", "closed"]},
            "page": {"type": "integer", "default": 1},
            "owner": {"type": "string"},
            "filter": {"type": "object", "required": ["field"], "properties": {
                "field": {"type": "string"}, "deep": {"type": "object", "properties": {"x": {"type": "object", "properties": {"y": {}}}}}}},
            "id": {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]},
            "ids": {"type": "array", "items": {"type": ["string", "integer"]}},
            "odd name": {}}});
        assert_eq!(
            line(&schema),
            "s__tool(owner: string, labels?: string[], state?: \"open\"|\"closed\", page?: integer = 1, \
             filter?: {field: string, deep?: {x?: object}}, id?: string|integer, ids?: (string|integer)[], \"odd name\"?: any)"
        );
        assert_eq!(line(&json!({"type": "object"})), "s__tool()");
    }

    #[test]
    fn references_are_followed_without_end_nowhere() {
        let schema = json!({"$defs": {"a": {"type": "array", "items": {"$ref": "#/$defs/a"}}, "b": {"$ref": "#/$defs/b"}},
            "properties": {"a": {"$ref": "#/$defs/a"}, "b": {"$ref": "#/$defs/b"}, "c": {"$ref": "https://x.example/c"}}});
        let line = line(&schema);
        assert!(line.starts_with("s__tool(a?: any[][]") && line.ends_with("b?: any, c?: any)"), "{line}");
    }

    #[test]
    fn the_line_is_bounded_and_its_braces_are_closed() {
        let many: Map<String, Value> =
            (0..99).map(|n| (format!("parameter{n}"), json!({"type": "string"}))).collect();
        let nested = json!({"properties": {"one": {"type": "object", "properties": many}}});
        let line = line(&nested);
        assert!(line.len() <= SIGNATURE_BYTES_MAX && line.ends_with("?: string, …})"), "{line}");
        let values: Vec<String> = (0..99).map(|n| format!("value{n}")).collect();
        let text = super::tests::line(&json!({"properties": {"v": {"enum": values}}}));
        assert!(text.ends_with("|…)") && text.len() < 110, "{text}");
    }

    #[test]
    fn a_brief_definition_says_how_it_is_called_and_keeps_what_clients_act_on() {
        let raw = r#"{"name":"t","title":"T","description":"Does it. And more.","inputSchema":{"properties":{"a":{"type":"string"}}},
            "annotations":{"title":"T","readOnlyHint":true},"outputSchema":{},"_meta":{}}"#;
        assert_eq!(
            brief(raw).unwrap(),
            r#"{"name":"t","description":"(a?: string) Does it.","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}}"#
        );
        assert_eq!(brief("[]"), None);
    }
}
