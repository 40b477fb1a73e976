//! The built-in servers that are no attack: for now, notes.

use std::path::PathBuf;
use std::process::ExitCode;

use only1mcp_escape::notes::NotesServer;
use only1mcp_escape::notes::store::Store;
use only1mcp_escape::server;

/// A server's own directory inside its sandbox.
const STATE: &str = "/state";
/// Wrong arguments, as in sysexits.
const EX_USAGE: u8 = 64;
/// Reading or writing failed.
const EX_IOERR: u8 = 74;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["notes"] => notes(STATE),
        ["notes", directory] => notes(directory),
        _ => {
            eprintln!("usage: only1mcp-builtin notes [DIRECTORY]");
            ExitCode::from(EX_USAGE)
        }
    }
}

fn notes(directory: &str) -> ExitCode {
    let mut server = NotesServer::new(Store::in_directory(PathBuf::from(directory)));
    match server::serve(&mut server, std::io::stdin().lock(), std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("only1mcp-builtin: {error}");
            ExitCode::from(EX_IOERR)
        }
    }
}
