//! Descriptions cut where a sentence ends: what a tool is for stays, and the rest as far as there is room.
//!
//! Works in linear time, because servers write descriptions of any length.

use std::collections::HashSet;

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

/// A part of a text that is never divided.
#[derive(Debug, PartialEq, Eq)]
struct Piece {
    text: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Sentence,
    /// A line of a list.
    Item,
    /// What can be missed first: an example, or a section on parameters.
    Aside,
}

/// The text in one line, without decoration, and no longer than there is room.
#[must_use]
pub fn shorten(text: &str, room: Room, sections: Sections) -> String {
    let text = visible(text);
    let mut pieces = pieces(&text, sections);
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
        } else if length + piece.text.len() + " …".len() + 2 > room.text {
            break;
        }
        length += piece.text.len() + 2;
        kept.push(piece);
    }
    // A heading whose text did not fit.
    while kept.len() > 1 && kept.last().is_some_and(|piece| piece.text.ends_with(':')) {
        kept.pop();
    }
    let all = kept.len() == count;
    let mut text = join(&kept, usize::MAX);
    if !all && !text.ends_with('…') {
        text.push_str(" …");
    }
    text
}

/// A sentence that is longer than `max`: without its examples in brackets, and cut between words if it must be.
fn fit(sentence: &str, max: usize) -> String {
    if sentence.len() <= max {
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

fn ends_something(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | ':' | ';' | ',' | '…' | '。' | '！' | '？' | '：')
}

/// What a line of a text is.
struct Line<'a> {
    text: &'a str,
    indent: usize,
    item: bool,
    heading: bool,
}

fn pieces(text: &str, sections: Sections) -> Vec<Piece> {
    let closed = closed_tags(text);
    let mut pieces = Vec::new();
    // Lines that were broken only because they were long.
    let mut paragraph = String::new();
    let mut kind = Kind::Sentence;
    let mut width_before = 0;
    let mut fenced = false;
    // The indentation of the heading of a section that goes first.
    let mut aside: Option<usize> = None;
    for raw in text.lines() {
        let Some(line) = read_line(raw, &closed, &mut fenced) else {
            flush(&mut pieces, &mut paragraph, kind);
            continue;
        };
        if aside.is_some_and(|indent| line.heading || !within(&line, indent, fenced)) {
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
            if aside.is_none() && begins_aside(line.text, sections) {
                aside = Some(line.indent);
            }
            kind = match (aside, fenced, line.item) {
                (Some(_), _, _) | (_, true, _) => Kind::Aside,
                (_, _, true) => Kind::Item,
                _ => Kind::Sentence,
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
    // A heading that nothing follows says nothing.
    while pieces.len() > 1 && pieces.last().is_some_and(|piece| piece.text.ends_with(':')) {
        pieces.pop();
    }
    pieces
}

/// Whether a line still belongs to the section whose heading has this indentation.
fn within(line: &Line<'_>, indent: usize, fenced: bool) -> bool {
    fenced || line.item || line.indent > indent || line.text.starts_with(['{', '}', '[', ']', '"'])
}

/// Whether a line begins what can be missed: the heading of a section, or all of it in this line.
fn begins_aside(line: &str, sections: Sections) -> bool {
    let Some((head, _)) = line.split_once(':') else { return false };
    let head = head.trim_matches(['*', '_', ' ']).to_ascii_lowercase();
    if head.len() > 40 {
        return false;
    }
    match head.as_str() {
        "args" | "arguments" | "parameters" | "params" | "input" | "inputs" => sections == Sections::GoFirst,
        "returns" | "return" | "raises" | "yields" | "return format" | "error responses" | "response" => true,
        _ => head.split(' ').any(|word| matches!(word, "example" | "examples")) || head == "e.g.",
    }
}

/// What a line says; nothing if it only decorates.
fn read_line<'a>(raw: &'a str, closed: &HashSet<&str>, fenced: &mut bool) -> Option<Line<'a>> {
    let mut text = raw.trim();
    let indent = raw.len() - raw.trim_start().len();
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
        let kind = if example && !pieces.is_empty() { Kind::Aside } else { kind };
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
