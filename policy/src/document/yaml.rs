//! YAML text becomes a tree. A pass over the parser's events first refuses what no document of ours
//! needs: anchors, aliases, merge keys, tags, several documents and the booleans of YAML 1.1; and what two
//! readers of YAML understand differently, as `security/properties` found.

use super::node::{Entry, Node, Value};
use crate::finding::{Findings, Place};
use crate::limits::{DOCUMENT_BYTES_MAX, DOCUMENT_DEPTH_MAX, DOCUMENT_NODES_MAX};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span};
use serde_saphyr::{DuplicateKeyPolicy, MergeKeyPolicy, Options, Spanned};
use std::fmt;

/// Words that YAML 1.1 reads as true or false and YAML 1.2 as text.
const OLD_BOOLEANS: [&str; 4] = ["yes", "no", "on", "off"];

/// Reads `text`. `None` means that an error was found.
pub fn read(file: &str, text: &str, findings: &mut Findings) -> Option<Node> {
    let before = findings.error_count();
    refuse_beginnings(file, text, findings);
    refuse_features(file, text, findings);
    if findings.error_count() > before {
        return None;
    }
    match serde_saphyr::from_str_with_options::<Spanned<Tree>>(text, options()) {
        Ok(tree) => Some(tree.value.place(file, &tree.referenced)),
        Err(error) => {
            let (message, help) = explain(&error);
            let location = error.location().unwrap_or(serde_saphyr::Location::UNKNOWN);
            findings.error(&place(file, &location), message, help);
            None
        }
    }
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DOCUMENT_DEPTH_MAX + 1,
            max_nodes: DOCUMENT_NODES_MAX,
            max_documents: 1,
            max_anchors: 0,
            max_aliases: 0,
            max_merge_keys: 0,
            max_total_scalar_bytes: DOCUMENT_BYTES_MAX,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

/// The parser's error in our words where it is a common one.
fn explain(error: &serde_saphyr::Error) -> (String, &'static str) {
    let message = error.without_snippet().to_string();
    // The place stands in front of our message already.
    let message = message.split(" at line ").next().unwrap_or_default();
    let message = message.split(", set DuplicateKeyPolicy").next().unwrap_or_default().to_owned();
    let help = if message.contains("duplicate") {
        "keep one of the two"
    } else {
        "see that keys are indented alike and that brackets and quotes are closed"
    };
    (message, help)
}

/// Refuses directives, and tabs before the first word of a line: some readers of YAML take such a tab for
/// indentation, some for a blank, some refuse it.
fn refuse_beginnings(file: &str, text: &str, findings: &mut Findings) {
    for (row, line) in text.lines().enumerate() {
        let blank = line.bytes().take_while(|byte| matches!(byte, b' ' | b'\t'));
        if let Some(column) = blank.enumerate().find_map(|(column, byte)| (byte == b'\t').then_some(column)) {
            let place = Place { file: file.into(), line: small(row + 1), column: small(column + 1) };
            let help = "indent with spaces; in a text in double quotes write \\t";
            findings.error(&place, "a tab at the beginning of a line is not allowed", help);
        }
        if line.starts_with('%') {
            let place = Place { file: file.into(), line: small(row + 1), column: 1 };
            findings.error(&place, "directives (`%NAME`) are not allowed here", "remove the line");
        }
    }
}

fn refuse_features(file: &str, text: &str, findings: &mut Findings) {
    let (mut depth, mut documents) = (0_usize, 0_usize);
    for next in Parser::new_from_str(text) {
        // A broken text is reported by the reader proper.
        let Ok((event, span)) = next else { return };
        let mut refuse = |what: &str, help: &str| {
            findings.error(&place_of(file, &span), format!("{what} not allowed here"), help);
        };
        match &event {
            Event::DocumentStart(..) => {
                documents += 1;
                if documents > 1 {
                    refuse("a second document in one file is", "keep one document, without a second `---`");
                }
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                refuse("aliases (`*name`) are", "write the value out");
            }
            Event::Scalar(value, ScalarStyle::Plain, ..) if value == "<<" => {
                refuse("merge keys (`<<`) are", "write the keys out");
            }
            Event::Scalar(value, ScalarStyle::Plain, ..) if is_old_boolean(value) => refuse(
                &format!("`{value}` without quotes, true or false in YAML 1.1 and text in YAML 1.2, is"),
                "write true or false, or put the text in quotes",
            ),
            Event::Scalar(value, ScalarStyle::Plain, ..) if is_of_another_base(value) => refuse(
                &format!("`{value}`, a number whose base not every reader knows, is"),
                "write the number with decimal digits, or put the text in quotes",
            ),
            Event::Scalar(value, ScalarStyle::Plain, ..) if value.starts_with('?') => refuse(
                &format!("`{value}` without quotes, a text to some readers of YAML and a key to others, is"),
                "put the text in quotes",
            ),
            Event::SequenceStart(..) | Event::MappingStart(..) => depth += 1,
            Event::SequenceEnd | Event::MappingEnd => depth = depth.saturating_sub(1),
            _ => {}
        }
        refuse_properties(&event, &mut refuse);
        if depth > DOCUMENT_DEPTH_MAX {
            refuse("nesting this deep is", "no document of only1mcp needs more than seven levels");
            return;
        }
    }
}

fn refuse_properties(event: &Event<'_>, refuse: &mut impl FnMut(&str, &str)) {
    let (anchor, tag) = match event {
        Event::Scalar(_, _, anchor, tag)
        | Event::SequenceStart(_, anchor, tag)
        | Event::MappingStart(_, anchor, tag) => (*anchor, tag.is_some()),
        _ => return,
    };
    if anchor != 0 {
        refuse("anchors (`&name`) are", "write the value out where it is needed");
    }
    if tag {
        refuse("tags (`!name`) are", "remove the tag; put text in quotes");
    }
}

/// `0x1f`, `0o17`, `0b11`: numbers to some readers, texts to others.
fn is_of_another_base(value: &str) -> bool {
    let digits = value.trim_start_matches(['+', '-']);
    let bases = [("0x", 16), ("0X", 16), ("0o", 8), ("0O", 8), ("0b", 2), ("0B", 2)];
    bases.iter().any(|(prefix, base)| {
        let rest = digits.strip_prefix(prefix).unwrap_or_default();
        !rest.is_empty() && rest.chars().all(|digit| digit == '_' || digit.is_digit(*base))
    })
}

fn is_old_boolean(text: &str) -> bool {
    OLD_BOOLEANS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

fn small(number: impl TryInto<u32>) -> u32 {
    number.try_into().unwrap_or(u32::MAX)
}

fn place_of(file: &str, span: &Span) -> Place {
    Place { file: file.into(), line: small(span.start.line()), column: small(span.start.col() + 1) }
}

fn place(file: &str, location: &serde_saphyr::Location) -> Place {
    Place { file: file.into(), line: small(location.line()), column: small(location.column()) }
}

/// What serde hands us: a tree whose nodes are wrapped in the parser's own place type.
enum Tree {
    Scalar(Value),
    List(Vec<Spanned<Tree>>),
    Map(Vec<(Spanned<String>, Spanned<Tree>)>),
}

impl Tree {
    fn place(self, file: &str, at: &serde_saphyr::Location) -> Node {
        let value = match self {
            Self::Scalar(value) => value,
            Self::List(items) => {
                Value::List(items.into_iter().map(|item| item.value.place(file, &item.referenced)).collect())
            }
            Self::Map(entries) => Value::Map(
                entries
                    .into_iter()
                    .map(|(key, item)| Entry {
                        place: place(file, &key.referenced),
                        key: key.value,
                        node: item.value.place(file, &item.referenced),
                    })
                    .collect(),
            ),
        };
        Node { value, place: place(file, at) }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Switch(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Integer(value.into())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Integer(value.into())))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Integer(value)))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Integer(i128::try_from(value).unwrap_or(i128::MAX))))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Other("a number with a point or an exponent")))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Text(value.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        Tree::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Tree::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Tree, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Tree::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        let mut findings = Findings::default();
        assert!(read("t.yaml", text, &mut findings).is_none(), "{text} was accepted");
        findings.to_text()
    }

    #[test]
    fn every_value_knows_its_line_and_column() {
        let mut findings = Findings::default();
        let node = read("t.yaml", "a: 1\nb:\n  - x\n  - {c: true}\n", &mut findings).unwrap();
        let Value::Map(entries) = node.value else { panic!("not a map") };
        assert_eq!((entries[1].place.line, entries[1].place.column), (2, 1));
        let Value::List(items) = &entries[1].node.value else { panic!("not a list") };
        assert_eq!((items[1].place.line, items[1].place.column), (4, 5));
        let Value::Map(inner) = &items[1].value else { panic!("not a map") };
        assert_eq!(inner[0].node.value, Value::Switch(true));
    }

    #[test]
    fn y02_a_key_given_twice_is_an_error() {
        let text = refusal("a: 1\nb: 2\na: 3\n");
        assert!(text.contains("t.yaml:3:1") && text.contains("duplicate"), "{text}");
    }

    #[test]
    fn y03_words_of_yaml_1_1_are_not_booleans() {
        for word in ["no", "NO", "yes", "on", "Off"] {
            assert!(refusal(&format!("net: {word}\n")).contains("t.yaml:1:6"), "{word}");
        }
    }

    #[test]
    fn y04_an_alias_bomb_is_refused_at_its_first_anchor() {
        let bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n";
        assert!(refusal(bomb).contains("anchors (`&name`) are not allowed here"));
    }

    #[test]
    fn y05_deep_nesting_is_an_error_and_quick() {
        let start = std::time::Instant::now();
        let text = refusal(&"[".repeat(60_000));
        assert!(!text.is_empty());
        assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
        assert!(refusal(&format!("{}{}", "[".repeat(14), "]".repeat(14))).contains("nesting this deep"));
    }

    #[test]
    fn y06_features_that_no_document_needs_are_refused() {
        for (text, what) in [
            ("a: &x 1\n", "anchors"),
            ("a: !!binary aGk=\n", "tags"),
            ("a: !include other.yaml\n", "tags"),
            ("a: *x\n", "alias"),
            ("<<: {b: 1}\n", "merge keys"),
            ("a: 1\n---\nb: 2\n", "second document"),
            ("a:\n \tb: 1\n", "t.yaml:2:2: a tab at the beginning of a line"),
            ("a: [?b]\n", "`?b` without quotes"),
            ("a: 0X1F\n", "`0X1F`, a number whose base not every reader knows"),
            ("%YAML 1.1\n---\na: 1\n", "t.yaml:1:1: directives"),
        ] {
            let said = refusal(text);
            assert!(said.contains(what), "{text}: {said}");
        }
    }
}
