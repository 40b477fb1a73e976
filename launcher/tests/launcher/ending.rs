//! However a server, its proxy or the launcher ends: nothing is left.

use crate::support::plans::{Home, plan, shell};
use crate::support::running::{Launcher, Who, alive, eventually, everyone};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use only1mcp_wire::{Exit, RefusalCode, Reply, ServerPlan};
use std::io::Read;
use std::os::fd::AsFd;

/// Ignores SIGTERM and the end of its input, and leaves a grandchild in a session of its own.
pub fn stubborn(marker: &str) -> ServerPlan {
    let script = format!(
        "trap '' TERM HUP INT; (setsid sh -c 'trap \"\" TERM HUP; exec -a {marker} sleep 1000' &) ; \
         echo up; while :; do exec -a {marker} sleep 1000; done"
    );
    plan("stubborn", "/usr/bin/bash", &["bash", "-c", &script.replace("sh -c", "bash -c")])
}

pub fn marker(of: &str) -> String {
    format!("only1mcp-{of}-{}", std::process::id())
}

#[test]
fn a_server_that_listens_to_sigterm_ends_by_it() {
    for who in everyone() {
        let polite = shell("polite", "trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done");
        let launcher =
            Launcher::start(who, Home::new(vec![polite, plan("plain", "/usr/bin/sleep", &["sleep", "99"])]));
        let mut proxy = launcher.proxy();
        let mut server = proxy.spawn("polite").unwrap();
        assert_eq!(server.hear(), "up");
        assert_eq!(proxy.stop(&server, 10_000), Reply::Stopping);
        assert_eq!(proxy.exit(server.spawned.instance), Exit::Status(7), "{who:?}");
        let server = proxy.spawn("plain").unwrap();
        assert_eq!(proxy.stop(&server, 10_000), Reply::Stopping);
        assert_eq!(proxy.exit(server.spawned.instance), Exit::Signal(15), "{who:?}");
        // Its pidfd, which the proxy holds, tells the same.
        let mut ended = [PollFd::new(server.pidfd.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut ended, PollTimeout::ZERO), Ok(1));
    }
}

