//! Others' words, made safe to show: what a document or a server says must neither steer a terminal nor forge a
//! line of a log.

/// The text with everything that steers a terminal or turns its reading order written as an escape; `kept` stays.
#[must_use]
pub fn printable(text: &str, kept: &[char]) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) && !kept.contains(&c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Control characters; marks that change the direction of writing; separators of lines; invisible tags.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r14_what_steers_is_written_out_and_all_else_stays() {
        let hostile = "a\u{1b}[2J\rb\nc\u{202e}d\u{2066}\u{9b}e\u{7f}";
        let shown = "a\\u{1b}[2J\\u{d}b\\u{a}c\\u{202e}d\\u{2066}\\u{9b}e\\u{7f}";
        assert_eq!(printable(hostile, &[]), shown);
        assert_eq!(printable("one\n\ttwo", &['\n', '\t']), "one\n\ttwo");
        let harmless = "Grüße, שלום, 你好, 👩\u{200d}🔬";
        assert_eq!(printable(harmless, &[]), harmless);
    }
}
