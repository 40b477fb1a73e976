//! A definition without what a model can miss. Its schema accepts the same arguments as before.
//!
//! Reading order: [`raw`] (texts stay what they are), [`walk`] (where schemas stand), [`references`] (what may change),
//! [`schema`], [`equivalent`], [`repeated`].

mod equivalent;
#[cfg(test)]
mod properties;
mod raw;
mod references;
mod repeated;
mod schema;
mod walk;

use crate::context::sentences::{Room, Sections, shorten};
use crate::limits::{TOOL_DESCRIPTION_BYTES, TOOL_SENTENCE_BYTES_MAX};
use raw::Members;
use serde_json::{Map, Value};

const ROOM: Room = Room { text: TOOL_DESCRIPTION_BYTES, first_sentence: TOOL_SENTENCE_BYTES_MAX };

/// The definition `raw`, shorter; nothing if it is no object.
#[must_use]
pub fn compact(raw: &str) -> Option<String> {
    let members = Members::parse(raw)?;
    let schema = members.get("inputSchema").unwrap_or_default();
    let sections = if schema::describes_parameters(schema) { Sections::GoFirst } else { Sections::Stay };
    let mut written = String::with_capacity(raw.len());
    for (name, value) in members.iter() {
        let value = match name {
            "icons" | "outputSchema" => continue,
            "title" if members.get("description").is_some() => continue,
            "description" => description(value, sections),
            "inputSchema" => schema::shorter(value),
            "annotations" => match annotations(value) {
                Some(text) if text.is_empty() => continue,
                text => text,
            },
            _ => None,
        }
        .map_or_else(
            || value.to_owned(),
            |shorter| if shorter.len() > value.len() { value.to_owned() } else { shorter },
        );
        member(&mut written, name, &value);
    }
    written.push_str(if written.is_empty() { "{}" } else { "}" });
    Some(if written.len() > raw.len() { raw.to_owned() } else { written })
}

/// A tool's annotations without their title, which people are shown; empty if there are no others.
pub(super) fn annotations(raw: &str) -> Option<String> {
    let mut annotations: Map<String, Value> = serde_json::from_str(raw).ok()?;
    annotations.shift_remove("title");
    if annotations.is_empty() {
        return Some(String::new());
    }
    let text = Value::Object(annotations).to_string();
    raw::same_numbers(raw, &text).then_some(text)
}

fn description(raw: &str, sections: Sections) -> Option<String> {
    let text: String = serde_json::from_str(raw).ok()?;
    Some(Value::String(shorten(&text, ROOM, sections)).to_string())
}

/// Adds a member to an object that is being written.
pub(super) fn member(object: &mut String, name: &str, value: &str) {
    object.push(if object.is_empty() { '{' } else { ',' });
    object.push_str(&Value::from(name).to_string());
    object.push(':');
    object.push_str(value);
}
