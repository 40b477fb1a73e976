//! The only place of this crate that starts programs: our own ones, found beside the running one.

use super::exit_code::Exit;
use super::failure::Failure;
use command_fds::{CommandFdExt, FdMapping};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::process::Command;

/// First descriptor of the systemd convention.
const LISTEN_FDS_START: RawFd = 3;
/// Descriptors a program may be handed.
const HANDED_MAX: RawFd = 16;

/// The programs that belong to this one.
#[derive(Clone, Debug)]
pub struct Programs {
    directory: PathBuf,
}

/// One of our programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// The command line and the proxy: this program.
    Main,
    /// The process with power.
    Launcher,
    /// PID 1 inside.
    Init,
    /// Reads documents, prints plans.
    Compile,
    /// The built-in servers.
    Builtin,
    /// The built-in server that attacks its own sandbox.
    Probe,
    /// Tries to break out of a sandbox, for `policy test`.
    Escape,
}

impl Program {
    /// What every start needs beside this one.
    pub const HELPERS: [Self; 5] = [Self::Launcher, Self::Init, Self::Compile, Self::Builtin, Self::Probe];
    /// Those that run under the launcher's or a server's uid.
    pub const INSIDE: [Self; 4] = [Self::Init, Self::Compile, Self::Builtin, Self::Probe];

    /// Its file's name.
    #[must_use]
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Main => "only1mcp",
            Self::Launcher => "only1mcp-launcher",
            Self::Init => "only1mcp-init",
            Self::Compile => "only1mcp-compile",
            Self::Builtin => "only1mcp-builtin",
            Self::Probe => "only1mcp-probe",
            Self::Escape => "only1mcp-escape",
        }
    }
}

impl Programs {
    /// Those in the directory of the running program.
    ///
    /// # Errors
    /// When /proc does not say where that is.
    pub fn beside_us() -> Result<Self, Failure> {
        let own = std::env::current_exe().map_err(|cause| {
            Failure::new(Exit::Config, format!("cannot find our own program by /proc/self/exe: {cause}"))
                .help("/proc must be mounted")
        })?;
        Ok(Self::in_directory(own.parent().unwrap_or(Path::new("/"))))
    }

    /// Those in `directory`.
    #[must_use]
    pub fn in_directory(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// Where they are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where one of them would be.
    #[must_use]
    pub fn path(&self, program: Program) -> PathBuf {
        self.directory.join(program.file_name())
    }

    /// A command that runs one of them, with no argument yet.
    ///
    /// # Errors
    /// When it is not there.
    pub fn command(&self, program: Program) -> Result<Command, Failure> {
        let path = self.path(program);
        if path.is_file() {
            return Ok(at(&path));
        }
        Err(Failure::new(Exit::Unavailable, format!("{} is missing", path.display()))
            .help("install all programs of only1mcp into one directory"))
    }
}

/// A command that runs this very program again, wherever it is.
///
/// # Errors
/// When /proc does not say where that is.
pub fn ourselves() -> io::Result<Command> {
    std::env::current_exe().map(|path| at(&path))
}

/// A command that runs the program of ours at `path`.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that starts programs, and only our own ones")]
pub fn at(path: &Path) -> Command {
    Command::new(path)
}

/// Hands `descriptors` to the program by the systemd convention: from 3 on, named in `LISTEN_FDNAMES`.
///
/// # Errors
/// When a descriptor cannot be duplicated.
pub fn hand_over(command: &mut Command, descriptors: &[(OwnedFd, &str)]) -> io::Result<()> {
    let names: Vec<&str> = descriptors.iter().map(|(_, name)| *name).collect();
    let mappings = descriptors
        .iter()
        .zip(LISTEN_FDS_START..LISTEN_FDS_START + HANDED_MAX)
        .map(|((descriptor, _), child_fd)| Ok(FdMapping { parent_fd: descriptor.try_clone()?, child_fd }))
        .collect::<io::Result<Vec<FdMapping>>>()?;
    command.env("LISTEN_FDS", mappings.len().to_string());
    command.env("LISTEN_FDNAMES", names.join(":"));
    command.env_remove("LISTEN_PID");
    command.fd_mappings(mappings).map_err(io::Error::other)?;
    Ok(())
}

/// Descriptors that keep the low numbers taken while it lives.
///
/// `Command` reports a failed exec over a pipe of its own. Were that pipe to get number 3, handing
/// over descriptor 3 would close it.
#[derive(Debug)]
pub struct LowDescriptors {
    _held: Vec<File>,
}

impl LowDescriptors {
    /// Takes all free numbers that [`hand_over`] may use.
    ///
    /// # Errors
    /// When /dev/null cannot be opened.
    pub fn take() -> io::Result<Self> {
        let mut held = Vec::new();
        loop {
            let file = File::open("/dev/null")?;
            if file.as_raw_fd() >= LISTEN_FDS_START + HANDED_MAX {
                return Ok(Self { _held: held });
            }
            held.push(file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named() {
        let failure = Programs::in_directory(Path::new("/nowhere")).command(Program::Compile).unwrap_err();
        assert!(failure.to_string().contains("/nowhere/only1mcp-compile is missing"), "{failure}");
    }

    #[test]
    fn descriptors_arrive_from_three_on_with_their_names() {
        let _low = LowDescriptors::take().unwrap();
        let null = || OwnedFd::from(File::open("/dev/null").unwrap());
        let mut shell = at(Path::new("/bin/sh"));
        shell.args([
            "-c",
            "readlink /proc/self/fd/3 /proc/self/fd/4; echo $LISTEN_FDS $LISTEN_FDNAMES $LISTEN_PID",
        ]);
        shell.env("LISTEN_PID", "1");
        hand_over(&mut shell, &[(null(), "relay"), (null(), "admin")]).unwrap();
        let output = shell.output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "/dev/null\n/dev/null\n2 relay:admin\n");
    }

    #[test]
    fn a_failed_exec_is_reported_although_descriptors_are_handed_over() {
        let _low = LowDescriptors::take().unwrap();
        let mut missing = at(Path::new("/nowhere/program"));
        let null = OwnedFd::from(File::open("/dev/null").unwrap());
        hand_over(&mut missing, &[(null, "launch")]).unwrap();
        assert_eq!(missing.spawn().unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
