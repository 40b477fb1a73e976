//! One tool's definition as its server wrote it, read once: what views are made of.

use crate::context::index::{Document, Texts};
use crate::limits::{SCHEMA_DEPTH_MAX, SEARCHED_BYTES_MAX};
use serde_json::{Map, Value};

/// A definition.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition(Map<String, Value>);

impl Definition {
    /// Reads a raw definition.
    #[must_use]
    pub fn parse(raw: &str) -> Option<Self> {
        match serde_json::from_str(raw) {
            Ok(Value::Object(members)) => Some(Self(members)),
            _ => None,
        }
    }

    /// The same under another name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.0.insert("name".to_owned(), name.into());
        self
    }

    /// A text of it.
    #[must_use]
    pub fn text(&self, key: &str) -> &str {
        self.0.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text("name")
    }

    /// What it says of what it does: its description, or its title.
    #[must_use]
    pub fn description(&self) -> &str {
        match self.text("description") {
            "" => self.text("title"),
            text => text,
        }
    }

    /// The schema of its arguments.
    #[must_use]
    pub fn input_schema(&self) -> Option<&Value> {
        self.0.get("inputSchema")
    }

    /// A hint of its annotations; nothing if it does not say.
    #[must_use]
    pub fn hint(&self, name: &str) -> Option<bool> {
        self.0.get("annotations")?.get(name)?.as_bool()
    }

    /// All its members.
    #[must_use]
    pub fn members(&self) -> &Map<String, Value> {
        &self.0
    }

    /// As the index of a server's tools keeps it.
    #[must_use]
    pub fn document(&self, server: &str) -> Document {
        let mut texts = Texts { name: self.name(), server, ..Texts::default() };
        texts.description = format!("{} {}", self.text("title"), self.text("description"));
        if let Some(schema) = self.input_schema() {
            gather(schema, &mut texts, 0);
        }
        Document::new(&texts)
    }
}

/// What a schema says of parameters, at all depths.
fn gather(schema: &Value, texts: &mut Texts<'_>, depth: usize) {
    let too_much = [&texts.parameters, &texts.about_parameters, &texts.values]
        .iter()
        .any(|text| text.len() > SEARCHED_BYTES_MAX);
    if depth > SCHEMA_DEPTH_MAX || too_much {
        return;
    }
    let Value::Object(members) = schema else { return };
    for (key, value) in members {
        match (key.as_str(), value) {
            ("properties", Value::Object(properties)) => {
                for (name, property) in properties {
                    push(&mut texts.parameters, name);
                    push(&mut texts.about_parameters, text(property, "title"));
                    push(&mut texts.about_parameters, text(property, "description"));
                    gather(property, texts, depth + 1);
                }
            }
            ("enum", Value::Array(values)) => {
                values.iter().filter_map(Value::as_str).for_each(|value| push(&mut texts.values, value));
            }
            ("const", Value::String(value)) => push(&mut texts.values, value),
            ("anyOf" | "oneOf" | "allOf", Value::Array(schemas)) => {
                schemas.iter().for_each(|schema| gather(schema, texts, depth + 1));
            }
            ("items" | "additionalProperties", schema) => gather(schema, texts, depth + 1),
            ("$defs" | "definitions", Value::Object(definitions)) => {
                definitions.values().for_each(|schema| gather(schema, texts, depth + 1));
            }
            _ => {}
        }
    }
}

fn text<'a>(schema: &'a Value, key: &str) -> &'a str {
    schema.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn push(into: &mut String, text: &str) {
    if !text.is_empty() {
        into.push_str(text);
        into.push(' ');
    }
}
