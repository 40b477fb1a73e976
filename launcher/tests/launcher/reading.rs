//! How a configuration comes into force, and what keeps it from doing so.

use crate::support::plans::{Home, shell};
use crate::support::running::{Launcher, Who, eventually, everyone};
use nix::sys::signal::Signal;
use only1mcp_wire::{Event, Exit, RefusalCode};

#[test]
fn a_changed_configuration_comes_into_force_and_the_proxy_is_told() {
    for who in everyone() {
        let launcher = Launcher::start(who, Home::new(vec![shell("old", "exit 0")]));
        let mut proxy = launcher.proxy();
        launcher.home.write(vec![shell("new", "echo new")]);
        assert_eq!(proxy.event(), Event::Changed { generation: 2, errors: 0 });
        assert_eq!(proxy.spawn("old").err().unwrap().code, RefusalCode::StaleGeneration);
        proxy.machine.generation = 2;
        assert_eq!(proxy.spawn("old").err().unwrap().code, RefusalCode::UnknownServer);
        assert_eq!(proxy.run("new"), ("new\n".into(), Exit::Status(0)));
    }
}

#[test]
fn a_broken_configuration_leaves_the_old_one_in_force() {
    for who in everyone() {
        let launcher = Launcher::start(who, Home::new(vec![shell("old", "exit 3")]));
        let mut proxy = launcher.proxy();
        launcher.home.compiler("printf 'error: a\\nhelp: b\\nerror: c\\n' >&2; exit 65");
        launcher.signal(Signal::SIGHUP);
        assert_eq!(proxy.event(), Event::Changed { generation: 1, errors: 2 });
        assert_eq!(proxy.run("old").1, Exit::Status(3));
        launcher.home.compiler("yes xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
        launcher.signal(Signal::SIGHUP);
        assert_eq!(proxy.event(), Event::Changed { generation: 1, errors: 1 });
        assert!(launcher.log().contains("only1mcp-compile printed more than it may"), "{}", launcher.log());
    }
}

#[test]
fn an_unchanged_configuration_is_no_news() {
    for who in everyone() {
        let launcher = Launcher::start(who, Home::new(vec![shell("old", "exit 0")]));
        let mut proxy = launcher.proxy();
        launcher.home.write(vec![shell("old", "exit 0")]);
        launcher.signal(Signal::SIGHUP);
        launcher.home.write(vec![shell("new", "exit 0")]);
        assert_eq!(proxy.event(), Event::Changed { generation: 2, errors: 0 });
    }
}

#[test]
fn without_a_sound_configuration_nothing_starts_and_the_log_says_why() {
    // In system mode the launcher does not even serve: see `pool`.
    for who in everyone().into_iter().filter(|&who| who != Who::System) {
        let home = Home::new(Vec::new());
        home.compiler("echo 'error: config.yaml:1:1: no' >&2; exit 65");
        let launcher = Launcher::start(who, home);
        let refusal = launcher.proxy().spawn("any").err().unwrap();
        assert_eq!(refusal.code, RefusalCode::NoConfiguration);
        assert!(launcher.log().contains("launcher: error: error: config.yaml:1:1: no"), "{}", launcher.log());
    }
}

#[test]
fn a_plan_that_breaks_the_floor_is_refused_whoever_printed_it() {
    for who in everyone() {
        let mut evil = shell("evil", "exit 0");
        evil.system_calls = vec![u32::try_from(libc::SYS_ptrace).unwrap()];
        let launcher = Launcher::start(who, Home::new(vec![evil]));
        if who != Who::System {
            assert!(launcher.proxy().spawn("evil").is_err());
        }
        let line = "the plan of server \"evil\" is refused: system call 101 can never be granted";
        eventually("it says so", || launcher.log().contains(line));
    }
}
