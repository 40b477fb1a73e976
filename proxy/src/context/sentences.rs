//! Descriptions cut where a sentence ends: what a tool is for stays, and the rest as far as there is room.
//!
//! Works in linear time, because servers write descriptions of any length.

mod pieces;

use pieces::{Kind, Piece, ends_something, pieces};

/// How long a text may be, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// All of it.
    pub text: usize,
    /// Its first sentence, which stays whole up to here even if there is less room for the text.
    pub first_sentence: usize,
}

/// What becomes of sections such as `Args:` that say again what the schema says of each parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sections {
    /// They go first when there is not enough room.
    GoFirst,
    /// They are the only place where parameters are described.
    Stay,
}

/// The text in one line, without decoration, and no longer than there is room.
#[must_use]
pub fn shorten(text: &str, room: Room, sections: Sections) -> String {
    let text = visible(text);
    let mut pieces = pieces(&text, sections);
    if pieces.first().is_some_and(|piece| piece.kind != Kind::Repeat) {
        pieces.retain(|piece| piece.kind != Kind::Repeat);
    }
    let whole = join(&pieces, room.text.saturating_add(1));
    if whole.len() <= room.text {
        // A short list can become longer by its punctuation.
        return if whole.len() > text.trim().len() { text.trim().to_owned() } else { whole };
    }
    if pieces.iter().any(|piece| piece.kind != Kind::Aside) {
        pieces.retain(|piece| piece.kind != Kind::Aside);
    }
    cut(pieces, room)
}

/// The first sentence, and no more than `max` bytes of it.
#[must_use]
pub fn first_sentence(text: &str, max: usize) -> String {
    let text = visible(text);
    let mut pieces = pieces(&text, Sections::GoFirst);
    pieces.truncate(1);
    let Some(piece) = pieces.pop() else { return String::new() };
    fit(&piece.text, max)
}

/// Without characters that nobody sees: controls, those that turn the direction of writing, those without width.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => visible.push('\n'),
            '\t' | '\u{a0}' | '\u{2028}' | '\u{2029}' | '\u{85}' => visible.push(' '),
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' => {}
            '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' => {}
            _ if c.is_control() => {}
            _ => visible.push(c),
        }
    }
    visible
}

/// A name on one line, as it can be seen: two of them never look like two lines of ours.
#[must_use]
pub fn on_one_line(name: &str) -> String {
    visible(name).replace('\n', " ")
}

/// The pieces that there is room for.
fn cut(pieces: Vec<Piece>, room: Room) -> String {
    let count = pieces.len();
    let mut kept: Vec<Piece> = Vec::new();
    let mut length = 0;
    for mut piece in pieces {
        if kept.is_empty() {
            if piece.text.len() > room.text {
                piece.text = fit(&piece.text, room.first_sentence);
            }
        } else if length + piece.text.len() + "…".len() - 1 > room.text {
            break;
        }
        length += piece.text.len() + if piece.text.ends_with(ends_something) { 1 } else { 2 };
        kept.push(piece);
    }
    // A heading whose text did not fit.
    while kept.len() > 1 && kept.last().is_some_and(|piece| piece.text.ends_with(':')) {
        kept.pop();
    }
    let all = kept.len() == count;
    let mut text = join(&kept, usize::MAX);
    if !all && !text.ends_with('…') {
        text.truncate(text.trim_end_matches(['.', ';', ':', ' ']).len());
        text.push('…');
    }
    text
}

/// A sentence that is longer than `max`: without its examples in brackets, and cut between words if it must be.
fn fit(sentence: &str, max: usize) -> String {
    // One that was cut already stays: the sign stands where a full stop was.
    if sentence.len() <= max + if sentence.ends_with('…') { "…".len() - 1 } else { 0 } {
        return sentence.to_owned();
    }
    let shorter = without_examples(sentence, max.saturating_mul(4));
    let sentence = shorter.as_deref().unwrap_or(sentence);
    if sentence.len() <= max {
        return sentence.to_owned();
    }
    let start = start(sentence, max.saturating_sub("…".len()));
    // Scripts without blanks, and addresses, have no better place.
    let word_end = start.rfind(' ').filter(|at| *at >= start.len() / 2);
    let start = word_end.and_then(|at| start.get(..at)).unwrap_or(start);
    format!("{}…", start.trim_end_matches(|c: char| c.is_ascii_punctuation() || c == ' '))
}

