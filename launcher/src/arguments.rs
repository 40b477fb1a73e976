//! The command line, read by hand: nine flags do not need a parser in a program with power.

use crate::pool::Pool;
use only1mcp_wire::Mode;
use std::ffi::OsString;
use std::path::PathBuf;
use thiserror::Error;

/// One line on how to call this program.
pub const USAGE: &str = "usage: only1mcp-launcher --mode user|root|system --config PATH|builtin --state-dir DIR \
                         --program-dir DIR [--runtime-dir DIR] [--allow-degraded] [--pool FIRST:COUNT] \
                         [--probe SERVER --canary DIR]";

/// What the launcher was told at its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// How it runs.
    pub mode: Mode,
    /// The configuration, as `only1mcp-compile` takes it.
    pub config: OsString,
    /// Where `servers` and `credentials` are.
    pub state_directory: PathBuf,
    /// Where the supervisor's sockets are, which no policy can grant.
    pub runtime_directory: Option<PathBuf>,
    /// Where the other programs are.
    pub program_directory: PathBuf,
    /// What to do on a machine without user namespaces.
    pub degraded: Degraded,
    /// The uids of root and system mode.
    pub pool: Pool,
    /// For `policy test`: start nothing but the probe.
    pub probe: Option<Probe>,
}

/// The probe in the place of one server, under that server's policy; no other server is started. Only who starts
/// the launcher can ask for it, and never in system mode: neither a message nor a document has a word for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The server's name.
    pub server: OsString,
    /// The directory of canaries, visible inside.
    pub canary: PathBuf,
}

/// What to do on a machine without user namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Degraded {
    /// Refuse to start servers.
    Refuse,
    /// Start them behind the walls that are left.
    Allow,
}

/// Why the command line is not one.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ArgumentError {
    /// A flag this program does not have.
    #[error("unknown argument {0:?}")]
    Unknown(OsString),
    /// A flag at the end that needs a value.
    #[error("{0} needs a value")]
    NoValue(&'static str),
    /// A value that means nothing.
    #[error("{0} cannot be {1:?}")]
    Value(&'static str, OsString),
    /// A flag without a default.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A flag that is not for this mode, or not without another.
    #[error("{0}")]
    Unfit(&'static str),
}

/// Reads the arguments, the program's name not among them.
///
/// # Errors
/// [`ArgumentError`] says which flag is wrong.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Arguments, ArgumentError> {
    let mut arguments = arguments.into_iter();
    let (mut mode, mut config, mut state, mut programs) = (None, None, None, None);
    let (mut runtime, mut probe, mut canary) = (None, None, None);
    let (mut degraded, mut pool) = (Degraded::Refuse, Pool::default());
    while let Some(argument) = arguments.next() {
        let mut value = |flag| arguments.next().ok_or(ArgumentError::NoValue(flag));
        match argument.to_str() {
            Some("--mode") => mode = Some(read("--mode", value("--mode")?, mode_named)?),
            Some("--config") => config = Some(value("--config")?),
            Some("--state-dir") => state = Some(PathBuf::from(value("--state-dir")?)),
            Some("--runtime-dir") => runtime = Some(PathBuf::from(value("--runtime-dir")?)),
            Some("--program-dir") => programs = Some(PathBuf::from(value("--program-dir")?)),
            Some("--pool") => pool = read("--pool", value("--pool")?, pool_named)?,
            Some("--probe") => probe = Some(value("--probe")?),
            Some("--canary") => canary = Some(PathBuf::from(value("--canary")?)),
            Some("--allow-degraded") => degraded = Degraded::Allow,
            _ => return Err(ArgumentError::Unknown(argument)),
        }
    }
    let mode = mode.ok_or(ArgumentError::Missing("--mode"))?;
    Ok(Arguments {
        mode,
        config: config.ok_or(ArgumentError::Missing("--config"))?,
        state_directory: state.ok_or(ArgumentError::Missing("--state-dir"))?,
        runtime_directory: runtime,
        program_directory: programs.ok_or(ArgumentError::Missing("--program-dir"))?,
        degraded,
        pool,
        probe: read_probe(mode, probe, canary)?,
    })
}

fn read_probe(
    mode: Mode,
    server: Option<OsString>,
    canary: Option<PathBuf>,
) -> Result<Option<Probe>, ArgumentError> {
    match (server, canary) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) if mode == Mode::System => {
            Err(ArgumentError::Unfit("--probe is not for system mode"))
        }
        (Some(server), Some(canary)) => Ok(Some(Probe { server, canary })),
        _ => Err(ArgumentError::Unfit("--probe and --canary belong together")),
    }
}

fn read<T>(
    flag: &'static str,
    value: OsString,
    meaning: impl Fn(&str) -> Option<T>,
) -> Result<T, ArgumentError> {
    value.to_str().and_then(meaning).ok_or(ArgumentError::Value(flag, value))
}

fn mode_named(text: &str) -> Option<Mode> {
    [Mode::User, Mode::Root, Mode::System].into_iter().find(|mode| mode.phrase() == text)
}

fn pool_named(text: &str) -> Option<Pool> {
    let (first, count) = text.split_once(':')?;
    Pool::new(first.parse().ok()?, count.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [&str; 8] =
        ["--mode", "user", "--config", "builtin", "--state-dir", "/s", "--program-dir", "/p"];

    fn parsed(arguments: &[&str]) -> Result<Arguments, ArgumentError> {
        parse(arguments.iter().map(OsString::from))
    }

    #[test]
    fn reads_all_flags() {
        let all = [&GOOD[..], &["--allow-degraded", "--runtime-dir", "/r", "--pool", "5000:20"]].concat();
        let arguments = parsed(&all).unwrap();
        assert_eq!((arguments.mode, arguments.degraded), (Mode::User, Degraded::Allow));
        assert_eq!(arguments.runtime_directory, Some("/r".into()));
        assert_eq!(arguments.pool, Pool::new(5000, 20).unwrap());
    }

    #[test]
    fn the_probe_is_never_started_in_system_mode_nor_without_canaries() {
        let probe = [&GOOD[..], &["--probe", "files", "--canary", "/c"]].concat();
        let expected = Probe { server: "files".into(), canary: "/c".into() };
        assert_eq!(parsed(&probe).unwrap().probe, Some(expected));
        assert!(matches!(parsed(&probe[..10]), Err(ArgumentError::Unfit(_))));
        let system: Vec<&str> =
            probe.iter().map(|word| if *word == "user" { "system" } else { word }).collect();
        assert!(matches!(parsed(&system), Err(ArgumentError::Unfit(_))));
    }

    #[test]
    fn refuses_what_it_does_not_know_and_what_is_missing() {
        assert_eq!(parsed(&GOOD[..6]), Err(ArgumentError::Missing("--program-dir")));
        assert_eq!(parsed(&GOOD[..7]), Err(ArgumentError::NoValue("--program-dir")));
        assert_eq!(parsed(&["--help"]), Err(ArgumentError::Unknown("--help".into())));
        assert_eq!(parsed(&["--mode", "minimal"]), Err(ArgumentError::Value("--mode", "minimal".into())));
        assert_eq!(parsed(&["--pool", "1:2"]), Err(ArgumentError::Value("--pool", "1:2".into())));
    }
}
