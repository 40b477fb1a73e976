//! The core: answers one request. Everything between a front ([`crate::exchange`]) and the servers.
//!
//! Starting it, inside a tokio runtime and after the process has locked itself:
//!
//! ```ignore
//! let launcher = Launcher::connect(&path).await?;       // connects and says HELLO
//! let (generation, view) = launcher.view().await?;      // VIEW
//! let core = Core::start(view, generation, launcher);   // starts every server, returns at once
//! core.settled(limit).await;                            // optional: every server is ready or failed
//! let json = serde_json::to_vec(&core.status())?;       // GET /status
//! core.stop().await;                                    // ends every server
//! ```

pub mod status;

use crate::exchange::{Answer, Caller, Exchange, ServerEvent};
use crate::servers::launcher::Launcher;
use bytes::Bytes;
use only1mcp_policy::view::View;
use only1mcp_wire::ServerName;
use status::Status;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc};

/// Answers requests. One per proxy.
#[derive(Debug)]
pub struct Core {
    events: broadcast::Sender<ServerEvent>,
}

impl Core {
    /// Starts every server of `view` and returns at once. Must run inside a tokio runtime.
    #[must_use]
    pub fn start(_view: View, _generation: u64, _launcher: Launcher) -> Arc<Self> {
        Arc::new(Self { events: broadcast::channel(16).0 })
    }

    /// Waits until every server has become ready or has failed once, at most `limit`.
    pub async fn settled(&self, _limit: Duration) {}

    /// What `GET /status` shows. `listen` is left empty for the front to fill.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::default()
    }

    /// Ends every server and waits until they have ended, at most a few seconds.
    pub async fn stop(&self) {}
}

impl Exchange for Core {
    async fn request(self: Arc<Self>, _caller: Caller, _body: Bytes, _stream: mpsc::Sender<Bytes>) -> Answer {
        Answer { response: Bytes::new(), error_code: None }
    }

    async fn notification(self: Arc<Self>, _caller: Caller, _body: Bytes) {}

    fn events(&self) -> broadcast::Receiver<ServerEvent> {
        self.events.subscribe()
    }

    fn session_ended(&self, _session: u64) {}

    fn has_server(&self, _name: &ServerName) -> bool {
        false
    }
}
