//! Asking a server: what happens to a request when the server dies, hangs, or is not there.

use super::admission::{Admitted, Turned};
use super::pick::Wish;
use super::{Answered, Ready, Server};
use crate::exchange::{Era, Principal};
use crate::limits::{END_REPORT_WAIT, TURN_POLL};
use crate::mcp::error::{INTERNAL_ERROR, OUTCOME_UNKNOWN, OVERLOADED, RpcError, TIMED_OUT};
use crate::mcp::method::Method;
use crate::mcp::object::{Keys, Object};
use crate::mcp::request::Asked;
use crate::servers::balancer::hash_of;
use crate::servers::cache::{Cache, Key};
use crate::servers::connection::{Call, CallFailure, Connection, OnDrop};
use crate::servers::era::Facts;
use crate::servers::pending::{ClientKey, Reply, Stream};
use crate::servers::replica::{Replica, Turn, Verdict, limit_reached};
use crate::servers::server_request::ServerRequest;
use bytes::Bytes;
use only1mcp_policy::view::{ConcurrencyView, RoutingKey, ServerView};
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
        if !client.may_keep || facts.era != Era::Modern {
            return None;
        }
        let cache = &connection.cache;
        let key = cache.key(asked.method, asked.params, asked.capabilities)?;
        Some(Self { cache, key, principal: &client.principal })
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
    /// Who asks.
    pub principal: Principal,
    /// Whether its server may allow the answer to be kept.
    pub may_keep: bool,
    /// The replica that knows what the request is about, if one alone does.
    pub replica: Option<u32>,
}

impl Server {
    /// Asks it for a client. A request of which nothing was written goes to the next process, one that was
    /// is repeated once if that is harmless.
    ///
    /// # Errors
    /// [`RpcError`] if there is no answer.
    pub async fn ask(&self, asked: &Asked<'_>, client: &ClientSide) -> Result<Answered, RpcError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let _unanswered = Unanswered::new(&self.upstream.unanswered);
        self.budget.deposit();
        let begun = Instant::now();
        self.upstream.used();
        let answered = match self.admit(&client.principal).await {
            Ok(_admitted) => self.ask_in_time(asked, client).await,
            Err(error) => Err(error),
        };
        self.upstream.used();
        self.failures.fetch_add(u64::from(answered.is_err()), Ordering::Relaxed);
        self.durations.count(begun.elapsed());
        answered
    }

