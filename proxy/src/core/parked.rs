//! A modern client's call. What a legacy server asks back meanwhile is answered by `input_required`, and the call
//! waits here until its client comes back; a modern server's own state is sealed on its way through.

use crate::core::Core;
use crate::core::asking::{Asking, Heard};
use crate::core::call::{Call, Turn};
use crate::core::rounds;
use crate::core::sealed::{Bound, Kept, Seal};
use crate::exchange::{Era, Principal};
use crate::limits::{
    PARKED_CALLS_MAX, PARKED_CALLS_PER_PRINCIPAL_MAX, PARKED_TIME_MAX, REQUEST_STATE_TIME_MAX,
    REQUESTS_TOGETHER_WAIT,
};
use crate::mcp::digest;
use crate::mcp::error::{INTERNAL_ERROR, MISSING_CAPABILITY, OVERLOADED, RpcError};
use crate::mcp::input;
use crate::mcp::object::{Keys, Object, may_hold};
use crate::mcp::request::{progress_token, with_progress_token};
use crate::servers::pending::ReplyKind;
use crate::servers::server::{Answered, Server};
use crate::servers::server_request::ServerRequest;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;

const ELICIT: &str = "elicitation/create";

/// All calls that wait for their clients.
#[derive(Debug)]
pub struct Parked {
    calls: Arc<Mutex<Calls>>,
    seal: Seal,
    started_at: Instant,
}

#[derive(Debug, Default)]
struct Calls {
    waiting: HashMap<u64, Waiting>,
    last: u64,
}

/// One call that waits.
#[derive(Debug)]
struct Waiting {
    principal: Principal,
    call: Call,
    requests: Vec<(u64, ServerRequest)>,
    /// Ends it when its time is over.
    _expiry: AbortOnDropHandle<()>,
}

impl Default for Parked {
    fn default() -> Self {
        Self { calls: Arc::default(), seal: Seal::new(), started_at: Instant::now() }
    }
}

/// Asks a server for a modern client, or goes on with a call that was parked.
///
/// # Errors
/// [`RpcError`] if there is no answer.
pub async fn ask(
    asking: &Asking<'_>,
    core: &Core,
    server: &Arc<Server>,
    params: Option<&str>,
) -> Result<Heard, RpcError> {
    let request = Request { asking, core, server, params };
    let (params, replica) = match request.brought_back()? {
        Some((Kept::Parked(number), object)) => return request.resume(number, &object).await,
        Some((Kept::Inner { state, replica }, object)) => {
            (Some(Cow::Owned(input::params_with_state(object.text(), &state)?)), Some(replica))
        }
        None => (params.map(Cow::Borrowed), None),
    };
    let may_ask_back = server.facts().is_none_or(|facts| facts.era == Era::Legacy);
    let answered = if may_ask_back {
        let call = Call::of_modern_client(
            server.clone(),
            asking.method_name.clone().into_owned(),
            params.map(Cow::into_owned),
            asking.client(),
            asking.caller.principal.clone(),
            replica,
        );
        match request.attend(call).await? {
            Heard::Answer(answered) => answered,
            required => return Ok(required),
        }
    } else {
        server.ask(&asking.asked(params.as_deref(), None), &asking.side(None, replica)).await?
    };
    request.seal_state(answered)
}

/// One request of a modern client.
struct Request<'a> {
    asking: &'a Asking<'a>,
    core: &'a Core,
    server: &'a Arc<Server>,
    params: Option<&'a str>,
}

