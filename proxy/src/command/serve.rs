//! `only1mcp serve`: hands what the supervisor or systemd typed to the proxy.

use super::arguments::{ServeArguments, ServeMode};
use super::exit_code::Exit;
use super::failure::Failure;
use crate::serve::{self, ServeError, ServeOptions};
use only1mcp_wire::Mode;

/// Becomes the proxy, and ends when it is told to.
///
/// # Errors
/// When the proxy cannot start.
pub fn run(arguments: ServeArguments) -> Result<Exit, Failure> {
    let options = ServeOptions {
        mode: match arguments.mode {
            ServeMode::User => Mode::User,
            ServeMode::Root => Mode::Root,
            ServeMode::System => Mode::System,
        },
        launcher: arguments.launcher,
        token_file: arguments.token_file,
        user: arguments.user,
        view: arguments.view.map(Into::into),
        start_screen: arguments.start_screen,
    };
    serve::run(&options).map(|()| Exit::Ok).map_err(|error| Failure::new(exit(&error), error.to_string()))
}

fn exit(error: &ServeError) -> Exit {
    match error {
        ServeError::Receive(_) | ServeError::Sockets(_) | ServeError::Token { .. } => Exit::Config,
        ServeError::Privileges(_) => Exit::Permission,
        ServeError::SockDiag(_) | ServeError::Lock(_) => Exit::Unavailable,
        // The launcher may still be starting, or be starting again.
        ServeError::Launcher(_) => Exit::TemporaryFailure,
        ServeError::Runtime(_) => Exit::InputOutput,
    }
}
