//! Text as terms: words split where programs join them, brought to their stems, without those that say nothing.

use crate::limits::TERM_BYTES_MAX;
use rust_stemmers::{Algorithm, Stemmer};
use std::collections::HashSet;
use std::sync::LazyLock;

static ENGLISH: LazyLock<Stemmer> = LazyLock::new(|| Stemmer::create(Algorithm::English));

/// Words that stand in every question and say nothing of what is asked for.
const SILENT: &str = "a about also am an and any are as at be been but by can could did do does for from had has have he \
                      her here his how i if in into is it its just let like may me might must my need no not of on or \
                      our out over please shall she should so some than that the their them then there these they this \
                      those to under up us want was we were what when where which who whom why will with would you your";

static SILENT_WORDS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| SILENT.split(' ').collect());

/// Words that people use for one another when they say what a tool does. A word may stand in one group only.
const ALIKE: [&str; 12] = [
    "get fetch retrieve obtain",
    "find search lookup query locate",
    "create make add generate",
    "delete remove erase drop",
    "update edit modify change alter",
    "send post submit",
    "calculate compute determine evaluate",
    "book reserve",
    "buy purchase order",
    "start launch run execute",
    "stop end cancel terminate",
    "convert translate transform",
];

static ALIKE_TERMS: LazyLock<Vec<Vec<String>>> = LazyLock::new(|| {
    let stems = |group: &&str| group.split(' ').map(|word| ENGLISH.stem(word).into_owned()).collect();
    ALIKE.iter().map(stems).collect()
});

/// What one character is when words are told apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Lower,
    Upper,
    Digit,
    /// A letter of a script that writes words without blanks: each is a word.
    Alone,
    Between,
}

fn kind(c: char) -> Kind {
    match c {
        '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' => Kind::Alone,
        _ if c.is_numeric() => Kind::Digit,
        _ if c.is_uppercase() => Kind::Upper,
        _ if c.is_alphabetic() => Kind::Lower,
        _ => Kind::Between,
    }
}

/// Gives each word of `text`, in lower case: `getHTTPUrl_v2` has `get`, `http`, `url`, `v` and `2`, and the whole
/// between blanks and signs, `gethttpurl`, because people write `GitHub` in more than one way.
pub fn each_word(text: &str, mut give: impl FnMut(&str)) {
    let (mut part, mut whole, mut parts) = (String::new(), String::new(), 0_usize);
    let mut before = Kind::Between;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let kind = kind(c);
        let next_is_lower = rest.peek().is_some_and(|next| self::kind(*next) == Kind::Lower);
        let begins = match (before, kind) {
            (_, Kind::Alone | Kind::Between) => true,
            // The last capital of `HTTPUrl` begins the next word.
            (Kind::Upper, Kind::Upper) => next_is_lower,
            (Kind::Upper, Kind::Lower) => false,
            (one, other) => one != other,
        };
        if begins && !part.is_empty() {
            give(&part);
            parts += 1;
            part.clear();
        }
        if matches!(kind, Kind::Between | Kind::Alone) {
            if parts > 1 {
                give(&whole);
            }
            whole.clear();
            parts = 0;
        }
        if kind != Kind::Between {
            part.extend(c.to_lowercase());
            whole.extend(c.to_lowercase());
        }
        before = kind;
    }
    if !part.is_empty() {
        give(&part);
        parts += 1;
    }
    if parts > 1 {
        give(&whole);
    }
}

/// The terms of a text, in their order.
#[must_use]
pub fn terms(text: &str) -> Vec<String> {
    let mut terms = Vec::new();
    each_word(text, |word| {
        if word.len() <= TERM_BYTES_MAX && !SILENT_WORDS.contains(word) {
            terms.push(ENGLISH.stem(word).into_owned());
        }
    });
    terms
}

/// The terms that people use for this one.
pub fn alike(term: &str) -> impl Iterator<Item = &'static str> {
    let group = ALIKE_TERMS.iter().find(|group| group.iter().any(|known| known == term));
    let own = term.to_owned();
    group.into_iter().flatten().map(String::as_str).filter(move |known| *known != own)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let mut words = Vec::new();
        each_word(text, |word| words.push(word.to_owned()));
        words
    }

    #[test]
    fn words_end_where_programs_join_them() {
        assert_eq!(words("get_HTTPUrl-v2"), ["get", "http", "url", "httpurl", "v", "2", "v2"]);
        assert_eq!(words("GitHub's"), ["git", "hub", "github", "s"]);
        assert_eq!(words("naïve Übung"), ["naïve", "übung"]);
        assert_eq!(words("天气 ok"), ["天", "气", "ok"]);
        assert_eq!(words(" ._ "), Vec::<String>::new());
    }

    #[test]
    fn terms_are_stems_of_words_that_say_something() {
        assert_eq!(terms("How do I list the repositories?"), ["list", "repositori"]);
        assert_eq!(terms("listing Repository"), ["list", "repositori"]);
    }

    #[test]
    fn words_for_the_same_are_known_in_both_directions_and_in_one_group_only() {
        assert!(alike("delet").any(|term| term == "remov") && alike("remov").any(|term| term == "delet"));
        assert_eq!(alike("kitten").count(), 0);
        let mut all: Vec<&String> = ALIKE_TERMS.iter().flatten().collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