impl<'a> Request<'a> {
    fn bound(&self) -> Bound<'a> {
        let request = digest::of_request(self.server.name.as_str(), &self.asking.method_name, self.params);
        Bound { principal: &self.asking.caller.principal, request }
    }

    /// What the client brings back, if it does: what was kept for it, and the parameters.
    fn brought_back(&self) -> Result<Option<(Kept, Object<'a>)>, RpcError> {
        let Some(params) = self.params.filter(|params| may_hold(params, input::STATE)) else {
            return Ok(None);
        };
        let object = Object::parse(params, Keys::Folded)
            .map_err(|error| RpcError::invalid_params(format!("params: {error}")))?;
        let is_state = |key: &str| key.eq_ignore_ascii_case(input::STATE);
        let Some(state) = object.members().iter().find(|member| is_state(&member.key)) else {
            return Ok(None);
        };
        // A server that ignores case would take it for its own state, which no client has.
        if state.key != input::STATE {
            return Err(RpcError::invalid_params(format!(
                "params.{} must be written {}",
                state.key,
                input::STATE
            )));
        }
        let state = self.asking.text(&object, input::STATE)?;
        let parked = &self.core.parked;
        Ok(Some((parked.seal.open(&state, self.bound(), parked.now())?, object)))
    }

    /// Goes on with a call whose client has come back.
    async fn resume(&self, number: u64, params: &Object<'_>) -> Result<Heard, RpcError> {
        let responses = input::responses(params)?;
        let Waiting { call, requests, .. } = self.core.parked.take(number)?;
        let mut open = Vec::new();
        for (key, request) in requests {
            match responses.iter().find(|(answered, _)| *answered == key.to_string()) {
                Some((_, result)) => request.succeed(result),
                None if request.is_withdrawn() => {}
                None => open.push((key, request)),
            }
        }
        // What is missing is asked for again.
        if open.is_empty() { self.attend(call).await } else { self.park(call, open) }
    }

    /// Stays with a call until it is answered, or its server asks this client.
    async fn attend(&self, mut call: Call) -> Result<Heard, RpcError> {
        let token = self.params.and_then(progress_token);
        loop {
            match call.next().await {
                Turn::Notification(message) => {
                    if let Some(message) = with_progress_token(message, token.as_deref()) {
                        // A client that reads too slowly misses progress, never its answer.
                        let _ = self.asking.stream.try_send(message);
                    }
                }
                Turn::Answer(answer) => return self.answered(answer?),
                Turn::Request(request) => {
                    let mut all = vec![request];
                    // What is asked in one breath is answered in one round.
                    while let Ok(more) = timeout(REQUESTS_TOGETHER_WAIT, call.next_request()).await {
                        all.push(more);
                    }
                    let able: Vec<_> = all.into_iter().filter_map(|request| self.able(request)).collect();
                    if !able.is_empty() {
                        return self.park(call, (1..).zip(able).collect());
                    }
                }
            }
        }
    }

    /// The answer; or, if it only sends the user to a page, what asks for that. The client comes back by making the
    /// call again, which is what the server wants: so nothing is kept.
    fn answered(&self, answered: Answered) -> Result<Heard, RpcError> {
        let is_error = answered.facts.era == Era::Legacy && answered.reply.kind() == ReplyKind::Error;
        let Some(pages) = Some(answered.reply.body()).filter(|_| is_error).and_then(input::of_url_error)
        else {
            return Ok(Heard::Answer(answered));
        };
        let capabilities = &self.asking.caller.capabilities;
        let why = pages.iter().find_map(|page| rounds::why_not(ELICIT, Some(page), capabilities));
        if let Some(why) = why {
            let message = format!("server \"{}\" sends the user to a page: {why}", self.server.name);
            let error = RpcError::new(MISSING_CAPABILITY, message);
            return Err(error.with_data(r#"{"requiredCapabilities":{"elicitation":{"url":{}}}}"#));
        }
        let asks = (1..).zip(&pages).map(|(key, page)| (key, ELICIT, Some(*page)));
        Ok(Heard::InputRequired(input::ask(asks, None)))
    }

    /// The request, if this client can be asked; else its server is told.
    fn able(&self, request: ServerRequest) -> Option<ServerRequest> {
        match request.unable(&self.asking.caller.capabilities) {
            None => Some(request),
            Some(why) => {
                request.decline(&why);
                None
            }
        }
    }

    /// Puts a call aside until its client comes back; the answer asks it to.
    fn park(&self, call: Call, requests: Vec<(u64, ServerRequest)>) -> Result<Heard, RpcError> {
        let asks: Vec<_> = requests
            .iter()
            .map(|(key, request)| (*key, request.method.clone(), request.params.clone()))
            .collect();
        let parked = &self.core.parked;
        let bound = self.bound();
        let number = parked.put(bound.principal, call, requests)?;
        let state = parked.seal.seal(Kept::Parked(number), bound, parked.now() + PARKED_TIME_MAX);
        let state = state.ok_or_else(no_seal)?;
        let asks = asks.iter().map(|(key, method, params)| (*key, method.as_str(), params.as_deref()));
        Ok(Heard::InputRequired(input::ask(asks, Some(&state))))
    }

    /// A modern server's own state leaves only sealed.
    fn seal_state(&self, answered: Answered) -> Result<Heard, RpcError> {
        let Some(required) = rounds::required(&answered) else { return Ok(Heard::Answer(answered)) };
        let Some(state) = required.state else { return Ok(Heard::Answer(answered)) };
        let parked = &self.core.parked;
        let until = parked.now() + REQUEST_STATE_TIME_MAX;
        let kept = Kept::Inner { state, replica: answered.replica };
        let sealed = parked.seal.seal(kept, self.bound(), until).ok_or_else(no_seal)?;
        Ok(Heard::InputRequired(input::with_state(answered.reply.body(), &sealed)))
    }
}

fn no_seal() -> RpcError {
    RpcError::new(INTERNAL_ERROR, "the request's state could not be sealed: no random numbers")
}

impl Parked {
    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.started_at.elapsed()
    }

    /// Calls that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn put(
        &self,
        principal: &Principal,
        call: Call,
        requests: Vec<(u64, ServerRequest)>,
    ) -> Result<u64, RpcError> {
        let mut calls = self.lock();
        let own = calls.waiting.values().filter(|waiting| waiting.principal == *principal).count();
        if own >= PARKED_CALLS_PER_PRINCIPAL_MAX || calls.waiting.len() >= PARKED_CALLS_MAX {
            let message = format!(
                "too many calls wait for answers of their clients ({own} of yours, {} in all); help: answer one, or \
                 wait {} minutes until they expire",
                calls.waiting.len(),
                PARKED_TIME_MAX.as_secs() / 60
            );
            return Err(RpcError::new(OVERLOADED, message));
        }
        calls.last += 1;
        let number = calls.last;
        let waiting = Waiting { principal: principal.clone(), call, requests, _expiry: self.expire(number) };
        calls.waiting.insert(number, waiting);
        Ok(number)
    }

    /// Cancels the call at its server when its time is over.
    fn expire(&self, number: u64) -> AbortOnDropHandle<()> {
        let calls = Arc::downgrade(&self.calls);
        AbortOnDropHandle::new(tokio::spawn(async move {
            tokio::time::sleep(PARKED_TIME_MAX).await;
            let Some(calls) = calls.upgrade() else { return };
            let expired = calls.lock().unwrap_or_else(PoisonError::into_inner).waiting.remove(&number);
            // Outside the lock: its server is told.
            drop(expired);
        }))
    }

    /// Takes a call whose client has come back. Only once.
    fn take(&self, number: u64) -> Result<Waiting, RpcError> {
        let taken = self.lock().waiting.remove(&number);
        taken.ok_or_else(|| {
            RpcError::invalid_params(
                "params.requestState is refused: the call it belongs to was answered or has ended; help: make \
                 the call again without it",
            )
        })
    }
}
