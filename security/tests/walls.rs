//! Runs the whole catalogue against the real programs: each attempt as control, attack and twin.
//!
//! As root it runs both modes, user mode as an ordinary user (`ONLY1MCP_TEST_USER`, default only1mcp-test); as an
//! ordinary user it runs user mode alone and says so. The programs stand beside the probe, or in `ONLY1MCP_BIN_DIR`.
//! System mode takes a machine of its own: `tests/walls_system`.
#![expect(clippy::unwrap_used, reason = "a test ends by panicking")]

#[path = "walls/proc.rs"]
mod proc;
#[path = "walls/suite.rs"]
mod suite;

use std::path::{Path, PathBuf};

use only1mcp_escape::catalogue::{self, Mode};
use only1mcp_escape::runner::canaries::Canaries;
use only1mcp_escape::runner::control;
use only1mcp_escape::runner::daemon::Daemon;
use only1mcp_escape::runner::machine::{self, Person, Programs};

/// Where each run has its own directory: all uids reach it.
const BASE: &str = "/var/tmp";
/// One server each: the whole catalogue is run under every profile.
const PROFILES: [&str; 5] = ["native", "node", "python", "jvm", "go"];

#[test]
fn the_walls_hold_in_user_mode() {
    hold(Mode::User, &Person::ordinary().unwrap());
}

#[test]
fn the_walls_hold_in_root_mode() {
    match Person::root() {
        Some(root) => hold(Mode::Root, &root),
        None => machine::say("root mode not run: needs root\n"),
    }
}

#[test]
fn the_walls_hold_in_minimal_mode() {
    hold(Mode::Minimal, &Person::ordinary().unwrap());
}

#[test]
fn status_and_plan_agree_with_proc_in_user_mode() {
    agree(Mode::User, &Person::ordinary().unwrap());
}

#[test]
fn status_and_plan_agree_with_proc_in_root_mode() {
    match Person::root() {
        Some(root) => agree(Mode::Root, &root),
        None => machine::say("root mode not run: needs root\n"),
    }
}

/// Uids of the pool are no users of the machine: their controls are tried too.
const POOL_UID: u32 = 0x7000_0010;

#[test]
fn every_control_succeeds_outside() {
    let mut people = vec![(Mode::User, Person::ordinary().unwrap())];
    people.extend(Person::root().map(|_| (Mode::Root, Person { uid: POOL_UID, gid: POOL_UID })));
    let mut failures = Vec::new();
    for (mode, person) in people {
        let programs = programs();
        let mut canaries = Canaries::new(Path::new(BASE), mode, &person, &programs).unwrap();
        canaries.hunt(&person).unwrap();
        let targets = canaries.targets_without_daemon(&person).unwrap();
        for attempt in catalogue::all() {
            canaries.refill(&person).unwrap();
            let outside = control::run(attempt, mode, &person, &targets, &canaries.base, &programs).unwrap();
            let who = format!("{} mode {}", machine::name_of(mode), attempt.id);
            failures.extend(outside.failures.iter().map(|failure| format!("{who}: {failure}")));
        }
        failures.extend(canaries.call_off());
    }
    assert!(failures.is_empty(), "{} controls fail:\n{}", failures.len(), failures.join("\n"));
}

/// The programs stand beside the probe that was built for this test, unless we are told where.
fn programs() -> Programs {
    let beside_probe = Path::new(env!("CARGO_BIN_EXE_only1mcp-probe")).parent().unwrap().to_path_buf();
    Programs::of(std::env::var_os("ONLY1MCP_BIN_DIR").map_or(beside_probe, PathBuf::from))
}

/// The whole catalogue under every profile.
fn hold(mode: Mode, person: &Person) {
    let programs = programs();
    let mut canaries = Canaries::new(Path::new(BASE), mode, person, &programs).unwrap();
    let daemon = Daemon::start(mode, person, &canaries, &PROFILES, &programs).unwrap();
    suite::hold(daemon, &mut canaries, &programs);
}

fn agree(mode: Mode, person: &Person) {
    let programs = programs();
    let canaries = Canaries::new(Path::new(BASE), mode, person, &programs).unwrap();
    suite::agree(Daemon::start(mode, person, &canaries, &PROFILES, &programs).unwrap());
}
