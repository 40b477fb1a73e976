//! A replica's whole life: started, greeted, watched, replaced, started again.

use super::Replica;
use crate::exchange::Era;
use crate::limits::{
    DRAIN_POLL, DRAIN_TIME, EXIT_REPORT_WAIT, IDLE_LOOK, MEMORY_LOOK, PUT_OFF_WAIT, QUARANTINE_TIME,
    REASON_BYTES_MAX, RESTART_WAIT_MAX, RESTART_WAIT_MIN, ROOM_WAIT, RUN_COUNTED_STABLE, SETBACKS_MAX,
};
use crate::mcp::object::cut;
use crate::servers::connection::Connection;
use crate::servers::era::{Greeting, greet};
use crate::servers::server::{Ready, State};
use only1mcp_wire::{Exit, ServerName};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// How a run of a process ended.
enum Ended {
    /// It was told to.
    Stopped,
    /// Nobody needs it.
    Idle,
    /// By itself, after a while, or after it was of use.
    Late,
    /// By itself, and soon; or it could not be started.
    Early,
    /// It was not started, for a reason that is not its own.
    PutOff,
}

/// Why there is no process.
struct Setback {
    /// In words.
    reason: String,
    /// Whether it lies with who starts servers, and will pass.
    is_passing: bool,
}

/// Setbacks in a row, and how long to wait after the next.
struct Setbacks {
    count: u32,
    wait: Duration,
}

impl Setbacks {
    const NONE: Self = Self { count: 0, wait: RESTART_WAIT_MIN };

    /// Another one. How long to wait, and whether there have been too many.
    fn next(&mut self) -> (Duration, bool) {
        self.count += 1;
        let wait = self.wait;
        self.wait = (self.wait * 2).min(RESTART_WAIT_MAX);
        if self.count < SETBACKS_MAX { (wait, false) } else { (QUARANTINE_TIME, true) }
    }
}

