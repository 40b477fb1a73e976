//! JSON as it is spelt: which member follows which, and each number and text as it was written.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of an object, in order.
pub struct Members<'a>(pub Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(InOrder).map(Self)
    }
}

/// A raw member of a raw object.
///
/// # Panics
/// If it is no object.
#[must_use]
pub fn member<'a>(object: &'a str, key: &str) -> Option<&'a str> {
    let Members(members) = serde_json::from_str(object).unwrap_or_else(|error| panic!("{error}: {object}"));
    members.into_iter().find(|(known, _)| known == key).map(|(_, raw)| raw.get())
}

/// Every leaf, where it is and how it is written, in order.
fn leaves(at: &str, raw: &str, found: &mut Vec<(String, String)>) {
    let before = found.len();
    if let Ok(Members(members)) = serde_json::from_str(raw) {
        members.iter().for_each(|(key, value)| leaves(&format!("{at} > {key}"), value.get(), found));
    } else if let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(raw) {
        elements.iter().for_each(|value| leaves(&format!("{at} > []"), value.get(), found));
    }
    if found.len() == before {
        found.push((at.to_owned(), raw.to_owned()));
    }
}

/// Where two raw values differ first, but for what lies below these places; nothing if they are spelt alike.
#[must_use]
pub fn difference(sent: &str, arrived: &str, but_for: &[&str]) -> Option<String> {
    let [sent, arrived] = [sent, arrived].map(|raw| {
        let mut found = Vec::new();
        leaves("", raw, &mut found);
        let is_excused = |at: &str| but_for.iter().any(|place| at.starts_with(&format!(" > {place}")));
        // An object that held only what is excused is no difference either.
        let is_emptied = |at: &str, raw: &str| raw == "{}" && matches!(at, "" | " > _meta");
        found.retain(|(at, raw)| !is_excused(at) && !is_emptied(at, raw));
        found
    });
    let longest = sent.len().max(arrived.len());
    let at = (0..longest).find(|at| sent.get(*at) != arrived.get(*at))?;
    Some(format!("{:?} became {:?}", sent.get(at), arrived.get(at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_spelling_count() {
        assert_eq!(difference(r#"{"z":1.0,"a":[{}]}"#, r#"{"z" : 1.0, "a": [{}]}"#, &[]), None);
        for other in [r#"{"a":2,"z":1.0}"#, r#"{"z":1,"a":2}"#, r#"{"z":1.0,"a":2,"b":0}"#, r#"{"z":1.0}"#] {
            assert!(difference(r#"{"z":1.0,"a":2}"#, other, &[]).is_some(), "{other}");
        }
        assert!(difference(r#"["\u00e9"]"#, r#"["é"]"#, &[]).is_some());
        let more = r#"{"_meta":{"x":1},"a":1}"#;
        assert_eq!(difference(r#"{"a":1}"#, more, &["_meta > x"]), None);
        assert!(difference(r#"{"a":1}"#, more, &["_meta > y"]).is_some());
    }
}
