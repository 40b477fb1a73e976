//! The new root: an empty tmpfs in which only what the plan names appears.
//!
//! All of it happens inside the new namespaces and as the sandbox's own user, so no path is ever
//! looked up with more rights than the server itself would have. Sources and targets are
//! descriptors, opened without following any symbolic link.

use crate::kernel::mount::{self, Attributes, Depth};
use crate::launch::failure::{At, Failure};
use crate::limits::{ROOT_TMPFS_INODES, ROOT_TMPFS_SIZE};
use crate::weakened::{Weakness, lacks};
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::mount::{MntFlags, MsFlags, umount2};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, mkdirat};
use nix::unistd::{chdir, fchdir, pivot_root, symlinkat};
use only1mcp_wire::Step;
use only1mcp_wire::plan::{Bind, BindKind, Link, Scratch, SyntheticFile};
use std::ffi::CString;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};

/// On every mount but device files.
const PLAIN: Attributes = Attributes::NO_SETUID.and_if(Attributes::NO_DEVICES, true);
/// On a mount that only holds data.
const DATA: Attributes = PLAIN.and_if(Attributes::NO_EXEC, true);

/// The root while it is built.
#[derive(Debug)]
pub struct NewRoot {
    directory: OwnedFd,
}

impl NewRoot {
    /// Mounts an empty root over the old one; paths still lead through the old one until [`Self::enter`].
    pub fn mount() -> Result<Self, Failure> {
        let nothing: Option<&str> = None;
        nix::mount::mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing)
            .at(Step::MountRoot)?;
        let options = [(c"mode", c"0755"), (c"size", ROOT_TMPFS_SIZE), (c"nr_inodes", ROOT_TMPFS_INODES)];
        let directory = mount::new_filesystem(c"tmpfs", &options, DATA).at(Step::MountRoot)?;
        let old = open_source("/").at(Step::MountRoot)?;
        mount::attach(directory.as_fd(), old.as_fd()).at(Step::MountRoot)?;
        Ok(Self { directory })
    }

    /// Makes a path of the host visible.
    pub fn bind(&self, bind: &Bind) -> Result<(), Failure> {
        let source = open_source(&bind.source).at_subject(Step::OpenSource, &bind.source)?;
        let found = fstat(&source).at_subject(Step::OpenSource, &bind.source)?;
        if !is_as_checked(bind, &found) {
            return Err(Errno::ESTALE).at_subject(Step::SourceChanged, &bind.source);
        }
        let device = bind.kind == BindKind::Device;
        let forgotten = lacks(Weakness::WritableSystem) && bind.target == "/usr";
        let attributes = Attributes::NO_SETUID
            .and_if(Attributes::NO_DEVICES, !device)
            .and_if(Attributes::READ_ONLY, !bind.writable && !forgotten)
            .and_if(Attributes::NO_EXEC, !bind.executable);
        let tree = mount::copy_tree(source.as_fd()).at_subject(Step::Bind, &bind.source)?;
        mount::restrict(tree.as_fd(), attributes, Depth::All).at_subject(Step::ReadOnly, &bind.source)?;
        self.attach(&tree, &bind.target, bind.kind).at_subject(Step::Bind, &bind.target)
    }

    /// Writes a file that exists only inside.
    pub fn file(&self, file: &SyntheticFile) -> Result<(), Failure> {
        let write = || {
            let (parent, name) = self.parent(&file.path)?;
            let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
            let created = openat2(&parent, name, own_file(flags, Mode::from_bits_truncate(0o444)))?;
            std::fs::File::from(created)
                .write_all(file.content.as_bytes())
                .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
        };
        write().at_subject(Step::Files, &file.path)
    }

    /// Makes a symbolic link inside.
    pub fn link(&self, link: &Link) -> Result<(), Failure> {
        let make = || {
            let (parent, name) = self.parent(&link.path)?;
            symlinkat(link.target.as_str(), &parent, name)
        };
        make().at_subject(Step::Files, &link.path)
    }

    /// Mounts a tmpfs inside.
    pub fn scratch(&self, scratch: &Scratch) -> Result<(), Failure> {
        let mount = || {
            let (size, inodes) = (number(scratch.bytes)?, number(scratch.inodes)?);
            let options = [(c"mode", c"1777"), (c"size", &size), (c"nr_inodes", &inodes)];
            let attributes = PLAIN.and_if(Attributes::NO_EXEC, !scratch.executable);
            let tree = mount::new_filesystem(c"tmpfs", &options, attributes)?;
            self.attach(&tree, &scratch.path, BindKind::Directory)
        };
        mount().at_subject(Step::Scratch, &scratch.path)
    }

    /// Mounts `/proc` of the new pid namespace: only the server's own processes, and nothing else.
    ///
    /// `subset=pid` leaves out `/proc/sys`, `kcore`, `keys` and all other files about the machine.
    /// With them go `cpuinfo`, `stat` and `meminfo`: Node's `os.cpus()` is empty, as on Android (its
    /// `os.availableParallelism()`, `os.totalmem()` and `os.loadavg()` use system calls and are
    /// right), and CPython, the JVM and Go ask the kernel directly for what they need. A full `/proc`
    /// with masks over it would be a list of what is forbidden instead of one of what is allowed.
    pub fn proc(&self) -> Result<(), Failure> {
        let mount = || self.attach(&proc_of_its_own()?, "/proc", BindKind::Directory);
        mount().at(Step::Proc)
    }

    /// Makes the root read-only, makes it *the* root, and lets go of the old one.
    pub fn enter(self) -> Result<(), Failure> {
        mount::restrict(self.directory.as_fd(), Attributes::READ_ONLY, Depth::One).at(Step::ReadOnly)?;
        fchdir(&self.directory).at(Step::Pivot)?;
        // Puts the old root on top of the new one, from where it is detached at once.
        pivot_root(".", ".").at(Step::Pivot)?;
        if !lacks(Weakness::OldRoot) {
            umount2(".", MntFlags::MNT_DETACH).at(Step::Pivot)?;
        }
        chdir("/").at(Step::Pivot)
    }

    fn attach(&self, tree: &OwnedFd, target: &str, kind: BindKind) -> nix::Result<()> {
        let point = self.mount_point(target, kind)?;
        mount::attach(tree.as_fd(), point.as_fd())
    }

    /// The file or directory on which something can be mounted; made if it is not there.
    fn mount_point(&self, path: &str, kind: BindKind) -> nix::Result<OwnedFd> {
        if kind == BindKind::Directory {
            return self.directory(path, ResolveFlag::empty());
        }
        let (parent, name) = split(path)?;
        let parent = self.directory(parent, ResolveFlag::empty())?;
        match openat2(&parent, name, beneath(OFlag::O_PATH, ResolveFlag::empty())) {
            Err(Errno::ENOENT) => {
                let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
                openat2(&parent, name, own_file(flags, Mode::from_bits_truncate(0o444)))?;
                openat2(&parent, name, beneath(OFlag::O_PATH, ResolveFlag::empty()))
            }
            found => found,
        }
    }

    /// The directory that holds `path`, and its name there. It must lie on the root's own tmpfs:
    /// nothing is ever written to a bound path of the host.
    fn parent<'a>(&self, path: &'a str) -> nix::Result<(OwnedFd, &'a str)> {
        let (parent, name) = split(path)?;
        Ok((self.directory(parent, ResolveFlag::RESOLVE_NO_XDEV)?, name))
    }

    /// A directory inside; what is missing of it is made.
    fn directory(&self, path: &str, resolve: ResolveFlag) -> nix::Result<OwnedFd> {
        let mut directory = openat2(&self.directory, ".", beneath(OFlag::O_PATH, resolve))?;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let how = beneath(OFlag::O_PATH | OFlag::O_DIRECTORY, resolve);
            directory = match openat2(&directory, name, how) {
                Err(Errno::ENOENT) => {
                    mkdirat(&directory, name, Mode::from_bits_truncate(0o755))?;
                    openat2(&directory, name, how)?
                }
                found => found?,
            };
        }
        Ok(directory)
    }
}

