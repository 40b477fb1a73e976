//! What an attempt is aimed at: paths, addresses and processes, told by whoever asks.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;

/// `KEY=VALUE` pairs; which keys an attempt needs stands in the catalogue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    values: BTreeMap<String, String>,
    aims: RefCell<BTreeSet<String>>,
}

/// Why an attempt has nothing to aim at, in words.
pub type Missing = String;

impl Targets {
    /// The targets written as `KEY=VALUE`.
    ///
    /// # Errors
    /// A text for people if one has no `=`.
    pub fn parse<'a>(pairs: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut targets = Self::default();
        for pair in pairs {
            let (key, value) = pair.split_once('=').ok_or_else(|| format!("{pair:?} is not KEY=VALUE"))?;
            targets.set(key, value);
        }
        Ok(targets)
    }

    /// Sets one target.
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        self.values.insert(key.to_owned(), value.into());
    }

    /// All targets, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The target called `key`.
    ///
    /// # Errors
    /// [`Missing`] if it was not given.
    pub fn text(&self, key: &str) -> Result<&str, Missing> {
        self.aims.borrow_mut().insert(key.to_owned());
        self.values.get(key).map(String::as_str).ok_or_else(|| format!("needs the target {key}=..."))
    }

    /// The keys that were asked for: what the attempt was aimed at.
    #[must_use]
    pub fn aims(&self) -> Vec<String> {
        self.aims.borrow().iter().cloned().collect()
    }

    /// The target called `key` as a number.
    ///
    /// # Errors
    /// [`Missing`] if it was not given or is no number.
    pub fn number(&self, key: &str) -> Result<i64, Missing> {
        self.text(key)?.parse().map_err(|_| format!("the target {key} is not a number"))
    }

    /// The target called `key` as a path for the kernel, with `rest` appended.
    ///
    /// # Errors
    /// [`Missing`] if it was not given or holds a NUL.
    pub fn path(&self, key: &str, rest: &str) -> Result<CString, Missing> {
        let text = format!("{}{rest}", self.text(key)?);
        CString::new(text).map_err(|_| format!("the target {key} holds a NUL"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_pairs_and_keeps_equal_signs_of_the_value() {
        let targets = Targets::parse(["secret=/a=b", "victim=12"]).unwrap();
        assert_eq!(targets.text("secret"), Ok("/a=b"));
        assert_eq!(targets.number("victim"), Ok(12));
    }

    #[test]
    fn what_was_asked_for_is_remembered() {
        let targets = Targets::parse(["secret=/a", "victim=12"]).unwrap();
        let _ = (targets.text("secret"), targets.number("tcp"));
        assert_eq!(targets.aims(), ["secret", "tcp"]);
    }

    #[test]
    fn a_missing_target_says_its_name() {
        assert_eq!(Targets::default().text("tcp"), Err("needs the target tcp=...".into()));
        assert!(Targets::parse(["no pair"]).is_err());
    }
}
