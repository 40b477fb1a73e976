//! A schema without what changes nothing about which arguments are valid.

use super::equivalent::simplify;
use super::raw::same_numbers;
use super::references::{Freedom, drop_unused, freedom, inline_once_used};
use super::repeated::say_once;
use super::walk::{Place, each_child_mut};
use crate::context::sentences::{Room, Sections, shorten};
use crate::context::words::each_word;
use crate::limits::{
    PARAMETER_DESCRIPTION_BYTES, PARAMETER_SENTENCE_BYTES_MAX, SCHEMA_DEPTH_MAX, SHORTENED_SCHEMA_BYTES_MAX,
};
use serde_json::{Map, Value};
use std::collections::HashSet;

const ROOM: Room = Room { text: PARAMETER_DESCRIPTION_BYTES, first_sentence: PARAMETER_SENTENCE_BYTES_MAX };

/// The schema of the arguments of `tool`, shorter; nothing if it has to stay as it is.
pub fn shorter(raw: &str, tool: &str) -> Option<String> {
    if raw.len() > SHORTENED_SCHEMA_BYTES_MAX {
        return None;
    }
    let mut schema: Value = serde_json::from_str(raw).ok()?;
    if !same_numbers(raw, &schema.to_string()) {
        return None;
    }
    let freedom = freedom(&schema);
    if freedom == Freedom::Nothing {
        return None;
    }
    let Value::Object(members) = &mut schema else { return None };
    if freedom == Freedom::Structure {
        // Some validators judge these by the older dialect alone.
        if !ASSERTED.iter().any(|key| raw.contains(key)) {
            members.shift_remove("$schema");
        }
        members.shift_remove("$id");
        drop_unused(members);
        inline_once_used(members);
    }
    Rewriting { freedom, tool }.rewrite(&mut schema, Place::Part, 0);
    if freedom == Freedom::Structure
        && let Value::Object(members) = &mut schema
    {
        drop_unused(members);
        say_once(members);
    }
    Some(schema.to_string())
}

/// Keywords that mean more in one dialect than in another.
const ASSERTED: [&str; 3] = ["\"format\"", "\"content", "\"maxContains\""];

/// Whether any parameter has a description.
pub fn describes_parameters(raw: &str) -> bool {
    let Ok(schema) = serde_json::from_str::<Value>(raw) else { return true };
    let properties = schema.get("properties").and_then(Value::as_object);
    properties
        .is_some_and(|properties| properties.values().any(|property| property.get("description").is_some()))
}

/// What is the same for all parts of a schema.
#[derive(Clone, Copy)]
struct Rewriting<'a> {
    freedom: Freedom,
    tool: &'a str,
}

impl Rewriting<'_> {
    fn rewrite(self, schema: &mut Value, place: Place<'_>, depth: usize) {
        let Value::Object(members) = schema else { return };
        if depth > SCHEMA_DEPTH_MAX {
            return;
        }
        each_child_mut(members, depth + 1, &mut |place, child, depth| self.rewrite(child, place, depth));
        if self.freedom == Freedom::Structure {
            simplify(members, depth);
        }
        self.describe(members, place, depth);
    }

    /// Shortens what only describes.
    fn describe(self, schema: &mut Map<String, Value>, place: Place<'_>, depth: usize) {
        if let Some(Value::String(text)) = schema.get_mut("description") {
            *text = shorten(&without_preamble(text), ROOM, Sections::Stay);
            if text.is_empty()
                || matches!(place, Place::Named(name) if says_no_more(text, &[name, self.tool]))
            {
                schema.shift_remove("description");
            }
        }
        let keeps_title =
            depth > 0 && !schema.contains_key("description") && title_says_something(schema, place);
        let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        let drops_default =
            schema.get("default").is_some_and(|value| is_nothing(value) || says_default(description, value));
        schema.retain(|key, value| match key.as_str() {
            "title" => keeps_title || !value.is_string(),
            "examples" | "example" | "$comment" => false,
            // Of another kind it says nothing, and newer dialects refuse it.
            "deprecated" | "readOnly" | "writeOnly" => *value == Value::Bool(true),
            "default" => !drops_default,
            _ => true,
        });
    }
}