    /// A place among those it may have in its hands.
    async fn admit(&self, principal: &Principal) -> Result<Admitted<'_>, RpcError> {
        let view = self.view();
        let limits = view.concurrency;
        let deadline = Instant::now() + Duration::from_millis(view.request_timeout_ms);
        self.admission.enter(limits, principal, deadline).await.map_err(|turned| {
            let ConcurrencyView { calls, per_principal, queue } = limits;
            let why = match turned {
                Turned::QueueFull => format!("and {queue} more wait"),
                Turned::TooLate => format!("and none ended within {} ms", view.request_timeout_ms),
            };
            let message = format!(
                "server \"{}\" has as many calls in its hands as it may ({calls} of all clients, {per_principal} of one), \
                 {why}; help: try again later",
                self.name
            );
            RpcError::new(OVERLOADED, message)
        })
    }

    async fn ask_in_time(&self, asked: &Asked<'_>, client: &ClientSide) -> Result<Answered, RpcError> {
        let view = self.view();
        let timeout = Duration::from_millis(view.request_timeout_ms);
        let deadline = Instant::now() + timeout;
        let id = self.next_id();
        let method = Method::of(asked.method);
        let mut may_repeat = self.is_repeatable(&view, method, asked.params);
        let mut wish = self.wish(&view, asked, client);
        loop {
            let place = self.place(&wish, deadline).await?;
            let _turn = self.turn(&place.replica, client, deadline).await?;
            let Ready { connection, facts, .. } = place.ready.clone();
            let replica = place.replica.number;
            let keeping = Keeping::of(client, asked, &connection, &facts);
            if let Some(reply) = keeping.as_ref().and_then(Keeping::find) {
                return Ok(Answered { reply, facts, replica });
            }
            let line =
                asked.line(id, facts.era).map_err(|error| RpcError::invalid_params(error.to_string()))?;
            let stream = Stream {
                sender: client.notifications.clone(),
                progress_token: line.progress_token,
                log_from: line.log_from,
                requests: client.requests.clone(),
                client: client.client.clone(),
            };
            let call =
                Call { id, line: line.bytes, stream: Some(stream), timeout, on_drop: OnDrop::TellServer };
            let outcome = tokio::select! {
                biased;
                outcome = connection.call(call) => outcome,
                // Its process may still be there: it is told that nobody waits for this any more.
                () = self.better_elsewhere(&place), if may_repeat && view.replicas > 1 => Err(CallFailure::Unanswered),
            };
            let failure = match outcome {
                Ok(reply) => {
                    place.judge(Verdict::Answered);
                    if let Some(keeping) = keeping {
                        keeping.keep(&reply);
                    }
                    if view.replicas > 1 {
                        self.homes.note(method, reply.body(), replica);
                    }
                    return Ok(Answered { reply, facts, replica });
                }
                Err(failure) => failure,
            };
            // Of a process that ended nothing is left to be spared.
            if failure == CallFailure::TimedOut && place.judge(Verdict::Failed) {
                tracing::warn!(server = %self.name, replica, "requests to it fail: no more of them for a while");
                self.upstream.replica_changed();
            }
            match failure {
                CallFailure::NotWritten => {}
                CallFailure::Unanswered if may_repeat && self.budget.withdraw() => {
                    // One more process may die of it, and no third.
                    may_repeat =
                        connection.is_closed() && connection.ended_with_the_launcher(END_REPORT_WAIT).await;
                    self.retries.fetch_add(1, Ordering::Relaxed);
                }
                CallFailure::Unanswered => return Err(self.outcome_unknown(&connection, asked.method).await),
                CallFailure::TimedOut => return Err(self.timed_out(timeout, method)),
                CallFailure::Overloaded => {
                    let message = format!("server \"{}\" has too many requests in its hands", self.name);
                    return Err(RpcError::new(OVERLOADED, message));
                }
            }
            wish.not.push(connection);
        }
    }

    /// Asks one process for ourselves.
    ///
    /// # Errors
    /// [`RpcError`] if there is no answer.
    pub async fn ask_at(&self, ready: &Ready, asked: &Asked<'_>) -> Result<Answered, RpcError> {
        let timeout = Duration::from_millis(self.view().request_timeout_ms);
        let id = self.next_id();
        let line =
            asked.line(id, ready.facts.era).map_err(|error| RpcError::invalid_params(error.to_string()))?;
        let call = Call { id, line: line.bytes, stream: None, timeout, on_drop: OnDrop::TellServer };
        match ready.connection.call(call).await {
            Ok(reply) => Ok(Answered { reply, facts: ready.facts.clone(), replica: 0 }),
            Err(CallFailure::TimedOut) => Err(self.timed_out(timeout, Method::of(asked.method))),
            Err(_) => Err(self.unavailable(ready.connection.reason())),
        }
    }

    /// Whether nothing is done twice if it is asked this twice.
    fn is_repeatable(&self, view: &ServerView, method: Method, params: Option<&str>) -> bool {
        if method != Method::ToolsCall || (view.retry.is_empty() && !view.trust_annotations) {
            return method.is_repeatable();
        }
        let object = params.and_then(|params| Object::parse(params, Keys::Folded).ok());
        let name = object.as_ref().and_then(|object| object.get_text("name"));
        name.is_some_and(|name| {
            view.may_repeat(&name) || (view.trust_annotations && self.says_repeatable(&name))
        })
    }

    fn wish(&self, view: &ServerView, asked: &Asked<'_>, client: &ClientSide) -> Wish {
        if view.replicas < 2 {
            return Wish::default();
        }
        let at = client.replica.or_else(|| self.homes.of(asked));
        Wish { key: routing_key(view.routing.key, asked, client), at, not: Vec::new() }
    }

    /// A turn at a process that asks its clients.
    async fn turn<'r>(
        &self,
        replica: &'r Replica,
        client: &ClientSide,
        deadline: Instant,
    ) -> Result<Option<Turn<'r>>, RpcError> {
        if client.requests.is_none() || !replica.asks_its_clients() {
            return Ok(None);
        }
        let Ok(_waiting) = self.upstream.waiting.try_acquire() else {
            let message = format!("too many requests wait for server \"{}\"", self.name);
            return Err(RpcError::new(OVERLOADED, message));
        };
        let turn = timeout_at(deadline, async {
            let turn = replica.take_turn(&client.client).await;
            // Calls from before it was known that there would be turns.
            while replica.running().is_some_and(|ready| ready.connection.has_calls_of_others(&client.client))
            {
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

    fn timed_out(&self, timeout: Duration, method: Method) -> RpcError {
        let unknown =
            if method.is_repeatable() { "" } else { ", so its outcome is unknown and it was not repeated" };
        let message = format!("server \"{}\" did not answer within {timeout:?}{unknown}", self.name);
        RpcError::new(TIMED_OUT, message)
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

/// What a request has in common with those that shall go to the same replica.
fn routing_key(key: RoutingKey, asked: &Asked<'_>, client: &ClientSide) -> u64 {
    let principal = || match &client.principal {
        Principal::LocalUser(uid) => hash_of(&[b"uid", &uid.to_le_bytes()]),
        Principal::TokenBearer => hash_of(&[b"token"]),
    };
    match (key, &client.client) {
        (RoutingKey::Auto | RoutingKey::Session, ClientKey::Session(number)) => {
            hash_of(&[b"session", &number.to_le_bytes()])
        }
        (RoutingKey::Principal | RoutingKey::Session, _) => principal(),
        (RoutingKey::Auto | RoutingKey::Arguments, _) => arguments_key(asked),
    }
}

/// The tool and its arguments, without what differs from call to call.
fn arguments_key(asked: &Asked<'_>) -> u64 {
    let object = asked.params.and_then(|params| Object::parse(params, Keys::Exact).ok());
    let part = |key: &str| object.as_ref().and_then(|object| object.get(key)).unwrap_or_default().as_bytes();
    hash_of(&[asked.method.as_bytes(), part("name"), part("uri"), part("arguments")])
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
