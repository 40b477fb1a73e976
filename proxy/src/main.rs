//! The program `only1mcp`: hands what was typed to the library, and its answer to the shell.

use std::process::ExitCode;

fn main() -> ExitCode {
    only1mcp::command::run(std::env::args_os())
}
