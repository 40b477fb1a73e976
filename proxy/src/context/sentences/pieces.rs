//! A description taken apart: its lines are read for what they say, and end up as sentences and items of lists.

use super::Sections;
use std::collections::HashSet;

/// A part of a text that is never divided.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece {
    /// What it says.
    pub text: String,
    /// What it is.
    pub kind: Kind,
}

/// What a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A sentence.
    Sentence,
    /// The heading of what follows.
    Heading,
    /// A line of a list.
    Item,
    /// What can be missed first: an example.
    Aside,
    /// What the schema says, or nobody needs: a section on parameters, or on how errors look.
    Repeat,
}

/// What a line of a text is.
struct Line<'a> {
    text: &'a str,
    indent: usize,
    item: bool,
    heading: bool,
}

/// The pieces of a text, in their order.
pub fn pieces(text: &str, sections: Sections) -> Vec<Piece> {
    let closed = closed_tags(text);
    let mut pieces = Vec::new();
    // Lines that were broken only because they were long.
    let mut paragraph = String::new();
    let mut kind = Kind::Sentence;
    let mut width_before = 0;
    let mut fenced = false;
    // The indentation of the heading of a section that goes first.
    let mut aside: Option<(usize, Kind)> = None;
    let mut lines = text.lines().peekable();
    while let Some(raw) = lines.next() {
        let Some(mut line) = read_line(raw, &closed, &mut fenced) else {
            flush(&mut pieces, &mut paragraph, kind);
            continue;
        };
        // A few words, and what follows is indented.
        let deeper = |next: &&str| indentation(next) > line.indent && !next.trim().is_empty();
        line.heading |= !line.item
            && raw.len() < 60 + line.indent
            && !raw.trim_end().ends_with(ends_something)
            && lines.peek().is_some_and(deeper);
        if aside.is_some_and(|(indent, _)| line.heading || !within(&line, indent, fenced)) {
            aside = None;
            flush(&mut pieces, &mut paragraph, kind);
        }
        let continues = !paragraph.is_empty()
            && !line.item
            && !line.heading
            && (line.text.starts_with(char::is_lowercase)
                || (width_before >= 60 && !paragraph.ends_with(ends_something)));
        if !continues {
            flush(&mut pieces, &mut paragraph, kind);
            if aside.is_none() {
                aside = begins_aside(line.text, sections).map(|kind| (line.indent, kind));
            }
            kind = match aside {
                Some((_, kind)) => kind,
                None if fenced => Kind::Aside,
                None if line.item => Kind::Item,
                None if line.heading => Kind::Heading,
                None => Kind::Sentence,
            };
        } else {
            paragraph.push(' ');
        }
        words_of(line.text, &mut paragraph);
        if line.heading && !paragraph.ends_with(ends_something) {
            paragraph.push(':');
        }
        width_before = raw.trim().len();
    }
    flush(&mut pieces, &mut paragraph, kind);
    without_idle_headings(pieces)
}

/// Without headings that nothing follows, and without one such as `Purpose:` that a text begins with.
fn without_idle_headings(mut pieces: Vec<Piece>) -> Vec<Piece> {
    while pieces.len() > 1 && pieces.last().is_some_and(|piece| piece.text.ends_with(':')) {
        pieces.pop();
    }
    let idle = |piece: &Piece| piece.kind == Kind::Heading && piece.text.split(' ').count() <= 3;
    if pieces.len() > 1 && pieces.first().is_some_and(idle) {
        pieces.remove(0);
        if let Some(first) = pieces.first_mut()
            && let Some((number, rest)) = first.text.split_once(". ")
            && is_number(number)
        {
            first.text = rest.to_owned();
        }
    }
    pieces
}

/// Whether a line still belongs to the section whose heading has this indentation.
fn within(line: &Line<'_>, indent: usize, fenced: bool) -> bool {
    fenced
        || line.item
        || line.indent > indent
        || line.text.starts_with(['{', '}', '[', ']', '"', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])
}

/// Whether a line begins what can be missed: the heading of a section, or all of it in this line.
fn begins_aside(line: &str, sections: Sections) -> Option<Kind> {
    let (head, rest) = line.split_once(':')?;
    let head = head.trim_matches(['*', '_', ' ']).to_ascii_lowercase();
    if head.len() > 40 {
        return None;
    }
    match head.as_str() {
        "error responses" => Some(Kind::Repeat),
        "args" | "arguments" | "parameters" | "params" | "input" | "inputs" => (sections
            == Sections::GoFirst)
            .then_some(if rest.trim().is_empty() { Kind::Repeat } else { Kind::Aside }),
        "returns" | "return" | "raises" | "yields" | "return format" | "response" => Some(Kind::Aside),
        _ => (head == "e.g." || head.split(' ').any(|word| matches!(word, "example" | "examples")))
            .then_some(Kind::Aside),
    }
}

