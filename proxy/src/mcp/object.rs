//! One level of a JSON object, as slices of its text. Values are not parsed, only skipped, so that
//! numbers, order and unknown members survive byte for byte.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

/// Above this many members duplicates are looked for in a set.
const MEMBERS_COMPARED_IN_PAIRS: usize = 12;

/// One member: its key decoded and as written, and its value as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// Without quotes and escapes.
    pub key: Cow<'a, str>,
    /// With both.
    pub key_text: &'a str,
    /// Without surrounding blanks.
    pub value: &'a str,
}

/// An object whose members are known and whose values are raw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object<'a> {
    text: &'a str,
    members: Vec<Member<'a>>,
}

/// Which keys of one object count as the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// Only equal ones.
    Exact,
    /// Those that differ in case too: some servers (Go's) ignore case, so `{"name":1,"Name":2}` would
    /// mean one tool to the gate and another to the server.
    Folded,
}

/// Why a text is not an object we pass on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// Not one JSON object.
    #[error("not a JSON object: {0}")]
    Syntax(String),
    /// A key that occurs twice.
    #[error("the member {0:?} occurs twice")]
    Duplicate(String),
}

impl<'a> Object<'a> {
    /// Reads one level of `text`, which must be one object and no more.
    ///
    /// # Errors
    /// [`ObjectError`] if it is not, or if two keys are the same.
    pub fn parse(text: &'a str, keys: Keys) -> Result<Self, ObjectError> {
        let RawMembers(raw) =
            serde_json::from_str(text).map_err(|error| ObjectError::Syntax(error.to_string()))?;
        let mut members = Vec::with_capacity(raw.len());
        for (key, value) in raw {
            members.push(Member { key: decode(key.get())?, key_text: key.get(), value: value.get() });
        }
        refuse_duplicates(&members, keys)?;
        Ok(Self { text, members })
    }

    /// The object as it was written.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The members, in their order.
    #[must_use]
    pub fn members(&self) -> &[Member<'a>] {
        &self.members
    }

    /// The value of `key`, as written.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.members.iter().find(|member| member.key == key).map(|member| member.value)
    }

    /// The value of `key` if it is a string, decoded.
    #[must_use]
    pub fn get_text(&self, key: &str) -> Option<Cow<'a, str>> {
        self.get(key).and_then(text_of)
    }

    /// The value of `key` if it is an object.
    #[must_use]
    pub fn get_object(&self, key: &str) -> Option<Object<'a>> {
        self.get(key).and_then(|value| Object::parse(value, Keys::Exact).ok())
    }
}

/// The text a raw JSON string stands for; nothing if it is not a string.
#[must_use]
pub fn text_of(raw: &str) -> Option<Cow<'_, str>> {
    if !raw.starts_with('"') {
        return None;
    }
    decode(raw).ok()
}

/// A text as a raw JSON string.
#[must_use]
pub fn quote(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}

/// Whether raw JSON may hold this text, of ASCII with a `q`, in any case or with escapes: quick, and never wrongly no.
#[must_use]
pub fn may_hold(raw: &str, text: &str) -> bool {
    let (raw, text) = (raw.as_bytes(), text.as_bytes());
    let Some(offset) = memchr::memchr2(b'q', b'Q', text) else { return true };
    let is_there = |at: usize| {
        let start = at.checked_sub(offset);
        let found = start.and_then(|start| raw.get(start..start + text.len()));
        found.is_some_and(|found| found.eq_ignore_ascii_case(text))
    };
    memchr::memchr2_iter(b'q', b'Q', raw).any(is_there) || memchr::memchr(b'\\', raw).is_some()
}

/// The elements of a raw JSON array, raw.
#[must_use]
pub fn elements(raw: &str) -> Option<Vec<&str>> {
    let elements: Vec<&RawValue> = serde_json::from_str(raw).ok()?;
    Some(elements.into_iter().map(RawValue::get).collect())
}

/// The front of `text`, at most `bytes_max` long, whole characters.
#[must_use]
pub fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

fn decode(raw: &str) -> Result<Cow<'_, str>, ObjectError> {
    let inner = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match inner {
        Some(inner) if memchr::memchr(b'\\', inner.as_bytes()).is_none() => Ok(Cow::Borrowed(inner)),
        _ => serde_json::from_str::<String>(raw)
            .map(Cow::Owned)
            .map_err(|error| ObjectError::Syntax(error.to_string())),
    }
}

