//! The proxy's settings.

use super::context;
use super::pool::small;
use crate::document::config::{ProxyDocument, RateLimitDocument};
use crate::document::pool::HealthDocument;
use crate::finding::Findings;
use crate::limits::{AUTO_THRESHOLD_TOKENS_DEFAULT, NAME_CHARACTERS_DEFAULT, VIRTUAL_NODES_DEFAULT};
use crate::view::{Algorithm, LISTEN_DEFAULT, PrincipalView, RateLimitView, ToolView};
use only1mcp_wire::Mode;
use std::net::SocketAddr;

/// The proxy's settings, with nothing left open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// Longest aggregated name, in characters.
    pub name_characters_max: usize,
    /// How a replica is chosen.
    pub algorithm: Algorithm,
    /// Points of a replica on the ring.
    pub virtual_nodes: u32,
    /// How the health of servers is checked that say nothing of it.
    pub health: HealthDocument,
    /// How often one principal may call one server.
    pub rate_limit: Option<RateLimitView>,
    /// How tools are shown.
    pub view: ToolView,
    /// Tokens of tool definitions below which [`ToolView::Auto`] shows them in full.
    pub auto_threshold: u32,
    /// How single principals see the tools.
    pub views: Vec<PrincipalView>,
}

/// Checks the proxy's settings.
pub fn check(document: &ProxyDocument, mode: Mode, findings: &mut Findings) -> Proxy {
    let asked = document.name_characters_max.as_ref();
    Proxy {
        listen: check_listen(document, mode, findings).unwrap_or(LISTEN_DEFAULT),
        name_characters_max: asked
            .and_then(|spot| usize::try_from(spot.value).ok())
            .unwrap_or(NAME_CHARACTERS_DEFAULT),
        algorithm: document.algorithm,
        virtual_nodes: document
            .virtual_nodes
            .and_then(|nodes| u32::try_from(nodes).ok())
            .unwrap_or(VIRTUAL_NODES_DEFAULT),
        health: document.health,
        rate_limit: document.rate_limit.as_ref().and_then(|limit| check_rate_limit(limit, findings)),
        view: document.views.view,
        auto_threshold: document.views.auto_threshold.map_or(AUTO_THRESHOLD_TOKENS_DEFAULT, small),
        views: context::check_views(&document.views.views, findings),
    }
}

fn check_rate_limit(document: &RateLimitDocument, findings: &mut Findings) -> Option<RateLimitView> {
    let Some(per_minute) = document.requests_per_minute else {
        findings.error(
            &document.place,
            "`rate_limit` does not say how many calls per minute",
            "write it such as {requests_per_minute: 60, burst: 20}, or remove it for no limit",
        );
        return None;
    };
    let small = |calls| u32::try_from(calls).ok();
    Some(RateLimitView {
        requests_per_minute: small(per_minute)?,
        burst: small(document.burst.unwrap_or(per_minute))?,
    })
}

fn check_listen(document: &ProxyDocument, mode: Mode, findings: &mut Findings) -> Option<SocketAddr> {
    let listen = document.listen.as_ref()?;
    let Ok(address) = listen.value.parse::<SocketAddr>() else {
        findings.error(
            &listen.place,
            format!("`{}` is not an address and a port", listen.value),
            "write it such as 127.0.0.1:8080 or [::1]:8080; names are not looked up",
        );
        return None;
    };
    if mode == Mode::System {
        findings.error(
            &listen.place,
            "systemd decides where to listen: in system mode this key would have no effect",
            "remove it, and change ListenStream= with `systemctl edit only1mcp.socket`",
        );
        return None;
    }
    if !address.ip().is_loopback() {
        findings.warning(
            &listen.place,
            format!("{address} can be reached from other machines, and the proxy speaks no TLS"),
            "listen on 127.0.0.1 and put a TLS proxy in front; clients need the bearer token",
        );
    }
    Some(address)
}
