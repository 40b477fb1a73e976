//! cgroup v2, as far as this machine lets the launcher have it: what it reports, refuses and leaves behind.
//!
//! Limits in force are tried in a virtual machine (`tests/limits`): most machines give them to systemd alone.

use crate::support::plans::{Home, plan, shell};
use crate::support::running::{Launcher, Who, eventually, everyone};
use only1mcp_wire::plan::Requires;
use only1mcp_wire::{InstanceId, RefusalCode, Reply, Request, ServerPlan, Wall};
use std::cell::RefCell;
use std::process::{Command, Stdio};

/// A server that asks for a limit of writing.
fn slow() -> ServerPlan {
    let mut slow = plan("slow", "/usr/bin/cat", &["cat"]);
    slow.limits.io_write_bytes = Some(1 << 20);
    slow
}

#[test]
fn limits_by_cgroup_are_refused_where_there_are_none() {
    for who in everyone() {
        let mut strict = shell("strict", "exit 0");
        strict.requires = Requires { cgroup: true, landlock_abi: 1 };
        let launcher = Launcher::start(who, Home::new(vec![strict]));
        let mut proxy = launcher.proxy();
        match (proxy.machine.cgroup_limits, proxy.spawn("strict").err()) {
            (true, refusal) => assert_eq!(refusal, None),
            (false, refusal) => {
                let refusal = refusal.expect("it started without limits");
                assert_eq!((refusal.code, refusal.wall), (RefusalCode::WallMissing, Some(Wall::MemoryLimit)));
            }
        }
    }
}

#[test]
fn a_limit_of_writing_is_enforced_or_reported_as_missing_and_never_forgotten() {
    for who in everyone() {
        let launcher = Launcher::start(who, Home::new(vec![slow(), plan("free", "/usr/bin/cat", &["cat"])]));
        let mut proxy = launcher.proxy();
        let free = proxy.spawn("free").unwrap().spawned.enforced;
        assert!(free.unasked.has(Wall::IoLimit) && free.missing().all(|wall| wall != Wall::IoLimit));
        let slow = proxy.spawn("slow").unwrap().spawned.enforced;
        let missing = slow.missing().any(|wall| wall == Wall::IoLimit);
        assert!(!slow.unasked.has(Wall::IoLimit) && slow.walls.has(Wall::IoLimit) != missing, "{who:?}");
        let told = launcher.log().contains("the io limit of server \"slow\" is not in force: ");
        assert_eq!(told, missing, "{}", launcher.log());
    }
}

#[test]
fn usage_is_told_to_the_owner_alone_and_is_nothing_without_controllers() {
    for who in everyone() {
        let launcher = Launcher::start(who, Home::new(vec![plan("echo", "/usr/bin/cat", &["cat"])]));
        let mut proxy = launcher.proxy();
        let instance = proxy.spawn("echo").unwrap().spawned.instance;
        match proxy.ask(&Request::Usage { instance }).0 {
            Reply::Usage(usage) => assert_eq!(usage.is_some(), proxy.machine.cgroup_limits, "{who:?}"),
            other => panic!("{other:?}"),
        }
        match proxy.ask(&Request::Usage { instance: InstanceId(instance.0 ^ 1) }).0 {
            Reply::Refused(refusal) => assert_eq!(refusal.code, RefusalCode::UnknownInstance),
            other => panic!("{other:?}"),
        }
    }
}

/// Kills a launcher, leaves a process in the subtree that it had, and answers whether the next one ends it.
#[expect(clippy::disallowed_methods, reason = "tests start programs")]
fn leave_behind(who: Who) {
    let mut killed = Launcher::start(who, Home::new(vec![shell("any", "exit 0")]));
    let walls = killed.proxy().spawn("any").unwrap().spawned.enforced.walls;
    let Some(subtree) = killed.subtree() else {
        assert!(!walls.has(Wall::CgroupKill), "{who:?}: there is no subtree, but a wall made of it");
        return;
    };
    assert!(walls.has(Wall::CgroupKill), "{who:?}");
    // Before the launcher ends: the launcher of another test may be the next one.
    let mut sleep = Command::new("/usr/bin/sleep");
    sleep.arg("60").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let left = sleep.spawn().unwrap();
    let place = subtree.join("i-left-1");
    std::fs::create_dir(&place).unwrap();
    std::fs::write(place.join("cgroup.procs"), left.id().to_string()).unwrap();
    killed.process.kill().unwrap();
    killed.process.wait().unwrap();
    let next = Launcher::start(who, Home::new(vec![shell("any", "exit 0")]));
    assert!(next.proxy().spawn("any").is_ok());
    let left = RefCell::new(left);
    eventually("what was left is dead", || left.borrow_mut().try_wait().unwrap().is_some());
    eventually("its cgroup is gone", || !subtree.exists());
}

#[test]
fn what_a_killed_launcher_left_is_ended_and_removed_by_the_next_start() {
    for who in everyone() {
        leave_behind(who);
    }
}
