//! Who may speak to the daemon: this user's processes, or the bearer of the token; and from which web pages.

use crate::both_eras;
use harness::mcp::Endpoint;
use harness::{http, is_root};
use serde_json::json;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_stranger_is_turned_away_and_told_where_the_token_is() {
    let daemon = both_eras();
    let mut endpoint = daemon.endpoint();
    endpoint.token = None;
    let bare = endpoint.modern("tools/list", &json!({}));
    if !is_root() {
        assert_eq!(bare.status, 200, "processes of this user need no token: {bare:?}");
        return;
    }
    for token in [None, Some("wrong".to_owned()), Some(String::new())] {
        endpoint.token = token;
        let refused = endpoint.modern("tools/list", &json!({}));
        assert_eq!(refused.status, 401, "{refused:?}");
        assert!(
            refused.header("www-authenticate").is_some_and(|value| value.starts_with("Bearer")),
            "{refused:?}"
        );
        assert!(refused.body.contains("token"), "the text says where the token is: {refused:?}");
    }
    assert_eq!(daemon.endpoint().modern("tools/list", &json!({})).status, 200);
}

#[test]
fn the_token_and_the_administration_socket_are_the_owners_alone() {
    let daemon = both_eras();
    let mode =
        |name: &str| std::fs::metadata(daemon.scratch.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("state/token"), 0o600);
    assert_eq!(mode("run/admin.sock"), 0o600);
    assert!(daemon.token().len() >= 40, "32 random bytes");
}

#[test]
fn a_web_page_of_another_origin_is_refused() {
    let daemon = both_eras();
    let (headers, body) = Endpoint::modern_parts("tools/list", &json!({}));
    let status = |extra: (&'static str, String)| {
        let mut headers = headers.clone();
        headers.push(extra);
        daemon.endpoint().send(&headers, &body).status
    };
    assert_eq!(status(("Origin", "https://evil.example".to_owned())), 403);
    assert_eq!(status(("Origin", "null".to_owned())), 403);
    assert_eq!(status(("Host", "evil.example".to_owned())), 403, "a name that was rebound to this address");
    let own = format!("http://{}", daemon.endpoint().address);
    assert_eq!(status(("Origin", own)), 200);
}

#[test]
fn the_proxy_speaks_only_where_it_should() {
    let daemon = both_eras();
    let mut endpoint = daemon.endpoint();
    for path in ["/", "/status", "/admin", "/mcp/", "/mcp/old/more"] {
        path.clone_into(&mut endpoint.path);
        let response = http::raw(&endpoint.address, &endpoint.request("GET", &[], b"")).unwrap();
        assert!(matches!(response.status, 404 | 405), "{path}: {response:?}");
    }
}
