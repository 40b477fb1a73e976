//! `only1mcp start`: what it hands over, what it refuses, and how everything ends.

use crate::fakes::{Fakes, Proxy, alive, ended, eventually, pid_of, text};
use nix::sys::signal::{Signal, kill};
use std::net::TcpListener;

#[test]
fn both_workers_get_their_descriptors_and_arguments_by_name() {
    let fakes = Fakes::new(&Proxy::Stays);
    let daemon = fakes.started(&[]);
    let (run, state) = (fakes.directory.join("run"), fakes.directory.join("state"));
    let launcher = fakes.starts("only1mcp-launcher", 1).remove(0);
    let proxy = fakes.starts("only1mcp", 1).remove(0);
    daemon.send(Signal::SIGTERM);
    daemon.finish();
    assert!(launcher.contains("LISTEN=1:launch"), "{launcher}");
    assert!(launcher.contains(&format!("--config builtin --state-dir {}", state.display())), "{launcher}");
    assert!(proxy.contains("LISTEN=3:mcp:relay:admin"), "{proxy}");
    assert!(proxy.contains(&format!("--launcher {}/launch.sock", run.display())), "{proxy}");
    assert!(proxy.contains(&format!("--token-file {}/token", state.display())), "{proxy}");
}

#[test]
fn what_the_shell_exports_reaches_the_launcher_and_never_the_proxy() {
    let fakes = Fakes::new(&Proxy::Stays);
    let _daemon = fakes.started(&[]);
    assert!(fakes.starts("only1mcp-launcher", 1).remove(0).ends_with("SECRET=of-the-shell"));
    assert!(fakes.starts("only1mcp", 1).remove(0).ends_with("SECRET="));
}

#[test]
fn a_signal_to_end_ends_both_with_exit_code_0() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let fakes = Fakes::new(&Proxy::Stays);
        let daemon = fakes.started(&[]);
        let workers = [fakes.pid("only1mcp-launcher"), fakes.pid("only1mcp")];
        daemon.send(signal);
        assert_eq!(daemon.finish(), (Some(0), String::new()), "{signal}");
        assert_eq!(workers.map(alive), [false, false], "{signal}");
        for socket in ["launch.sock", "relay.sock", "admin.sock"] {
            assert!(!fakes.directory.join("run").join(socket).exists(), "{socket} is left");
        }
    }
}

/// Notes that it was asked to end, and takes its time.
const SLOW: &str = r#"#!/bin/sh
trap 'sleep 0.3; echo ended >> "@LOG@"; exit 0' TERM
echo "$$ begun" >> "@LOG@"
while :; do sleep 0.05; done
"#;

#[test]
fn the_same_signal_twice_at_once_leaves_the_proxy_its_time() {
    let fakes = Fakes::new(&Proxy::Stays);
    fakes.script("only1mcp", SLOW);
    let daemon = fakes.started(&[]);
    daemon.send(Signal::SIGTERM);
    daemon.send(Signal::SIGINT);
    assert_eq!(daemon.finish(), (Some(0), String::new()));
    assert_eq!(fakes.starts("only1mcp", 2)[1], "ended");
}

#[test]
fn a_further_signal_ends_a_stubborn_proxy_at_once() {
    let fakes = Fakes::new(&Proxy::Stays);
    fakes.script(
        "only1mcp",
        "#!/bin/sh\ntrap '' TERM\necho \"$$\" >> \"@LOG@\"\nwhile :; do sleep 0.05; done\n",
    );
    let daemon = fakes.started(&[]);
    let begin = std::time::Instant::now();
    daemon.send(Signal::SIGTERM);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    daemon.send(Signal::SIGTERM);
    let (code, said) = daemon.finish();
    assert_eq!(code, Some(0));
    assert!(said.contains("the proxy does not end, killing it"), "{said}");
    assert!(begin.elapsed() < std::time::Duration::from_secs(6));
}

#[test]
fn a_proxy_that_dies_is_started_again_without_a_second_start_screen() {
    let fakes = Fakes::new(&Proxy::Stays);
    let _daemon = fakes.started(&[]);
    let launcher = fakes.pid("only1mcp-launcher");
    kill(fakes.pid("only1mcp"), Signal::SIGKILL).unwrap();
    let starts = fakes.starts("only1mcp", 2);
    assert!(starts[0].contains("--start-screen") && !starts[1].contains("--start-screen"), "{starts:?}");
    assert!(starts[1].contains("LISTEN=3:mcp:relay:admin"), "{starts:?}");
    assert!(alive(launcher));
}

#[test]
fn a_proxy_that_could_not_begin_yet_still_owes_the_start_screen() {
    let fakes = Fakes::new(&Proxy::Stays);
    fakes.script("only1mcp", "#!/bin/sh\necho \"$$ $*\" >> \"@LOG@\"\nexit 75\n");
    let _daemon = fakes.started(&[]);
    let starts = fakes.starts("only1mcp", 2);
    assert!(starts.iter().all(|start| start.contains("--start-screen")), "{starts:?}");
}

