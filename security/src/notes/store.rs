//! The notes on disk: one JSON file, replaced as a whole, never overwritten when it cannot be understood.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Notes kept at most.
const NOTES_MAX: usize = 10_000;
/// Bytes of one note.
const NOTE_BYTES_MAX: usize = 64 * 1024;
/// Bytes of the file that is read.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// One note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Its number; never given to another note.
    pub id: u64,
    /// What it says.
    pub text: String,
    /// When it was kept, in seconds since 1970.
    pub created_unix_s: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Notes {
    last_id: u64,
    notes: Vec<Note>,
}

/// Why something did not work.
#[derive(Debug)]
pub enum Problem {
    /// There is no note of this number.
    NoSuchNote(u64),
    /// The note is empty or too long.
    Text(String),
    /// There are too many notes.
    Full,
    /// The file holds something else.
    Unreadable(PathBuf, serde_json::Error),
    /// The kernel refused.
    File(&'static str, PathBuf, io::Error),
}

impl std::fmt::Display for Problem {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoSuchNote(id) => write!(out, "there is no note {id}"),
            Self::Text(text) => out.write_str(text),
            Self::Full => write!(out, "there are {NOTES_MAX} notes already; delete one first"),
            Self::Unreadable(path, error) => {
                write!(out, "{} is not a file of notes: {error}; move it away to begin anew", path.display())
            }
            Self::File(step, path, error) => write!(out, "cannot {step} {}: {error}", path.display()),
        }
    }
}

impl std::error::Error for Problem {}

/// Where the notes are kept.
#[derive(Debug)]
pub struct Store {
    directory: PathBuf,
}

impl Store {
    /// Keeps the notes in this directory.
    #[must_use]
    pub const fn in_directory(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// All notes, oldest first.
    ///
    /// # Errors
    /// [`Problem`] if the file cannot be read.
    pub fn all(&self) -> Result<Vec<Note>, Problem> {
        Ok(self.load()?.notes)
    }

    /// Keeps a note.
    ///
    /// # Errors
    /// [`Problem`] if it is refused or cannot be written.
    pub fn add(&mut self, text: &str) -> Result<Note, Problem> {
        if text.trim().is_empty() || text.len() > NOTE_BYTES_MAX {
            return Err(Problem::Text(format!("a note must hold 1 to {NOTE_BYTES_MAX} bytes of text")));
        }
        let mut notes = self.load()?;
        if notes.notes.len() >= NOTES_MAX {
            return Err(Problem::Full);
        }
        notes.last_id = notes.last_id.saturating_add(1);
        let created_unix_s =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |duration| duration.as_secs());
        let note = Note { id: notes.last_id, text: text.to_owned(), created_unix_s };
        notes.notes.push(note.clone());
        self.save(&notes)?;
        Ok(note)
    }

    /// Removes a note.
    ///
    /// # Errors
    /// [`Problem`] if there is none of this number or the file cannot be written.
    pub fn remove(&mut self, id: u64) -> Result<Note, Problem> {
        let mut notes = self.load()?;
        let position = notes.notes.iter().position(|note| note.id == id).ok_or(Problem::NoSuchNote(id))?;
        let note = notes.notes.remove(position);
        self.save(&notes)?;
        Ok(note)
    }

    fn path(&self) -> PathBuf {
        self.directory.join("notes.json")
    }

    fn load(&self) -> Result<Notes, Problem> {
        let path = self.path();
        let size = match fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Notes::default()),
            Err(error) => return Err(Problem::File("look at", path, error)),
        };
        if size > FILE_BYTES_MAX {
            return Err(Problem::Text(format!("{} is larger than {FILE_BYTES_MAX} bytes", path.display())));
        }
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| Problem::Unreadable(path, error)),
            Err(error) => Err(Problem::File("read", path, error)),
        }
    }

    /// Writes a new file and puts it in the old one's place, so that a crash leaves one of the two.
    fn save(&self, notes: &Notes) -> Result<(), Problem> {
        let (path, new) = (self.path(), self.directory.join("notes.json.new"));
        let write = || -> io::Result<()> {
            let mut file = fs::File::create(&new)?;
            serde_json::to_writer(&mut file, notes)?;
            file.flush()?;
            file.sync_all()?;
            fs::rename(&new, &path)
        };
        write().map_err(|error| Problem::File("write", path.clone(), error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(name: &str) -> PathBuf {
        let directory = std::env::temp_dir().join(format!("only1mcp-store-{}-{name}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        directory
    }

    #[test]
    fn a_number_is_never_given_twice() {
        let mut store = Store::in_directory(directory("numbers"));
        store.add("one").unwrap();
        store.remove(1).unwrap();
        assert_eq!(store.add("two").unwrap().id, 2);
    }

    #[test]
    fn a_file_that_is_no_notes_is_left_alone() {
        let directory = directory("broken");
        fs::write(directory.join("notes.json"), "precious").unwrap();
        let mut store = Store::in_directory(directory.clone());
        assert!(store.add("one").unwrap_err().to_string().contains("is not a file of notes"));
        assert_eq!(fs::read_to_string(directory.join("notes.json")).unwrap(), "precious");
    }

    #[test]
    fn refuses_empty_and_endless_notes() {
        let mut store = Store::in_directory(directory("limits"));
        assert!(store.add(" \n").is_err());
        assert!(store.add(&"x".repeat(NOTE_BYTES_MAX + 1)).is_err());
    }
}
