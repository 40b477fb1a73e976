//! What was typed, by `only1mcp policy test`.

use std::ffi::OsString;
use std::path::PathBuf;

use only1mcp_escape::proof::Order;
use only1mcp_escape::runner::machine::Programs;

/// How the program is used.
pub const USAGE: &str = "usage: only1mcp-escape --server NAME --config FILE|builtin --state-dir DIR \
    --runtime-dir DIR --canaries DIR [--pool FIRST:COUNT] [--allow-degraded] [--json]";

/// What to do.
#[derive(Debug)]
pub struct Arguments {
    /// What to prove.
    pub order: Order,
    /// Whether to print JSON.
    pub json: bool,
}

impl Arguments {
    /// Reads the arguments after the program's name.
    ///
    /// # Errors
    /// A text for people.
    pub fn read(words: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let mut words = words;
        let (mut server, mut config, mut state, mut runtime) = (None, None, None, None);
        let (mut canaries, mut pool, mut allow_degraded, mut json) = (None, None, false, false);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{} needs a value", word.display()));
            match word.to_str() {
                Some("--server") => server = Some(text(value()?)?),
                Some("--config") => config = Some(PathBuf::from(value()?)),
                Some("--state-dir") => state = Some(PathBuf::from(value()?)),
                Some("--runtime-dir") => runtime = Some(PathBuf::from(value()?)),
                Some("--canaries") => canaries = Some(PathBuf::from(value()?)),
                Some("--pool") => pool = Some(text(value()?)?),
                Some("--allow-degraded") => allow_degraded = true,
                Some("--json") => json = true,
                _ => return Err(format!("unknown argument {}", word.display())),
            }
        }
        let order = Order {
            server: server.ok_or("--server is missing")?,
            config: config.ok_or("--config is missing")?,
            state: state.ok_or("--state-dir is missing")?,
            runtime: runtime.ok_or("--runtime-dir is missing")?,
            canaries: canaries.ok_or("--canaries is missing")?,
            pool,
            allow_degraded,
            programs: beside_us()?,
        };
        Ok(Self { order, json })
    }
}

fn text(value: OsString) -> Result<String, String> {
    value.into_string().map_err(|value| format!("{} is not UTF-8", value.display()))
}

fn beside_us() -> Result<Programs, String> {
    let own = std::env::current_exe().map_err(|error| format!("cannot find our own program: {error}"))?;
    Ok(Programs::of(own.parent().map(PathBuf::from).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Arguments, String> {
        Arguments::read(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn what_is_missing_or_unknown_is_named() {
        let whole = "--server a --config builtin --state-dir /s --runtime-dir /r --canaries /c --json";
        assert!(read(whole).unwrap().json);
        assert_eq!(read("--server a").unwrap_err(), "--config is missing");
        assert_eq!(read("--server").unwrap_err(), "--server needs a value");
        assert_eq!(read("--sever a").unwrap_err(), "unknown argument --sever");
    }
}
