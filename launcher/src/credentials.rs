//! Servers' secrets: files of one directory that only the launcher can read, read at each SPAWN.

use crate::launch::failure::{At, Failure};
use crate::limits::CREDENTIAL_BYTES_MAX;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{FileStat, SFlag, fstat};
use only1mcp_wire::Step;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// The directory of credentials.
#[derive(Debug)]
pub struct Credentials {
    directory: OwnedFd,
}

impl Credentials {
    /// Opens the directory, making it if need be.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open(directory: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        Ok(Self { directory: File::open(directory)?.into() })
    }

    /// The content of a credential, without the newline that editors leave at the end.
    ///
    /// # Errors
    /// [`Failure`] at [`Step::Credential`], with the name of the credential and never its content.
    pub fn read(&self, name: &str) -> Result<String, Failure> {
        self.content(name).at_subject(Step::Credential, name)
    }

    fn content(&self, name: &str) -> nix::Result<String> {
        if name.contains('/') {
            return Err(Errno::EINVAL);
        }
        let resolve = ResolveFlag::RESOLVE_BENEATH
            | ResolveFlag::RESOLVE_NO_SYMLINKS
            | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        // Not blocking: a FIFO under this name must not hold the launcher up.
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        let file = openat2(self.directory.as_fd(), name, OpenHow::new().flags(flags).resolve(resolve))?;
        check(&fstat(&file)?)?;
        let mut content = String::new();
        let read = File::from(file).take(CREDENTIAL_BYTES_MAX + 1).read_to_string(&mut content);
        let read = read.map_err(|_| Errno::EILSEQ)?;
        if u64::try_from(read).unwrap_or(u64::MAX) > CREDENTIAL_BYTES_MAX {
            return Err(Errno::EFBIG);
        }
        let kept = content.trim_end_matches(['\n', '\r']).len();
        content.truncate(kept);
        Ok(content)
    }
}

/// A credential is one regular file that only its owner may read.
fn check(file: &FileStat) -> nix::Result<()> {
    let kind = SFlag::from_bits_truncate(file.st_mode) & SFlag::S_IFMT;
    if kind != SFlag::S_IFREG {
        return Err(Errno::EINVAL);
    }
    if file.st_mode & 0o077 == 0 { Ok(()) } else { Err(Errno::EPERM) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::PathBuf;

    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let path =
                std::env::temp_dir().join(format!("only1mcp-credentials-{name}-{}", std::process::id()));
            std::fs::create_dir(&path).unwrap();
            Self(path)
        }

        fn file(&self, name: &str, content: &str, mode: u32) {
            std::fs::write(self.0.join(name), content).unwrap();
            std::fs::set_permissions(self.0.join(name), PermissionsExt::from_mode(mode)).unwrap();
        }

        fn read(&self, name: &str) -> Result<String, Errno> {
            Credentials::open(&self.0).unwrap().read(name).map_err(|failure| failure.errno)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn reads_a_private_file_without_its_last_newline() {
        let directory = Directory::new("plain");
        directory.file("token", "s3cret\n", 0o600);
        assert_eq!(directory.read("token"), Ok("s3cret".into()));
    }

    #[test]
    fn refuses_what_others_could_read_or_choose() {
        let directory = Directory::new("refused");
        directory.file("open", "x", 0o640);
        directory.file("token", "x", 0o600);
        symlink("token", directory.0.join("link")).unwrap();
        directory.file("big", &"x".repeat(64 * 1024 + 1), 0o600);
        assert_eq!(directory.read("open"), Err(Errno::EPERM));
        assert_eq!(directory.read("link"), Err(Errno::ELOOP));
        assert_eq!(directory.read("big"), Err(Errno::EFBIG));
        assert_eq!(directory.read("../token"), Err(Errno::EINVAL));
        assert_eq!(directory.read("absent"), Err(Errno::ENOENT));
    }
}
