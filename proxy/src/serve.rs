//! Start the proxy: take the sockets, give up all power, then speak to the launcher and to clients.
//!
//! Reading order: this file, [`sockets`], [`privileges`], [`logging`], [`notify`], [`screen`].

pub mod logging;
pub mod notify;
pub mod privileges;
pub mod screen;
pub mod sockets;

use crate::core::Core;
use crate::core::status::Status;
use crate::front::accept::{LocalDoor, LocalUsers};
use crate::front::identity::{Identity, Token, Trust, sock_diag::SockDiag};
use crate::front::{Front, accept, admin, http, relay};
use crate::kernel::ReceiveError;
use crate::limits::{ADMIN_CONNECTIONS_MAX, DRAIN_TIME_MAX, RELAY_CONNECTIONS_MAX, START_SCREEN_WAIT_MAX};
use crate::lock::{self, LockError};
use crate::servers::launcher::{Launcher, LauncherError};
use axum::Router;
use notify::Notifier;
use only1mcp_policy::view::ToolView;
use only1mcp_wire::Mode;
use screen::Access;
use sockets::Sockets;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What the supervisor or systemd says.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// How the whole runs: decides who needs a token.
    pub mode: Mode,
    /// The launcher's socket.
    pub launcher: PathBuf,
    /// The file that holds the token.
    pub token_file: PathBuf,
    /// Root mode: the uid and gid to become.
    pub user: Option<u32>,
    /// How tools are shown, if that was typed.
    pub view: Option<ToolView>,
    /// Whether to print the start screen, once, when ready.
    pub start_screen: bool,
}

