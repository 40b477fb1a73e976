//! What a person reads when a command fails: the subject and the cause, what to do, and the exit code.

use super::exit_code::Exit;
use super::paint::Paint;
use only1mcp_policy::printable::printable;
use std::fmt;
use std::io::Write;

/// Why a command failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What the shell gets.
    pub exit: Exit,
    /// Step, subject and cause, without a full stop.
    text: String,
    /// What to do, if a person can do something.
    help: Option<String>,
}

impl Failure {
    /// A failure nobody can mend by typing something else.
    pub fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self { exit, text: text.into(), help: None }
    }

    /// Adds what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Writes it to standard error.
    pub fn print(&self) {
        let mut stderr = std::io::stderr().lock();
        // Nothing is left to tell if standard error is gone.
        let _ = write!(stderr, "{}", Paint::of(&stderr).findings(&self.to_string()));
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Both may quote what a server, a document or a command line says.
        let shown = |text: &str| printable(text, &['\n', '\t']);
        writeln!(f, "error: {}", shown(&self.text))?;
        self.help.iter().try_for_each(|help| writeln!(f, "help: {}", shown(help)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_to_do_on_a_line_of_its_own() {
        let failure = Failure::new(Exit::Unavailable, "no daemon runs").help("start one");
        assert_eq!(failure.to_string(), "error: no daemon runs\nhelp: start one\n");
    }
}
