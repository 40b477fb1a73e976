//! Documents as written: text becomes a tree that knows its places, and the tree becomes what an
//! operator said, with nothing filled in. [`keys`] lists every key there is.

pub mod config;
pub mod context;
pub mod keys;
pub mod node;
pub mod policy;
pub mod pool;
pub mod reader;
pub mod toml;
pub mod units;
pub mod yaml;

use crate::finding::{Findings, Place};
use crate::limits::DOCUMENT_BYTES_MAX;
use node::Node;

/// A document's text and where it came from.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file's path, or a name in angle brackets for a document of our own.
    pub path: String,
    /// What it holds.
    pub text: String,
}

/// Reads YAML, or TOML if the path ends so. `None` means that an error was found.
pub fn read(source: &Source, findings: &mut Findings) -> Option<Node> {
    let Source { path, text } = source;
    if text.len() > DOCUMENT_BYTES_MAX {
        let message = format!("the file has {} bytes, more than {DOCUMENT_BYTES_MAX}", text.len());
        findings.error(&Place::whole(path), message, "move policies into files of their own");
        return None;
    }
    if !refuse_characters(path, text, findings) {
        return None;
    }
    let is_toml = std::path::Path::new(path).extension().is_some_and(|extension| extension == "toml");
    if is_toml { toml::read(path, text, findings) } else { yaml::read(path, text, findings) }
}

/// Refuses what a reader of the file would not see.
fn refuse_characters(path: &str, text: &str, findings: &mut Findings) -> bool {
    let mut clean = true;
    for (row, line) in text.split_inclusive('\n').enumerate() {
        // To YAML a carriage return alone ends a line; to most editors and terminals it does not.
        let line = line.strip_suffix("\r\n").or(line.strip_suffix('\n')).unwrap_or(line);
        for (column, c) in line.chars().enumerate() {
            let Some(what) = hidden(c) else { continue };
            let small = |number: usize| u32::try_from(number + 1).unwrap_or(u32::MAX);
            let place = Place { file: path.into(), line: small(row), column: small(column) };
            let message = format!("{what} (U+{:04X}) is not allowed here", u32::from(c));
            findings.error(&place, message, "remove the character; an editor may not show it");
            clean = false;
        }
    }
    clean
}

/// What `c` is, if it is a character that hides or reorders text.
pub(crate) fn hidden(c: char) -> Option<&'static str> {
    match c {
        '\u{feff}' => Some("a byte order mark"),
        '\t' => None,
        '\r' => Some("a carriage return that is not part of a line end"),
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}' => {
            Some("a character that changes the direction of text")
        }
        '\u{200b}'..='\u{200d}' | '\u{2060}' => Some("an invisible character"),
        '\u{85}' | '\u{2028}' | '\u{2029}' => Some("an unusual line end"),
        c if c.is_control() => Some("a control character"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn y06_characters_that_hide_text_are_refused_with_their_place() {
        for (text, at) in [
            ("\u{feff}a: 1", "1:1"),
            ("a: 1\nb: x\0y", "2:5"),
            ("a: '\u{202e}x'", "1:5"),
            ("a: \u{200b}", "1:4"),
            ("a: 1\r\n# what stands here\rb: is read\r\n", "2:19"),
            ("a: 1\r", "1:5"),
        ] {
            let mut findings = Findings::default();
            let source = Source { path: "t.yaml".into(), text: text.into() };
            assert!(read(&source, &mut findings).is_none(), "{text:?}");
            assert!(findings.to_text().contains(&format!("t.yaml:{at}:")), "{}", findings.to_text());
        }
    }

    #[test]
    fn a_document_over_64_kib_is_refused() {
        let mut findings = Findings::default();
        let source = Source { path: "t.yaml".into(), text: format!("#{}", "x".repeat(DOCUMENT_BYTES_MAX)) };
        assert!(read(&source, &mut findings).is_none());
    }
}
