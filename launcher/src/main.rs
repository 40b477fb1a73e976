//! The only process of only1mcp with power: a plan and a name become a confined process.
//!
//! One thread, no network, no parser of anything a person wrote. The story "launch one server" is
//! [`launch`]; the conversation with the proxy is [`daemon`]. Reading order: [`arguments`], [`start`],
//! [`pool`], [`configuration`], [`watch`], [`daemon`], [`peer`], [`requests`], [`instances`], [`launch`],
//! [`confine`], [`state`], [`credentials`], [`cgroup`], [`kernel`]; and [`weakened`], for tests.

mod arguments;
mod cgroup;
mod configuration;
mod confine;
mod credentials;
mod daemon;
mod instances;
mod kernel;
mod launch;
mod limits;
mod log;
mod machine;
mod peer;
mod pool;
mod requests;
mod start;
mod state;
mod watch;
mod weakened;

use std::process::ExitCode;

/// `EX_USAGE`: the command line is wrong.
const USAGE: u8 = 64;

fn main() -> ExitCode {
    let arguments = match arguments::parse(std::env::args_os().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => {
            log::error(error);
            log::help(arguments::USAGE);
            return ExitCode::from(USAGE);
        }
    };
    match start::start(&arguments).and_then(daemon::Daemon::run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error(&error);
            error.help().into_iter().for_each(log::help);
            ExitCode::from(error.status())
        }
    }
}
