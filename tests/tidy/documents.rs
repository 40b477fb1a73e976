//! Documents: links lead somewhere, and the README holds the two commands that everything rests on.

use crate::repository::{assert_none, sources};
use harness::programs;
use std::path::Path;

/// The relative targets of Markdown links in a text.
fn links(text: &str) -> Vec<&str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let local = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
    local.filter_map(|target| target.split('#').next()).collect()
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut dead = Vec::new();
    for source in sources(&["md"]) {
        let folder = programs::checkout().join(Path::new(&source.path).parent().unwrap_or(Path::new("")));
        for link in links(&source.text).into_iter().filter(|link| !folder.join(link).exists()) {
            dead.push(format!("{}: {link}", source.path));
        }
    }
    assert_none("dead links", &dead);
}

#[test]
fn the_readme_names_the_two_commands() {
    let readme = std::fs::read_to_string(programs::checkout().join("README.md")).expect("read README.md");
    for command in ["cargo build --release --locked && ./target/release/only1mcp start\n", "\n./tests/run\n"]
    {
        assert!(readme.contains(command), "README.md lacks {command:?}");
    }
}