fn proc_of_its_own() -> nix::Result<OwnedFd> {
    if lacks(Weakness::PidNamespace) {
        return mount::copy_tree(open_source("/proc")?.as_fd());
    }
    let hidden = (c"hidepid", if lacks(Weakness::HiddenProcesses) { c"off" } else { c"invisible" });
    let small = (c"subset", c"pid");
    let options = if lacks(Weakness::SmallProc) { &[hidden][..] } else { &[hidden, small] };
    mount::new_filesystem(c"proc", options, DATA)
}

/// Opens a path of the host as it is, through no symbolic link.
fn open_source(path: &str) -> nix::Result<OwnedFd> {
    let resolve = ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(resolve);
    openat2(nix::fcntl::AT_FDCWD, path, how)
}

/// Whether an opened source is what was there when the policy was checked.
fn is_as_checked(bind: &Bind, found: &FileStat) -> bool {
    let kind = match bind.kind {
        BindKind::Directory => SFlag::S_IFDIR,
        BindKind::File => SFlag::S_IFREG,
        BindKind::Device => SFlag::S_IFCHR,
    };
    SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT == kind
        && found.st_dev == bind.device
        && found.st_ino == bind.inode
}

fn beneath(flags: OFlag, more: ResolveFlag) -> OpenHow {
    let resolve =
        ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(resolve | more)
}

fn own_file(flags: OFlag, mode: Mode) -> OpenHow {
    beneath(flags, ResolveFlag::RESOLVE_NO_XDEV).mode(mode)
}

fn split(path: &str) -> nix::Result<(&str, &str)> {
    path.rsplit_once('/').filter(|(_, name)| !name.is_empty()).ok_or(Errno::EINVAL)
}

fn number(value: u64) -> nix::Result<CString> {
    CString::new(value.to_string()).map_err(|_| Errno::EINVAL)
}
