//! A call at a server that can outlive the request of the client that made it: a modern client goes away to
//! find an answer and comes back with another request.

use crate::exchange::{Era, Principal, STREAM_MESSAGES_MAX};
use crate::limits::SERVER_REQUESTS_QUEUE;
use crate::mcp::error::RpcError;
use crate::mcp::request::Asked;
use crate::servers::pending::ClientKey;
use crate::servers::server::ask::ClientSide;
use crate::servers::server::{Answered, Server};
use crate::servers::server_request::ServerRequest;
use bytes::Bytes;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::mpsc;

/// A call under way. Dropped, it is cancelled at the server.
pub struct Call {
    answer: Pin<Box<dyn Future<Output = Result<Answered, RpcError>> + Send>>,
    notifications: mpsc::Receiver<Bytes>,
    requests: mpsc::Receiver<ServerRequest>,
}

/// What comes of a call.
#[derive(Debug)]
pub enum Turn {
    /// Something to pass on meanwhile.
    Notification(Bytes),
    /// The server asks its client.
    Request(ServerRequest),
    /// The end.
    Answer(Result<Answered, RpcError>),
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").finish_non_exhaustive()
    }
}

impl Call {
    /// A call of a modern client. Nothing is sent before [`Call::next`] is waited for.
    #[must_use]
    pub fn of_modern_client(
        server: Arc<Server>,
        method: String,
        params: Option<String>,
        client: ClientKey,
        principal: Principal,
        replica: Option<u32>,
    ) -> Self {
        let (sender, notifications) = mpsc::channel(STREAM_MESSAGES_MAX);
        let (requests_sender, requests) = mpsc::channel(SERVER_REQUESTS_QUEUE);
        let side = ClientSide {
            notifications: sender,
            requests: Some(requests_sender),
            client,
            principal,
            may_keep: false,
            replica,
        };
        let answer = Box::pin(async move {
            let params = params.as_deref();
            let asked =
                Asked { method: &method, params, client: Era::Modern, log_level: None, capabilities: "{}" };
            server.ask(&asked, &side).await
        });
        Self { answer, notifications, requests }
    }

    /// What comes next. What was said before the answer comes before it.
    pub async fn next(&mut self) -> Turn {
        tokio::select! {
            biased;
            Some(message) = self.notifications.recv() => Turn::Notification(message),
            Some(request) = self.requests.recv() => Turn::Request(request),
            answer = &mut self.answer => Turn::Answer(answer),
        }
    }

    /// What else the server asks.
    pub async fn next_request(&mut self) -> ServerRequest {
        match self.requests.recv().await {
            Some(request) => request,
            // The call itself holds the other end.
            None => std::future::pending().await,
        }
    }
}
