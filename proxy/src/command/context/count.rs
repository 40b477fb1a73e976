//! Counts tokens by the vocabularies models are trained with. Only `only1mcp context` does: a vocabulary takes tens of
//! MiB, which the proxy does not have to spare.

use crate::context::definition::Definition;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::iter::Sum;
use std::ops::Add;
use tiktoken_rs::{CoreBPE, cl100k_base_singleton, o200k_base_singleton};

/// The crate that has the vocabularies, and its version.
pub const VOCABULARY_SOURCE: &str = "tiktoken-rs 0.12.1";

/// What a host puts before a model of a definition, in this order. Annotations and the schema of results are for hosts.
const READ_BY_MODELS: [&str; 3] = ["name", "description", "inputSchema"];

/// A vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vocabulary {
    /// Of GPT-4o and later.
    O200k,
    /// Of GPT-4.
    Cl100k,
}

/// What definitions cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Tokens of `o200k_base` that a model reads: of name, description and input schema, as JSON without blanks.
    pub o200k: usize,
    /// The same in tokens of `cl100k_base`.
    pub cl100k: usize,
    /// Bytes of the whole definition as it is listed.
    pub bytes: usize,
}

impl Vocabulary {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::O200k => "o200k_base",
            Self::Cl100k => "cl100k_base",
        }
    }

    /// Tokens of a text.
    #[must_use]
    pub fn count(self, text: &str) -> usize {
        // Each is built when it is first asked for, and once.
        let tokenizer = match self {
            Self::O200k => o200k_base_singleton(),
            Self::Cl100k => cl100k_base_singleton(),
        };
        count(tokenizer, text)
    }
}

/// Some texts, such as a MiB of blanks, are too much for the tokenizer: their halves are counted then, which is right but
/// for one token or two.
fn count(tokenizer: &CoreBPE, text: &str) -> usize {
    if let Ok(tokens) = tokenizer.count(text, &HashSet::new()) {
        return tokens;
    }
    let middle = (text.len() / 2..text.len()).find(|at| text.is_char_boundary(*at));
    match middle.and_then(|middle| text.split_at_checked(middle)) {
        Some((front, back)) if !front.is_empty() => count(tokenizer, front) + count(tokenizer, back),
        _ => text.chars().count(),
    }
}

impl Cost {
    /// Of one definition.
    #[must_use]
    pub fn of(raw: &str) -> Self {
        let read = read_by_models(raw);
        let [o200k, cl100k] =
            [Vocabulary::O200k, Vocabulary::Cl100k].map(|vocabulary| vocabulary.count(&read));
        Self { o200k, cl100k, bytes: raw.len() }
    }
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            o200k: self.o200k + other.o200k,
            cl100k: self.cl100k + other.cl100k,
            bytes: self.bytes + other.bytes,
        }
    }
}

impl Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::default(), Add::add)
    }
}

/// What a model reads of a definition; all of it if it cannot be read.
fn read_by_models(raw: &str) -> String {
    let Some(definition) = Definition::parse(raw) else { return raw.to_owned() };
    let member = |name: &str| definition.members().get(name).map(|value| (name.to_owned(), value.clone()));
    Value::Object(READ_BY_MODELS.into_iter().filter_map(member).collect::<Map<_, _>>()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFINITION: &str = r#"{
        "name": "files__read", "title": "Read a file", "inputSchema": {"type": "object", "properties":
        {"path": {"type": "string"}}}, "description": "Read a file.", "annotations": {"readOnlyHint": true}
    }"#;

    #[test]
    fn a_model_reads_three_members_without_blanks_between_them() {
        assert_eq!(
            read_by_models(DEFINITION),
            r#"{"name":"files__read","description":"Read a file.","inputSchema":{"type":"object","properties":{"path":{"type":"string"}}}}"#
        );
        assert_eq!(read_by_models(r#"{"name":"a","outputSchema":{}}"#), r#"{"name":"a"}"#);
        assert_eq!(read_by_models("[1]"), "[1]");
    }

    #[test]
    fn tokens_are_those_of_the_vocabularies() {
        for (text, o200k, cl100k) in
            [("", 0, 0), ("hello world", 2, 2), ("Read a file.", 4, 4), ("天气预报", 3, 5)]
        {
            let counted = (Vocabulary::O200k.count(text), Vocabulary::Cl100k.count(text));
            assert_eq!(counted, (o200k, cl100k), "{text}");
        }
        // As the model of this vocabulary reads it: 29 pieces.
        let pieces = r#"{"|name|":"|files|__|read|","|description|":"|Read| a| file|.","|input|Schema|":{"|type|":"|object|","|properties|":{"|path|":{"|type|":"|string|"}}|}}"#;
        let split = o200k_base_singleton().split_by_token_ordinary(&read_by_models(DEFINITION)).unwrap();
        assert_eq!(split.join("|"), pieces);
        assert_eq!(Cost::of(DEFINITION), Cost { o200k: 29, cl100k: 29, bytes: DEFINITION.len() });
        // With what hosts keep for themselves it would be more.
        assert!(Vocabulary::O200k.count(DEFINITION) > 29);
    }

    #[test]
    fn words_that_steer_a_model_are_counted_as_text() {
        assert!(Vocabulary::O200k.count("<|endoftext|>") > 1);
    }

    #[test]
    fn no_text_is_too_much() {
        for text in [" ", "a", "A", "1", "\u{301}", "aA", "\"", "天", "\n", "a1 ", " \u{a0}", "<|endoftext|>"]
        {
            let long = text.repeat(16 * 1024);
            for vocabulary in [Vocabulary::O200k, Vocabulary::Cl100k] {
                let tokens = vocabulary.count(&long);
                assert!(tokens > 0 && tokens <= long.len(), "{text:?}: {tokens}");
            }
        }
        let refused = " ".repeat(1024 * 1024) + "x";
        assert!(o200k_base_singleton().count(&refused, &HashSet::new()).is_err());
        assert!((8_000..9_000).contains(&Vocabulary::O200k.count(&refused)));
    }

    #[test]
    fn the_source_of_the_vocabularies_is_the_one_that_is_locked() {
        let lock = include_str!("../../../../Cargo.lock");
        let (name, version) = VOCABULARY_SOURCE.split_once(' ').unwrap();
        assert!(lock.contains(&format!("name = \"{name}\"\nversion = \"{version}\"\n")));
    }
}
