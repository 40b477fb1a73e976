//! Characters in names and descriptions that a person does not see and a model reads.

/// The first in a text of several lines.
#[must_use]
pub fn in_text(text: &str) -> Option<char> {
    first(text, &['\t', '\n', '\r'])
}

/// The first in a name, which has one line.
#[must_use]
pub fn in_name(name: &str) -> Option<char> {
    first(name, &[])
}

/// Whether nobody sees this character.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    is_joiner(c)
        || matches!(c,
            '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
            // Tags, and the variations that letters beyond Unicode's first plane can be written in.
            | '\u{e0000}'..='\u{e007f}' | '\u{e0100}'..='\u{e01ef}')
}

fn first(text: &str, kept: &[char]) -> Option<char> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return None;
    }
    let mut before = ' ';
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        let joins = is_joiner(c) && joins(before) && characters.peek().is_some_and(|after| joins(*after));
        if (c.is_control() && !kept.contains(&c)) || (is_invisible(c) && !joins) {
            return Some(c);
        }
        before = c;
    }
    None
}

/// Several scripts and pictures of people need them between letters.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

fn joins(c: char) -> bool {
    !c.is_ascii() && !c.is_control() && !c.is_whitespace() && !is_invisible(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_sees_is_found_and_what_languages_need_is_not() {
        for c in [
            '\0',
            '\u{1b}',
            '\u{7f}',
            '\u{9b}',
            '\u{202a}',
            '\u{202e}',
            '\u{2066}',
            '\u{2069}',
            '\u{200b}',
            '\u{200d}',
            '\u{200f}',
            '\u{2060}',
            '\u{feff}',
            '\u{e0000}',
            '\u{e0041}',
            '\u{e007f}',
            '\u{e0101}',
        ] {
            assert_eq!(in_text(&format!("Adds{c} numbers.")), Some(c));
            assert_eq!(in_text(&format!("{c}")), Some(c));
        }
        for text in [
            "One line.\r\n\tAnother.",
            "👩\u{200d}🔬, ❤\u{fe0f}\u{200d}🔥",
            "می\u{200c}خواهم",
            "क्\u{200d}ष",
            "Grüße, שלום, 你好",
            "",
        ] {
            assert_eq!(in_text(text), None, "{text}");
        }
        assert_eq!(in_text("é\u{200d}\u{200d}é"), Some('\u{200d}'), "two of them join nothing");
        assert_eq!(in_name("add\n"), Some('\n'));
        assert_eq!(in_name("add_ü"), None);
    }
}
