//! The headers of a request: what MCP repeats in them, and where the request says it comes from.

use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use only1mcp::front::{headers, origin};
use std::net::{IpAddr, Ipv4Addr};

/// Headers one request may have here; hyper has its own limit.
const HEADERS_MAX: usize = 64;
/// Names under which a page of this machine may be reached.
const LOOPBACK_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// The bytes are lines `name: value`. What is taken from them is single and visible, and nobody comes in under a
/// name that is not this machine's.
///
/// # Panics
/// If not.
pub fn holds(bytes: &[u8]) {
    let map = read(bytes);
    for name in [headers::SESSION, headers::VERSION, "mcp-method", "mcp-name"] {
        let Ok(Some(value)) = headers::single(&map, name) else { continue };
        assert!(value.bytes().all(|byte| (0x20..0x7f).contains(&byte) || byte == b'\t'), "{value:?}");
        assert_eq!(map.get_all(name).iter().count(), 1, "{name} came twice");
        if let Ok(decoded) = headers::decode(name, value) {
            assert!(decoded == value || value.starts_with("=?base64?"), "{value} became {decoded}");
        }
    }
    // Only that they do not panic: whatever they answer is a matter of taste between client and front.
    let _ = (headers::accept(&map), headers::content_type(&map));
    comes_from_here(&map);
}

fn read(bytes: &[u8]) -> HeaderMap {
    let lines = bytes.split(|&byte| byte == b'\n').take(HEADERS_MAX);
    let mut map = HeaderMap::new();
    for line in lines {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let (name, value) = line.split_at(colon);
        let value = HeaderValue::from_bytes(value.get(1..).unwrap_or_default().trim_ascii());
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), value) {
            map.append(name, value);
        }
    }
    map
}

/// A page in the user's browser must not reach us under a name of its own choice: DNS would lead it here.
fn comes_from_here(map: &HeaderMap) {
    if origin::check(map, IpAddr::V4(Ipv4Addr::LOCALHOST)).is_err() {
        return;
    }
    let host = map.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default().trim();
    assert!(is_loopback(host), "Host {host:?} came in");
    let Some(origin) = map.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()) else { return };
    let page = origin.trim().split_once("://").map(|(_, authority)| authority).unwrap_or_default();
    assert!(is_loopback(page), "Origin {origin:?} came in");
}

/// The second opinion: `http` itself takes the authority apart.
fn is_loopback(authority: &str) -> bool {
    let Ok(authority) = authority.parse::<Authority>() else { return false };
    let named = LOOPBACK_NAMES.iter().any(|name| authority.host().eq_ignore_ascii_case(name));
    named && !authority.as_str().contains('@')
}
