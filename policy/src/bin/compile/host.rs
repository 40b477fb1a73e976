//! The real files of the host, as the policy crate asks about them.

use nix::fcntl::{AT_FDCWD, AtFlags, OFlag};
use nix::unistd::{AccessFlags, faccessat};
use only1mcp_policy::files::{Entry, FileError, FileKind, Files, Right, Status};
use only1mcp_policy::limits::DIRECTORY_ENTRIES_MAX;
use only1mcp_policy::path::{form_error, join, name, parent};
use only1mcp_wire::Mode;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};

/// Uids that belong to people, as `login.defs` has it on every distribution.
const PEOPLE: std::ops::Range<u32> = 1000..65_534;

/// The real files.
pub struct Host {
    judge: Judge,
}

/// Who the server will be, as far as permissions go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judge {
    /// As we are: the kernel knows the answer.
    Ourselves,
    /// Somebody who owns nothing, while we are root and may do everything: the mode bits tell.
    Stranger,
}

impl Host {
    /// The host's files, as a server of this mode will find them.
    pub fn new(mode: Mode) -> Self {
        let own_uid = matches!(mode, Mode::User | Mode::Minimal);
        let root = nix::unistd::geteuid().is_root();
        Self { judge: if root && !own_uid { Judge::Stranger } else { Judge::Ourselves } }
    }

    /// The path without symbolic links, as far as it exists.
    pub fn real(&self, path: &str) -> String {
        match fs::canonicalize(path).map(|path| path.into_os_string().into_string()) {
            Ok(Ok(real)) => real,
            _ if path == "/" => "/".to_owned(),
            _ => join(&self.real(parent(path)), name(path)),
        }
    }

    /// Home directories of people, and our own.
    pub fn homes(&self) -> Vec<String> {
        let table = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let of_people = table.lines().filter_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let uid = fields.get(2)?.parse::<u32>().ok()?;
            PEOPLE.contains(&uid).then_some(*fields.get(5)?).map(str::to_owned)
        });
        let own = std::env::var("HOME").ok();
        let mut homes: Vec<String> = of_people
            .chain(own)
            .filter(|home| home.len() > 1 && form_error(home).is_none())
            .map(|home| self.real(&home))
            .collect();
        homes.sort_unstable();
        homes.dedup();
        homes
    }
}

fn file_error(error: &io::Error) -> FileError {
    match error.kind() {
        io::ErrorKind::NotFound => FileError::Missing,
        io::ErrorKind::PermissionDenied => FileError::Denied,
        _ => FileError::Other(error.to_string()),
    }
}

/// Part of a directory would be worse than none: what is looked for may lie in the other part.
fn list(path: &str, most: usize) -> Result<Vec<Entry>, FileError> {
    let entries = fs::read_dir(path).map_err(|error| file_error(&error))?;
    let mut found = Vec::new();
    for (index, entry) in entries.enumerate() {
        if index >= most {
            return Err(FileError::Other(format!("has more than {most} entries")));
        }
        let entry = entry.map_err(|error| file_error(&error))?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        // It may have gone in between; then it is none.
        let directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        found.push(Entry { name, directory });
    }
    found.sort_unstable();
    Ok(found)
}

impl Files for Host {
    fn status(&self, path: &str) -> Result<Status, FileError> {
        let metadata = fs::symlink_metadata(path).map_err(|error| file_error(&error))?;
        let kind = metadata.file_type();
        let kind = if kind.is_dir() {
            FileKind::Directory
        } else if kind.is_file() {
            FileKind::File
        } else if kind.is_symlink() {
            FileKind::Link
        } else if kind.is_char_device() {
            FileKind::Device
        } else {
            FileKind::Special
        };
        Ok(Status { kind, device: metadata.dev(), inode: metadata.ino() })
    }

    fn read_link(&self, path: &str) -> Result<String, FileError> {
        let target = fs::read_link(path).map_err(|error| file_error(&error))?;
        let text = target.into_os_string().into_string();
        text.map_err(|_| FileError::Other("leads to a path that is not UTF-8".to_owned()))
    }

    fn head(&self, path: &str, bytes_max: usize) -> Result<Vec<u8>, FileError> {
        // Not blocking, should the file have become a pipe since it was looked at.
        let flags = (OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_NOCTTY).bits();
        let open = fs::OpenOptions::new().read(true).custom_flags(flags).open(path);
        let file = open.map_err(|error| file_error(&error))?;
        let mut bytes = Vec::new();
        let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX);
        file.take(limit).read_to_end(&mut bytes).map_err(|error| file_error(&error))?;
        Ok(bytes)
    }

    fn list(&self, path: &str) -> Result<Vec<Entry>, FileError> {
        list(path, DIRECTORY_ENTRIES_MAX)
    }

    fn may(&self, path: &str, right: Right) -> bool {
        if self.judge == Judge::Stranger {
            let bit = match right {
                Right::Read => 0o4,
                Right::Write => 0o2,
                Right::Execute => 0o1,
            };
            return fs::symlink_metadata(path).is_ok_and(|metadata| metadata.mode() & bit != 0);
        }
        let flags = match right {
            Right::Read => AccessFlags::R_OK,
            Right::Write => AccessFlags::W_OK,
            Right::Execute => AccessFlags::X_OK,
        };
        faccessat(AT_FDCWD, path, flags, AtFlags::AT_EACCESS).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_answers_about_its_own_files() {
        let host = Host::new(Mode::User);
        assert_eq!(host.status("/usr").unwrap().kind, FileKind::Directory);
        assert_eq!(host.status("/dev/null").unwrap().kind, FileKind::Device);
        assert_eq!(host.status("/nowhere/at/all"), Err(FileError::Missing));
        assert!(host.read_link("/proc/self/cwd").is_ok());
        assert!(host.list("/").unwrap().contains(&Entry { name: "usr".to_owned(), directory: true }));
        assert!(host.may("/usr", Right::Execute));
    }

    #[test]
    fn a_directory_with_too_many_entries_is_not_listed_in_part() {
        assert!(matches!(list("/usr", 1), Err(FileError::Other(_))));
    }

    #[test]
    fn a_path_that_does_not_exist_yet_has_a_real_beginning() {
        assert_eq!(Host::new(Mode::User).real("/proc/../usr/not/there"), "/usr/not/there");
    }
}
