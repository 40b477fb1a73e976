//! The files of the repository, read once per rule.

use harness::programs;
use std::fs;
use std::path::{Path, PathBuf};

/// A file of the repository.
pub struct Source {
    /// Its path from the root.
    pub path: String,
    /// All of it.
    pub text: String,
}

impl Source {
    /// The part before the unit tests at the file's end.
    pub fn production(&self) -> &str {
        if self.path.ends_with("/tests.rs") || self.path.contains("/tests/") {
            return "";
        }
        self.text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default()
    }
}

/// All files with one of these extensions, in order.
pub fn sources(extensions: &[&str]) -> Vec<Source> {
    let root = programs::checkout();
    let wanted = |path: &Path| path.extension().is_some_and(|end| extensions.iter().any(|one| end == *one));
    let paths = walk(&root).into_iter().filter(|path| wanted(path));
    let mut found: Vec<Source> = paths.filter_map(|path| read(&root, &path)).collect();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!found.is_empty(), "no file with {extensions:?}: the rule would check nothing");
    found
}

/// All text files, whatever they are called.
pub fn texts() -> Vec<Source> {
    let root = programs::checkout();
    walk(&root).into_iter().filter_map(|path| read(&root, &path)).collect()
}

fn read(root: &Path, path: &Path) -> Option<Source> {
    let text = fs::read_to_string(path).ok()?;
    Some(Source { path: path.strip_prefix(root).unwrap_or(path).display().to_string(), text })
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && name != "target" && name != ".git" => found.extend(walk(&path)),
            Ok(kind) if kind.is_file() && name != ".git" => found.push(path),
            _ => {}
        }
    }
    found
}

/// Fails with all findings at once.
pub fn assert_none(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}:\n  {}", findings.join("\n  "));
}