fn refuse_duplicates(members: &[Member<'_>], keys: Keys) -> Result<(), ObjectError> {
    let duplicate = if members.len() <= MEMBERS_COMPARED_IN_PAIRS {
        members.iter().enumerate().find(|(index, member)| {
            members.iter().take(*index).any(|earlier| same(&earlier.key, &member.key, keys))
        })
    } else {
        let mut seen = HashSet::new();
        members.iter().enumerate().find(|(_, member)| {
            let key = match keys {
                Keys::Exact => member.key.to_string(),
                Keys::Folded => member.key.chars().map(fold).collect(),
            };
            !seen.insert(key)
        })
    };
    match duplicate {
        Some((_, member)) => Err(ObjectError::Duplicate(member.key.to_string())),
        None => Ok(()),
    }
}

fn same(a: &str, b: &str, keys: Keys) -> bool {
    match keys {
        Keys::Exact => a == b,
        Keys::Folded => a == b || a.chars().map(fold).eq(b.chars().map(fold)),
    }
}

/// Folds as Go's `encoding/json` does: ASCII case, and the two other letters that fold into ASCII.
fn fold(c: char) -> char {
    match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        _ => c.to_ascii_lowercase(),
    }
}

struct RawMembers<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de> Deserialize<'de> for RawMembers<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = RawMembers<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(8);
                while let Some(entry) = map.next_entry()? {
                    members.push(entry);
                }
                Ok(RawMembers(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_kept_as_written() {
        let object =
            Object::parse(r#"{ "a" : 1.0e5 , "b":{"z":1,"y":2},"c":"\u0041" }"#, Keys::Exact).unwrap();
        assert_eq!(object.get("a"), Some("1.0e5"));
        assert_eq!(object.get("b"), Some(r#"{"z":1,"y":2}"#));
        assert_eq!(object.get_text("c").as_deref(), Some("A"));
        assert_eq!(object.get_text("a"), None);
    }

    #[test]
    fn an_escaped_key_is_the_key_it_stands_for() {
        let object = Object::parse(r#"{"n\u0061me":1}"#, Keys::Exact).unwrap();
        assert_eq!(object.get("name"), Some("1"));
        assert_eq!(object.members()[0].key_text, r#""n\u0061me""#);
    }

    #[test]
    fn refuses_a_key_that_occurs_twice_in_any_spelling() {
        for text in [r#"{"a":1,"a":2}"#, r#"{"a":1,"\u0061":2}"#] {
            assert_eq!(Object::parse(text, Keys::Exact), Err(ObjectError::Duplicate("a".into())), "{text}");
        }
        let many: Vec<String> = (0..40).map(|n| format!("\"k{}\":0", n % 39)).collect();
        let text = format!("{{{}}}", many.join(","));
        assert_eq!(Object::parse(&text, Keys::Exact), Err(ObjectError::Duplicate("k0".into())));
    }

    #[test]
    fn folded_keys_refuse_what_a_server_may_take_for_the_same() {
        for text in
            [r#"{"name":1,"NAME":2}"#, "{\"params\":1,\"param\u{17f}\":2}", "{\"k\":1,\"\u{212a}\":2}"]
        {
            assert!(Object::parse(text, Keys::Folded).is_err(), "{text}");
            assert!(Object::parse(text, Keys::Exact).is_ok(), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_not_one_object() {
        for text in ["", "[]", "1", "null", "{", "{} {}", r#"{"a"}"#, r#"{"a":}"#, r#"{"a":01}"#, "{a:1}"] {
            assert!(Object::parse(text, Keys::Exact).is_err(), "{text}");
        }
    }

    #[test]
    fn splits_an_array_into_raw_elements() {
        assert_eq!(elements("[1.0, {\"a\":2} ,\"x\"]"), Some(vec!["1.0", "{\"a\":2}", "\"x\""]));
        assert_eq!(elements("{}"), None);
    }

    #[test]
    fn a_cut_never_splits_a_character() {
        assert_eq!(cut("aé", 2), "a");
        assert_eq!(cut("aé", 3), "aé");
    }

    #[test]
    fn what_may_be_there_is_never_missed() {
        for raw in [
            r#"{"requestState":1}"#,
            r#"{"RequestSTATE":1}"#,
            r#"{"request\u0053tate":1}"#,
            r#""qrequeststate""#,
        ] {
            assert!(may_hold(raw, "requestState"), "{raw}");
        }
        for raw in ["", "{}", r#"{"request":"State"}"#, r#"{"q":"questState"}"#, "qqq", "requestStat"] {
            assert!(!may_hold(raw, "requestState"), "{raw}");
        }
    }
}
