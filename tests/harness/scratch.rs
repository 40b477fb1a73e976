//! A folder of its own for each test, gone afterwards.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Set to keep scratch folders, to look at them.
const KEEP_VARIABLE: &str = "ONLY1MCP_TEST_KEEP";
static COUNT: AtomicU32 = AtomicU32::new(0);

/// A new folder below `/var/tmp` (a sandbox has a `/tmp` of its own), removed when dropped. Its name is unique, so it marks processes too.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// A new empty folder that other users may enter: servers run as other users in root mode.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn new() -> Self {
        let nanos = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.subsec_nanos());
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = PathBuf::from(format!("/var/tmp/o1t-{}-{count}-{nanos:08x}", std::process::id()));
        fs::create_dir(&path).expect("make a scratch folder");
        set_mode(&path, 0o755);
        Self { path }
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its unique name.
    #[must_use]
    pub fn mark(&self) -> String {
        self.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }

    /// A path in it.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file that only its owner may change, with its folders.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.join(name);
        self.folder(name.rsplit_once('/').map_or("", |(folder, _)| folder), 0o755);
        fs::write(&path, text).expect("write a scratch file");
        set_mode(&path, 0o644);
        path
    }

    /// Makes a folder of this mode, with those above it.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn folder(&self, name: &str, mode: u32) -> PathBuf {
        let path = self.join(name);
        fs::create_dir_all(&path).expect("make a scratch folder");
        set_mode(&path, mode);
        path
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::env::var_os(KEEP_VARIABLE).is_none() {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Sets a file's mode, whatever the umask is.
///
/// # Panics
/// If it cannot be set.
pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set a mode");
}
