//! What a person types: one file per command. `start` supervises, `serve` is the proxy, all others are
//! clients of programs or sockets and end soon.
//!
//! Reading order: [`arguments`], [`exit_code`], [`failure`], [`directories`], [`program`], then the commands.

pub mod admin;
pub mod arguments;
pub mod call;
pub mod compile;
pub mod context;
pub mod directories;
pub mod doctor;
pub mod exit_code;
pub mod failure;
#[cfg(test)]
mod help_texts;
pub mod limits;
pub mod paint;
pub mod policy_diff;
pub mod policy_test;
pub mod program;
pub mod relay;
pub mod reload;
pub mod serve;
pub mod start;
pub mod status;
pub mod stdio;
pub mod supervisor;

use arguments::{Command, CommandLine};
use clap::Parser;
use exit_code::Exit;
use failure::Failure;
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs what was typed; the answer is the exit code of the process.
pub fn run(words: impl Iterator<Item = OsString>) -> ExitCode {
    let exit = match CommandLine::try_parse_from(words) {
        Ok(line) => answer(line.command),
        Err(error) => refuse_usage(&error),
    };
    ExitCode::from(exit.code())
}

fn answer(command: Command) -> Exit {
    match dispatch(command) {
        Ok(exit) => exit,
        Err(failure) => {
            failure.print();
            failure.exit
        }
    }
}

fn dispatch(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Start(arguments) => start::run(&arguments),
        Command::Serve(arguments) => serve::run(arguments),
        Command::Stdio(arguments) => stdio::run(&arguments),
        Command::Policy(arguments) => compile::policy(&arguments.command),
        Command::Config(arguments) => compile::config(&arguments.command),
        Command::Status(arguments) => status::run(&arguments),
        Command::Context(arguments) => context::run(&arguments),
        Command::Reload(arguments) => reload::run(&arguments),
        Command::Call(arguments) => call::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
    }
}

/// Help and version are asked for, and go to standard output with 0; all else is a usage error.
fn refuse_usage(error: &clap::Error) -> Exit {
    let printed = error.print();
    match (printed, error.use_stderr()) {
        (Ok(()), false) => Exit::Ok,
        (Ok(()), true) => Exit::Usage,
        (Err(_), _) => Exit::Internal,
    }
}
