//! A server's whole life: started, greeted, watched, started again.

use super::{Ready, Server, State};
use crate::exchange::Era;
use crate::limits::{
    EXIT_REPORT_WAIT, IDLE_LOOK, REASON_BYTES_MAX, RESTART_WAIT_MAX, RESTART_WAIT_MIN, RUN_COUNTED_STABLE,
    WAITING_MAX,
};
use crate::mcp::object::cut;
use crate::servers::connection::Connection;
use crate::servers::era::{Greeting, greet};
use only1mcp_wire::{Exit, ServerName};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

impl Server {
    /// Its whole life: start, greet, watch, start again; until [`Server::stop`].
    pub async fn run(self: Arc<Self>) {
        let mut wait = RESTART_WAIT_MIN;
        loop {
            if !self.awake().await {
                break;
            }
            let started = tokio::select! {
                started = self.start() => started,
                () = self.stopped.cancelled() => break,
            };
            match started {
                Ok(ready) => {
                    let began = Instant::now();
                    self.watch(ready).await;
                    if self.stopped.is_cancelled() {
                        break;
                    }
                    if matches!(*self.state.borrow(), State::Idle) {
                        wait = RESTART_WAIT_MIN;
                        continue;
                    }
                    if began.elapsed() >= RUN_COUNTED_STABLE {
                        wait = RESTART_WAIT_MIN;
                        continue;
                    }
                }
                Err(reason) => self.fail(&reason),
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.stopped.cancelled() => break,
            }
            wait = (wait * 2).min(RESTART_WAIT_MAX);
        }
        self.state.send_replace(State::Stopped);
    }

    /// Waits while it is idle. False if it was stopped.
    async fn awake(&self) -> bool {
        if !matches!(*self.state.borrow(), State::Idle) {
            return true;
        }
        loop {
            tokio::select! {
                () = self.wake.notified() => {}
                () = self.stopped.cancelled() => return false,
            }
            // Else whoever woke it has gone again, or was served before it became idle.
            if self.waiting.available_permits() < WAITING_MAX {
                break;
            }
        }
        self.used();
        self.state.send_replace(State::Starting);
        true
    }

    /// Waits until nobody has asked it anything for its idle time; for ever if it has none.
    async fn idle(&self) {
        loop {
            let now = Instant::now();
            // Asked for each time: another configuration may say otherwise.
            let limit = self.view().idle_timeout_ms.map(Duration::from_millis);
            let since = if self.is_unused() { self.last_used() } else { now };
            if limit.is_some_and(|limit| now.saturating_duration_since(since) >= limit) {
                return;
            }
            let due = limit.map_or(now + IDLE_LOOK, |limit| since + limit);
            tokio::time::sleep_until(due.min(now + IDLE_LOOK)).await;
        }
    }

    /// Becomes idle, unless a request came in this very moment: from here on whoever looks finds it idle, and whoever
    /// looked before is counted.
    fn rest_if_unused(&self, ready: &Ready) -> bool {
        self.state.send_replace(State::Idle);
        let unused = self.is_unused();
        if !unused {
            self.state.send_replace(State::Ready(ready.clone()));
        }
        unused
    }

    /// Starts a process and says the first words; a second process if the first did not answer the probe.
    async fn start(&self) -> Result<Ready, String> {
        let view = self.view();
        let timeout = Duration::from_millis(view.startup_timeout_ms);
        let mut known =
            self.memory().verdict.clone().filter(|(digest, _)| *digest == view.digest).map(|(_, era)| era);
        loop {
            let process = self
                .spawner
                .spawn(&self.name, self.tenant.partition)
                .await
                .map_err(|error| error.to_string())?;
            let connection = Connection::open(process, self.notices.clone());
            let mut guard = CloseOnDrop { connection: Some(connection.clone()) };
            let reason = match greet(&connection, known, &self.tenant.capabilities, timeout).await {
                Greeting::Ready(facts) => {
                    guard.connection = None;
                    let facts = Arc::new(*facts);
                    let mut memory = self.memory();
                    memory.verdict = Some((view.digest.clone(), facts.era));
                    memory.facts = Some(facts.clone());
                    return Ok(Ready { connection, facts });
                }
                Greeting::Silent => {
                    tracing::info!(server = %self.name, "no answer to the probe; greeting a fresh process as legacy");
                    known = Some(Era::Legacy);
                    drop(guard);
                    connection.exit(EXIT_REPORT_WAIT).await;
                    continue;
                }
                Greeting::Failed(reason) => reason,
            };
            drop(guard);
            return Err(describe_end(&self.name, &connection, &reason).await);
        }
    }

