//! HTTP itself, with a client that is not ours: both versions on one port, and what is not taken.

use crate::both_eras;
use harness::daemon::Daemon;
use harness::mcp::{Endpoint, message};
use serde_json::{Value, json};
use std::process::Command;

/// What curl with these arguments gets for a legacy handshake: the HTTP version and status, and the body.
fn curl(daemon: &Daemon, arguments: &[&str]) -> (String, String) {
    let endpoint = daemon.endpoint();
    let client = json!({"name": "curl", "version": "1"});
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
    let mut command = Command::new("curl");
    command.args([
        "--silent",
        "--show-error",
        "--max-time",
        "20",
        "--write-out",
        "\n%{http_version} %{http_code}",
    ]);
    command.args(["--header", "Content-Type: application/json"]).args(arguments);
    if let Some(token) = &endpoint.token {
        command.args(["--header", &format!("Authorization: Bearer {token}")]);
    }
    // Curl 7.88 takes a refusal that comes before it has sent its body for an error of HTTP/2, now and then.
    if !arguments.contains(&"--request") {
        command.args(["--data-binary", &message(1, "initialize", &params).to_string()]);
    }
    let output = command.arg(format!("http://{}/mcp", endpoint.address)).output().expect("run curl");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, verdict) = text.rsplit_once('\n').unwrap_or_else(|| panic!("curl: {output:?}"));
    (verdict.to_owned(), format!("{body}{}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn both_versions_of_http_are_spoken_on_one_port() {
    let daemon = both_eras();
    for (arguments, version) in [
        (&["--http1.1"][..], "1.1"),
        (&["--http2-prior-knowledge"], "2"),
        // Its wish to change the version is not granted, and not needed.
        (&["--http2"], "1.1"),
        (&["--http1.0"], "1"),
    ] {
        let (verdict, body) = curl(&daemon, arguments);
        assert_eq!(verdict, format!("{version} 200"), "{arguments:?}: {body}");
        let answer: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(answer["result"]["protocolVersion"], "2025-11-25");
    }
    for (header, status) in [("Host: evil.example", "403"), ("Origin: http://evil.example", "403")] {
        let (verdict, said) =
            curl(&daemon, &["--http2-prior-knowledge", "--request", "POST", "--header", header]);
        assert_eq!(verdict, format!("2 {status}"), "{header}: {said}");
    }
}

#[test]
fn nothing_is_compressed_on_this_machine_and_no_compressed_request_is_taken() {
    let daemon = both_eras();
    let call = json!({"name": "new__big", "arguments": {"bytes": 100_000}});
    let (mut headers, body) = Endpoint::modern_parts("tools/call", &call);
    headers.push(("Accept-Encoding", "gzip, deflate, br, zstd".to_owned()));
    let answer = daemon.endpoint().send(&headers, &body);
    assert!(answer.body.len() > 100_000, "a long answer: {}", answer.body.len());
    assert_eq!(answer.header("content-encoding"), None);
    for coding in ["gzip", "br", "zstd", "identity, deflate", "nonsense"] {
        headers.push(("Content-Encoding", coding.to_owned()));
        let refused = daemon.endpoint().send(&headers, &body);
        assert_eq!(refused.status, 415, "{coding}");
        assert!(refused.body.contains("compressed requests are not taken"), "{}", refused.body);
        headers.pop();
    }
}
