//! `only1mcp-escape`: tries to break out of one server's sandbox, for `only1mcp policy test`.

mod arguments;

use std::process::ExitCode;

use arguments::{Arguments, USAGE};
use only1mcp_escape::proof::{Answer, Proof};
use std::io::Write as _;

/// An attempt got through.
const EXIT_BROKEN: u8 = 1;
/// Wrong arguments, as in sysexits.
const EX_USAGE: u8 = 64;
/// An attempt could not be tried: no proof.
const EX_UNAVAILABLE: u8 = 69;
/// Reading or writing failed.
const EX_IOERR: u8 = 74;

fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args_os().skip(1)) {
        Ok(arguments) => arguments,
        Err(problem) => {
            eprintln!("only1mcp-escape: {problem}\n{USAGE}");
            return ExitCode::from(EX_USAGE);
        }
    };
    match arguments.order.prove() {
        Ok(proof) => tell(&proof, arguments.json),
        Err(fault) => {
            eprintln!("error: the test could not be made: {fault}");
            ExitCode::from(EX_UNAVAILABLE)
        }
    }
}

fn tell(proof: &Proof, json: bool) -> ExitCode {
    let text = if json { format!("{:#}\n", proof.as_json()) } else { proof.in_words() };
    let mut out = std::io::stdout().lock();
    if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
        return ExitCode::from(EX_IOERR);
    }
    match proof.answer() {
        Answer::Hold => ExitCode::SUCCESS,
        Answer::Broken => ExitCode::from(EXIT_BROKEN),
        Answer::Unproven => ExitCode::from(EX_UNAVAILABLE),
    }
}
