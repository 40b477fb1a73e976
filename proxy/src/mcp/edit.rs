//! Changes single members of a raw object; all others keep their bytes and their order.

use super::object::{Object, quote};
use std::borrow::Cow;

/// Changes to one level of an object, applied by [`Edit::finish`].
#[derive(Debug)]
pub struct Edit<'a> {
    text: &'a str,
    members: Vec<Slot<'a>>,
    changed: bool,
}

#[derive(Debug)]
struct Slot<'a> {
    key: Cow<'a, str>,
    key_text: Cow<'a, str>,
    value: Cow<'a, str>,
}

impl<'a> Object<'a> {
    /// Starts changing a copy.
    #[must_use]
    pub fn edit(&self) -> Edit<'a> {
        let slot = |member: &super::object::Member<'a>| Slot {
            key: member.key.clone(),
            key_text: Cow::Borrowed(member.key_text),
            value: Cow::Borrowed(member.value),
        };
        Edit { text: self.text(), members: self.members().iter().map(slot).collect(), changed: false }
    }
}

impl<'a> Edit<'a> {
    /// Gives `key` the raw value `value`: in its place if it is there, else at the end.
    pub fn set(&mut self, key: &str, value: impl Into<Cow<'a, str>>) -> &mut Self {
        let value = value.into();
        match self.members.iter_mut().find(|slot| slot.key == key) {
            Some(slot) if slot.value == value => return self,
            Some(slot) => slot.value = value,
            None => self.members.push(Slot {
                key: Cow::Owned(key.to_owned()),
                key_text: Cow::Owned(quote(key)),
                value,
            }),
        }
        self.changed = true;
        self
    }

    /// Gives `key` the raw value `value` unless it is there.
    pub fn set_absent(&mut self, key: &str, value: impl Into<Cow<'a, str>>) -> &mut Self {
        if self.members.iter().any(|slot| slot.key == key) { self } else { self.set(key, value) }
    }

    /// Takes `key` away.
    pub fn remove(&mut self, key: &str) -> &mut Self {
        let before = self.members.len();
        self.members.retain(|slot| slot.key != key);
        self.changed |= self.members.len() != before;
        self
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The object with its changes; the very same text if there are none.
    #[must_use]
    pub fn finish(&self) -> Cow<'a, str> {
        if !self.changed {
            return Cow::Borrowed(self.text);
        }
        let mut out = String::with_capacity(self.text.len() + 128);
        out.push('{');
        for (index, slot) in self.members.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            out.push_str(&slot.key_text);
            out.push(':');
            out.push_str(&slot.value);
        }
        out.push('}');
        Cow::Owned(out)
    }
}

#[cfg(test)]
mod tests {
    use super::super::object::Keys;
    use super::*;

    fn edited(text: &str, change: impl FnOnce(&mut Edit<'_>)) -> String {
        let object = Object::parse(text, Keys::Exact).unwrap();
        let mut edit = object.edit();
        change(&mut edit);
        edit.finish().into_owned()
    }

    #[test]
    fn edits_touch_only_the_member_they_name() {
        let text =
            r#"{"z":1.0e0,"name":"old","a":[1, 2],"\u0062":00000000000000000000}"#.replace("00000", "12345");
        type Case = (fn(&mut Edit<'_>), &'static str);
        let cases: [Case; 5] = [
            (
                |e| {
                    e.set("name", r#""new""#);
                },
                r#""name":"new","a""#,
            ),
            (
                |e| {
                    e.set("extra", "7");
                },
                r#","extra":7}"#,
            ),
            (
                |e| {
                    e.remove("name");
                },
                r#"{"z":1.0e0,"a":[1, 2],"\u0062""#,
            ),
            (
                |e| {
                    e.remove("z");
                },
                r#"{"name":"old","a""#,
            ),
            (
                |e| {
                    e.remove("b");
                },
                r#""a":[1, 2]}"#,
            ),
        ];
        for (change, expected) in cases {
            let after = edited(&text, change);
            assert!(after.contains(expected), "{after} should hold {expected}");
            assert!(serde_json::from_str::<serde_json::Value>(&after).is_ok(), "{after}");
        }
    }

    #[test]
    fn without_a_change_the_text_is_the_very_same() {
        let text = "{ \"a\" : 1 }";
        assert_eq!(
            edited(text, |e| {
                e.remove("none").set("a", "1").set_absent("a", "2");
            }),
            text
        );
    }

    #[test]
    fn an_empty_object_can_grow_and_a_full_one_can_empty() {
        assert_eq!(
            edited("{}", |e| {
                e.set("a\"b", "1");
            }),
            r#"{"a\"b":1}"#
        );
        assert_eq!(
            edited(r#"{"a":1}"#, |e| {
                e.remove("a");
            }),
            "{}"
        );
    }
}
