//! A definition without what a model can miss. Its schema accepts the same arguments as before.
//!
//! Reading order: `raw` (texts stay what they are), `walk` (where schemas stand), `references` (what may change),
//! `schema`, `equivalent`, `repeated`.

mod equivalent;
#[cfg(test)]
mod properties;
pub(super) mod raw;
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
    let tool: String =
        members.get("name").and_then(|name| serde_json::from_str(name).ok()).unwrap_or_default();
    let mut written = String::with_capacity(raw.len());
    for (name, value) in members.iter() {
        let value = match name {
            "icons" | "outputSchema" => continue,
            "title" if members.get("description").is_some() => continue,
            "description" => description(value, sections),
            "inputSchema" => schema::shorter(value, &tool),
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

#[cfg(test)]
mod tests {
    use super::compact;
    use serde_json::{Value, json};

    fn schema(schema: &str) -> String {
        let raw = format!(r#"{{"name":"t","inputSchema":{schema}}}"#);
        let shorter = compact(&raw).unwrap();
        shorter.strip_prefix(r#"{"name":"t","inputSchema":"#).unwrap().strip_suffix('}').unwrap().to_owned()
    }

    fn property(property: &str) -> String {
        let shorter = schema(&format!(r#"{{"type":"object","properties":{{"p":{property}}}}}"#));
        serde_json::from_str::<Value>(&shorter).unwrap()["properties"]["p"].to_string()
    }

    #[test]
    fn members_that_clients_act_on_stay_as_they_are() {
        let raw = r#"{"name":"t","title":"T","description":"D","icons":[],"outputSchema":{},"annotations":{"title":"T"},
            "inputSchema":{"type":"object"},"_meta":{ "a": 1.0e5 },"execution":{"taskSupport":"optional"},"own":[ 1 ]}"#;
        assert_eq!(
            compact(raw).unwrap(),
            r#"{"name":"t","description":"D","inputSchema":{"type":"object"},"_meta":{ "a": 1.0e5 },"execution":{"taskSupport":"optional"},"own":[ 1 ]}"#
        );
        assert_eq!(compact(r#"{"name":"t","title":"T"}"#).unwrap(), r#"{"name":"t","title":"T"}"#);
        assert_eq!((compact("[1]"), compact("{}")), (None, Some("{}".to_owned())));
    }

    #[test]
    fn properties_named_like_keywords_and_data_stay() {
        let kept = r#"{"type":"object","properties":{"title":{"type":"string"},"$schema":{"type":"string"},"default":{"const":{"title":"x"}},"required":{"enum":[{"examples":[]}]}}}"#;
        assert_eq!(schema(kept), kept);
        let header = r#"{"type":"string","enum":["a"],"x-mcp-header":"Region"}"#;
        assert_eq!(property(header), header);
    }

    #[test]
    fn equivalent_schemas_are_written_shorter() {
        let pairs = [
            (
                r#"{"anyOf":[{"type":"string","maxLength":9},{"type":"null"}],"default":null,"title":"P"}"#,
                r#"{"type":["string","null"],"maxLength":9}"#,
            ),
            (r#"{"anyOf":[{"enum":["a"]},{"const":null}]}"#, r#"{"enum":["a",null]}"#),
            // Some models' interfaces want a type beside every `enum`.
            (r#"{"type":"string","enum":["a"]}"#, r#"{"type":"string","enum":["a"]}"#),
            (
                r#"{"anyOf":[{"type":"string","not":{"const":"a"}},{"type":"null"}]}"#,
                r#"{"anyOf":[{"type":"string","not":{"const":"a"}},{"type":"null"}]}"#,
            ),
            (r#"{"type":"integer","enum":[1,2.5]}"#, r#"{"type":"integer","enum":[1,2.5]}"#),
            (
                r#"{"oneOf":[{"type":"integer"},{"type":"number"}]}"#,
                r#"{"oneOf":[{"type":"integer"},{"type":"number"}]}"#,
            ),
            (
                r#"{"type":"integer","default":5,"description":"How many (default: 5)."}"#,
                r#"{"type":"integer","description":"How many (default: 5)."}"#,
            ),
            (
                r#"{"type":"integer","default":5,"description":"How many (default: 50)."}"#,
                r#"{"type":"integer","default":5,"description":"How many (default: 50)."}"#,
            ),
            (
                r#"{"type":"object","additionalProperties":{"title":"X"},"required":[]}"#,
                r#"{"type":"object"}"#,
            ),
            (r#"{"type":"string","description":"The p of t"}"#, r#"{"type":"string"}"#),
        ];
        for (before, after) in pairs {
            assert_eq!(property(before), after);
        }
    }

    #[test]
    fn numbers_dialects_and_places_that_are_not_understood_leave_a_schema_as_it_is() {
        let schemas = [
            r#"{"title":"A","properties":{"p":{"maximum":1e400}}}"#,
            r#"{"title":"A","properties":{"p":{"maximum":123456789012345678901234567890}}}"#,
            r#"{"title":"A","properties":{"p":{"const":1.10}}}"#,
            r#"{"title":"A","$schema":"http://json-schema.org/draft-04/schema#"}"#,
        ];
        schemas.iter().for_each(|text| assert_eq!(schema(text), *text));
        let by_place = r##"{"type":"object","properties":{"a":{"allOf":[{"type":"string"}]},"b":{"$ref":"#/properties/a/allOf/0"}}}"##;
        assert_eq!(schema(by_place), by_place);
        let tuple = r#"{"$schema":"http://json-schema.org/draft-07/schema#","properties":{"a":{"items":[{"type":"string"}]}}}"#;
        assert_eq!(schema(tuple), tuple);
        let beside = r##"{"$schema":"http://json-schema.org/draft-07/schema#","properties":{"a":{"$ref":"#/$defs/x","maxLength":1}},"$defs":{"x":{"type":"string"}}}"##;
        assert_eq!(schema(beside), beside);
    }

    #[test]
    fn what_validators_of_an_older_dialect_assert_keeps_its_dialect() {
        let format = r#"{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{"a":{"type":"string","format":"email"}}}"#;
        assert_eq!(schema(format), format);
    }

    #[test]
    fn definitions_are_used_more_than_once_or_not_there() {
        let before = json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}, "b": {"$ref": "#/$defs/B"}, "c": {"$ref": "#/$defs/B"}},
            "$defs": {"A": {"type": "string"}, "B": {"type": "array", "items": {"$ref": "#/$defs/B"}}, "C": {"$ref": "#/$defs/C"}}});
        let after = r##"{"type":"object","properties":{"a":{"type":"string"},"b":{"$ref":"#/$defs/B"},"c":{"$ref":"#/$defs/B"}},"$defs":{"B":{"type":"array","items":{"$ref":"#/$defs/B"}}}}"##;
        assert_eq!(schema(&before.to_string()), after);
        let long =
            json!({"type": "string", "pattern": "^[a-z]+(-[a-z]+)*(/[a-z]+(-[a-z]+)*)*$", "maxLength": 100});
        let before = json!({"type": "object", "properties": {"from": long, "to": long, "by": {"type": "array", "items": long}}});
        let after = schema(&before.to_string());
        assert_eq!(after.matches("pattern").count(), 1);
        assert_eq!(after.matches(r##"{"$ref":"#/$defs/a"}"##).count(), 3);
    }

    #[test]
    fn deep_and_huge_schemas_end() {
        let deep = format!("{}{{\"title\":\"x\"}}{}", r#"{"items":"#.repeat(100), "}".repeat(100));
        assert_eq!(schema(&deep), deep);
        let deeper = format!("{}{{}}{}", r#"{"items":"#.repeat(100_000), "}".repeat(100_000));
        assert_eq!(schema(&deeper), deeper);
        let wide: String =
            (0..3000).map(|n| format!(r#""p{n}":{{"type":"string","title":"P{n}"}},"#)).collect();
        let wide = format!(r#"{{"properties":{{{wide}"last":{{}}}}}}"#);
        assert!(schema(&wide).len() < wide.len() * 2 / 3);
        let used: String = (0..2500)
            .map(|n| format!(r##""p{n}":{{"$ref":"#/$defs/d{n}"}},"q{n}":{{"$ref":"#/$defs/d{n}"}},"##))
            .collect();
        let kept: String = (0..2500).map(|n| format!(r#""d{n}":{{"enum":[{n}]}},"#)).collect();
        schema(&format!(r#"{{"properties":{{{used}"last":{{}}}},"$defs":{{{kept}"last":{{}}}}}}"#));
        let many: String = (0..100_000).map(|n| format!(r#""m{n}":1,"#)).collect();
        assert!(compact(&format!(r#"{{{many}"m1":2}}"#)).unwrap().starts_with(r#"{"m0":1,"m1":2,"m2":1"#));
    }
}
