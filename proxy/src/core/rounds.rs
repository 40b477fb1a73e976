//! A legacy client's call: what its server asks back reaches the client as a request of its own, whichever
//! way the server asks. A legacy server sends a request; a modern one answers `input_required` and is asked
//! again with the client's answers.

use crate::core::Core;
use crate::core::asked::{ClientAnswer, ToClient};
use crate::core::asking::Asking;
use crate::exchange::Era;
use crate::limits::{INPUT_ROUNDS_MAX, QUOTED_BYTES_MAX, SERVER_REQUESTS_QUEUE};
use crate::mcp::capability::{Reach, reach};
use crate::mcp::error::{INTERNAL_ERROR, NOT_BRIDGED, RpcError};
use crate::mcp::input::{self, InputRequired};
use crate::mcp::level::Level;
use crate::mcp::object::cut;
use crate::servers::pending::ReplyKind;
use crate::servers::server::{Answered, Server};
use crate::servers::server_request::ServerRequest;
use futures_util::future::join_all;
use std::borrow::Cow;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Asks a server for a legacy client, and the client for its server.
///
/// # Errors
/// [`RpcError`] if there is no answer.
pub async fn ask(
    asking: &Asking<'_>,
    core: &Core,
    server: &Arc<Server>,
    params: Option<&str>,
    level: Option<Level>,
) -> Result<Answered, RpcError> {
    let client = ToClient::of(asking, core);
    let mut params = params.map(Cow::Borrowed);
    let mut replica = None;
    for _ in 0..INPUT_ROUNDS_MAX {
        let answered = once(asking, &client, server, params.as_deref(), level, replica).await?;
        // What it asks for, that process alone may understand.
        replica = Some(answered.replica);
        let Some(required) = required(&answered) else { return Ok(answered) };
        let next = answer_all(asking, &client, server, params.as_deref(), &required).await?;
        params = Some(Cow::Owned(next));
    }
    let message =
        format!("server \"{}\" asked for input more than {INPUT_ROUNDS_MAX} times in one call", server.name);
    Err(RpcError::new(INTERNAL_ERROR, message))
}

/// What a modern server requires before it answers, if it does.
pub fn required(answered: &Answered) -> Option<InputRequired> {
    let is_result = answered.facts.era == Era::Modern && answered.reply.kind() == ReplyKind::Result;
    if is_result { input::of_result(answered.reply.body()) } else { None }
}

/// One request to the server; what it asks meanwhile is put to the client.
async fn once(
    asking: &Asking<'_>,
    client: &ToClient,
    server: &Server,
    params: Option<&str>,
    level: Option<Level>,
    replica: Option<u32>,
) -> Result<Answered, RpcError> {
    let (sender, mut requests) = mpsc::channel(SERVER_REQUESTS_QUEUE);
    let side = asking.side(Some(sender), replica);
    let asked = asking.asked(params, level);
    let mut answer = std::pin::pin!(server.ask(&asked, &side));
    let mut put = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            answer = &mut answer => return answer,
            Some(request) = requests.recv() => match request.unable(&asking.caller.capabilities) {
                None => drop(put.spawn(put_to(client.clone(), request))),
                Some(why) => request.decline(&why),
            },
            Some(_) = put.join_next() => {}
        }
    }
}

/// Why a client with these capabilities is not asked, if so.
pub fn why_not(method: &str, params: Option<&str>, capabilities: &str) -> Option<String> {
    match reach(method, params, capabilities) {
        Reach::Able => None,
        Reach::Unable(capability) => Some(format!("the client does not declare the capability {capability}")),
        Reach::Unknown => Some(format!("no client can be asked {}", cut(method, QUOTED_BYTES_MAX))),
    }
}

impl ServerRequest {
    /// Why a client with these capabilities is not asked this, if so.
    #[must_use]
    pub fn unable(&self, capabilities: &str) -> Option<String> {
        why_not(&self.method, self.params.as_deref(), capabilities)
    }
}

/// Puts a server's request to the client and gives the server its answer.
pub async fn put_to(client: ToClient, request: ServerRequest) {
    let answer = tokio::select! {
        answer = client.ask(&request.method, request.params.as_deref(), request.progress_back()) => answer,
        () = request.withdrawn() => return,
    };
    match answer {
        Some(ClientAnswer::Result(result)) => request.succeed(&result),
        Some(ClientAnswer::Error(error)) => request.fail(&error),
        None => request.decline("the client did not answer"),
    }
}

/// Asks the client all that a modern server requires; gives the parameters of the next round.
async fn answer_all(
    asking: &Asking<'_>,
    client: &ToClient,
    server: &Server,
    params: Option<&str>,
    required: &InputRequired,
) -> Result<String, RpcError> {
    let needs = |why: String| {
        RpcError::new(NOT_BRIDGED, format!("server \"{}\" needs input for this: {why}", server.name))
    };
    for (_, request) in &required.requests {
        if let Some(why) = why_not(&request.method, request.params.as_deref(), &asking.caller.capabilities) {
            return Err(needs(why));
        }
    }
    let answers = required.requests.iter().map(async |(key, request)| {
        let answer = client.ask(&request.method, request.params.as_deref(), None).await;
        match answer {
            Some(ClientAnswer::Result(result)) => Ok((key.clone(), result)),
            // A modern server can be given results alone.
            Some(ClientAnswer::Error(error)) => {
                Err(format!("the client refused {}: {error}", request.method))
            }
            None => Err(format!("the client did not answer {}", request.method)),
        }
    });
    let answers: Result<Vec<_>, String> = join_all(answers).await.into_iter().collect();
    let answers = answers.map_err(needs)?;
    input::next_round(params, &answers, required.state.as_deref())
}
