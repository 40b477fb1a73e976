//! Asking a server: what happens to a request when the server dies, hangs, or is not there.

use super::life::limit_reached;
use super::turns::Turn;
use super::{Answered, Ready, Server, State};
use crate::exchange::{Era, Principal};
use crate::limits::{END_REPORT_WAIT, TURN_POLL};
use crate::mcp::error::{INTERNAL_ERROR, OUTCOME_UNKNOWN, OVERLOADED, RpcError, TIMED_OUT};
use crate::mcp::method::Method;
use crate::mcp::request::Asked;
use crate::servers::cache::{Cache, Key};
use crate::servers::connection::{Call, CallFailure, Connection, OnDrop};
use crate::servers::era::Facts;
use crate::servers::pending::{ClientKey, Reply, Stream};
use crate::servers::server_request::ServerRequest;
use bytes::Bytes;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

/// A request whose answer its server may allow to be kept.
struct Keeping<'a> {
    cache: &'a Cache,
    key: Key,
    principal: &'a Principal,
}

impl<'a> Keeping<'a> {
    fn of(
        client: &'a ClientSide,
        asked: &Asked<'_>,
        connection: &'a Connection,
        facts: &Facts,
    ) -> Option<Self> {
        // A legacy server never says that anything may be kept.
        let principal = client.principal.as_ref().filter(|_| facts.era == Era::Modern)?;
        let cache = &connection.cache;
        Some(Self { cache, key: cache.key(asked.method, asked.params, asked.capabilities)?, principal })
    }

    fn find(&self) -> Option<Reply> {
        let (reply, left) = self.cache.find(&self.key, self.principal)?;
        Some(reply.with_time_to_live(left))
    }

    fn keep(self, reply: &Reply) {
        self.cache.keep(self.key, self.principal, reply);
    }
}

/// Where a call goes on with its client before it is answered.
#[derive(Clone, Debug)]
pub struct ClientSide {
    /// Notifications of the call.
    pub notifications: mpsc::Sender<Bytes>,
    /// Requests of the server; nothing for a call that no server asks back about.
    pub requests: Option<mpsc::Sender<ServerRequest>>,
    /// Whose call it is.
    pub client: ClientKey,
    /// Who asks, for answers that may be kept; nothing if none may be.
    pub principal: Option<Principal>,
}

impl Server {
    /// Asks it for a client. A request of which nothing was written goes to the next process, one that was
    /// is repeated once if that is harmless.
    ///
    /// # Errors
    /// [`RpcError`] if there is no answer.
    pub async fn ask(&self, asked: &Asked<'_>, client: &ClientSide) -> Result<Answered, RpcError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let _unanswered = Unanswered::new(&self.unanswered);
        self.used();
        let answered = self.ask_uncounted(asked, Some(client)).await;
        self.used();
        answered
    }

    /// [`Server::ask`] for ourselves.
    ///
    /// # Errors
    /// [`RpcError`] if there is no answer.
    pub async fn ask_uncounted(
        &self,
        asked: &Asked<'_>,
        client: Option<&ClientSide>,
    ) -> Result<Answered, RpcError> {
        let view = self.view();
        let timeout = Duration::from_millis(view.request_timeout_ms);
        let deadline = Instant::now() + timeout;
        let id = self.next_id();
        let _turn = self.turn(client, deadline).await?;
        let mut repeats_left = u8::from(Method::of(asked.method).is_repeatable());
        loop {
            let Ready { connection, facts } = self.ready(deadline).await?;
            let keeping = client.and_then(|client| Keeping::of(client, asked, &connection, &facts));
            if let Some(kept) = keeping.as_ref().and_then(Keeping::find) {
                return Ok(Answered { reply: kept, facts });
            }
            let line =
                asked.line(id, facts.era).map_err(|error| RpcError::invalid_params(error.to_string()))?;
            let stream = client.map(|client| Stream {
                sender: client.notifications.clone(),
                progress_token: line.progress_token,
                log_from: line.log_from,
                requests: client.requests.clone(),
                client: client.client.clone(),
            });
            let call = Call { id, line: line.bytes, stream, timeout, on_drop: OnDrop::TellServer };
            let failure = match connection.call(call).await {
                Ok(reply) => {
                    if let Some(keeping) = keeping {
                        keeping.keep(&reply);
                    }
                    return Ok(Answered { reply, facts });
                }
                Err(failure) => failure,
            };
            match failure {
                CallFailure::NotWritten => {}
                CallFailure::Unanswered if repeats_left > 0 => repeats_left -= 1,
                CallFailure::Unanswered => return Err(self.outcome_unknown(&connection, asked.method).await),
                CallFailure::TimedOut => return Err(self.timed_out(timeout)),
                CallFailure::Overloaded => {
                    let message = format!("server \"{}\" has too many requests in its hands", self.name);
                    return Err(RpcError::new(OVERLOADED, message));
                }
            }
            // The connection is closed by now, or about to be.
            if timeout_at(deadline, connection.closed()).await.is_err() {
                return Err(self.timed_out(timeout));
            }
        }
    }

