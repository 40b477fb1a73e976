//! Lines for a person on standard error: `launcher: LEVEL: text`. Nothing a server said is in them.

mod throttle;

use std::fmt::Display;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use throttle::{Line, Throttle};

/// Counts what the proxy causes.
static CAUSED: Mutex<Throttle> = Mutex::new(Throttle::new());

/// What an operator should do about a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Act.
    Error,
    /// Look.
    Warn,
    /// Nothing; it happened.
    Info,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
        }
    }
}

/// Writes one line. A log nobody reads must not end the launcher.
pub fn line(level: Level, text: impl Display) {
    // One write, so that lines of the launcher and of others do not mix.
    let line = format!("launcher: {}: {}\n", level.word(), printable(&text.to_string()));
    let _: std::io::Result<()> = std::io::stderr().write_all(line.as_bytes());
}

/// A path may hold what steers a terminal, turns the direction of writing, or forges another line.
fn printable(text: &str) -> String {
    let turns = |letter: char| matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}');
    let shown = |letter: char| match letter.is_control() || turns(letter) {
        true => letter.escape_default().to_string(),
        false => letter.to_string(),
    };
    text.chars().map(shown).collect()
}

/// Writes one line that the proxy can cause as often as it likes; after many in a short time it is left out.
pub fn caused(level: Level, text: impl Display) {
    let counted = CAUSED.lock().unwrap_or_else(PoisonError::into_inner).count(Instant::now());
    match counted {
        Line::Told(0) => line(level, text),
        Line::Told(left_out) => {
            line(Level::Warn, format_args!("{left_out} lines that the proxy caused were left out"));
            line(level, text);
        }
        Line::LeftOut => {}
    }
}

/// Something a person has to mend.
pub fn error(text: impl Display) {
    line(Level::Error, text);
}

/// Something a person should look at.
pub fn warn(text: impl Display) {
    line(Level::Warn, text);
}

/// Something that happened.
pub fn info(text: impl Display) {
    line(Level::Info, text);
}

/// What a person can do about the line before.
pub fn help(text: impl Display) {
    line(Level::Info, format_args!("help: {text}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_makes_a_second_line_or_steers_a_terminal() {
        assert_eq!(
            printable("/a\nlauncher: info: b\u{1b}[2Jé\u{85}"),
            "/a\\nlauncher: info: b\\u{1b}[2Jé\\u{85}"
        );
    }
}
