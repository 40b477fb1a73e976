//! Where an instance keeps its configuration, state and sockets, and how it makes sure they are its own.

use super::arguments::{Places, Source};
use super::exit_code::Exit;
use super::failure::Failure;
use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// How `start` runs: uid 0 gives every server its own uid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Started by a person.
    User,
    /// Started as root.
    Root,
}

impl Mode {
    /// As our programs' `--mode` names it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Root => "root",
        }
    }

    /// Permission bits of the state and runtime directories: in root mode the other uids pass through.
    pub(super) const fn directory_mode(self) -> u32 {
        match self {
            Self::User => 0o700,
            Self::Root => 0o711,
        }
    }
}

/// Which configuration is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Configuration {
    /// The embedded default.
    Builtin,
    /// This file.
    File(PathBuf),
}

impl Configuration {
    /// As our programs' `--config` takes it.
    #[must_use]
    pub fn as_argument(&self) -> &OsStr {
        match self {
            Self::Builtin => OsStr::new("builtin"),
            Self::File(path) => path.as_os_str(),
        }
    }
}

/// What of the process's surroundings decides the directories.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The real uid.
    pub uid: u32,
    /// `$HOME`, or the home of the uid.
    pub home: Option<PathBuf>,
    /// `$XDG_CONFIG_HOME`.
    pub config_home: Option<PathBuf>,
    /// `$XDG_STATE_HOME`.
    pub state_home: Option<PathBuf>,
    /// `$XDG_RUNTIME_DIR`, if it is a directory of this uid.
    pub runtime_home: Option<PathBuf>,
}

/// The directories of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directories {
    /// How it runs.
    pub mode: Mode,
    /// Where the configuration is looked for.
    pub config: PathBuf,
    /// What outlives the daemon.
    pub state: PathBuf,
    /// Sockets of the running daemon.
    pub runtime: PathBuf,
}

impl Surroundings {
    /// Reads uid and environment.
    #[must_use]
    pub fn of_process() -> Self {
        let uid = nix::unistd::geteuid();
        let variable = |name: &str| std::env::var_os(name).and_then(absolute);
        let home_of_uid = || nix::unistd::User::from_uid(uid).ok().flatten().map(|user| user.dir);
        let own = |path: &PathBuf| {
            std::fs::metadata(path).is_ok_and(|found| found.is_dir() && found.uid() == uid.as_raw())
        };
        Self {
            uid: uid.as_raw(),
            home: variable("HOME").or_else(home_of_uid),
            config_home: variable("XDG_CONFIG_HOME"),
            state_home: variable("XDG_STATE_HOME"),
            // After `su` it is often still the other user's.
            runtime_home: variable("XDG_RUNTIME_DIR").filter(own),
        }
    }
}

/// The XDG specification: a path that is not absolute is to be ignored.
fn absolute(value: OsString) -> Option<PathBuf> {
    let path = PathBuf::from(value);
    path.is_absolute().then_some(path)
}

impl Directories {
    /// Works out the directories of this process's instance.
    ///
    /// # Errors
    /// When there is no home to put them in.
    pub fn resolve(places: &Places) -> Result<Self, Failure> {
        let mut found = Self::default_of(&Surroundings::of_process())?;
        if let Some(state) = &places.state_dir {
            found.state = whole(state)?;
        }
        if let Some(runtime) = &places.runtime_dir {
            found.runtime = whole(runtime)?;
        }
        Ok(found)
    }

    fn default_of(around: &Surroundings) -> Result<Self, Failure> {
        if around.uid == 0 {
            return Ok(Self {
                mode: Mode::Root,
                config: "/etc/only1mcp".into(),
                state: "/var/lib/only1mcp".into(),
                runtime: "/run/only1mcp".into(),
            });
        }
        let below = |xdg: &Option<PathBuf>, rest: &str| {
            let base = xdg.clone().or_else(|| around.home.as_ref().map(|home| home.join(rest)));
            base.map(|base| base.join("only1mcp")).ok_or_else(no_home)
        };
        let runtime = match &around.runtime_home {
            Some(base) => base.join("only1mcp"),
            None => format!("/tmp/only1mcp-{}", around.uid).into(),
        };
        Ok(Self {
            mode: Mode::User,
            config: below(&around.config_home, ".config")?,
            state: below(&around.state_home, ".local/state")?,
            runtime,
        })
    }

