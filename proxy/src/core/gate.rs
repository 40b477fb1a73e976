//! Whether a tool may be called: the policy's verdict, and its words for a client.

use crate::mcp::error::{REFUSED_BY_POLICY, RpcError};
use crate::servers::server::Server;
use only1mcp_policy::view::{Refusal, ToolRules, Verdict};

/// Lets a call pass or says why not.
///
/// # Errors
/// [`RpcError`] if the policy refuses the tool.
pub fn check(server: &Server, tool: &str) -> Result<(), RpcError> {
    let view = server.view();
    let Verdict::Refused(refusal) = view.tools.verdict(tool) else { return Ok(()) };
    let why = match refusal {
        Refusal::NotAllowed => "no pattern of its policy allows it".to_owned(),
        Refusal::Denied(pattern) => format!("the pattern {pattern:?} of its policy denies it"),
    };
    tracing::info!(server = %server.name, tool, verdict = "refused", why);
    Err(RpcError::new(
        REFUSED_BY_POLICY,
        format!("tool {tool:?} of server \"{}\" may not be called: {why}", server.name),
    ))
}

/// Whether a tool may be listed.
#[must_use]
pub fn is_listed(rules: &ToolRules, tool: &str) -> bool {
    rules.verdict(tool) == Verdict::Allowed
}
