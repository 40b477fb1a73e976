//! What was typed.

use only1mcp_escape::probe::{Half, Targets};

/// How the probe is used.
pub const USAGE: &str = "usage: only1mcp-probe attempt ID [--target KEY=VALUE]...
       only1mcp-probe twin ID [--target KEY=VALUE]...
       only1mcp-probe list
       only1mcp-probe serve
       only1mcp-probe victim";

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Arguments {
    /// Run one half of an attempt.
    Run(String, Half, Targets),
    /// Print the catalogue, one JSON object a line.
    List,
    /// Be an MCP server on standard input and output.
    Serve,
    /// Be a process worth attacking, for controls.
    Victim,
}

impl Arguments {
    /// Reads the arguments after the program's name.
    ///
    /// # Errors
    /// A text for people.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut arguments = arguments.into_iter();
        let command = arguments.next().ok_or("a command is missing")?;
        let parsed = match command.as_str() {
            "attempt" => return run(Half::Attempt, arguments),
            "twin" => return run(Half::Twin, arguments),
            "list" => Self::List,
            "serve" => Self::Serve,
            "victim" => Self::Victim,
            other => return Err(format!("unknown command {other:?}")),
        };
        match arguments.next() {
            Some(more) => Err(format!("unexpected argument {more:?}")),
            None => Ok(parsed),
        }
    }
}

fn run(half: Half, mut arguments: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let id = arguments.next().ok_or("the attempt's id is missing")?;
    let mut pairs = Vec::new();
    while let Some(argument) = arguments.next() {
        if argument != "--target" {
            return Err(format!("unexpected argument {argument:?}"));
        }
        pairs.push(arguments.next().ok_or("--target needs KEY=VALUE")?);
    }
    Ok(Arguments::Run(id, half, Targets::parse(pairs.iter().map(String::as_str))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Arguments, String> {
        Arguments::parse(words.iter().map(|&word| word.to_owned()))
    }

    #[test]
    fn reads_an_attempt_with_its_targets() {
        let Ok(Arguments::Run(id, Half::Attempt, targets)) =
            parse(&["attempt", "F01.ssh", "--target", "secret=/x"])
        else {
            panic!("not an attempt")
        };
        assert_eq!((id.as_str(), targets.text("secret")), ("F01.ssh", Ok("/x")));
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for words in [&[][..], &["jump"], &["attempt"], &["list", "more"], &["twin", "F01", "--target"]] {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }
}
