//! A definition as its text: what is not shortened stays byte for byte, and numbers that cannot be kept are noticed.

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::fmt;

/// The members of an object, in their order.
pub struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    /// Reads them; nothing if it is no object. Of members with one name the last counts.
    pub fn parse(raw: &'a str) -> Option<Self> {
        let mut reader = serde_json::Deserializer::from_str(raw);
        let members = reader.deserialize_map(MembersVisitor).ok()?;
        reader.end().ok()?;
        let mut places = HashMap::<String, usize>::with_capacity(members.len());
        let mut read = Vec::<(String, &RawValue)>::with_capacity(members.len());
        for (name, value) in members {
            match places.get(&name).and_then(|place| read.get_mut(*place)) {
                Some(known) => known.1 = value,
                None => {
                    places.insert(name.clone(), read.len());
                    read.push((name, value));
                }
            }
        }
        Some(Self(read))
    }

    /// The text of one.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.get())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.get()))
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

/// Whether two JSON texts have the same numbers, written the same, in the same order.
pub fn same_numbers(one: &str, other: &str) -> bool {
    numbers(one).eq(numbers(other))
}

/// The numbers of a valid JSON text.
fn numbers(json: &str) -> impl Iterator<Item = &[u8]> {
    let mut rest = json.as_bytes();
    std::iter::from_fn(move || {
        let mut in_string = false;
        let mut escaped = false;
        let begin = rest.iter().position(|byte| {
            match (in_string, byte) {
                (true, _) if escaped => escaped = false,
                (true, b'\\') => escaped = true,
                (_, b'"') => in_string = !in_string,
                (false, b'-' | b'0'..=b'9') => return true,
                _ => {}
            }
            false
        })?;
        let (_, number) = rest.split_at_checked(begin)?;
        let end =
            number.iter().position(|byte| !matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'));
        let (number, after) = number.split_at_checked(end.unwrap_or(number.len()))?;
        rest = after;
        Some(number)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_two_members_counts_and_anything_else_is_no_object() {
        let members = Members::parse(r#" {"a": 1, "b\u0063": {"x" : 2}, "a": 3} "#).unwrap();
        assert_eq!(members.iter().collect::<Vec<_>>(), [("a", "3"), ("bc", r#"{"x" : 2}"#)]);
        for raw in ["", "[]", "null", "{", "{} x", r#""a""#] {
            assert!(Members::parse(raw).is_none(), "{raw}");
        }
    }

    #[test]
    fn numbers_are_told_apart_by_how_they_are_written() {
        let json = r#"{"a1":[1,-2.5e+3,"7\"8"],"b":0}"#;
        assert_eq!(numbers(json).collect::<Vec<_>>(), [&b"1"[..], b"-2.5e+3", b"0"]);
        assert!(same_numbers(json, r#"[1 , -2.5e+3, 0]"#));
        assert!(!same_numbers("[1]", "[1.0]") && !same_numbers("[1]", "[1,1]"));
    }
}
