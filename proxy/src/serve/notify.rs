//! What systemd is told of this service (sd_notify(3)): that it serves, that it is alive, that it ends.

use std::env;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// Who is told, if anybody is.
#[derive(Clone, Debug, Default)]
pub struct Notifier {
    socket: Option<Arc<UnixDatagram>>,
    /// Within which time it must be told that we are alive.
    watchdog: Option<Duration>,
}

impl Notifier {
    /// Connects to whom the environment names. Before the process locks itself: later there is no path to it.
    #[must_use]
    pub fn of_environment() -> Self {
        let Some(address) = env::var_os("NOTIFY_SOCKET").and_then(|name| name.into_string().ok()) else {
            return Self::default();
        };
        let ours = env::var("WATCHDOG_PID").map_or(true, |pid| pid == std::process::id().to_string());
        let watchdog = env::var("WATCHDOG_USEC").ok().filter(|_| ours).and_then(|time| time.parse().ok());
        match connect(&address) {
            Ok(socket) => {
                Self { socket: Some(Arc::new(socket)), watchdog: watchdog.map(Duration::from_micros) }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot reach who started us: systemd is told nothing");
                Self::default()
            }
        }
    }

    /// Says that clients are served, and from then on that we are alive: from the one thread that does everything, so
    /// that a loop that hangs is noticed.
    pub fn ready(&self) {
        self.say("READY=1");
        let Some(pause) = self.watchdog.map(|limit| limit / 2).filter(|pause| !pause.is_zero()) else {
            return;
        };
        let notifier = self.clone();
        tokio::spawn(async move {
            let mut due = tokio::time::interval(pause);
            due.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                due.tick().await;
                notifier.say("WATCHDOG=1");
            }
        });
    }

    /// Says that no new clients are served.
    pub fn stopping(&self) {
        self.say("STOPPING=1");
    }

    fn say(&self, what: &str) {
        if let Some(socket) = &self.socket
            && let Err(error) = socket.send(what.as_bytes())
        {
            tracing::warn!(%error, what, "systemd could not be told");
        }
    }
}

/// A path, or a name after `@` that is none in the file system.
fn connect(address: &str) -> io::Result<UnixDatagram> {
    let address = match address.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(address)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect_addr(&address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn systemd_is_told_that_it_serves_lives_and_ends() {
        let name = format!("only1mcp-notify-{}", std::process::id());
        let systemd = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        systemd.set_nonblocking(true).unwrap();
        let socket = connect(&format!("@{name}")).unwrap();
        let notifier = Notifier { socket: Some(Arc::new(socket)), watchdog: Some(Duration::from_secs(30)) };
        let heard = || {
            let mut all = Vec::new();
            let mut buffer = [0; 64];
            while let Ok(length) = systemd.recv(&mut buffer) {
                all.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
            }
            all
        };
        notifier.ready();
        assert_eq!(heard(), ["READY=1"]);
        tokio::time::sleep(Duration::from_secs(46)).await;
        assert_eq!(heard(), ["WATCHDOG=1"; 4], "at once, and after 15, 30 and 45 seconds");
        notifier.stopping();
        assert_eq!(heard(), ["STOPPING=1"]);
        Notifier::default().ready();
    }
}
