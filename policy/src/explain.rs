//! What a policy comes to, in plain words.

use crate::check::server::Server;
use only1mcp_wire::ServerPlan;
use serde::Serialize;

/// A server's confinement.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// Its name.
    pub server: String,
}

/// Explains a server.
#[must_use]
pub fn explain(server: &Server, _plan: &ServerPlan) -> Explanation {
    Explanation { server: server.name.to_string() }
}

impl Explanation {
    /// As text.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{}\n", self.server)
    }
}
