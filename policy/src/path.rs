//! Absolute paths as text: their form, their parts, and the way through symbolic links.

use crate::files::{FileError, FileKind, Files, Right, Status};
use crate::limits::LINKS_MAX;

/// Why a text is not a path that a document may name.
#[must_use]
pub fn form_error(path: &str) -> Option<(&'static str, String)> {
    let normal = normalise(path);
    if path.contains(char::is_control) {
        return Some((
            "holds a control character, such as a line end",
            "rename what it names: such a path cannot be shown or logged as it is".into(),
        ));
    }
    if path.starts_with("~") {
        return Some(("begins with ~, which only a shell knows", "write the home directory out".into()));
    }
    if path.contains('$') {
        return Some(("has a $; variables are not expanded in paths", "write the path out".into()));
    }
    if path.contains(['*', '?', '[']) {
        return Some((
            "has a wildcard; a path names one file or directory",
            "name the directory above".into(),
        ));
    }
    if !path.starts_with('/') {
        return Some(("is not absolute", "begin the path with /".into()));
    }
    if path.split('/').any(|part| part == "..") {
        return Some(("has `..` in it", "write the path without ..".into()));
    }
    if normal != path {
        return Some(("is not written the shortest way", format!("write {normal}")));
    }
    None
}

/// `path` without empty and `.` parts and with `..` taken back, as text; starts with `/`.
#[must_use]
pub fn normalise(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// `base/name`.
#[must_use]
pub fn join(base: &str, name: &str) -> String {
    if name.starts_with('/') {
        return name.to_owned();
    }
    format!("{}/{name}", base.trim_end_matches('/'))
}

/// The directory above; `/` for `/`.
#[must_use]
pub fn parent(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((above, _)) => above,
    }
}

/// The last part.
#[must_use]
pub fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// Whether `path` is `above` or lies below it.
#[must_use]
pub fn is_within(path: &str, above: &str) -> bool {
    above == "/" || path == above || path.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))
}

/// Every directory from the top to the one above `path`.
pub fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let top = (path != "/").then_some("/");
    top.into_iter().chain(path.match_indices('/').skip(1).filter_map(|(index, _)| path.get(..index)))
}

/// The way to a file: every symbolic link met, and where it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The path typed, and the path after each link that was the last part of it.
    pub hops: Vec<String>,
    /// The path without any symbolic link.
    pub real: String,
    /// What is there.
    pub status: Status,
}

/// Why a path leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WayError {
    /// This component could not be looked at.
    Component(String, FileError),
    /// This directory may not be gone through by the server's user.
    Closed(String),
    /// More links than the kernel follows.
    Links,
}

impl WayError {
    /// The error in words, and what to do.
    #[must_use]
    pub fn explain(&self) -> (String, String) {
        match self {
            Self::Component(path, FileError::Missing) => {
                (format!("{path} does not exist"), "see that the path is right".to_owned())
            }
            Self::Component(path, error) => (format!("{path}: {error}"), closed_help(path)),
            Self::Closed(path) => (format!("the server's user may not go through {path}"), closed_help(path)),
            Self::Links => ("too many symbolic links".to_owned(), "name the file itself".to_owned()),
        }
    }
}

fn closed_help(path: &str) -> String {
    format!(
        "allow it with `chmod o+x {path}`, or move the files to a directory that others may go through, such as /opt or /usr/local"
    )
}

/// Follows `path` through every symbolic link, and sees that each directory can be gone through.
///
/// # Errors
/// [`WayError`] names the component that stands in the way.
pub fn follow(files: &dyn Files, path: &str) -> Result<Way, WayError> {
    let mut hops = Vec::new();
    let mut links = 0_usize;
    let mut current = path.to_owned();
    loop {
        let last = name(&current);
        let here = if matches!(last, "" | "." | "..") {
            directory(files, &current, &mut links)?
        } else {
            join(&directory(files, parent(&current), &mut links)?, last)
        };
        let status = status(files, &here)?;
        hops.push(here.clone());
        if status.kind != FileKind::Link {
            return Ok(Way { hops, real: here, status });
        }
        count(&mut links)?;
        current = join(parent(&here), &read_link(files, &here)?);
    }
}

