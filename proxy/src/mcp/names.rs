//! Names on the aggregate endpoint: `server__tool`, always the same for the same server and tool,
//! whatever other servers there are.

use crate::limits::NEAR_NAME_BYTES_MAX;
use sha2::{Digest, Sha256};

/// Between a server's name and its tool's. No server's name holds an underscore.
pub const SEPARATOR: &str = "__";
/// Characters of the hash that marks a changed name, its underscore included.
const MARK_CHARACTERS: usize = 9;

/// The name on the aggregate endpoint of what `server` calls `name`, at most `characters_max` long.
///
/// A name that is too long, or has characters some clients refuse, is cut or mended, and marked with a
/// hash of both originals, so that two names never become one.
#[must_use]
pub fn aggregate_name(server: &str, name: &str, characters_max: usize) -> String {
    let mended: String = name.chars().map(|c| if is_legal(c) { c } else { '_' }).collect();
    let whole = format!("{server}{SEPARATOR}{mended}");
    if mended == name && whole.len() <= characters_max {
        return whole;
    }
    let keep = characters_max.saturating_sub(MARK_CHARACTERS);
    let kept: String = whole.chars().take(keep).collect();
    format!("{kept}_{}", mark(server, name))
}

/// The server a name of the aggregate endpoint begins with, and what follows.
#[must_use]
pub fn split(name: &str) -> Option<(&str, &str)> {
    name.split_once(SEPARATOR)
}

/// The most similar of `candidates`, if one is similar enough to be what was meant.
#[must_use]
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > NEAR_NAME_BYTES_MAX {
        return None;
    }
    let close_enough = (name.chars().count() / 3).max(2);
    candidates
        .filter(|candidate| candidate.len().abs_diff(name.len()) <= close_enough * 4)
        .map(|candidate| (distance(name, candidate, close_enough), candidate))
        .filter(|(distance, _)| *distance <= close_enough)
        .min()
        .map(|(_, candidate)| candidate)
}

/// What every model's interface accepts; the protocol would also allow dots.
fn is_legal(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

fn mark(server: &str, name: &str) -> String {
    let digest = Sha256::new().chain_update(server).chain_update([0]).chain_update(name).finalize();
    digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// Insertions, removals and changes from one text to the other; some number above `max` if there are more.
#[must_use]
pub fn distance(a: &str, b: &str, max: usize) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > max {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (line, x) in a.iter().enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        let mut next = vec![left];
        for (y, above) in b.iter().zip(row.iter().skip(1)) {
            left = (diagonal + usize::from(x != y)).min(left + 1).min(above + 1);
            diagonal = *above;
            next.push(left);
        }
        if next.iter().all(|changes| *changes > max) {
            return usize::MAX;
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_legal_names_are_only_prefixed() {
        assert_eq!(aggregate_name("files", "read_file", 48), "files__read_file");
        assert_eq!(split("files__read__file"), Some(("files", "read__file")));
    }

    #[test]
    fn long_or_illegal_names_are_marked_and_stay_apart() {
        let long = "x".repeat(60);
        let cut = aggregate_name("files", &long, 48);
        assert_eq!(cut.len(), 48);
        assert_ne!(cut, aggregate_name("files", &format!("{long}y"), 48));
        let mended = aggregate_name("files", "a.b", 48);
        assert!(mended.starts_with("files__a_b_"), "{mended}");
        assert_ne!(mended, aggregate_name("files", "a/b", 48));
        for name in ["naïve tool", "日本", "", "a\u{0}b"] {
            let whole = aggregate_name("s", name, 48);
            assert!(whole.len() <= 48 && whole.chars().all(is_legal), "{whole}");
        }
    }

    #[test]
    fn a_name_is_the_same_every_time() {
        assert_eq!(aggregate_name("s", "a.b", 48), "s__a_b_407e8e5c");
        assert_ne!(mark("s", "a.b"), mark("sa", ".b"));
    }

    #[test]
    fn suggests_only_what_is_near() {
        let names = ["files__read_file", "files__write_file", "git__log"];
        assert_eq!(nearest("files__raed_file", names.into_iter()), Some("files__read_file"));
        assert_eq!(nearest("zzz", names.into_iter()), None);
        assert_eq!((distance("", "abc", 3), distance("kitten", "sitting", usize::MAX)), (3, 3));
        assert_eq!(distance("same", "same", 0), 0);
        assert!(distance("kitten", "sitting", 2) > 2);
    }
}
