//! The first bytes of a program: machine code, or a script and its interpreter.

use super::Problem;
use crate::files::Files;
use crate::path::name;

/// What a program is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// ELF.
    Machine,
    /// `#!`.
    Script {
        /// The interpreter's path, or the name that `env` looks up.
        interpreter: String,
        /// Whether `env` looks it up.
        via_env: bool,
    },
}

/// Reads what the program at `path` is.
pub fn read(files: &dyn Files, path: &str, bytes_max: usize) -> Result<Head, Problem> {
    let bytes = files.head(path, bytes_max).map_err(|error| {
        (format!("{path}: {error}"), format!("the server's user must be able to read it: `chmod a+r {path}`"))
    })?;
    if bytes.starts_with(b"\x7fELF") {
        return Ok(Head::Machine);
    }
    let Some(rest) = bytes.strip_prefix(b"#!") else {
        let message = format!("{path} is neither a program nor a script with a `#!` line");
        return Err((message, "name its interpreter as the command and the file in args".to_owned()));
    };
    let line = rest.split(|&byte| byte == b'\n').next().unwrap_or_default();
    if line.len() == rest.len() && bytes.len() == bytes_max {
        let message = format!("the `#!` line of {path} is longer than the kernel reads");
        return Err((message, "name the interpreter as the command and the script in args".to_owned()));
    }
    let line = std::str::from_utf8(line)
        .map_err(|_| (format!("the `#!` line of {path} is not UTF-8"), "write it in UTF-8".to_owned()))?;
    script(path, line.trim())
}

/// Reads a `#!` line as the kernel and `env` do.
fn script(path: &str, line: &str) -> Result<Head, Problem> {
    let (interpreter, argument) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    if !interpreter.starts_with('/') {
        let message = format!("the `#!` line of {path} names `{interpreter}`, which is not an absolute path");
        return Err((message, "write `#!/usr/bin/env NAME`, or an absolute path".to_owned()));
    }
    if name(interpreter) != "env" {
        return Ok(Head::Script { interpreter: interpreter.to_owned(), via_env: false });
    }
    Ok(Head::Script { interpreter: env_command(path, argument.trim())?, via_env: true })
}

/// The command in `env`'s one argument; with `-S` that argument is split at spaces.
fn env_command(path: &str, argument: &str) -> Result<String, Problem> {
    let refuse = |what: &str| {
        let message = format!("the `#!` line of {path} {what}");
        Err((message, "name the interpreter as the command and the script in args".to_owned()))
    };
    let split = argument.strip_prefix("-S").or_else(|| argument.strip_prefix("--split-string="));
    let words = match split {
        Some(words) if words.contains(['"', '\'', '\\', '$']) => {
            return refuse("quotes or expands something in `env -S`");
        }
        Some(words) => words,
        None if argument.contains([' ', '\t']) => {
            return refuse("gives env a name with a space in it; the kernel hands it over as one word");
        }
        None => argument,
    };
    let command = words.split_whitespace().find(|word| !word.contains('='));
    match command {
        None => refuse("gives env nothing to run"),
        Some(option) if option.starts_with('-') => refuse("gives env an option that is not understood here"),
        Some(command) => Ok(command.to_owned()),
    }
}