/// The first bytes of a text, this many or less where a character would be divided.
#[must_use]
pub fn start(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    end.and_then(|end| text.get(..end)).unwrap_or_default()
}

/// Without `(e.g. …)`; nothing if it is too long to be looked at.
fn without_examples(sentence: &str, bytes_max: usize) -> Option<String> {
    if sentence.len() > bytes_max {
        return None;
    }
    let mut kept = String::with_capacity(sentence.len());
    let mut rest = sentence;
    while let Some((before, after)) = rest.split_once('(') {
        kept.push_str(before);
        let inner = after.trim_start();
        let example = ["e.g", "for example", "example", "such as", "like "]
            .iter()
            .any(|word| inner.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word)));
        match after.split_once(')') {
            Some((_, after)) if example => {
                kept.truncate(kept.trim_end().len());
                rest = after;
            }
            _ => {
                kept.push('(');
                rest = after;
            }
        }
    }
    kept.push_str(rest);
    Some(kept)
}

/// As one line. Stops when it is longer than `enough`.
fn join(pieces: &[Piece], enough: usize) -> String {
    let mut text = String::new();
    let mut before: Option<Kind> = None;
    for piece in pieces {
        if let Some(before) = before {
            if !text.ends_with(ends_something) {
                text.push(if before == Kind::Item && piece.kind == Kind::Item { ';' } else { '.' });
            }
            text.push(' ');
        }
        text.push_str(&piece.text);
        before = Some(piece.kind);
        if text.len() > enough {
            break;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Room = Room { text: 60, first_sentence: 80 };

    fn short(text: &str) -> String {
        shorten(text, ROOM, Sections::GoFirst)
    }

    #[test]
    fn what_is_short_stays_and_decoration_goes() {
        assert_eq!(short("List files."), "List files.");
        assert_eq!(
            short("\n  # Purpose\n\n  **List** files,\n  e.g. all.\n\n---\n```\n"),
            "List files, e.g. all."
        );
        assert_eq!(short("Gives:\n- a\n* b\n\nDone"), "Gives: a; b. Done");
        assert_eq!(short("<use_case>Find it</use_case>\nBy <name>"), "Find it. By <name>");
        assert_eq!(short(""), "");
    }

    #[test]
    fn what_is_long_ends_with_a_sentence() {
        let long = "Reads a file (e.g. Foo. Bar) v1.2 of it. It may be large. Then it is cut at some place.";
        assert_eq!(short(long), "Reads a file (e.g. Foo. Bar) v1.2 of it. It may be large…");
        assert_eq!(short(&short(long)), short(long));
        assert_eq!(
            short("List.\nExample: list this and that, and that, and that again. \nIt is fast."),
            "List. It is fast."
        );
        assert_eq!(
            short("List.\nArgs:\n    path: Where.\n    mode: How.\n\nIt is fast."),
            "List. It is fast."
        );
        let kept = shorten("List.\nArgs:\n    path: Where.", ROOM, Sections::Stay);
        assert_eq!(kept, "List. Args: path: Where.");
    }

    #[test]
    fn the_first_sentence_stays_whole_up_to_its_bound_and_words_and_characters_do_always() {
        let sentence = "Seventy bytes are more than there is room for, but it is one sentence.";
        assert_eq!(short(&format!("{sentence} More.")), format!("{}…", sentence.trim_end_matches('.')));
        assert_eq!(short(&"word ".repeat(40)), format!("{}word…", "word ".repeat(14)));
        assert_eq!(short(&"字".repeat(99)), format!("{}…", "字".repeat(25)));
        let brackets = format!("Take it (for example {}) away.", "x".repeat(80));
        assert_eq!(first_sentence(&brackets, 60), "Take it away.");
        assert_eq!(first_sentence("One. Two.", 60), "One.");
    }

    #[test]
    fn characters_that_nobody_sees_go() {
        assert_eq!(short("a\u{200b}b\u{202e}c\u{0}\u{1b}[1m\u{9b}d\u{feff}\u{e0041}\te"), "abc[1md e");
    }

    #[test]
    fn any_text_takes_linear_time() {
        for part in
            ["<a>\n", "</", "(e.g. ", "- a\n", "**", "a. ", "```\n", "字", "Args:\n  x\n", "Example: "]
        {
            let text = part.repeat(400_000 / part.len());
            assert!(short(&text).len() < 100);
        }
    }
}
