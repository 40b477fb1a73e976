//! `only1mcp stdio`: one client on standard input and output, relayed to a daemon byte for byte.

pub mod background;
pub mod private;
pub mod remote;

use super::arguments::StdioArguments;
use super::directories::Directories;
use super::exit_code::Exit;
use super::failure::Failure;
use super::limits::STDIO_DRAIN;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Bytes copied at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// Relays until either side ends.
///
/// # Errors
/// When there is no daemon and none can be started.
pub fn run(arguments: &StdioArguments) -> Result<Exit, Failure> {
    if let Some(url) = &arguments.url {
        return remote::run(url);
    }
    let directories = Directories::resolve(&arguments.places)?;
    if let Some(config) = &arguments.config {
        let mut instance = private::start(&directories, config)?;
        let ended = relay(&instance.directories.relay_socket());
        instance.end();
        return ended;
    }
    background::ensure(&arguments.places, &directories)?;
    relay(&directories.relay_socket())
}

fn relay(socket: &Path) -> Result<Exit, Failure> {
    let broken = |cause: io::Error| Failure::new(Exit::InputOutput, format!("the relay broke: {cause}"));
    let daemon = UnixStream::connect(socket).map_err(|cause| {
        Failure::new(Exit::Unavailable, format!("cannot reach the daemon at {}: {cause}", socket.display()))
    })?;
    let client_ended = Arc::new(AtomicBool::new(false));
    let upward = daemon.try_clone().map_err(broken)?;
    let ended = Arc::clone(&client_ended);
    // Not joined: it may wait for a client that never says another word.
    thread::spawn(move || upstream(&upward, &ended));
    copy(&daemon, io::stdout().lock()).map_err(broken)?;
    if client_ended.load(Ordering::SeqCst) {
        return Ok(Exit::Ok);
    }
    Err(Failure::new(Exit::Unavailable, "the daemon closed the connection").help("its log says why"))
}

/// From the client to the daemon. At its end the daemon may still answer what it was asked.
fn upstream(daemon: &UnixStream, ended: &AtomicBool) {
    // Either end may close first; the other direction notices.
    let _ = copy(io::stdin().lock(), daemon);
    ended.store(true, Ordering::SeqCst);
    let _ = daemon.shutdown(Shutdown::Write);
    thread::sleep(STDIO_DRAIN);
    let _ = daemon.shutdown(Shutdown::Both);
}

/// Flushes every chunk: a client waits for each line.
fn copy(mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let count = match from.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
            Err(cause) if cause.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
            Err(cause) => return Err(cause),
        };
        to.write_all(chunk.get(..count).unwrap_or_default())?;
        to.flush()?;
    }
}