    /// The configuration to use: the one named, else the one found, else the embedded default.
    ///
    /// # Errors
    /// When the named file does not exist, or two files compete.
    pub fn configuration(&self, source: &Source) -> Result<Configuration, Failure> {
        match &source.config {
            Some(word) if word == "builtin" => Ok(Configuration::Builtin),
            Some(path) => {
                let path = whole(path)?;
                std::fs::metadata(&path).map_err(|cause| {
                    let text = format!("cannot read configuration {}: {cause}", path.display());
                    Failure::new(Exit::InputOutput, text)
                })?;
                Ok(Configuration::File(path))
            }
            None => self.found_configuration(),
        }
    }

    fn found_configuration(&self) -> Result<Configuration, Failure> {
        let found: Vec<PathBuf> = ["config.yaml", "config.toml"]
            .iter()
            .map(|name| self.config.join(name))
            .filter(|path| std::fs::symlink_metadata(path).is_ok())
            .collect();
        match found.as_slice() {
            [] => Ok(Configuration::Builtin),
            [one] => Ok(Configuration::File(one.clone())),
            _ => {
                let text =
                    format!("two configurations in {}: config.yaml and config.toml", self.config.display());
                Err(Failure::new(Exit::Config, text).help("remove one, or name one with --config"))
            }
        }
    }

    /// Makes the runtime directory, or checks that the one there is ours alone.
    ///
    /// # Errors
    /// When it cannot be made, or others may write to it.
    pub fn prepare_runtime(&self) -> Result<(), Failure> {
        prepare(&self.runtime, self.mode, "--runtime-dir")
    }

    /// Makes the state directory, or checks that the one there is ours alone.
    ///
    /// # Errors
    /// When it cannot be made, or others may write to it.
    pub fn prepare_state(&self) -> Result<(), Failure> {
        prepare(&self.state, self.mode, "--state-dir")
    }

    /// The stream socket `stdio` and `call` speak MCP over.
    #[must_use]
    pub fn relay_socket(&self) -> PathBuf {
        self.runtime.join("relay.sock")
    }

    /// The stream socket `status` asks.
    #[must_use]
    pub fn admin_socket(&self) -> PathBuf {
        self.runtime.join("admin.sock")
    }

    /// The socket on which the launcher takes orders of the proxy.
    #[must_use]
    pub fn launch_socket(&self) -> PathBuf {
        self.runtime.join("launch.sock")
    }
}

/// An absolute path, symlinks left alone.
fn whole(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|cause| {
        Failure::new(Exit::Usage, format!("{} is not a usable path: {cause}", path.display()))
    })
}

fn no_home() -> Failure {
    Failure::new(Exit::Config, "HOME is not set and this uid has no home directory")
        .help("set HOME, or give --state-dir, --runtime-dir and --config")
}

fn prepare(path: &Path, mode: Mode, flag: &str) -> Result<(), Failure> {
    let made = path
        .parent()
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| DirBuilder::new().mode(mode.directory_mode()).create(path));
    match made {
        // The umask may have taken bits away.
        Ok(()) => set_mode(path, mode.directory_mode()),
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(cause) => Err(cause),
    }
    .map_err(|cause| {
        Failure::new(Exit::CannotCreate, format!("cannot create directory {}: {cause}", path.display()))
            .help(format!("name another with {flag} DIR"))
    })?;
    let found = std::fs::symlink_metadata(path).map_err(|cause| {
        Failure::new(Exit::InputOutput, format!("cannot look at {}: {cause}", path.display()))
    })?;
    match objection(&found, nix::unistd::geteuid().as_raw(), mode) {
        None => Ok(()),
        Some(why) => {
            let mend = format!("mend it with `chmod {:o}` if it is yours", mode.directory_mode());
            Err(Failure::new(Exit::Permission, format!("{} {why}", path.display()))
                .help(format!("{mend}, or name another with {flag} DIR")))
        }
    }
}

