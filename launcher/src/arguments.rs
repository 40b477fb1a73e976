//! The command line, read by hand: seven flags do not need a parser in a program with power.

use crate::pool::Pool;
use only1mcp_wire::Mode;
use std::ffi::OsString;
use std::path::PathBuf;
use thiserror::Error;

/// One line on how to call this program.
pub const USAGE: &str = "usage: only1mcp-launcher --mode user|root|system --config PATH|builtin --state-dir DIR \
                         --program-dir DIR [--runtime-dir DIR] [--allow-degraded] [--pool FIRST:COUNT]";

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
}

/// Reads the arguments, the program's name not among them.
///
/// # Errors
/// [`ArgumentError`] says which flag is wrong.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Arguments, ArgumentError> {
    let mut arguments = arguments.into_iter();
    let (mut mode, mut config, mut state, mut programs) = (None, None, None, None);
    let mut runtime = None;
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
            Some("--allow-degraded") => degraded = Degraded::Allow,
            _ => return Err(ArgumentError::Unknown(argument)),
        }
    }
    Ok(Arguments {
        mode: mode.ok_or(ArgumentError::Missing("--mode"))?,
        config: config.ok_or(ArgumentError::Missing("--config"))?,
        state_directory: state.ok_or(ArgumentError::Missing("--state-dir"))?,
        runtime_directory: runtime,
        program_directory: programs.ok_or(ArgumentError::Missing("--program-dir"))?,
        degraded,
        pool,
    })
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
    fn refuses_what_it_does_not_know_and_what_is_missing() {
        assert_eq!(parsed(&GOOD[..6]), Err(ArgumentError::Missing("--program-dir")));
        assert_eq!(parsed(&GOOD[..7]), Err(ArgumentError::NoValue("--program-dir")));
        assert_eq!(parsed(&["--help"]), Err(ArgumentError::Unknown("--help".into())));
        assert_eq!(parsed(&["--mode", "minimal"]), Err(ArgumentError::Value("--mode", "minimal".into())));
        assert_eq!(parsed(&["--pool", "1:2"]), Err(ArgumentError::Value("--pool", "1:2".into())));
    }
}
