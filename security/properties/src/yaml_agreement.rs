//! Our YAML reader against `serde_yaml`, another parser by other people: where both read a text, they read the same.

use only1mcp_policy::document::node::{Node, Value as Ours};
use only1mcp_policy::document::{self, Source};
use only1mcp_policy::finding::Findings;
use serde_yaml::Value as Theirs;

/// Longest text that both read: theirs needs quadratic time for some.
pub const TEXT_BYTES_MAX: usize = 2048;

/// Where ours is stricter on purpose: what its refusal says, and why it is so.
pub const STRICTER: [(&str, &str); 21] = [
    ("anchors (`&name`) are", "no anchors"),
    ("aliases (`*name`) are", "no aliases"),
    ("merge keys (`<<`) are", "no merge keys"),
    ("tags (`!name`) are", "no tags"),
    ("true or false in YAML 1.1 and text in YAML 1.2", "no booleans of YAML 1.1"),
    ("directives (`%NAME`) are", "no directives"),
    ("a tab at the beginning of a line", "no tabs as indentation"),
    ("a text to some readers of YAML and a key to others", "no text that begins with ?"),
    // Malformed ones of either.
    (" anchor", "no anchors"),
    (" tag", "no tags"),
    ("(U+", "no characters that hide text"),
    ("a number whose base not every reader knows", "no numbers of another base than ten"),
    ("non-finite float", "no endless numbers"),
    ("cannot deserialize null into string", "a key is text"),
    ("expected string scalar", "a key is no list and no mapping"),
    ("plain scalar cannot start with '-' followed by", "a - in brackets is no text"),
    (" bracket", "brackets match"),
    ("unclosed quote", "quotes are closed"),
    ("while scanning a block scalar", "behind | and > stands nothing but a remark"),
    ("comments must be separated", "a remark has a blank before it"),
    ("simple key expected ':'", "a block text starts where its key stands"),
];
/// What ours alone reads: what they say about it, and why it does no harm.
pub const ONLY_OURS: [(&str, &str); 7] = [
    // Out of range wherever a number may stand: the checker says so with line and column.
    (" as i128, expected any YAML value", "a number of more than 64 bits"),
    (" as u128, expected any YAML value", "a number of more than 64 bits"),
    // Its lines are joined by a blank, and no key of ours has one.
    ("while parsing a flow mapping", "a key over several lines in braces"),
    // Both are text that no key or value of ours can be; neither reader takes it for something else.
    ("while parsing a flow node", "a word that begins with a colon in brackets"),
    ("found unexpected ':'", "a colon before a bracket"),
    // At the beginning of a line, where it could be taken for indentation, it is refused.
    ("found character that cannot start any token", "a tab between two words"),
    ("while parsing a block node", "the end of a document before its beginning"),
];
/// Ours ends the last line of a block text, as all others of it; theirs leaves it as the file ends.
pub const UNENDED: &str = "a block text at the end of a file that lacks its last line end";
/// No document of ours is a text: the checker wants a mapping.
pub const ONLY_TEXT: &str = "a document that is one text and nothing else";

/// What came of one text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opinion {
    /// Both read it and agree.
    Same,
    /// Neither reads it, or it is too long for this test.
    Refused,
    /// Ours alone refuses it, for these reasons of [`STRICTER`].
    Stricter(Vec<&'static str>),
    /// Ours alone refuses it, and the reason has no name here. That does no harm, but somebody should look.
    Unnamed(String),
    /// They differ as is known, for this reason.
    Known(&'static str),
    /// They differ and nobody knows why.
    Different(String),
}

/// The bytes are a document. To refuse what another reads is always safe; of made-up documents the test
/// `two_readers_of_yaml_agree_on_what_both_read` demands a name for every such reason.
///
/// # Panics
/// If the two read it differently, or ours alone reads it, and it is not known why.
pub fn holds(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let opinion = compare(text);
    assert!(!matches!(opinion, Opinion::Different(_)), "{opinion:?} about {text:?}");
}

/// Reads a text twice.
#[must_use]
pub fn compare(text: &str) -> Opinion {
    if text.len() > TEXT_BYTES_MAX {
        return Opinion::Refused;
    }
    let mut findings = Findings::default();
    let ours = document::read(&Source { path: "t.yaml".to_owned(), text: text.to_owned() }, &mut findings);
    let theirs = serde_yaml::from_str::<Theirs>(text);
    match (ours, theirs) {
        (Some(ours), Ok(theirs)) => match difference(&ours, &theirs) {
            None => Opinion::Same,
            Some(_) if !text.ends_with('\n') && compare(&format!("{text}\n")) == Opinion::Same => {
                Opinion::Known(UNENDED)
            }
            Some(_) if matches!(ours.value, Ours::Text(_)) => Opinion::Known(ONLY_TEXT),
            Some(how) => Opinion::Different(how),
        },
        (None, Ok(_)) => stricter(&findings),
        (Some(Node { value: Ours::Text(_), .. }), Err(_)) => Opinion::Known(ONLY_TEXT),
        (Some(_), Err(error)) => only_ours(&error.to_string()),
        (None, Err(_)) => Opinion::Refused,
    }
}

fn only_ours(error: &str) -> Opinion {
    match ONLY_OURS.iter().find(|(said, _)| error.contains(said)) {
        Some((_, why)) => Opinion::Known(why),
        None => Opinion::Different(format!("only ours reads it ({error})")),
    }
}

/// The reasons for our refusals, if each has one.
fn stricter(findings: &Findings) -> Opinion {
    let reason =
        |message: &str| STRICTER.iter().find(|(said, _)| message.contains(said)).map(|(_, why)| *why);
    let reasons =
        findings.sorted().into_iter().map(|finding| reason(&finding.message)).collect::<Option<Vec<_>>>();
    match reasons {
        Some(reasons) if !reasons.is_empty() => Opinion::Stricter(reasons),
        _ => Opinion::Unnamed(format!("only ours refuses it ({})", findings.to_text())),
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
            return ours.iter().zip(theirs).find_map(|(ours, (key, value))| match same_key(&ours.key, key) {
                true => difference(&ours.node, value),
                false => Some(format!("the key {:?} is {key:?}", ours.key)),
            });
        }
        _ => false,
    };
    (!same).then(|| format!("{:?} is {theirs:?}", ours.value))
}

/// Ours takes every key as the text that was written; theirs reads `1:` and `true:` as a number and a truth value.
fn same_key(ours: &str, theirs: &Theirs) -> bool {
    match theirs {
        Theirs::String(theirs) => ours == theirs,
        Theirs::Number(_) | Theirs::Bool(_) => {
            serde_yaml::from_str::<Theirs>(ours).is_ok_and(|read| read == *theirs)
        }
        _ => false,
    }
}
