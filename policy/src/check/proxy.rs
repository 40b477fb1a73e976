//! The proxy's settings.

use crate::document::config::ProxyDocument;
use crate::finding::Findings;
use crate::limits::NAME_CHARACTERS_DEFAULT;
use only1mcp_wire::Mode;
use std::net::SocketAddr;

/// The proxy's settings, with nothing left open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// Longest aggregated name, in characters.
    pub name_characters_max: usize,
    /// Keys that are accepted before their feature exists.
    pub inert: Vec<String>,
}

/// Where the proxy listens unless told otherwise.
const LISTEN_DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

/// Checks the proxy's settings.
pub fn check(document: &ProxyDocument, mode: Mode, findings: &mut Findings) -> Proxy {
    let asked = document.name_characters_max.as_ref();
    Proxy {
        listen: check_listen(document, mode, findings).unwrap_or(LISTEN_DEFAULT),
        name_characters_max: asked
            .and_then(|spot| usize::try_from(spot.value).ok())
            .unwrap_or(NAME_CHARACTERS_DEFAULT),
        inert: document.inert.clone(),
    }
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