/// The real path of a directory, every component searchable.
fn directory(files: &dyn Files, path: &str, links: &mut usize) -> Result<String, WayError> {
    let mut todo = parts(path);
    let mut real = "/".to_owned();
    loop {
        if !files.may(&real, Right::Execute) {
            return Err(WayError::Closed(real));
        }
        let Some(part) = todo.pop() else { return Ok(real) };
        if part == ".." {
            real = parent(&real).to_owned();
            continue;
        }
        let here = join(&real, &part);
        match status(files, &here)?.kind {
            FileKind::Directory => real = here,
            FileKind::Link => {
                count(links)?;
                let target = read_link(files, &here)?;
                if target.starts_with('/') {
                    "/".clone_into(&mut real);
                }
                todo.extend(parts(&target));
            }
            _ => return Err(WayError::Component(here, FileError::Other("is not a directory".into()))),
        }
    }
}

/// The parts of a path, last first.
fn parts(path: &str) -> Vec<String> {
    path.split('/').filter(|part| !matches!(*part, "" | ".")).rev().map(str::to_owned).collect()
}

fn count(links: &mut usize) -> Result<(), WayError> {
    *links += 1;
    if *links > LINKS_MAX { Err(WayError::Links) } else { Ok(()) }
}

fn status(files: &dyn Files, path: &str) -> Result<Status, WayError> {
    files.status(path).map_err(|error| WayError::Component(path.to_owned(), error))
}

fn read_link(files: &dyn Files, path: &str) -> Result<String, WayError> {
    files.read_link(path).map_err(|error| WayError::Component(path.to_owned(), error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tree::Tree;

    #[test]
    fn y07_only_plain_absolute_paths_have_the_right_form() {
        for bad in [
            "a", "./a", "~/a", "~", "$HOME/a", "/a/../b", "/a/*", "/a/", "/a//b", "/a/./b", "", "/a/b?",
            "/a\nb", "/a\u{1b}",
        ] {
            assert!(form_error(bad).is_some(), "{bad}");
        }
        for good in ["/", "/a", "/srv/my data/x.y"] {
            assert_eq!(form_error(good), None, "{good}");
        }
    }

    #[test]
    fn a_path_lies_within_whole_components_only() {
        assert!(is_within("/a/b", "/a") && is_within("/a", "/a") && is_within("/a", "/"));
        assert!(!is_within("/ab", "/a") && !is_within("/", "/a"));
    }

    #[test]
    fn a_way_leads_through_links_of_files_and_directories() {
        let tree = Tree::new()
            .file("/usr/lib/a/bin/run.js", "")
            .link("/lib", "usr/lib")
            .link("/usr/bin/run", "../../lib/a/bin/../bin/run.js");
        let way = follow(&tree, "/usr/bin/run").unwrap();
        assert_eq!(way.real, "/usr/lib/a/bin/run.js");
        assert_eq!(way.hops, ["/usr/bin/run", "/usr/lib/a/bin/run.js"]);
    }

    #[test]
    fn a_loop_of_links_ends() {
        let tree = Tree::new().link("/a", "/b").link("/b", "/a");
        assert_eq!(follow(&tree, "/a"), Err(WayError::Links));
        assert_eq!(follow(&tree, "/a/x"), Err(WayError::Links));
    }

    #[test]
    fn a_closed_directory_is_named() {
        let tree = Tree::new().file("/root/.pyenv/bin/python", "").closed("/root");
        let error = follow(&tree, "/root/.pyenv/bin/python").unwrap_err();
        assert_eq!(error, WayError::Closed("/root".into()));
        assert!(error.explain().1.contains("chmod o+x /root"));
    }

    #[test]
    fn ancestors_come_from_the_top() {
        assert_eq!(ancestors("/a/b/c").collect::<Vec<_>>(), ["/", "/a", "/a/b"]);
        assert_eq!(ancestors("/").count(), 0);
    }
}
