//! A request of a server to its client, from the line it came in until it is answered.

use crate::limits::SERVER_REQUESTS_MAX;
use crate::mcp::error::{METHOD_NOT_FOUND, RpcError, error_response, result_response};
use crate::mcp::object::Object;
use crate::mcp::request::{PROGRESS_TOKEN, progress_token};
use crate::servers::connection::Connection;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// A request of a server. Dropped without an answer, it is declined, so that no server waits for ever.
pub struct ServerRequest {
    /// What is asked.
    pub method: String,
    /// An object, raw.
    pub params: Option<String>,
    connection: Arc<Connection>,
    /// As the server wrote it.
    id: String,
    /// The call it belongs to, by our id.
    call: Option<u64>,
    withdrawn: CancellationToken,
}

/// Requests of one server that are not answered yet, by their raw ids.
#[derive(Debug, Default)]
pub struct OpenRequests(Mutex<HashMap<String, CancellationToken>>);

impl OpenRequests {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, id: &str) -> Result<CancellationToken, &'static str> {
        let mut open = self.lock();
        if open.contains_key(id) {
            return Err("this id is that of a request that is not answered yet");
        }
        if open.len() >= SERVER_REQUESTS_MAX {
            return Err("too many requests to clients are not answered yet");
        }
        let withdrawn = CancellationToken::new();
        open.insert(id.to_owned(), withdrawn.clone());
        Ok(withdrawn)
    }

    /// Whether a client's answer is waited for.
    #[must_use]
    pub fn is_any(&self) -> bool {
        !self.lock().is_empty()
    }

    /// Takes back the request of this raw id. False if there is none.
    pub fn withdraw(&self, id: &str) -> bool {
        self.lock().get(id).is_some_and(|request| {
            request.cancel();
            true
        })
    }
}

impl fmt::Debug for ServerRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerRequest")
            .field("method", &self.method)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Where a client's progress with a request goes: to the server that asked, under its own token.
#[derive(Clone, Debug)]
pub struct ProgressBack {
    connection: Arc<Connection>,
    token: String,
}

impl ProgressBack {
    /// Tells the server what a client said of its progress.
    pub fn tell(&self, params: &Object<'_>) {
        let mut edit = params.edit();
        edit.set(PROGRESS_TOKEN, self.token.as_str());
        self.connection.notify("notifications/progress", Some(&edit.finish()));
    }
}

impl ServerRequest {
    /// Where progress goes, if the server wants to hear of it.
    #[must_use]
    pub fn progress_back(&self) -> Option<ProgressBack> {
        let token = progress_token(self.params.as_deref()?)?;
        Some(ProgressBack { connection: self.connection.clone(), token })
    }

    /// Takes over the request that came in under this raw id; `call` is the one it belongs to, if that is known.
    ///
    /// # Errors
    /// In words, if the server has asked too much already or under the same id.
    pub fn open(
        connection: &Arc<Connection>,
        id: &str,
        method: &str,
        params: Option<&str>,
        call: Option<u64>,
    ) -> Result<Self, &'static str> {
        let withdrawn = connection.open_requests.begin(id)?;
        if let Some(call) = call {
            connection.pending.asks(call);
        }
        Ok(Self {
            method: method.to_owned(),
            params: params.map(str::to_owned),
            connection: connection.clone(),
            id: id.to_owned(),
            call,
            withdrawn,
        })
    }

    /// Gives the server this raw result.
    pub fn succeed(self, result: &str) {
        self.write(&result_response(&self.id, result));
    }

    /// Gives the server this raw error.
    pub fn fail(self, error: &str) {
        self.write(&error_response(&self.id, error));
    }

    /// Tells the server why its client is not asked.
    pub fn decline(self, why: &str) {
        self.write_declined(why);
    }

    /// Waits until the server takes it back, or ends.
    pub async fn withdrawn(&self) {
        tokio::select! {
            () = self.withdrawn.cancelled() => {}
            () = self.connection.closed() => {}
        }
    }

    /// Whether the server has taken it back.
    #[must_use]
    pub fn is_withdrawn(&self) -> bool {
        self.withdrawn.is_cancelled()
    }

    fn write_declined(&self, why: &str) {
        self.write(&RpcError::new(METHOD_NOT_FOUND, why).response(&self.id));
    }

    /// Only the first answer is written; none to a request that was taken back.
    fn write(&self, response: &[u8]) {
        if self.connection.open_requests.lock().remove(&self.id).is_none() || self.is_withdrawn() {
            return;
        }
        let mut line = Vec::from(response);
        line.push(b'\n');
        self.connection.write(&line);
    }
}

impl Drop for ServerRequest {
    fn drop(&mut self) {
        self.write_declined("the client could not be asked, or did not answer");
        if let Some(call) = self.call {
            self.connection.pending.asks_no_more(call);
        }
    }
}