    /// A turn at a server that asks its clients.
    async fn turn(
        &self,
        client: Option<&ClientSide>,
        deadline: Instant,
    ) -> Result<Option<Turn<'_>>, RpcError> {
        let Some(client) = client.filter(|client| client.requests.is_some() && self.asks_its_clients())
        else {
            return Ok(None);
        };
        let Ok(_waiting) = self.waiting.try_acquire() else {
            let message = format!("too many requests wait for server \"{}\"", self.name);
            return Err(RpcError::new(OVERLOADED, message));
        };
        let turn = timeout_at(deadline, async {
            let turn = self.turns.take(&client.client).await;
            // Calls from before it was known that there would be turns.
            while self.has_calls_of_others(&client.client) {
                tokio::time::sleep(TURN_POLL).await;
            }
            turn
        });
        turn.await.map(Some).map_err(|_| {
            let message =
                format!("server \"{}\" is waiting for another client's answer: try again later", self.name);
            RpcError::new(OVERLOADED, message)
        })
    }

    fn has_calls_of_others(&self, client: &ClientKey) -> bool {
        matches!(&*self.state.borrow(), State::Ready(ready) if ready.connection.has_calls_of_others(client))
    }

    /// Whether it has ever asked a client something, in this or an earlier process.
    fn asks_its_clients(&self) -> bool {
        if let State::Ready(ready) = &*self.state.borrow()
            && ready.connection.has_asked()
        {
            self.asks.store(true, Ordering::Relaxed);
        }
        self.asks.load(Ordering::Relaxed)
    }

    fn timed_out(&self, timeout: Duration) -> RpcError {
        RpcError::new(TIMED_OUT, format!("server \"{}\" did not answer within {timeout:?}", self.name))
    }

    async fn outcome_unknown(&self, connection: &Connection, method: &str) -> RpcError {
        // Its streams end a moment before the launcher says why.
        let exit = connection.exit(END_REPORT_WAIT).await;
        if let Some(stopped) = exit.and_then(|exit| limit_reached(&self.name, exit)) {
            let message = format!("{stopped}; it had this {method} in its hands, so its outcome is unknown");
            return RpcError::new(OUTCOME_UNKNOWN, message);
        }
        let message = format!(
            "server \"{}\" ended while it had this {method} in its hands, so its outcome is unknown and it was \
             not repeated: {}",
            self.name,
            connection.reason()
        );
        RpcError::new(OUTCOME_UNKNOWN, message)
    }

    /// What a broken answer is to a client.
    #[must_use]
    pub fn broken_answer(&self) -> RpcError {
        RpcError::new(
            INTERNAL_ERROR,
            format!("server \"{}\" answered with neither a result nor an error", self.name),
        )
    }
}

/// Counts a request of a client until it is answered or given up.
struct Unanswered<'a>(&'a AtomicU64);

impl<'a> Unanswered<'a> {
    fn new(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
