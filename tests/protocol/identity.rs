//! Who may speak to the daemon: this user's processes, or the bearer of the token; and from which web pages.

use crate::both_eras;
use harness::daemon::{clean, free_port, places};
use harness::mcp::Endpoint;
use harness::processes::wait_until;
use harness::scratch::{Scratch, set_mode};
use harness::{http, is_root, programs, run};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;

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
fn in_user_mode_a_process_of_another_user_is_turned_away() {
    // Only root can be two users.
    let Some(user) = std::env::var_os("ONLY1MCP_TEST_USER").filter(|_| is_root()) else { return };
    let scratch = Scratch::new();
    set_mode(scratch.path(), 0o777);
    let address = format!("127.0.0.1:{}", free_port());
    let mut start = Command::new("runuser");
    start
        .arg("-u")
        .arg(user)
        .args(["--", "setpriv", "--pdeathsig", "TERM"])
        .arg(programs::program("only1mcp"));
    start.args(["start", "--config", "builtin", "--listen", &address]).args(places(&scratch));
    clean(&mut start, "/");
    let mut child = start.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let answer = || http::get_unix(&scratch.join("run/admin.sock"), "/status").is_ok();
    let answers = wait_until(Duration::from_secs(30), answer);
    let mut endpoint = Endpoint { address, path: "/mcp".to_owned(), token: None };
    let refused = answers.then(|| endpoint.modern("tools/list", &json!({})).status);
    endpoint.token =
        std::fs::read_to_string(scratch.join("state/token")).ok().map(|token| token.trim().to_owned());
    let accepted = answers.then(|| endpoint.modern("tools/list", &json!({})).status);
    let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
    let _ = run::wait(&mut child, Duration::from_secs(25));
    assert_eq!((refused, accepted), (Some(401), Some(200)), "without the token, and with it");
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