/// Why the proxy could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The sockets.
    #[error("cannot take over the listening sockets: {0}")]
    Receive(#[from] ReceiveError),
    /// A socket that is missing or of the wrong kind.
    #[error("cannot take over the listening sockets: {0}")]
    Sockets(#[from] sockets::SocketsError),
    /// The token.
    #[error("cannot read the token from {file}: {cause}")]
    Token {
        /// Its file.
        file: PathBuf,
        /// Why not.
        cause: io::Error,
    },
    /// The user to become, or the supervisor to end with.
    #[error("cannot give up privileges: {0}")]
    Privileges(#[from] privileges::PrivilegesError),
    /// The kernel cannot say whose a connection is.
    #[error("cannot open the socket that tells whose a connection is: {0}")]
    SockDiag(nix::Error),
    /// The lock.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The launcher.
    #[error(transparent)]
    Launcher(#[from] LauncherError),
    /// The runtime or a signal handler.
    #[error("cannot start the runtime: {0}")]
    Runtime(#[from] io::Error),
}

/// Runs the proxy until it is told to stop. Must be called before any thread exists.
///
/// # Errors
/// [`ServeError`] if it cannot start. Once started, it ends only when told to.
pub fn run(options: &ServeOptions) -> Result<(), ServeError> {
    let sockets = Sockets::receive()?;
    logging::start();
    privileges::end_with_supervisor()?;
    let token = Token::read(&options.token_file)
        .map_err(|cause| ServeError::Token { file: options.token_file.clone(), cause })?;
    // While it is still possible; who is asked about later was opened before.
    let trust = match options.mode {
        Mode::User | Mode::Minimal => Trust::OwnUser(SockDiag::open().map_err(ServeError::SockDiag)?),
        Mode::Root | Mode::System => Trust::Nobody,
    };
    let notifier = Notifier::of_environment();
    let left = lock::root::leave(&options.launcher);
    if let Some(user) = options.user {
        privileges::become_user(user)?;
    }
    privileges::end_with_supervisor()?;
    privileges::raise_open_files();
    let shown = shown_token(options, &token);
    let identity = Identity::new(trust, Token::of(&token), options.token_file.clone());
    drop(token);
    let landlock = lock::lock(&options.launcher)?;
    let users = LocalUsers { own: nix::unistd::getuid().as_raw(), root: left.root_reads_as };
    tracing::info!(?landlock, own_root = left.root.is_ok(), uid = users.own, "locked");
    if let Err(error) = left.root {
        tracing::warn!(%error, "no root of our own: if taken over, the proxy could reach this user's Unix sockets");
    }
    runtime()?.block_on(serve(options, Doors { sockets, users }, identity, shown, notifier))
}

/// What clients and the operator come in by.
struct Doors {
    sockets: Sockets,
    users: LocalUsers,
}

/// The token, if it belongs on the start screen: clients need it, and only a person reads it there.
fn shown_token(options: &ServeOptions, token: &str) -> Option<String> {
    let needed = matches!(options.mode, Mode::Root | Mode::System) && options.start_screen;
    (needed && io::stdout().is_terminal()).then(|| token.to_owned())
}

/// One thread does everything. On two cores the servers need the other one, a call passes from
/// reader to writer without waking a second thread, and one thread's memory is all there is.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

async fn serve(
    options: &ServeOptions,
    doors: Doors,
    identity: Identity,
    shown: Option<String>,
    notifier: Notifier,
) -> Result<(), ServeError> {
    let mut signals = StopSignals::new()?;
    let launcher = Launcher::connect(&options.launcher).await?;
    let (generation, view) = launcher.view().await?;
    let core = Core::start(view, generation, launcher, options.view);
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let listen = doors.sockets.addresses();
    let status = {
        let core = Arc::clone(&core);
        move || {
            let (core, listen) = (Arc::clone(&core), listen.clone());
            async move { Status { listen, ..core.measured_status().await } }
        }
    };
    let front = Arc::new(Front::new(Arc::clone(&core), identity, stop.clone()));
    let context = {
        let (core, listen) = (Arc::clone(&core), doors.sockets.addresses());
        move || {
            let (core, listen) = (Arc::clone(&core), listen.clone());
            async move { core.definitions(&listen).await }
        }
    };
    let reload = {
        let core = Arc::clone(&core);
        move || {
            let core = Arc::clone(&core);
            async move { core.reload().await }
        }
    };
    let operators = admin::router(status.clone(), context, reload);
    open(&front, doors, operators, &tasks)?;
    if options.start_screen {
        let core = Arc::clone(&core);
        let access = Access { mode: options.mode, token_file: options.token_file.clone(), token: shown };
        tokio::spawn(async move {
            core.settled(START_SCREEN_WAIT_MAX).await;
            screen::print(&screen::render(&status().await, &access));
        });
    }
    tracing::info!("serving");
    notifier.ready();
    tracing::info!(signal = signals.next().await, "stopping");
    notifier.stopping();
    stop.cancel();
    drain(&tasks, &mut signals).await;
    core.stop().await;
    Ok(())
}

/// Waits until every connection has ended, for as long as they may take, or until we are told again.
async fn drain(tasks: &TaskTracker, signals: &mut StopSignals) {
    tasks.close();
    tokio::select! {
        () = tasks.wait() => tracing::info!("every connection has ended"),
        () = tokio::time::sleep(DRAIN_TIME_MAX) => {
            tracing::warn!(connections = tasks.len(), "the time is over, ending by force");
        }
        signal = signals.next() => tracing::warn!(signal, connections = tasks.len(), "ending by force"),
    }
}

/// Opens all doors.
fn open(
    front: &Arc<Front<Core>>,
    Doors { sockets, users }: Doors,
    operators: Router,
    tasks: &TaskTracker,
) -> io::Result<()> {
    let router = http::router(Arc::clone(front));
    for listener in sockets.mcp {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        tasks.spawn(accept::tcp(Arc::clone(front), listener, router.clone(), tasks.clone()));
    }
    let door = |listener, connections_max| {
        let (stop, tasks) = (front.stop.clone(), tasks.clone());
        tokio::net::UnixListener::from_std(listener).map(|listener| LocalDoor {
            listener,
            users,
            connections_max,
            stop,
            tasks,
        })
    };
    if let Some(listener) = sockets.relay {
        tasks.spawn(relay::serve(Arc::clone(front), door(listener, RELAY_CONNECTIONS_MAX)?));
    }
    if let Some(listener) = sockets.admin {
        tasks.spawn(admin::serve(door(listener, ADMIN_CONNECTIONS_MAX)?, operators));
    }
    let sweeping = Arc::clone(front);
    tasks.spawn(async move { sweeping.sweep_sessions().await });
    Ok(())
}

/// The signals that tell us to stop.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The name of the next one.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn raise(signal: nix::sys::signal::Signal) {
        nix::sys::signal::raise(signal).unwrap();
    }

    #[tokio::test]
    async fn drains_until_all_has_ended_or_a_second_signal_comes() {
        let mut signals = StopSignals::new().unwrap();
        raise(nix::sys::signal::Signal::SIGTERM);
        assert_eq!(signals.next().await, "SIGTERM");
        let (begun, idle) = (Instant::now(), TaskTracker::new());
        drain(&idle, &mut signals).await;
        let busy = TaskTracker::new();
        busy.spawn(std::future::pending::<()>());
        raise(nix::sys::signal::Signal::SIGINT);
        drain(&busy, &mut signals).await;
        assert!(begun.elapsed() < Duration::from_secs(3), "it waited for the deadline");
    }
}