    /// Waits while it is ready.
    async fn watch(&self, ready: Ready) {
        let connection = ready.connection.clone();
        tracing::info!(server = %self.name, version = %ready.facts.version, pid = connection.spawned.pid, "ready");
        self.state.send_replace(State::Ready(ready.clone()));
        loop {
            tokio::select! {
                () = connection.closed() => break,
                () = self.idle() => {
                    if !self.rest_if_unused(&ready) {
                        continue;
                    }
                    tracing::info!(server = %self.name, "idle; ended until it is needed");
                    connection.close("it was idle");
                    connection.exit(EXIT_REPORT_WAIT).await;
                    return;
                }
                () = self.stopped.cancelled() => {
                    connection.close("it was stopped");
                    connection.exit(EXIT_REPORT_WAIT).await;
                    return;
                }
            }
        }
        self.state.send_replace(State::Restarting);
        self.restarts.fetch_add(1, Ordering::Relaxed);
        let reason: Arc<str> = describe_end(&self.name, &connection, connection.reason()).await.into();
        tracing::warn!(server = %self.name, ?reason, "ended; starting it again");
        self.memory().last_error = Some(reason);
    }

    fn fail(&self, reason: &str) {
        let reason: Arc<str> = reason.into();
        let before = self.memory().last_error.replace(reason.clone());
        if before.as_ref() == Some(&reason) {
            tracing::debug!(server = %self.name, ?reason, "still cannot be started");
        } else {
            tracing::warn!(server = %self.name, ?reason, "cannot be started; it is tried again from time to time");
        }
        self.state.send_replace(State::Failed(reason));
    }
}

/// Closes a connection that did not become ready, also if the greeting is given up half way.
struct CloseOnDrop {
    connection: Option<Arc<Connection>>,
}

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        if let Some(connection) = &self.connection {
            connection.close("it was not greeted");
        }
    }
}

/// That it was stopped at a limit, if it was: for its clients and for `status`.
pub(super) fn limit_reached(server: &ServerName, exit: Exit) -> Option<String> {
    let Exit::OutOfMemory { limit_bytes } = exit else { return None };
    Some(format!("server \"{server}\" was stopped: memory limit {} reached", in_units(limit_bytes)))
}

/// A size as people say it: whole in the largest unit that leaves no rest.
fn in_units(bytes: u64) -> String {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let whole = units.into_iter().find(|(_, shift)| bytes != 0 && bytes.trailing_zeros() >= *shift);
    whole.map_or_else(|| format!("{bytes} bytes"), |(unit, shift)| format!("{} {unit}", bytes >> shift))
}

/// Why a process ended, how, and what it said last on its standard error.
async fn describe_end(server: &ServerName, connection: &Connection, reason: &str) -> String {
    let exit = connection.exit(EXIT_REPORT_WAIT).await;
    if let Some(stopped) = exit.and_then(|exit| limit_reached(server, exit)) {
        return stopped;
    }
    let mut text = cut(reason, REASON_BYTES_MAX).to_owned();
    match exit {
        Some(Exit::Status(status)) => text.push_str(&format!("; it ended with status {status}")),
        Some(Exit::Signal(signal)) => text.push_str(&format!("; it was ended by signal {signal}")),
        // Told above, in words of its own: what the server says itself explains nothing then.
        Some(Exit::OutOfMemory { .. }) | None => {}
    }
    let lines = connection.stderr_lines();
    if !lines.is_empty() {
        text.push_str("; its last lines on standard error:\n  ");
        text.push_str(&lines.join("\n  "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_told_in_whole_units() {
        let told = |limit_bytes| {
            limit_reached(&ServerName::new("files").unwrap(), Exit::OutOfMemory { limit_bytes })
        };
        assert_eq!(told(512 << 20).unwrap(), "server \"files\" was stopped: memory limit 512 MiB reached");
        assert_eq!(in_units(2 << 30), "2 GiB");
        assert_eq!(in_units((1 << 30) + (1 << 20)), "1025 MiB");
        assert_eq!(in_units(1_000_001), "1000001 bytes");
        assert_eq!(limit_reached(&ServerName::new("files").unwrap(), Exit::Signal(9)), None);
    }
}
