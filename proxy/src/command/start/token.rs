//! The bearer token: made at first start, readable for its owner alone.

use crate::command::exit_code::Exit;
use crate::command::failure::Failure;
use crate::command::limits::TOKEN_BYTES;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The file of the token; it is made if there is none.
///
/// # Errors
/// When it cannot be made, or the one there can be read by others.
pub fn ensure(state: &Path) -> Result<PathBuf, Failure> {
    let path = state.join("token");
    match std::fs::symlink_metadata(&path) {
        Ok(found) if !found.is_file() || found.mode() & 0o077 != 0 => {
            let text = format!(
                "token {} is not a file of its owner alone (mode {:o})",
                path.display(),
                found.mode() & 0o7777
            );
            Err(Failure::new(Exit::Permission, text)
                .help("others may have read it: remove it, and a new one is made at the next start"))
        }
        Ok(_) => Ok(path),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => match make(&path) {
            Ok(()) => Ok(path),
            Err(cause) => {
                Err(Failure::new(Exit::CannotCreate, format!("cannot create {}: {cause}", path.display())))
            }
        },
        Err(cause) => {
            Err(Failure::new(Exit::InputOutput, format!("cannot look at {}: {cause}", path.display())))
        }
    }
}

/// Written under another name first: a token is whole or not there.
fn make(path: &Path) -> io::Result<()> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let unfinished = path.with_extension("new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::directories::set_mode;

    #[test]
    fn it_is_made_once_and_private() {
        let base = std::env::temp_dir().join(format!("only1mcp-token-{}", std::process::id()));
        std::fs::create_dir_all(&base).unwrap();
        let path = ensure(&base).unwrap();
        let first = std::fs::read_to_string(&path).unwrap();
        ensure(&base).unwrap();
        let second = std::fs::read_to_string(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().mode() & 0o777;
        set_mode(&path, 0o644).unwrap();
        let shared = ensure(&base).unwrap_err();
        std::fs::remove_dir_all(&base).unwrap();
        assert_eq!((first.trim().len(), mode), (2 * TOKEN_BYTES, 0o600));
        assert_eq!(first, second);
        assert!(shared.to_string().contains("mode 644"), "{shared}");
    }
}
