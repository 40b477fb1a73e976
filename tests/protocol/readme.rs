//! The README's examples, typed as they stand there (but for the port and, in root mode, the token).

use harness::daemon::Daemon;
use harness::scratch::Scratch;
use harness::{is_root, programs, run};
use std::process::Command;

/// The shell block after the comment `<!-- example: NAME -->`.
fn example(name: &str) -> String {
    let readme = std::fs::read_to_string(programs::checkout().join("README.md")).unwrap();
    let after = readme.split(&format!("<!-- example: {name} -->")).nth(1);
    let block = after.and_then(|rest| rest.split("```sh\n").nth(1)).and_then(|rest| rest.split("```").next());
    block.unwrap_or_else(|| panic!("the README has no example {name}")).to_owned()
}

fn type_in(daemon: &Daemon, name: &str) -> String {
    let mut script = example(name).replace("127.0.0.1:8080", &daemon.endpoint().address);
    if is_root() {
        script = script.replace("curl -s", &format!("curl -s -H 'Authorization: Bearer {}'", daemon.token()));
    }
    let outcome = run::run(Command::new("bash").args(["-c", &script]));
    assert_eq!(outcome.code, 0, "{outcome:?}");
    outcome.stdout
}

#[test]
fn both_curl_examples_do_what_the_readme_says() {
    let daemon = Daemon::start_in(Scratch::new(), &[]);
    let listed = type_in(&daemon, "modern");
    for tool in ["probe__read_file", "notes__add_note"] {
        assert!(listed.contains(tool), "{tool} is not in {listed}");
    }
    let refused = type_in(&daemon, "legacy");
    assert!(refused.contains("ENOENT"), "the probe tells what the kernel said: {refused}");
}
