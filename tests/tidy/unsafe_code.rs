//! Where unsafe code may stand, and that each piece says why it is sound.

use crate::repository::{Source, assert_none, sources};

/// The only places for it: paths, or folders that end with a slash.
const PLACES: [&str; 6] = [
    "launcher/src/kernel.rs",
    "launcher/src/kernel/",
    "launcher/init/src/",
    "proxy/src/kernel.rs",
    "security/src/",
    "launcher/tests/",
];
/// How far above its block a SAFETY comment may begin, in lines.
const COMMENT_LINES_MAX: usize = 8;

fn is_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"].iter().any(|word| code.contains(word))
        && !code.contains('"')
}

#[test]
fn unsafe_code_stands_only_where_it_may() {
    let outside = |source: &Source| {
        let allowed = PLACES
            .iter()
            .any(|place| source.path == *place || place.ends_with('/') && source.path.starts_with(place));
        !allowed && source.text.lines().any(is_unsafe)
    };
    let wrong: Vec<String> = sources(&["rs"]).into_iter().filter(outside).map(|source| source.path).collect();
    assert_none("unsafe code outside its places", &wrong);
}

#[test]
fn every_unsafe_block_says_why_it_is_sound() {
    let mut wrong = Vec::new();
    for source in sources(&["rs"]) {
        let lines: Vec<&str> = source.text.lines().collect();
        for (index, line) in lines.iter().enumerate().filter(|(_, line)| is_unsafe(line)) {
            let above = lines.get(index.saturating_sub(COMMENT_LINES_MAX)..=index).unwrap_or_default();
            let said = above.iter().any(|line| line.contains("// SAFETY: ") || line.contains("/// # Safety"));
            if !said && !line.contains("unsafe extern") {
                wrong.push(format!("{}:{}", source.path, index + 1));
            }
        }
    }
    assert_none("unsafe without a SAFETY comment", &wrong);
}
