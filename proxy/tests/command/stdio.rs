//! `only1mcp stdio`: a relay that brings its own daemon.

use crate::fakes::{Fakes, Proxy, alive, eventually, pid_of, text};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Child, Stdio};

/// A client that has said one line and read it back.
fn client(fakes: &Fakes, words: &[&str]) -> Child {
    let mut child = fakes.placed(words).stdin(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(b"{\"id\":1}\n").unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "{\"id\":1}\n");
    child
}

fn hang_up(mut child: Child) -> Option<i32> {
    drop(child.stdin.take());
    child.wait().unwrap().code()
}

#[test]
fn clients_that_begin_at_once_share_one_daemon_that_outlives_them() {
    let fakes = Fakes::new(&Proxy::Answers);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| assert_eq!(hang_up(client(&fakes, &["stdio"])), Some(0)));
        }
    });
    let starts = fakes.starts("only1mcp", 1);
    assert_eq!(starts.len(), 1, "{starts:?}");
    assert!(alive(pid_of(&starts[0])));
    assert_eq!(hang_up(client(&fakes, &["stdio"])), Some(0));
    assert_eq!(fakes.starts("only1mcp", 1).len(), 1);
}

#[test]
fn a_port_that_another_program_has_does_not_keep_a_client_out() {
    let fakes = Fakes::new(&Proxy::Answers);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    fakes.listen_on(taken.local_addr().unwrap());
    assert_eq!(hang_up(client(&fakes, &["stdio"])), Some(0));
    let log = fs::read_to_string(fakes.directory.join("state/daemon.log")).unwrap();
    assert!(log.contains("in use") && log.contains("listening on another port"), "{log}");
}

#[test]
fn private_instances_have_a_state_each_and_end_with_their_client() {
    let fakes = Fakes::new(&Proxy::Answers);
    let one = client(&fakes, &["stdio", "--config", "builtin"]);
    let other = client(&fakes, &["stdio", "--config", "builtin"]);
    let starts = fakes.starts("only1mcp", 2);
    let states = fs::read_dir(fakes.directory.join("state/private")).unwrap().count();
    assert_eq!((starts.len(), states), (2, 2));
    assert_eq!([hang_up(one), hang_up(other)], [Some(0), Some(0)]);
    assert!(!starts.iter().any(|line| alive(pid_of(line))));
}

#[test]
fn a_private_instance_ends_even_when_its_client_is_killed() {
    let fakes = Fakes::new(&Proxy::Answers);
    let mut child = client(&fakes, &["stdio", "--config", "builtin"]);
    let daemon = pid_of(&fakes.starts("only1mcp", 1)[0]);
    child.kill().unwrap();
    child.wait().unwrap();
    eventually(|| (!alive(daemon)).then_some(()));
}

#[test]
fn a_daemon_that_cannot_start_is_told_with_the_end_of_its_log() {
    let fakes = Fakes::new(&Proxy::Answers);
    fakes.script("only1mcp-launcher", "#!/bin/sh\necho 'launcher: error: no user namespaces' >&2\nexit 69\n");
    fakes.script("only1mcp", "#!/bin/sh\nexec sleep 5\n");
    let output = fakes.placed(&["stdio"]).output().unwrap();
    assert_eq!(output.status.code(), Some(75));
    let said = text(&output.stderr);
    assert!(said.contains("no user namespaces") && said.contains("daemon.log"), "{said}");
}