#[test]
fn a_launcher_that_dies_is_started_again_with_its_socket_and_the_proxy_stays() {
    let fakes = Fakes::new(&Proxy::Stays);
    let _daemon = fakes.started(&[]);
    let proxy = fakes.pid("only1mcp");
    kill(fakes.pid("only1mcp-launcher"), Signal::SIGKILL).unwrap();
    assert!(fakes.starts("only1mcp-launcher", 2)[1].contains("LISTEN=1:launch"));
    assert!(alive(proxy));
    assert_eq!(fakes.starts("only1mcp", 1).len(), 1);
}

#[test]
fn a_supervisor_that_is_killed_leaves_nothing() {
    let fakes = Fakes::new(&Proxy::Stays);
    let daemon = fakes.started(&[]);
    let workers = [fakes.pid("only1mcp-launcher"), fakes.pid("only1mcp")];
    // Until then the stand-ins have not asked to die with their parent.
    for worker in workers {
        eventually(|| {
            std::fs::read_to_string(format!("/proc/{worker}/comm")).ok().filter(|name| name == "sleep\n")
        });
    }
    daemon.send(Signal::SIGKILL);
    daemon.finish();
    eventually(|| (!workers.into_iter().any(alive)).then_some(()));
}

#[test]
fn a_worker_that_cannot_run_here_ends_the_start_with_its_own_exit_code() {
    let fakes = Fakes::new(&Proxy::Stays);
    fakes.script("only1mcp-launcher", "#!/bin/sh\necho 'launcher: error: no user namespaces' >&2\nexit 69\n");
    let output = fakes.placed(&["start", "--config", "builtin"]).output().unwrap();
    let (code, said) = ended(&output);
    assert_eq!(code, Some(69), "{said}");
    assert!(said.contains("no user namespaces") && said.contains("the launcher cannot run here"), "{said}");
    let proxies = std::fs::read_to_string(fakes.directory.join("only1mcp.log")).unwrap_or_default();
    assert!(!proxies.lines().map(pid_of).any(alive), "{proxies}");
}

#[test]
fn a_second_instance_in_the_same_directory_is_refused_and_named() {
    let fakes = Fakes::new(&Proxy::Stays);
    let daemon = fakes.started(&[]);
    let (code, said) = ended(&fakes.placed(&["start", "--config", "builtin"]).output().unwrap());
    assert_eq!(code, Some(75));
    assert!(said.contains(&format!("another instance (pid {}) runs in", daemon.pid())), "{said}");
}

#[test]
fn a_port_in_use_is_refused_with_the_mend() {
    let fakes = Fakes::new(&Proxy::Stays);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, said) =
        ended(&fakes.placed(&["start", "--config", "builtin", "--listen", &port]).output().unwrap());
    assert_eq!(code, Some(75));
    assert!(said.contains(&format!("127.0.0.1:{port} is in use")) && said.contains("--listen"), "{said}");
}

#[test]
fn a_configuration_with_errors_starts_nothing() {
    let fakes = Fakes::new(&Proxy::Stays);
    let config = fakes.directory.join("config.yaml");
    std::fs::write(&config, "error: config.yaml:1:1: no such key\n").unwrap();
    let (code, said) =
        ended(&fakes.placed(&["start", "--config", config.to_str().unwrap()]).output().unwrap());
    assert_eq!(code, Some(65), "{said}");
    assert!(said.contains("config.yaml:1:1: no such key"), "{said}");
    assert!(!fakes.directory.join("only1mcp-launcher.log").exists());
}

#[test]
fn a_view_that_is_typed_is_handed_to_the_proxy_and_one_that_does_not_exist_is_refused() {
    let fakes = Fakes::new(&Proxy::Stays);
    let _daemon = fakes.started(&["--view", "search"]);
    let proxy = fakes.starts("only1mcp", 1).remove(0);
    assert!(proxy.contains("--view search"), "{proxy}");
    let (code, said) = ended(&fakes.placed(&["start", "--view", "smart"]).output().unwrap());
    assert_eq!(code, Some(64));
    assert!(said.contains("[possible values: full, compact, brief, search, auto]"), "{said}");
}

#[test]
fn a_missing_program_is_named_before_anything_starts() {
    let fakes = Fakes::new(&Proxy::Stays);
    std::fs::remove_file(fakes.directory.join("only1mcp-init")).unwrap();
    let output = fakes.placed(&["start", "--config", "builtin"]).output().unwrap();
    assert_eq!(output.status.code(), Some(69));
    assert!(text(&output.stderr).contains("only1mcp-init is missing"));
}
