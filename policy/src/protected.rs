//! What stays read-only inside a directory that may be written: files that a shell, an editor or git
//! obeys on the next occasion, outside any sandbox.

use crate::files::{Entry, FileError, FileKind, Files};
use crate::floor::OBEYED;
use crate::limits::{PROTECTED_FOUND_MAX, PROTECTED_SCAN_DEPTH_MAX, PROTECTED_SCAN_ENTRIES_MAX};
use crate::path::{is_within, join, parent};
use std::collections::{BTreeSet, VecDeque};

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
    /// Directories that cannot be looked into. They become read-only whole: a server may close a directory
    /// that it owns, and would find it unprotected the next time.
    pub closed: BTreeSet<String>,
    /// Whether there is more than may be looked at, so that something was not found that must be read-only.
    pub too_large: bool,
    /// Whether there are directories deeper than is searched. No server can move a protected file there.
    pub too_deep: bool,
}

/// Directories that are not searched but only asked for the names themselves: they are large.
const SKIPPED: [&str; 3] = ["node_modules", "target", "__pycache__"];

/// Looks for what must stay read-only in `grant`, a directory; what lies higher is looked at first.
pub fn find(files: &dyn Files, grant: &str) -> Protected {
    let mut found = Protected::default();
    let mut todo = VecDeque::from([(grant.to_owned(), 0_usize)]);
    let mut seen = 0_usize;
    while let Some((directory, depth)) = todo.pop_front() {
        let entries = match files.list(&directory) {
            Ok(entries) => entries,
            // Gone in between.
            Err(FileError::Missing) => continue,
            Err(_) => {
                found.pin_way(grant, &directory);
                found.closed.insert(directory);
                continue;
            }
        };
        seen += entries.len();
        for Entry { name, directory: is_directory } in entries {
            let path = join(&directory, &name);
            if OBEYED.contains(&name.as_str()) {
                found.protect(files, grant, path);
            } else if is_directory && SKIPPED.contains(&name.as_str()) {
                OBEYED.iter().for_each(|name| found.protect(files, grant, join(&path, name)));
            } else if is_directory {
                if depth < PROTECTED_SCAN_DEPTH_MAX {
                    todo.push_back((path, depth + 1));
                } else {
                    found.too_deep = true;
                }
            }
        }
        let protected = found.read_only.len() + found.closed.len();
        if seen > PROTECTED_SCAN_ENTRIES_MAX || protected > PROTECTED_FOUND_MAX {
            found.too_large = true;
            break;
        }
    }
    found
}

impl Protected {
    fn protect(&mut self, files: &dyn Files, grant: &str, path: String) {
        let Ok(status) = files.status(&path) else { return };
        if !matches!(status.kind, FileKind::Directory | FileKind::File) {
            self.links.insert(path);
            return;
        }
        self.pin_way(grant, &path);
        self.read_only.insert(path);
    }

    fn pin_way(&mut self, grant: &str, path: &str) {
        let mut above = parent(path);
        while above != grant && is_within(above, grant) {
            self.pinned.insert(above.to_owned());
            above = parent(above);
        }
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
            .file("/p/b/.git", "gitdir: /elsewhere")
            .file("/p/node_modules/x/.npmrc", "")
            .file("/p/target/.git/config", "")
            .link("/p/.bashrc", "/elsewhere");
        let found = find(&tree, "/p");
        assert_eq!(
            found.read_only.iter().map(String::as_str).collect::<Vec<_>>(),
            ["/p/.npmrc", "/p/a/.git", "/p/a/.vscode", "/p/b/.git", "/p/target/.git"]
        );
        assert_eq!(
            found.pinned.iter().map(String::as_str).collect::<Vec<_>>(),
            ["/p/a", "/p/b", "/p/target"]
        );
        assert_eq!(found.links.iter().map(String::as_str).collect::<Vec<_>>(), ["/p/.bashrc"]);
        assert!(!found.too_large && !found.too_deep);
    }

    #[test]
    fn y08_many_files_before_an_obeyed_one_do_not_hide_it() {
        let many = (0..5_001).fold(Tree::new(), |tree, number| tree.plain(&format!("/p/!{number}"), ""));
        let found = find(&many.file("/p/.bashrc", "").file("/p/.git/hooks/x", ""), "/p");
        assert_eq!(found.read_only.iter().map(String::as_str).collect::<Vec<_>>(), ["/p/.bashrc", "/p/.git"]);
        assert!(!found.too_large);
    }

    #[test]
    fn y08_a_directory_that_was_closed_becomes_read_only_whole() {
        let found = find(&Tree::new().file("/p/a/b/.git/hooks/x", "").closed("/p/a/b"), "/p");
        assert_eq!(found.closed.iter().map(String::as_str).collect::<Vec<_>>(), ["/p/a/b"]);
        assert_eq!(found.pinned.iter().map(String::as_str).collect::<Vec<_>>(), ["/p/a"]);
    }

    #[test]
    fn a_search_that_was_cut_short_says_so() {
        assert!(find(&Tree::new().file("/p/1/2/3/4/5/6/7/8/9/x", ""), "/p").too_deep);
        let many = |tree: Tree, number| tree.plain(&format!("/p/{number}/.npmrc"), "");
        assert!(find(&(0..=PROTECTED_FOUND_MAX).fold(Tree::new(), many), "/p").too_large);
        assert!(!find(&(0..PROTECTED_FOUND_MAX).fold(Tree::new(), many), "/p").too_large);
    }
}
