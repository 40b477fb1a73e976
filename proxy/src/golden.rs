//! Golden files of this crate's tests: what people read changes only on purpose (`BLESS=1` rewrites).

use std::path::Path;

/// Compares `text` with `golden/NAME`.
pub fn check(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        golden == text,
        "{} differs; run with BLESS=1 if that is meant. Now it reads:\n{text}",
        path.display()
    );
}

/// `text` as [`Paint::Plain`](crate::command::paint::Paint::Plain) would have written it.
pub fn without_colour(text: &str) -> String {
    let (first, coloured) = text.split_once('\x1b').expect("it has no colour");
    let rest = coloured.split('\x1b').map(|part| part.split_once('m').unwrap().1);
    std::iter::once(first).chain(rest).collect()
}
