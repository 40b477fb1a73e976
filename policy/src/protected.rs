//! What stays read-only inside a directory that may be written: files that a shell, an editor or git
//! obeys on the next occasion, outside any sandbox.

use crate::files::{FileKind, Files};
use crate::floor::{GIT_OBEYED, OBEYED};
use crate::limits::{PROTECTED_FOUND_MAX, PROTECTED_SCAN_DEPTH_MAX, PROTECTED_SCAN_ENTRIES_MAX};
use crate::path::{is_within, join, parent};
use std::collections::BTreeSet;

/// What was found below one grant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Protected {
    /// Paths that become read-only.
    pub read_only: BTreeSet<String>,
    /// Directories on the way to them. They stay writable but become mount points, which cannot be
    /// renamed: else the way could be moved aside and made anew.
    pub pinned: BTreeSet<String>,
    /// Symbolic links with such names, which cannot be protected.
    pub links: BTreeSet<String>,
    /// Whether the search stopped before it had seen everything.
    pub incomplete: bool,
}

/// Directories that are not searched: large, and nothing in them is obeyed from outside.
const SKIPPED: [&str; 4] = ["node_modules", "target", "__pycache__", "objects"];

/// Looks for what must stay read-only in `grant`, a directory.
pub fn find(files: &dyn Files, grant: &str) -> Protected {
    let mut found = Protected::default();
    let mut todo = vec![(grant.to_owned(), 0_usize)];
    let mut seen = 0_usize;
    while let Some((directory, depth)) = todo.pop() {
        let in_git = directory.ends_with("/.git");
        for entry in files.list(&directory).unwrap_or_default() {
            seen += 1;
            if seen > PROTECTED_SCAN_ENTRIES_MAX || found.read_only.len() >= PROTECTED_FOUND_MAX {
                found.incomplete = true;
                return found;
            }
            let path = join(&directory, &entry);
            let obeyed = if in_git { GIT_OBEYED.as_slice() } else { OBEYED.as_slice() };
            let Ok(status) = files.status(&path) else { continue };
            if obeyed.contains(&entry.as_str()) {
                found.protect(grant, path, status.kind);
            } else if status.kind == FileKind::Directory && !in_git && !SKIPPED.contains(&entry.as_str()) {
                if depth < PROTECTED_SCAN_DEPTH_MAX {
                    todo.push((path, depth + 1));
                } else {
                    found.incomplete = true;
                }
            }
        }
    }
    found
}

impl Protected {
    fn protect(&mut self, grant: &str, path: String, kind: FileKind) {
        if !matches!(kind, FileKind::Directory | FileKind::File) {
            self.links.insert(path);
            return;
        }
        let mut above = parent(&path);
        while above != grant && is_within(above, grant) {
            self.pinned.insert(above.to_owned());
            above = parent(above);
        }
        self.read_only.insert(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tree::Tree;

    #[test]
    fn y08_obeyed_files_of_a_writable_directory_are_found_and_their_way_is_pinned() {
        let tree = Tree::new()
            .file("/p/.npmrc", "")
            .file("/p/a/.git/hooks/pre-commit", "")
            .file("/p/a/.git/config", "")
            .file("/p/a/.git/objects/x", "")
            .dir("/p/a/.vscode")
            .file("/p/node_modules/x/.npmrc", "")
            .link("/p/.bashrc", "/elsewhere");
        let found = find(&tree, "/p");
        assert_eq!(
            found.read_only.iter().map(String::as_str).collect::<Vec<_>>(),
            ["/p/.npmrc", "/p/a/.git/config", "/p/a/.git/hooks", "/p/a/.vscode"]
        );
        assert_eq!(found.pinned.iter().map(String::as_str).collect::<Vec<_>>(), ["/p/a", "/p/a/.git"]);
        assert_eq!(found.links.iter().map(String::as_str).collect::<Vec<_>>(), ["/p/.bashrc"]);
        assert!(!found.incomplete);
    }

    #[test]
    fn a_search_that_was_cut_short_says_so() {
        assert!(find(&Tree::new().file("/p/1/2/3/4/5/6/x", ""), "/p").incomplete);
    }
}
