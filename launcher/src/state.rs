//! The writable directory of each server and partition: `servers/NAME/PARTITION`, and whose it is.
//!
//! What lies inside such a directory is the server's: the launcher never opens anything below it.

mod uids;

use crate::launch::failure::{At, Failure};
use crate::launch::identity::Identity;
use crate::pool::Pool;
use crate::weakened::{Weakness, lacks};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{FchmodatFlags, Mode, fchmodat, fstat, mkdirat};
use nix::unistd::{Gid, Uid, fchownat, getgid, getuid};
use only1mcp_wire::plan::{Bind, BindKind, STATE_DIRECTORY};
use only1mcp_wire::{Partition, ServerName, Step};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use uids::Uids;

/// All state directories.
#[derive(Debug)]
pub struct StateDirectories {
    path: PathBuf,
    directory: OwnedFd,
    uids: Option<Uids>,
}

impl StateDirectories {
    /// Opens `servers` of the state directory, making it if need be.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open(path: &Path, pool: Option<Pool>) -> std::io::Result<Self> {
        std::fs::create_dir_all(path)?;
        let path = path.canonicalize()?;
        let directory = File::open(&path)?.into();
        let uids = pool.map(|pool| Uids::load(&path, pool)).transpose()?;
        Ok(Self { path, directory, uids })
    }

    /// The directory of this server and partition, made if need be, and who owns it.
    ///
    /// # Errors
    /// [`Failure`] at [`Step::StateDirectory`].
    pub fn provide(&mut self, name: &ServerName, partition: Partition) -> Result<(Bind, Identity), Failure> {
        self.make(name, partition).at_subject(Step::StateDirectory, name.as_str())
    }

    fn make(&mut self, name: &ServerName, partition: Partition) -> nix::Result<(Bind, Identity)> {
        let partition = partition.to_string();
        let of_server = directory(&self.directory, name.as_str())?;
        let identity = match &mut self.uids {
            None => Identity::Own { uid: getuid().as_raw(), gid: getgid().as_raw() },
            Some(uids) => {
                // The pool's uids must be able to pass through, and no more.
                let passable = Mode::from_bits_truncate(0o711);
                fchmodat(&self.directory, name.as_str(), passable, FchmodatFlags::FollowSymlink)?;
                Identity::Pool(uids.assign(name, &partition)?)
            }
        };
        let own = directory(&of_server, &partition)?;
        let found = fstat(&own)?;
        if let Identity::Pool(uid) = identity {
            give(&own, found.st_uid, uid)?;
        }
        let source = self.path.join(name.as_str()).join(&partition);
        let (source, found) = if lacks(Weakness::StateOfOthers) {
            (self.path.clone(), fstat(&self.directory)?)
        } else {
            (source, found)
        };
        let bind = Bind {
            source: source.to_str().ok_or(Errno::EILSEQ)?.to_owned(),
            target: STATE_DIRECTORY.to_owned(),
            kind: BindKind::Directory,
            device: found.st_dev,
            inode: found.st_ino,
            writable: true,
            executable: false,
        };
        Ok((bind, identity))
    }
}

/// Opens a directory of ours, making it if it is not there. Never through a symbolic link.
fn directory(parent: &OwnedFd, name: &str) -> nix::Result<OwnedFd> {
    let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS;
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    match mkdirat(parent, name, Mode::S_IRWXU) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(errno) => return Err(errno),
    }
    openat2(parent, name, OpenHow::new().flags(flags).resolve(resolve))
}

/// Gives a fresh directory to its uid. One that belongs to a third uid is somebody else's.
fn give(directory: &OwnedFd, owner: u32, uid: u32) -> nix::Result<()> {
    if owner == uid {
        return Ok(());
    }
    if owner != getuid().as_raw() {
        return Err(Errno::EPERM);
    }
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(uid));
    fchownat(directory, "", Some(uid), Some(gid), AtFlags::AT_EMPTY_PATH)
}