/// Without what many descriptions begin with: an article, and that the parameter is optional, which the schema says.
fn without_preamble(text: &str) -> String {
    let mut rest = text.trim_start();
    while let Some(shorter) = after_preamble(rest).map(str::trim_start).filter(|shorter| !shorter.is_empty())
    {
        rest = shorter;
    }
    let word = rest.split(' ').next().unwrap_or_default();
    let mut signs = rest.chars();
    match signs.next() {
        // A word begins the sentence now, unless it is a name.
        Some(first)
            if rest.len() < text.trim_start().len() && word.bytes().all(|byte| byte.is_ascii_lowercase()) =>
        {
            format!("{}{}", first.to_ascii_uppercase(), signs.as_str())
        }
        _ => rest.to_owned(),
    }
}

fn after_preamble(text: &str) -> Option<&str> {
    const SAID: [&str; 5] = ["(Optional) ", "(optional) ", "[Optional] ", "Optional. ", "Optional: "];
    const BEFORE_NOUNS: [&str; 8] = ["The ", "the ", "A ", "a ", "An ", "an ", "Optional ", "optional "];
    // `Optional if …` and `A or B` say more.
    let noun = |rest: &&str| {
        let word = rest.split(' ').next().unwrap_or_default();
        let joins =
            ["if", "when", "unless", "for", "in", "and", "or", "but", "with", "to", "on", "as", "is", "for"];
        word.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '`' | '"' | '\''))
            && !joins.contains(&word)
    };
    let after = |starts: &[&str]| starts.iter().find_map(|start| text.strip_prefix(start));
    after(&SAID).or_else(|| after(&BEFORE_NOUNS).filter(noun))
}

/// A title that says what nothing else does: of a parameter, or of one value among alternatives.
fn title_says_something(schema: &Map<String, Value>, place: Place<'_>) -> bool {
    let Some(title) = schema.get("title").and_then(Value::as_str) else { return false };
    match place {
        Place::Named(name) => !says_no_more(title, &[name]),
        Place::Part => schema
            .get("const")
            .is_some_and(|value| value.as_str().is_none_or(|value| !says_no_more(title, &[value]))),
    }
}

/// Whether all words of a text are in these names.
fn says_no_more(text: &str, names: &[&str]) -> bool {
    let mut known: HashSet<String> =
        ["the", "a", "an", "of", "for", "to", "in", "this"].map(str::to_owned).into();
    names.iter().for_each(|name| each_word(name, |word| _ = known.insert(word.to_owned())));
    let mut all = true;
    each_word(text, |word| all &= known.contains(word));
    all
}

/// A default that is as good as none.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

/// Whether a description says the default.
fn says_default(description: &str, value: &Value) -> bool {
    let value = match value {
        Value::String(text) => text.to_lowercase(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        _ => return false,
    };
    let text = description.to_lowercase();
    text.match_indices("default").any(|(at, word)| {
        let before = text.get(..at).unwrap_or_default().trim_end_matches([' ', '(', '"', '\'', '`', '[']);
        let after = text.get(at + word.len()..).unwrap_or_default();
        let after = after.strip_prefix('s').unwrap_or(after).trim_start();
        let after = ["to ", "is ", "value ", "value: "]
            .iter()
            .find_map(|word| after.strip_prefix(word))
            .unwrap_or(after);
        let after = after.trim_start_matches([' ', ':', '=', '"', '\'', '`', '“']);
        let rest = after.strip_prefix(&value);
        let ends = |rest: &str| {
            let mut signs = rest.chars();
            match signs.next() {
                Some('.') => !signs.next().is_some_and(char::is_alphanumeric),
                Some(c) => !c.is_alphanumeric() && !matches!(c, '_' | '-' | ',' | '/'),
                None => true,
            }
        };
        let begins =
            |rest: &str| !rest.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'));
        // `info (default)`, and `default: info`.
        rest.is_some_and(ends) || before.strip_suffix(&value).is_some_and(begins)
    })
}
