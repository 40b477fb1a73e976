//! What the policy crate may ask about the host's files. The program answers from the real ones,
//! tests from a tree in memory.

#[cfg(test)]
pub mod tree;

use std::fmt;

/// What a path is. Symbolic links are not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Link,
    /// A character device.
    Device,
    /// A socket, pipe or block device.
    Special,
}

/// What is known of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// What it is.
    pub kind: FileKind,
    /// The file system it is on.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
}

/// What the server's user may do with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Read a file, list a directory.
    Read,
    /// Write.
    Write,
    /// Execute a file, go through a directory.
    Execute,
}

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Whether it is a directory; a symbolic link to one is not.
    pub directory: bool,
}

/// Why a path could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileError {
    /// There is nothing.
    Missing,
    /// It is not ours to see.
    Denied,
    /// Anything else, in words.
    Other(String),
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("does not exist"),
            Self::Denied => f.write_str("cannot be looked at"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// The host's files, as far as deciding needs them. Paths are absolute.
pub trait Files {
    /// What `path` is; a symbolic link is not followed.
    ///
    /// # Errors
    /// [`FileError`] if it cannot be looked at.
    fn status(&self, path: &str) -> Result<Status, FileError>;

    /// What a symbolic link says.
    ///
    /// # Errors
    /// [`FileError`] if it cannot be looked at, or is not UTF-8.
    fn read_link(&self, path: &str) -> Result<String, FileError>;

    /// The first bytes of a file.
    ///
    /// # Errors
    /// [`FileError`] if it cannot be read.
    fn head(&self, path: &str, bytes_max: usize) -> Result<Vec<u8>, FileError>;

    /// The entries of a directory, sorted by name; names that are not UTF-8 are left out.
    ///
    /// # Errors
    /// [`FileError`] if it cannot be listed, or has too many entries.
    fn list(&self, path: &str) -> Result<Vec<Entry>, FileError>;

    /// Whether the user that servers run as may do this. Symbolic links are not followed.
    fn may(&self, path: &str, right: Right) -> bool;
}
