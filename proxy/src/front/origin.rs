//! Host and Origin: a page in the user's browser must not reach us under a name of its own choice.

use super::error::Fault;
use http::{HeaderMap, StatusCode, header};
use std::net::IpAddr;

/// Checks where a request says it is going and where it comes from. `local` is our own address of the connection.
///
/// # Errors
/// 403.
pub fn check(headers: &HeaderMap, local: IpAddr) -> Result<(), Fault> {
    let host = one(headers, &header::HOST)?.ok_or_else(|| forbidden("header Host is missing"))?;
    if local.to_canonical().is_loopback() && !is_loopback_name(without_port(host)) {
        return Err(forbidden("header Host must be localhost, 127.0.0.1 or [::1]"));
    }
    let Some(origin) = one(headers, &header::ORIGIN)? else { return Ok(()) };
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    let allowed = match authority {
        None => false,
        Some(authority) if local.to_canonical().is_loopback() => is_loopback_name(without_port(authority)),
        // On other addresses the token protects; a page may still only reach where it came from.
        Some(authority) => authority.eq_ignore_ascii_case(host),
    };
    if allowed {
        Ok(())
    } else {
        Err(forbidden("header Origin names a page that may not reach this endpoint"))
    }
}

fn one<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Result<Option<&'a str>, Fault> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match (value.to_str(), values.next()) {
        (Ok(text), None) => Ok(Some(text.trim())),
        _ => Err(forbidden("header Host or Origin is malformed or comes twice")),
    }
}

fn forbidden(problem: &str) -> Fault {
    Fault::transport(StatusCode::FORBIDDEN, problem)
}

/// The host of `host`, `host:port`, `[v6]` or `[v6]:port`; nothing if the port is none.
fn without_port(authority: &str) -> &str {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority, "0"),
    };
    if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) { host } else { "" }
}

fn is_loopback_name(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host == "127.0.0.1" || host == "[::1]"
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn verdict(local: &str, host: &'static str, origin: Option<&'static str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static(host));
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
        }
        check(&headers, local.parse().unwrap()).is_ok()
    }

    #[test]
    fn on_loopback_only_loopback_names_pass() {
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "[::1]:80", "[::1]"] {
            assert!(verdict("127.0.0.1", host, None), "{host}");
        }
        for host in
            ["evil.example", "127.0.0.1.evil.example", "localhost.", "localhost:x", "127.0.0.2", "", "::1"]
        {
            assert!(!verdict("127.0.0.1", host, None), "{host}");
        }
        assert!(!verdict("::ffff:127.0.0.1", "evil.example", None));
    }

    #[test]
    fn on_loopback_only_loopback_origins_pass() {
        for origin in ["http://localhost:5173", "https://127.0.0.1", "http://[::1]:80"] {
            assert!(verdict("127.0.0.1", "localhost", Some(origin)), "{origin}");
        }
        for origin in ["null", "http://evil.example", "ftp://localhost", "http://localhost@evil.example", ""]
        {
            assert!(!verdict("127.0.0.1", "localhost", Some(origin)), "{origin}");
        }
    }

    #[test]
    fn elsewhere_a_page_reaches_only_where_it_came_from() {
        assert!(verdict("10.0.0.1", "mcp.example:8080", None));
        assert!(verdict("10.0.0.1", "mcp.example:8080", Some("http://mcp.example:8080")));
        assert!(!verdict("10.0.0.1", "mcp.example:8080", Some("http://evil.example")));
    }

    #[test]
    fn refuses_a_host_that_comes_twice_or_not_at_all() {
        let mut headers = HeaderMap::new();
        assert!(check(&headers, IpAddr::from([127, 0, 0, 1])).is_err());
        headers.append(header::HOST, HeaderValue::from_static("localhost"));
        headers.append(header::HOST, HeaderValue::from_static("evil.example"));
        assert!(check(&headers, IpAddr::from([127, 0, 0, 1])).is_err());
    }
}
