//! Our YAML reader against `serde_yaml`, another parser by other people: where both read a text, they read the same.

use only1mcp_policy::document::node::{Node, Value as Ours};
use only1mcp_policy::document::{self, Source};
use only1mcp_policy::finding::Findings;
use serde_yaml::Value as Theirs;

/// Longest text that both read: theirs needs quadratic time for some.
pub const TEXT_BYTES_MAX: usize = 2048;

/// What came of one text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opinion {
    /// Both read it and agree.
    Same,
    /// Neither reads it, or it is not for this test.
    Refused,
    /// Ours is stricter, for a reason of [`STRICTER`].
    Stricter(&'static str),
    /// A difference of [`KNOWN`] or one that nobody knows.
    Different(String),
}

/// The bytes are a document.
///
/// # Panics
/// If the two differ and it is not known why.
pub fn holds(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Opinion::Different(how) = compare(text) {
        panic!("{how} in {text:?}");
    }
}

/// Reads a text twice.
#[must_use]
pub fn compare(text: &str) -> Opinion {
    let mut findings = Findings::default();
    if text.len() > TEXT_BYTES_MAX {
        return Opinion::Refused;
    }
    let ours = document::read(&Source { path: "t.yaml".to_owned(), text: text.to_owned() }, &mut findings);
    let theirs = serde_yaml::from_str::<Theirs>(text);
    match (ours, theirs) {
        (Some(ours), Ok(theirs)) => match difference(&ours, &theirs) {
            None => Opinion::Same,
            Some(how) => Opinion::Different(how),
        },
        (None, Ok(_)) => Opinion::Different(format!("STRICT {}", findings.to_text())),
        (Some(_), Err(error)) => Opinion::Different(format!("only ours reads it ({error})")),
        (None, Err(_)) => Opinion::Refused,
    }
}

fn difference(ours: &Node, theirs: &Theirs) -> Option<String> {
    let same = match (&ours.value, theirs) {
        (Ours::Null, Theirs::Null) => true,
        (Ours::Switch(ours), Theirs::Bool(theirs)) => ours == theirs,
        (Ours::Integer(ours), Theirs::Number(theirs)) => {
            theirs.as_i64().map(i128::from).or(theirs.as_u64().map(i128::from)) == Some(*ours)
        }
        (Ours::Other(_), Theirs::Number(theirs)) => theirs.is_f64(),
        (Ours::Text(ours), Theirs::String(theirs)) => ours == theirs,
        (Ours::List(ours), Theirs::Sequence(theirs)) => {
            return match ours.len() == theirs.len() {
                true => ours.iter().zip(theirs).find_map(|(ours, theirs)| difference(ours, theirs)),
                false => Some(format!("{ours:?} is {theirs:?}")),
            };
        }
        (Ours::Map(ours), Theirs::Mapping(theirs)) => {
            if ours.len() != theirs.len() {
                return Some(format!("{ours:?} is {theirs:?}"));
            }
            return ours.iter().zip(theirs).find_map(|(ours, (key, value))| {
                match key.as_str() == Some(&ours.key) {
                    true => difference(&ours.node, value),
                    false => Some(format!("the key {:?} is {key:?}", ours.key)),
                }
            });
        }
        _ => false,
    };
    (!same).then(|| format!("{:?} is {theirs:?}", ours.value))
}
