//! Watching the files a configuration was made of. What changed does not matter, only that something
//! did: then the whole is read again.

use crate::limits::{CHANGE_TIME_MAX, SETTLE_TIME};
use crate::log;
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};
use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Which entries of a watched directory count.
#[derive(Debug)]
enum Names {
    /// All.
    All,
    /// These.
    Some(BTreeSet<OsString>),
}

/// The watched files.
#[derive(Debug)]
pub struct Watch {
    inotify: Inotify,
    directories: HashMap<WatchDescriptor, Names>,
    changed: Option<Change>,
}

/// A change that is to be acted on when it has come to rest.
#[derive(Clone, Copy, Debug)]
struct Change {
    first: Instant,
    last: Instant,
}

impl Watch {
    /// Watches these files and directories, those that do not exist yet as well.
    ///
    /// # Errors
    /// The kernel's, if there is no inotify at all; what cannot be watched is logged.
    pub fn over(paths: &[PathBuf]) -> nix::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let mut watch = Self { inotify, directories: HashMap::new(), changed: None };
        for path in paths {
            watch.add(path);
        }
        Ok(watch)
    }

    /// A file is watched by its directory: editors replace files instead of writing to them.
    fn add(&mut self, path: &Path) {
        let result = if path.is_dir() { self.add_directory(path, None) } else { Ok(()) };
        let of_parent = match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => self.add_directory(parent, Some(name)),
            _ => Ok(()),
        };
        match result.and(of_parent) {
            // A directory that is not there cannot change; its parent's entry is watched for it.
            Ok(()) | Err(Errno::ENOENT | Errno::ENOTDIR) => {}
            Err(errno) => log::warn(format_args!(
                "changes of {} go unnoticed until the next SIGHUP: {errno}",
                path.display()
            )),
        }
    }

    fn add_directory(&mut self, directory: &Path, name: Option<&OsStr>) -> nix::Result<()> {
        let flags = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_MOVE
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_ATTRIB
            | AddWatchFlags::IN_ONLYDIR;
        let descriptor = self.inotify.add_watch(directory, flags)?;
        let names = self.directories.entry(descriptor).or_insert_with(|| Names::Some(BTreeSet::new()));
        match (names, name) {
            (Names::Some(names), Some(name)) => drop(names.insert(name.to_owned())),
            (names, None) => *names = Names::All,
            (Names::All, Some(_)) => {}
        }
        Ok(())
    }

    /// What to poll for input.
    #[must_use]
    pub fn polled(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }

    /// Takes note of what happened.
    pub fn look(&mut self, now: Instant) {
        let events = self.inotify.read_events().unwrap_or_default();
        if events.iter().any(|event| self.counts(event)) {
            let first = self.changed.map_or(now, |change| change.first);
            self.changed = Some(Change { first, last: now });
        }
    }

    fn counts(&self, event: &InotifyEvent) -> bool {
        match (self.directories.get(&event.wd), &event.name) {
            (Some(Names::Some(names)), Some(name)) => names.contains(name),
            (Some(Names::All), _) => true,
            // Events were lost: better to look once too often.
            _ => event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW),
        }
    }

    /// When the configuration is to be read again.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.changed.map(|change| (change.last + SETTLE_TIME).min(change.first + CHANGE_TIME_MAX))
    }

    /// Forgets what changed: it is being read.
    pub fn settle(&mut self) {
        self.changed = None;
    }
}