/// What a line says; nothing if it only decorates.
fn read_line<'a>(raw: &'a str, closed: &HashSet<&str>, fenced: &mut bool) -> Option<Line<'a>> {
    let mut text = raw.trim();
    let indent = indentation(raw);
    if text.starts_with("```") || text.starts_with("~~~") {
        // One that ends in its own line is code in a sentence.
        if text.len() < 6 || !text.ends_with("```") {
            *fenced = !*fenced;
        }
        return None;
    }
    if *fenced {
        return (!text.is_empty()).then_some(Line { text, indent, item: false, heading: false });
    }
    if let Some((tag, rest)) = opening_tag(text).filter(|(tag, _)| closed.contains(tag)) {
        text = rest.trim_end_matches(&format!("</{tag}>")).trim();
    } else if let Some(at) = text.rfind("</").filter(|_| text.ends_with('>')) {
        let tag = text.get(at + 2..text.len() - 1).unwrap_or_default();
        let whole_line = at == 0;
        // A line such as `wrap it in <b>…</b>` speaks of tags.
        if whole_line && closed.contains(tag) {
            return None;
        }
    }
    let unmarked = text.trim_start_matches('#');
    let mut heading = unmarked.len() < text.len() && unmarked.starts_with(' ');
    if heading {
        text = unmarked.trim();
    }
    let bold = text.strip_prefix("**").and_then(|text| text.strip_suffix("**"));
    heading |= bold.is_some_and(|text| !text.contains("**") && !text.ends_with(ends_something));
    let mut item = false;
    for mark in ["- ", "* ", "• ", "+ "] {
        if let Some(rest) = text.strip_prefix(mark) {
            text = rest.trim();
            item = true;
        }
    }
    item |= text.split_once(". ").is_some_and(|(number, _)| number.len() < 3 && is_number(number));
    if text.starts_with('|') {
        text = text.trim_matches(['|', ' ']);
        item = true;
    }
    let decorates =
        text.chars().all(|c| matches!(c, '-' | '=' | '*' | '_' | '|' | ':' | '+' | '#' | ' ' | '─'));
    (!decorates).then_some(Line { text, indent, item, heading })
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `<tag>` at the start of a line, and what follows.
fn opening_tag(line: &str) -> Option<(&str, &str)> {
    let (tag, rest) = line.strip_prefix('<')?.split_once('>')?;
    is_tag(tag).then_some((tag, rest))
}

fn is_tag(tag: &str) -> bool {
    !tag.is_empty()
        && tag.len() <= 64
        && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

/// The tags that are closed somewhere: `<name>` alone is a placeholder and stays.
fn closed_tags(text: &str) -> HashSet<&str> {
    let ends =
        text.split("</").skip(1).filter_map(|after| after.get(..after.len().min(65).min(after.find('>')?)));
    ends.filter(|tag| is_tag(tag)).collect()
}

/// The words of a line with one blank between them, without marks for bold.
fn words_of(line: &str, into: &mut String) {
    let plain = line.replace("**", "");
    for (at, word) in plain.split_whitespace().enumerate() {
        if at > 0 {
            into.push(' ');
        }
        into.push_str(word);
    }
}

/// The sentences of a paragraph become pieces.
fn flush(pieces: &mut Vec<Piece>, paragraph: &mut String, kind: Kind) {
    let mut rest = paragraph.trim();
    while !rest.is_empty() {
        let (sentence, after) = rest.split_at_checked(sentence_end(rest)).unwrap_or((rest, ""));
        let sentence = sentence.trim();
        let example =
            ["e.g.", "E.g.", "For example", "Example"].iter().any(|word| sentence.starts_with(word));
        let kind = if example && !pieces.is_empty() && kind != Kind::Repeat { Kind::Aside } else { kind };
        pieces.push(Piece { text: sentence.to_owned(), kind });
        rest = after.trim_start();
    }
    paragraph.clear();
}

/// Where the first sentence ends.
fn sentence_end(text: &str) -> usize {
    let mut word_start = 0;
    let mut signs = text.char_indices().peekable();
    while let Some((at, c)) = signs.next() {
        match c {
            ' ' => word_start = at + 1,
            '。' | '！' | '？' => return at + c.len_utf8(),
            '.' | '!' | '?' => {
                let mut end = at + 1;
                while let Some((at, closing)) =
                    signs.next_if(|(_, c)| matches!(c, ')' | '"' | '\'' | '`' | ']' | '”' | '*'))
                {
                    end = at + closing.len_utf8();
                }
                let word = text.get(word_start..at).unwrap_or_default();
                let after = text.get(end..).unwrap_or_default();
                let ends = after.starts_with(' ') && !after.trim_start().starts_with(char::is_lowercase);
                if ends && !(c == '.' && never_ends(word)) {
                    return end;
                }
            }
            _ => {}
        }
    }
    text.len()
}

/// Whether a full stop after this word ends no sentence.
fn never_ends(word: &str) -> bool {
    let word = word.trim_start_matches(|c: char| c.is_ascii_punctuation());
    matches!(word, "e.g" | "i.e" | "eg" | "ie" | "vs" | "No" | "Nr" | "approx" | "incl" | "cf" | "Dr" | "St")
        || (word.len() < 3 && is_number(word))
}

/// Whether a text that ends so needs no full stop.
pub fn ends_something(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | ':' | ';' | ',' | '…' | '。' | '！' | '？' | '：')
}
