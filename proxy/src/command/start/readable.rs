//! Whether another uid can read a file by its path, and which component stops it if not.
//!
//! The root-mode launcher reads the configuration as a uid of the pool: a file below a private home is
//! out of its reach, and "permission denied" alone would not say why.

use crate::command::exit_code::Exit;
use crate::command::failure::Failure;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What stops a uid on its way to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// The directory or file.
    pub component: PathBuf,
    /// Its permission bits.
    pub mode: u32,
    /// The bit that is missing.
    pub missing: Access,
}

/// What is needed of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To pass through a directory, or to execute a file.
    Pass,
    /// To read a file.
    Read,
}

impl Access {
    const fn bit_for_others(self) -> u32 {
        match self {
            Self::Pass => 0o1,
            Self::Read => 0o4,
        }
    }
}

/// The first component that `uid` (member of no group) cannot pass or, the last one, not access.
///
/// # Errors
/// When the path does not exist.
pub fn first_obstacle(path: &Path, uid: u32, last: Access) -> io::Result<Option<Obstacle>> {
    let real = path.canonicalize()?;
    let mut ancestors: Vec<&Path> = real.ancestors().skip(1).collect();
    ancestors.reverse();
    let steps = ancestors.into_iter().map(|step| (step, Access::Pass)).chain([(real.as_path(), last)]);
    for (component, needed) in steps {
        let found = std::fs::metadata(component)?;
        let bit = needed.bit_for_others();
        let bits = if found.uid() == uid { bit << 6 } else { bit };
        if found.mode() & bits == 0 {
            let mode = found.mode() & 0o7777;
            return Ok(Some(Obstacle { component: component.to_owned(), mode, missing: needed }));
        }
    }
    Ok(None)
}

/// Checks that the launcher's uid can read the configuration.
///
/// # Errors
/// Names the component in the way, and both mends.
pub fn require_readable(config: &Path, uid: u32) -> Result<(), Failure> {
    require(config, uid, Access::Read, "keep the configuration in /etc/only1mcp")
}

/// Checks that the launcher's uid can execute a copied program.
///
/// # Errors
/// Names the component in the way, and both mends.
pub fn require_executable(program: &Path, uid: u32) -> Result<(), Failure> {
    require(program, uid, Access::Pass, "choose another directory with --runtime-dir DIR")
}

fn require(path: &Path, uid: u32, last: Access, mend: &str) -> Result<(), Failure> {
    let found = first_obstacle(path, uid, last).map_err(|cause| {
        Failure::new(Exit::InputOutput, format!("cannot look at {}: {cause}", path.display()))
    })?;
    let Some(obstacle) = found else { return Ok(()) };
    let verb = if last == Access::Pass { "execute" } else { "read" };
    let letter = if obstacle.missing == Access::Pass { "x" } else { "r" };
    let component = obstacle.component.display();
    let text = format!(
        "the launcher (uid {uid}) cannot {verb} {}: {component} has mode {:o}",
        path.display(),
        obstacle.mode
    );
    Err(Failure::new(Exit::Permission, text).help(format!("{mend}, or `chmod o+{letter} {component}`")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::directories::set_mode;

    const STRANGER: u32 = 0x7000_0000;

    #[test]
    fn a_file_of_the_system_is_readable_for_everybody() {
        assert_eq!(first_obstacle(Path::new("/etc/passwd"), STRANGER, Access::Read).unwrap(), None);
    }

    #[test]
    fn the_private_component_is_named_with_its_mend() {
        let base = std::env::temp_dir().join(format!("only1mcp-readable-{}", std::process::id()));
        let file = base.join("private/config.yaml");
        std::fs::create_dir_all(base.join("private")).unwrap();
        std::fs::write(&file, "").unwrap();
        set_mode(&base, 0o755).unwrap();
        set_mode(&base.join("private"), 0o700).unwrap();
        let closed = require_readable(&file, STRANGER).unwrap_err().to_string();
        set_mode(&base.join("private"), 0o711).unwrap();
        set_mode(&file, 0o600).unwrap();
        let unreadable = require_readable(&file, STRANGER).unwrap_err().to_string();
        set_mode(&file, 0o644).unwrap();
        let open = require_readable(&file, STRANGER);
        std::fs::remove_dir_all(&base).unwrap();
        assert!(closed.contains("private has mode 700"), "{closed}");
        assert!(closed.contains("/etc/only1mcp") && closed.contains("chmod o+x"), "{closed}");
        assert!(
            unreadable.contains("config.yaml has mode 600") && unreadable.contains("chmod o+r"),
            "{unreadable}"
        );
        assert_eq!(open, Ok(()));
    }
}
