//! The probe: tries one forbidden act, or serves as an MCP server whose tools do.

mod arguments;

use std::process::ExitCode;

use arguments::{Arguments, USAGE};
use only1mcp_escape::probe::{self, Half, Report, Targets};
use only1mcp_escape::probe_server::ProbeServer;
use only1mcp_escape::{catalogue, ledger, server};

/// Wrong arguments, as in sysexits.
const EX_USAGE: u8 = 64;
/// Reading or writing failed.
const EX_IOERR: u8 = 74;

fn main() -> ExitCode {
    match Arguments::parse(std::env::args().skip(1)) {
        Ok(Arguments::Serve) => serve(),
        Ok(Arguments::List) => list(),
        Ok(Arguments::Victim) => victim(),
        Ok(Arguments::Run(id, half, targets)) => run(&id, half, &targets),
        Err(problem) => usage(&problem),
    }
}

fn usage(problem: &str) -> ExitCode {
    eprintln!("only1mcp-probe: {problem}\n{USAGE}");
    ExitCode::from(EX_USAGE)
}

fn run(id: &str, half: Half, targets: &Targets) -> ExitCode {
    match probe::run(id, half, targets) {
        Ok(report) => print(&report),
        Err(problem) => usage(&problem),
    }
}

/// The outcome stands in the line, not in the exit code: an attempt that is denied has gone well.
fn print(report: &Report) -> ExitCode {
    match serde_json::to_string(report) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(_) => ExitCode::from(EX_IOERR),
    }
}

fn list() -> ExitCode {
    for attempt in catalogue::all() {
        println!("{}", ledger::as_json(attempt));
    }
    ExitCode::SUCCESS
}

fn serve() -> ExitCode {
    match server::serve(&mut ProbeServer, std::io::stdin().lock(), std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("only1mcp-probe: {error}");
            ExitCode::from(EX_IOERR)
        }
    }
}

/// A process worth attacking: it says where its secret lies and waits until its input ends.
fn victim() -> ExitCode {
    let secret: Vec<u8> = std::env::var("ONLY1MCP_VICTIM_SECRET").unwrap_or_default().into_bytes();
    let address = probe::kernel::address(&secret);
    println!("{{\"pid\":{},\"address\":{address},\"length\":{}}}", std::process::id(), secret.len());
    let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
    if std::env::var("ONLY1MCP_VICTIM_SECRET").unwrap_or_default().into_bytes() == secret {
        println!("unharmed");
    }
    ExitCode::SUCCESS
}
