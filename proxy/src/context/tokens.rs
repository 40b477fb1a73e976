//! How many tokens a text takes, without a vocabulary: the proxy must not hold one. `only1mcp context` counts them.

/// Bytes of English or JSON that are one token, about: o200k_base takes 4.3 for the definitions of 34 real servers.
const BYTES_PER_TOKEN: usize = 4;

/// About how many tokens this text takes. A letter beyond ASCII counts as one.
#[must_use]
pub fn estimate(text: &str) -> usize {
    let beyond = text.chars().filter(|c| !c.is_ascii()).count();
    let ascii = text.bytes().filter(u8::is_ascii).count();
    ascii.div_ceil(BYTES_PER_TOKEN) + beyond
}

/// The front of a text of about this many tokens at most: whole lines if there are any, else whole words.
#[must_use]
pub fn front(text: &str, tokens: usize) -> &str {
    let mut quarters = tokens.saturating_mul(BYTES_PER_TOKEN);
    let cost = |c: char| if c.is_ascii() { 1 } else { BYTES_PER_TOKEN };
    let end = text.char_indices().find(|(_, c)| {
        let fits = quarters >= cost(*c);
        quarters = quarters.saturating_sub(cost(*c));
        !fits
    });
    let Some((end, _)) = end else { return text };
    let hard = text.get(..end).unwrap_or_default();
    // Not so far back that little would be left.
    let after = |at: Option<usize>| at.map(|at| at + 1).filter(|at| *at > hard.len() / 2);
    let soft = after(hard.rfind('\n')).or_else(|| after(hard.rfind(' ')));
    soft.and_then(|at| hard.get(..at)).unwrap_or(hard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_front_ends_with_a_line_or_a_word_and_never_inside_a_character() {
        assert_eq!(front("one two three", 100), "one two three");
        assert_eq!(front("first line\nsecond line that is longer", 4), "first line\n");
        assert_eq!(front("one two three four", 3), "one two ");
        assert_eq!(front("天气预报", 2), "天气");
        assert_eq!(front("abc", 0), "");
    }

    #[test]
    fn the_front_of_a_text_takes_no_more_than_it_may() {
        let text = "Some words, 天气, and {\"json\": [1, 2, 3]}.\n".repeat(50);
        for tokens in 1..300 {
            assert!(estimate(front(&text, tokens)) <= tokens, "{tokens}");
        }
    }
}
