//! A tree of files in memory, for tests.

use super::{Entry, FileError, FileKind, Files, Right, Status};
use crate::path;
use std::collections::{BTreeMap, BTreeSet};

/// A tree of files in memory. Directories above a path come into being with it.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    nodes: BTreeMap<String, (FileKind, Vec<u8>)>,
    closed: BTreeSet<String>,
    inert: BTreeSet<String>,
    guarded: BTreeSet<String>,
}

impl Tree {
    /// A tree with nothing but its root.
    pub fn new() -> Self {
        Self::default().dir("/")
    }

    fn add(mut self, at: &str, kind: FileKind, content: &str) -> Self {
        for above in path::ancestors(at).map(str::to_owned).collect::<Vec<_>>() {
            self.nodes.entry(above).or_insert((FileKind::Directory, Vec::new()));
        }
        self.nodes.insert(at.to_owned(), (kind, content.as_bytes().to_vec()));
        self
    }

    /// With a directory.
    pub fn dir(self, at: &str) -> Self {
        self.add(at, FileKind::Directory, "")
    }

    /// With a file that may be read and executed.
    pub fn file(self, at: &str, content: &str) -> Self {
        self.add(at, FileKind::File, content)
    }

    /// With a file that may be read but not executed.
    pub fn plain(mut self, at: &str, content: &str) -> Self {
        self.inert.insert(at.to_owned());
        self.file(at, content)
    }

    /// With a character device.
    pub fn device(self, at: &str) -> Self {
        self.add(at, FileKind::Device, "")
    }

    /// With a symbolic link.
    pub fn link(self, at: &str, target: &str) -> Self {
        self.add(at, FileKind::Link, target)
    }

    /// With a path that the server's user may do nothing with.
    pub fn closed(mut self, at: &str) -> Self {
        self.closed.insert(at.to_owned());
        self
    }

    /// With a path that may not be written.
    pub fn guarded(mut self, at: &str) -> Self {
        self.guarded.insert(at.to_owned());
        self
    }

    fn node(&self, at: &str) -> Result<&(FileKind, Vec<u8>), FileError> {
        self.nodes.get(at).ok_or(FileError::Missing)
    }
}

impl Files for Tree {
    fn status(&self, at: &str) -> Result<Status, FileError> {
        let kind = self.node(at)?.0;
        let inode = self.nodes.keys().position(|key| key == at).unwrap_or_default() as u64;
        Ok(Status { kind, device: 1, inode })
    }

    fn read_link(&self, at: &str) -> Result<String, FileError> {
        match self.node(at)? {
            (FileKind::Link, target) => Ok(String::from_utf8_lossy(target).into_owned()),
            _ => Err(FileError::Other("is not a link".into())),
        }
    }

    fn head(&self, at: &str, bytes_max: usize) -> Result<Vec<u8>, FileError> {
        Ok(self.node(at)?.1.iter().copied().take(bytes_max).collect())
    }

    fn list(&self, at: &str) -> Result<Vec<Entry>, FileError> {
        self.node(at)?;
        if self.closed.contains(at) {
            return Err(FileError::Denied);
        }
        let below = self.nodes.iter().filter(|(key, _)| *key != at && path::parent(key) == at);
        Ok(below
            .map(|(key, (kind, _))| Entry {
                name: path::name(key).to_owned(),
                directory: *kind == FileKind::Directory,
            })
            .collect())
    }

    fn may(&self, at: &str, right: Right) -> bool {
        let refused = match right {
            Right::Read => false,
            Right::Write => self.guarded.contains(at),
            Right::Execute => self.inert.contains(at),
        };
        !refused && !self.closed.contains(at)
    }
}
