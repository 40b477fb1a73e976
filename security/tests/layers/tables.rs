//! The generated tables, held against what stands in the repository.

use std::collections::BTreeSet;
use std::path::Path;

use only1mcp_escape::runner::machine::{self, Person};

/// Fails if `name` in `security/` is not `text`; with `BLESS=1` writes it.
///
/// Answers depend on the kernel's Landlock, and as an ordinary user there are no rows of root mode. Then the rows
/// that claim a second wall, or name a mistake of user mode, must be there; others may differ, and are printed.
pub fn compare(name: &str, text: &str, landlock_abi: u8) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let (new, old): (BTreeSet<&str>, BTreeSet<&str>) = (text.lines().collect(), written.lines().collect());
    let more = new.difference(&old).map(|line| format!("+ {line}\n"));
    let less = old.difference(&new).map(|line| format!("- {line}\n"));
    let differences: String = more.chain(less).collect();
    if Person::root().is_some() && written.contains(&format!("<!-- Landlock ABI {landlock_abi} -->")) {
        assert!(
            written == text,
            "{} is stale; run this test as root with BLESS=1\n{differences}",
            path.display()
        );
        return;
    }
    machine::say(&differences);
    let claims = |lines: &BTreeSet<&str>| -> BTreeSet<String> {
        let twice = lines.iter().filter(|line| line.contains("| twice |"));
        twice.filter_map(|line| Some(line.split(" | ").next()?.to_owned())).collect()
    };
    let missing: Vec<String> = claims(&old).difference(&claims(&new)).cloned().collect();
    assert!(missing.is_empty(), "{}: not defended twice here: {missing:?}", path.display());
}