#[test]
fn a_stubborn_server_is_killed_with_all_it_started() {
    for who in everyone() {
        let marker = marker("stop");
        let launcher = Launcher::start(who, Home::new(vec![stubborn(&marker)]));
        let mut proxy = launcher.proxy();
        let mut server = proxy.spawn("stubborn").unwrap();
        assert_eq!(server.hear(), "up");
        eventually("both run", || alive(&marker) == 2);
        assert_eq!(proxy.stop(&server, 100), Reply::Stopping);
        assert_eq!(proxy.exit(server.spawned.instance), Exit::Signal(9), "{who:?}");
        assert_eq!(alive(&marker), 0, "{who:?}");
        match proxy.stop(&server, 0) {
            Reply::Refused(refusal) => assert_eq!(refusal.code, RefusalCode::UnknownInstance),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn p09_a_daemon_that_left_its_session_and_its_parent_is_dead_when_the_end_is_told() {
    for who in everyone() {
        let marker = marker("daemon");
        // Twice forked, in a session and group of its own, deaf to signals.
        let daemon = format!("(setsid bash -c 'trap \"\" TERM HUP INT; (exec -a {marker} sleep 1000 &)' &)");
        let script = format!("{daemon}; sleep 0.2; echo up; while :; do sleep 0.05; done");
        let launcher =
            Launcher::start(who, Home::new(vec![plan("forking", "/usr/bin/bash", &["bash", "-c", &script])]));
        let mut proxy = launcher.proxy();
        let mut server = proxy.spawn("forking").unwrap();
        assert_eq!(server.hear(), "up");
        eventually("the daemon runs", || alive(&marker) == 1);
        assert_eq!(proxy.stop(&server, 10_000), Reply::Stopping);
        let asked = std::time::Instant::now();
        proxy.exit(server.spawned.instance);
        assert_eq!((alive(&marker), launcher.cgroups()), (0, 0), "{who:?}");
        println!("{who:?}: dead after {:?}", asked.elapsed());
    }
}

#[test]
fn p10_the_end_of_a_server_closes_the_streams_that_its_grandchild_holds() {
    for who in everyone() {
        let marker = marker("holder");
        let script =
            format!("(setsid bash -c 'exec -a {marker} sleep 1000' &) ; sleep 0.2; echo up; read go; exit 5");
        let launcher =
            Launcher::start(who, Home::new(vec![plan("holder", "/usr/bin/bash", &["bash", "-c", &script])]));
        let mut proxy = launcher.proxy();
        let mut server = proxy.spawn("holder").unwrap();
        assert_eq!(server.hear(), "up");
        eventually("the grandchild holds them", || alive(&marker) == 1);
        server.say("go");
        // Without the kill these would never end: both reads wait for the last holder.
        assert_eq!((server.hear(), server.stderr.read(&mut [0]).unwrap()), (String::new(), 0), "{who:?}");
        assert_eq!(proxy.exit(server.spawned.instance), Exit::Status(5), "{who:?}");
        assert_eq!(alive(&marker), 0);
    }
}

#[test]
fn nothing_is_left_when_the_launcher_is_killed() {
    for who in everyone() {
        let marker = marker("sigkill");
        let mut launcher = Launcher::start(who, Home::new(vec![stubborn(&marker)]));
        let mut proxy = launcher.proxy();
        let mut servers: Vec<_> = (0..3).map(|_| proxy.spawn("stubborn").unwrap()).collect();
        servers.iter_mut().for_each(|server| assert_eq!(server.hear(), "up"));
        eventually("all run", || alive(&marker) == 6);
        launcher.process.kill().unwrap();
        launcher.process.wait().unwrap();
        eventually("nothing is left", || alive(&marker) == 0);
    }
}

#[test]
fn nothing_is_left_when_the_supervisor_is_killed() {
    // In system mode that is systemd, which outlives everything.
    for who in everyone().into_iter().filter(|&who| who != Who::System) {
        let marker = marker("supervisor");
        let home = Home::new(vec![stubborn(&marker)]);
        let supervisor = ["/bin/sh", "-c", "\"$@\" & wait", "supervisor"];
        let mut launcher = Launcher::start_within(&supervisor, who, home, &[]);
        let mut proxy = launcher.proxy();
        assert_eq!(proxy.spawn("stubborn").unwrap().hear(), "up");
        let own = launcher.home.path.join("state").to_str().unwrap().to_owned();
        eventually("all run", || alive(&marker) == 2 && alive(&own) == 2);
        launcher.process.kill().unwrap();
        launcher.process.wait().unwrap();
        eventually("nothing is left", || alive(&marker) == 0 && alive(&own) == 0);
    }
}

#[test]
fn nothing_is_left_when_the_proxy_goes_away_and_another_may_come() {
    for who in everyone() {
        let marker = marker("peer");
        let launcher = Launcher::start(who, Home::new(vec![stubborn(&marker)]));
        let mut proxy = launcher.proxy();
        assert_eq!(proxy.spawn("stubborn").unwrap().hear(), "up");
        eventually("both run", || alive(&marker) == 2);
        drop(proxy);
        eventually("nothing is left", || alive(&marker) == 0);
        assert_eq!(launcher.proxy().spawn("stubborn").unwrap().hear(), "up", "{who:?}");
    }
}

#[test]
fn the_launcher_ends_with_success_once_all_servers_have() {
    for who in everyone() {
        let marker = marker("sigterm");
        let polite = shell("polite", "trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done");
        let mut launcher = Launcher::start(who, Home::new(vec![polite, stubborn(&marker)]));
        let mut proxy = launcher.proxy();
        let mut servers = [proxy.spawn("polite").unwrap(), proxy.spawn("stubborn").unwrap()];
        servers.iter_mut().for_each(|server| assert_eq!(server.hear(), "up"));
        launcher.signal(Signal::SIGTERM);
        eventually("it heard", || launcher.log().contains("told to end"));
        // A proxy that knows nothing of it would keep the launcher alive for ever.
        let refusal = proxy.spawn("polite").err().unwrap();
        assert_eq!(refusal.code, RefusalCode::Ending, "{who:?}");
        assert_eq!(launcher.process.wait().unwrap().code(), Some(0), "{}", launcher.log());
        assert_eq!(alive(&marker), 0);
    }
}

#[test]
fn fifty_rounds_leave_no_descriptor_no_zombie_and_no_cgroup() {
    for who in everyone() {
        let launcher = Launcher::start(who, Home::new(vec![shell("short", "echo x")]));
        let mut proxy = launcher.proxy();
        proxy.run("short");
        let before = launcher.descriptors();
        for _ in 0..50 {
            assert_eq!(proxy.run("short"), ("x\n".into(), Exit::Status(0)));
        }
        assert_eq!(launcher.descriptors(), before, "{who:?}");
        assert_eq!(launcher.children(), 0, "{who:?}");
        assert_eq!(launcher.cgroups(), 0, "{who:?}");
    }
}

#[test]
fn a_launch_that_fails_leaves_nothing_either() {
    for who in everyone() {
        let launcher = Launcher::start(who, Home::new(vec![plan("absent", "/usr/bin/nodex", &["nodex"])]));
        let mut proxy = launcher.proxy();
        assert!(proxy.spawn("absent").is_err());
        eventually("the first is buried", || launcher.children() == 0);
        // Those of the first may be closed a moment after it is buried.
        let before = launcher.descriptors();
        for _ in 0..20 {
            assert!(proxy.spawn("absent").is_err());
        }
        eventually("all are buried", || launcher.children() == 0 && launcher.descriptors() <= before);
        assert_eq!(launcher.cgroups(), 0, "{who:?}");
    }
}