/// Why a directory is not fit for our sockets or secrets.
fn objection(found: &Metadata, uid: u32, mode: Mode) -> Option<String> {
    if !found.is_dir() {
        return Some("is not a directory".into());
    }
    if found.uid() != uid {
        return Some(format!("belongs to uid {}, not to us (uid {uid})", found.uid()));
    }
    if found.mode() & 0o022 != 0 {
        return Some(format!("can be written by others (mode {:o})", found.mode() & 0o7777));
    }
    if mode == Mode::Root && found.mode() & 0o001 == 0 {
        let bits = found.mode() & 0o7777;
        return Some(format!("cannot be passed by the launcher's and the proxy's uid (mode {bits:o})"));
    }
    None
}

/// Sets permission bits, whatever the umask says.
pub(super) fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person() -> Surroundings {
        Surroundings { uid: 1000, home: Some("/home/p".into()), ..Surroundings::default() }
    }

    #[test]
    fn root_uses_the_directories_of_the_system() {
        let found = Directories::default_of(&Surroundings::default()).unwrap();
        assert_eq!(found.mode, Mode::Root);
        assert_eq!(found.runtime, Path::new("/run/only1mcp"));
    }

    #[test]
    fn a_person_without_runtime_directory_gets_one_below_tmp() {
        let found = Directories::default_of(&person()).unwrap();
        assert_eq!(found.runtime, Path::new("/tmp/only1mcp-1000"));
        assert_eq!(found.state, Path::new("/home/p/.local/state/only1mcp"));
        assert_eq!(found.config, Path::new("/home/p/.config/only1mcp"));
    }

    #[test]
    fn xdg_variables_win_over_the_home() {
        let around = Surroundings {
            config_home: Some("/c".into()),
            state_home: Some("/s".into()),
            runtime_home: Some("/r".into()),
            ..person()
        };
        let found = Directories::default_of(&around).unwrap();
        assert_eq!(found.runtime, Path::new("/r/only1mcp"));
        assert_eq!(found.state, Path::new("/s/only1mcp"));
        assert_eq!(found.config, Path::new("/c/only1mcp"));
    }

    #[test]
    fn relative_xdg_paths_are_ignored() {
        assert_eq!(absolute("state".into()), None);
    }

    #[test]
    fn no_home_is_an_error_that_names_the_flags() {
        let around = Surroundings { home: None, ..person() };
        assert!(Directories::default_of(&around).unwrap_err().to_string().contains("--state-dir"));
    }

    #[test]
    fn a_directory_that_others_may_write_is_refused() {
        let base = std::env::temp_dir().join(format!("only1mcp-directories-{}", std::process::id()));
        let path = base.join("run");
        prepare(&path, Mode::User, "--runtime-dir").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        prepare(&path, Mode::User, "--runtime-dir").unwrap();
        set_mode(&path, 0o777).unwrap();
        let failure = prepare(&path, Mode::User, "--runtime-dir").unwrap_err();
        std::fs::remove_dir_all(&base).unwrap();
        assert_eq!(failure.exit, Exit::Permission);
        assert!(failure.to_string().contains("mode 777"), "{failure}");
    }

    #[test]
    fn a_symlink_in_place_of_the_directory_is_refused() {
        let base = std::env::temp_dir().join(format!("only1mcp-symlink-{}", std::process::id()));
        std::fs::create_dir_all(&base).unwrap();
        std::os::unix::fs::symlink("/tmp", base.join("run")).unwrap();
        let failure = prepare(&base.join("run"), Mode::User, "--runtime-dir").unwrap_err();
        std::fs::remove_dir_all(&base).unwrap();
        assert!(failure.to_string().contains("is not a directory"), "{failure}");
    }

    #[test]
    fn a_directory_of_another_user_is_refused() {
        let root_owned = std::fs::metadata("/usr").unwrap();
        assert!(objection(&root_owned, 1000, Mode::User).unwrap().contains("belongs to uid 0"));
    }
}
