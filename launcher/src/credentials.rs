//! Servers' secrets: files of a directory that only the launcher can read, read at each SPAWN. In system mode
//! systemd may offer a second one, with what it decrypted.

use crate::launch::failure::{At, Failure};
use crate::limits::CREDENTIAL_BYTES_MAX;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{FileStat, SFlag, fstat};
use only1mcp_wire::Step;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Permission bits that a credential may not have: nobody but its owner.
const OTHERS: u32 = 0o077;
/// In systemd's directory the bits of the group stand for its entry for our account in an access list.
const OTHERS_AT_SYSTEMD: u32 = 0o007;

/// The directories of credentials.
#[derive(Debug)]
pub struct Credentials {
    directory: OwnedFd,
    systemds: Option<OwnedFd>,
}

impl Credentials {
    /// Opens the directory, making it if need be, and systemd's.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open(directory: &Path, systemds: Option<PathBuf>) -> std::io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let systemds = systemds.map(|path| File::open(path).map(OwnedFd::from)).transpose()?;
        Ok(Self { directory: File::open(directory)?.into(), systemds })
    }

    /// The content of a credential, without the newline that editors leave at the end. One of systemd's comes
    /// before one of the same name in our own directory.
    ///
    /// # Errors
    /// [`Failure`] at [`Step::Credential`], with the name of the credential and never its content.
    pub fn read(&self, name: &str) -> Result<String, Failure> {
        let systemds = self.systemds.as_ref().map(|directory| content(directory, name, OTHERS_AT_SYSTEMD));
        let found = match systemds {
            None | Some(Err(Errno::ENOENT)) => content(&self.directory, name, OTHERS),
            Some(found) => found,
        };
        found.at_subject(Step::Credential, name)
    }
}

fn content(directory: &OwnedFd, name: &str, forbidden: u32) -> nix::Result<String> {
    if name.contains('/') {
        return Err(Errno::EINVAL);
    }
    let resolve =
        ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    // Not blocking: a FIFO under this name must not hold the launcher up.
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let file = openat2(directory.as_fd(), name, OpenHow::new().flags(flags).resolve(resolve))?;
    check(&fstat(&file)?, forbidden)?;
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

/// A credential is one regular file that nobody else may read.
fn check(file: &FileStat, forbidden: u32) -> nix::Result<()> {
    let kind = SFlag::from_bits_truncate(file.st_mode) & SFlag::S_IFMT;
    if kind != SFlag::S_IFREG {
        return Err(Errno::EINVAL);
    }
    if file.st_mode & forbidden == 0 { Ok(()) } else { Err(Errno::EPERM) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

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
            Credentials::open(&self.0, None).unwrap().read(name).map_err(|failure| failure.errno)
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

    #[test]
    fn what_systemd_offers_comes_first_and_may_carry_an_access_list() {
        let (own, systemds) = (Directory::new("own"), Directory::new("systemds"));
        own.file("token", "ours", 0o600);
        own.file("other", "only here", 0o600);
        systemds.file("token", "decrypted", 0o440);
        systemds.file("world", "x", 0o444);
        let credentials = Credentials::open(&own.0, Some(systemds.0.clone())).unwrap();
        let read = |name: &str| credentials.read(name).map_err(|failure| failure.errno);
        assert_eq!(read("token"), Ok("decrypted".into()));
        assert_eq!(read("other"), Ok("only here".into()));
        assert_eq!(read("world"), Err(Errno::EPERM));
        assert_eq!(read("absent"), Err(Errno::ENOENT));
    }
}