impl Replica {
    /// Its whole life: start, greet, watch, replace, start again; until [`Replica::stop`].
    pub async fn run(self: Arc<Self>) {
        let mut setbacks = Setbacks::NONE;
        loop {
            if !self.awake().await {
                break;
            }
            let mut view_changes = self.upstream.view_changes();
            let started = tokio::select! {
                started = self.start() => started,
                () = self.stopped.cancelled() => break,
            };
            let ended = match started {
                Ok(ready) => self.attend(ready).await,
                Err(setback) if setback.is_passing => {
                    self.put_off(&setback.reason);
                    Ended::PutOff
                }
                Err(setback) => {
                    self.fail(&setback.reason);
                    Ended::Early
                }
            };
            match ended {
                Ended::Stopped => break,
                Ended::Idle | Ended::Late => {
                    setbacks = Setbacks::NONE;
                    continue;
                }
                Ended::Early | Ended::PutOff => {}
            }
            let (wait, is_quarantine) = match ended {
                Ended::PutOff => (PUT_OFF_WAIT, false),
                _ => setbacks.next(),
            };
            if is_quarantine {
                self.quarantine(setbacks.count);
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.stopped.cancelled() => break,
                // Another plan deserves another chance.
                _ = view_changes.changed() => setbacks = Setbacks::NONE,
            }
        }
        self.set_state(State::Stopped);
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
            if self.upstream.is_waited_for() || !self.upstream.is_unused() {
                break;
            }
        }
        self.upstream.used();
        self.set_state(State::Starting);
        true
    }

    /// Waits until nobody has asked the server anything for its idle time; for ever if it has none.
    async fn idle(&self) {
        loop {
            let now = Instant::now();
            // Asked for each time: another configuration may say otherwise.
            let limit = self.upstream.view().idle_timeout_ms.map(Duration::from_millis);
            let since = if self.upstream.is_unused() { self.upstream.last_used() } else { now };
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
        self.set_state(State::Idle);
        let unused = self.upstream.is_unused();
        if !unused {
            self.set_state(State::Ready(ready.clone()));
        }
        unused
    }

    /// Starts a process and says the first words; a second process if the first did not answer the probe, or if its plan
    /// became another meanwhile.
    async fn start(&self) -> Result<Ready, Setback> {
        let upstream = &self.upstream;
        // The plan of a process that did not answer the probe.
        let mut silent = None;
        loop {
            let view = upstream.view();
            let timeout = Duration::from_millis(view.startup_timeout_ms);
            let is_silent = silent.as_ref() == Some(&view.digest);
            let known = if is_silent { Some(Era::Legacy) } else { upstream.verdict(&view.digest) };
            let process = upstream
                .spawner
                .spawn(&upstream.name, upstream.tenant.partition)
                .await
                .map_err(|error| Setback { reason: error.reason, is_passing: error.is_passing })?;
            let connection = Connection::open(process, upstream.notices.clone());
            let mut guard = CloseOnDrop { connection: Some(connection.clone()) };
            let greeting = tokio::select! {
                greeting = greet(&connection, known, &upstream.tenant.capabilities, timeout) => greeting,
                () = self.plan_is(|digest| digest != view.digest) => {
                    drop(guard);
                    connection.exit(EXIT_REPORT_WAIT).await;
                    continue;
                }
            };
            let reason = match greeting {
                Greeting::Ready(facts) => {
                    guard.connection = None;
                    let facts = Arc::new(*facts);
                    upstream.learn(&view.digest, &facts);
                    return Ok(Ready { connection, facts, digest: view.digest.as_str().into() });
                }
                Greeting::Silent => {
                    tracing::info!(server = %upstream.name, "no answer to the probe; greeting a fresh process as legacy");
                    silent = Some(view.digest.clone());
                    drop(guard);
                    connection.exit(EXIT_REPORT_WAIT).await;
                    continue;
                }
                Greeting::Failed(reason) => reason,
            };
            drop(guard);
            let reason = describe_end(&upstream.name, &connection, &reason).await;
            return Err(Setback { reason, is_passing: false });
        }
    }

    /// Waits until the plan has such a digest.
    async fn plan_is(&self, such: impl Fn(&str) -> bool) {
        let mut view_changes = self.upstream.view_changes();
        while !such(&self.upstream.view().digest) {
            // Its sender lives as long as the upstream.
            let _ = view_changes.changed().await;
        }
    }

    /// From here on the process gets requests.
    fn put_to_work(&self, ready: &Ready) {
        let pid = ready.connection.spawned.pid;
        tracing::info!(server = %self.upstream.name, replica = self.number, version = %ready.facts.version, pid, "ready");
        self.is_ill.store(false, Ordering::Relaxed);
        self.served.store(0, Ordering::Relaxed);
        self.has_answered.store(false, Ordering::Relaxed);
        self.circuit().renewed(Instant::now());
        self.set_state(State::Ready(ready.clone()));
    }

    /// Stays with a process until it ends, or nobody needs it. Where a fresh one shall go on, it takes over here.
    async fn attend(&self, mut ready: Ready) -> Ended {
        let mut began = Instant::now();
        self.put_to_work(&ready);
        loop {
            let connection = ready.connection.clone();
            tokio::select! {
                () = connection.closed() => break,
                () = self.idle() => {
                    if !self.rest_if_unused(&ready) {
                        continue;
                    }
                    tracing::info!(server = %self.upstream.name, replica = self.number, "idle; ended until it is needed");
                    connection.close("it was idle");
                    connection.exit(EXIT_REPORT_WAIT).await;
                    return Ended::Idle;
                }
                () = self.has_fallen_silent(&ready) => {
                    connection.close("it did not answer health checks");
                }
                why = self.worn_out(&ready, began) => {
                    let is_on_demand = self.upstream.view().idle_timeout_ms.is_some();
                    if is_on_demand && self.upstream.is_unused() && self.rest_if_unused(&ready) {
                        connection.close(why);
                        connection.exit(EXIT_REPORT_WAIT).await;
                        return Ended::Idle;
                    }
                    if let Some(next) = self.replace(&ready, why).await {
                        (ready, began) = (next, Instant::now());
                    }
                }
                () = self.stopped.cancelled() => {
                    connection.close("it was stopped");
                    connection.exit(EXIT_REPORT_WAIT).await;
                    return Ended::Stopped;
                }
            }
        }
        self.set_state(State::Restarting);
        self.set_ill(false);
        self.restarts.fetch_add(1, Ordering::Relaxed);
        let connection = &ready.connection;
        let reason: Arc<str> =
            describe_end(&self.upstream.name, connection, connection.reason()).await.into();
        tracing::warn!(server = %self.upstream.name, replica = self.number, ?reason, "ended; starting it again");
        self.remember_error(&reason);
        if self.stopped.is_cancelled() {
            return Ended::Stopped;
        }
        // Who has answered a client is in no crash loop, however soon it ended.
        let is_stable = began.elapsed() >= RUN_COUNTED_STABLE || self.has_answered.load(Ordering::Relaxed);
        if is_stable { Ended::Late } else { Ended::Early }
    }

    /// Waits until a fresh process shall go on, and says why.
    async fn worn_out(&self, ready: &Ready, began: Instant) -> &'static str {
        let mut view_changes = self.upstream.view_changes();
        loop {
            let view = self.upstream.view();
            let recycle = view.recycle;
            if *view.digest != *ready.digest {
                return "its plan is another";
            }
            if recycle.calls.is_some_and(|calls| self.served() >= calls) {
                return "it has answered as many calls as one process may";
            }
            let due = recycle.age_ms.map(|age| began + Duration::from_millis(age));
            if due.is_some_and(|due| due <= Instant::now()) {
                return "it is as old as one process may be";
            }
            // A fresh one is left alone for a while, so that a limit below what it needs at least ends in no storm.
            let memory = match recycle.memory_bytes.filter(|_| began.elapsed() >= MEMORY_LOOK) {
                Some(limit) => ready.connection.usage().await.filter(|usage| usage.memory_bytes >= limit),
                None => None,
            };
            if memory.is_some() {
                return "it uses as much memory as one process may";
            }
            let look = recycle.memory_bytes.map(|_| Instant::now() + MEMORY_LOOK);
            let next = [due, look].into_iter().flatten().min();
            let sleep = async {
                match next {
                    Some(next) => tokio::time::sleep_until(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = sleep => {}
                () = self.is_worn.notified() => {}
                _ = view_changes.changed() => {}
            }
        }
    }

    /// Has a fresh process take over: started, switched to, and the old one ended when it has answered. Nothing if
    /// there is none, or if the old one has become the right one again; then it goes on for as long as it may.
    async fn replace(&self, old: &Ready, why: &'static str) -> Option<Ready> {
        tracing::info!(server = %self.upstream.name, replica = self.number, why, "a fresh process is started in its place");
        let mut view_changes = self.upstream.view_changes();
        let is_outdated = *self.upstream.view().digest != *old.digest;
        let started = {
            let mut start = std::pin::pin!(self.start());
            tokio::select! {
                started = &mut start => started,
                () = self.stopped.cancelled() => return None,
                () = self.plan_is(|digest| *digest == *old.digest), if is_outdated => {
                    tracing::info!(server = %self.upstream.name, replica = self.number, "its plan is the old one again: it stays");
                    return None;
                }
                () = old.connection.closed() => {
                    self.set_state(State::Restarting);
                    tokio::select! {
                        started = &mut start => started,
                        () = self.stopped.cancelled() => return None,
                    }
                }
            }
        };
        match started {
            Ok(next) => {
                self.put_to_work(&next);
                let old = old.connection.clone();
                tokio::spawn(async move { drain(&old).await });
                Some(next)
            }
            Err(Setback { reason, is_passing }) => {
                let reason: Arc<str> = reason.into();
                let wait = if is_passing {
                    // As long as a process before it still ends, there is no room for it.
                    tracing::debug!(server = %self.upstream.name, replica = self.number, ?reason, "put off");
                    ROOM_WAIT
                } else {
                    tracing::warn!(server = %self.upstream.name, replica = self.number, ?reason, "the fresh process cannot be started");
                    self.remember_error(&reason);
                    RESTART_WAIT_MAX
                };
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = old.connection.closed() => {}
                    () = self.stopped.cancelled() => {}
                    _ = view_changes.changed() => {}
                }
                None
            }
        }
    }

    /// Those who wait for it go on waiting.
    fn put_off(&self, reason: &str) {
        if !self.remember_error(&reason.into()) {
            tracing::info!(server = %self.upstream.name, replica = self.number, reason, "cannot be started just now");
        }
        if matches!(*self.state.borrow(), State::Failed(_)) {
            self.set_state(State::Restarting);
        }
    }

    fn fail(&self, reason: &str) {
        let reason: Arc<str> = reason.into();
        if self.remember_error(&reason) {
            tracing::debug!(server = %self.upstream.name, replica = self.number, ?reason, "still cannot be started");
        } else {
            tracing::warn!(server = %self.upstream.name, replica = self.number, ?reason, "cannot be started; it is tried again from time to time");
        }
        self.set_state(State::Failed(reason));
    }

    /// Gives it up for a long while.
    fn quarantine(&self, count: u32) {
        let last = self.last_error().map_or_else(|| Arc::from("it ended"), |(_, reason)| reason);
        let minutes = QUARANTINE_TIME.as_secs() / 60;
        let reason = format!(
            "it failed {count} times in a row and is in quarantine: it is tried again every {minutes} minutes, and when \
             its configuration changes; last: {last}"
        );
        tracing::warn!(server = %self.upstream.name, replica = self.number, count, "in quarantine");
        self.set_state(State::Quarantined(cut(&reason, REASON_BYTES_MAX).into()));
    }
}

/// Ends a process that gets no more requests, when it has answered those in its hands.
async fn drain(connection: &Connection) {
    let deadline = Instant::now() + DRAIN_TIME;
    while connection.in_flight() > 0 && !connection.is_closed() && Instant::now() < deadline {
        tokio::time::sleep(DRAIN_POLL).await;
    }
    connection.close("another process has taken over");
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
pub fn limit_reached(server: &ServerName, exit: Exit) -> Option<String> {
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
