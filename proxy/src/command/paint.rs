//! Colour: on a terminal and nowhere else, and never when `NO_COLOR` is set.

use std::io::IsTerminal;

const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";
const GREEN: &str = "\x1b[32m";
const CYAN: &str = "\x1b[36m";
const BOLD: &str = "\x1b[1m";
const RESET: &str = "\x1b[0m";

/// Whether to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// A terminal reads it.
    Colour,
    /// A file, a pipe or a program reads it.
    Plain,
}

/// What a text is, not how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Broken.
    Bad,
    /// Worth a look.
    Doubtful,
    /// As it should be.
    Good,
    /// What to do.
    Help,
    /// A heading.
    Heading,
}

impl Paint {
    /// What fits this stream.
    pub fn of(stream: &impl IsTerminal) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if stream.is_terminal() && !refused { Self::Colour } else { Self::Plain }
    }

    /// `text` in its tone.
    #[must_use]
    pub fn tone(self, tone: Tone, text: &str) -> String {
        let code = match (self, tone) {
            (Self::Plain, _) => return text.to_owned(),
            (Self::Colour, Tone::Bad) => RED,
            (Self::Colour, Tone::Doubtful) => YELLOW,
            (Self::Colour, Tone::Good) => GREEN,
            (Self::Colour, Tone::Help) => CYAN,
            (Self::Colour, Tone::Heading) => BOLD,
        };
        format!("{code}{text}{RESET}")
    }

    /// Colours the first word of lines such as `error: …`, `warning: …` and `help: …`.
    #[must_use]
    pub fn findings(self, text: &str) -> String {
        if self == Self::Plain {
            return text.to_owned();
        }
        text.split_inclusive('\n').map(|line| self.finding(line)).collect()
    }

    fn finding(self, line: &str) -> String {
        let tones = [("error:", Tone::Bad), ("warning:", Tone::Doubtful), ("help:", Tone::Help)];
        for (word, tone) in tones {
            if let Some(rest) = line.strip_prefix(word) {
                return self.tone(tone, word) + rest;
            }
        }
        line.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_output_has_no_escape() {
        assert_eq!(Paint::Plain.findings("error: a\nhelp: b\n"), "error: a\nhelp: b\n");
    }

    #[test]
    fn only_the_first_word_of_a_finding_is_coloured() {
        assert_eq!(Paint::Colour.findings("error: an error: x\n"), "\x1b[1;31merror:\x1b[0m an error: x\n");
    }
}
