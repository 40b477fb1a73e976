//! Runs the whole catalogue against the real programs: each attempt as control, attack and twin.
//!
//! As root it runs both modes, user mode as an ordinary user (`ONLY1MCP_TEST_USER`, default only1mcp-test); as an
//! ordinary user it runs user mode alone and says so. The programs stand beside the probe, or in `ONLY1MCP_BIN_DIR`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends by panicking")]

#[path = "walls/canaries.rs"]
mod canaries;
#[path = "walls/control.rs"]
mod control;
#[path = "walls/daemon.rs"]
mod daemon;
#[path = "walls/machine.rs"]
mod machine;
#[path = "walls/proc.rs"]
mod proc;
#[path = "walls/relay.rs"]
mod relay;
#[path = "walls/table.rs"]
mod table;
#[path = "walls/trial.rs"]
mod trial;

use canaries::Canaries;
use daemon::Daemon;
use machine::{Mode, Person};
use only1mcp_escape::catalogue;
use table::Table;
use trial::Trial;

/// One server each: the whole catalogue is run under every profile.
const PROFILES: [&str; 5] = ["native", "node", "python", "jvm", "go"];

#[test]
fn the_walls_hold_in_user_mode() {
    hold(Mode::User, &Person::ordinary());
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
    hold(Mode::Minimal, &Person::ordinary());
}

#[test]
fn status_and_plan_agree_with_proc_in_user_mode() {
    agree(Mode::User, &Person::ordinary());
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
    let mut people = vec![(Mode::User, Person::ordinary())];
    people.extend(Person::root().map(|_| (Mode::Root, Person { uid: POOL_UID, gid: POOL_UID })));
    let mut failures = Vec::new();
    for (mode, person) in people {
        let mut canaries = Canaries::new(mode, &person);
        canaries.hunt(&person);
        let targets = canaries.targets_without_daemon(&person);
        for attempt in catalogue::all() {
            canaries.refill(&person);
            let outside = control::run(attempt, mode, &person, &targets, &canaries.base);
            let who = format!("{} mode {}", machine::name_of(mode), attempt.id);
            failures.extend(outside.failures.iter().map(|failure| format!("{who}: {failure}")));
        }
        failures.extend(canaries.call_off());
    }
    assert!(failures.is_empty(), "{} controls fail:\n{}", failures.len(), failures.join("\n"));
}

/// The whole catalogue under every profile.
fn hold(mode: Mode, person: &Person) {
    let mut canaries = Canaries::new(mode, person);
    let mut daemon = Daemon::start(mode, person, &canaries, &PROFILES);
    let mut relay = daemon.relay(&PROFILES);
    let mut table = Table::new(mode);
    let mut failures = Vec::new();
    for profile in PROFILES {
        let mut trial = Trial::of(&daemon, &mut canaries, &mut relay, profile);
        for attempt in catalogue::all() {
            let row = trial.run(attempt);
            failures
                .extend(row.failures.iter().map(|failure| format!("{profile} {}: {failure}", attempt.id)));
            table.add(attempt, profile, row);
        }
        failures.extend(trial.finish().into_iter().map(|failure| format!("{profile}: {failure}")));
    }
    machine::say(&table.in_words());
    failures.extend(daemon.end());
    assert!(failures.is_empty(), "{} walls or proofs fail:\n{}", failures.len(), failures.join("\n"));
}

/// What `status`, the plan and `explain` say is what the kernel says.
fn agree(mode: Mode, person: &Person) {
    let canaries = Canaries::new(mode, person);
    let mut daemon = Daemon::start(mode, person, &canaries, &PROFILES);
    drop(daemon.relay(&PROFILES));
    let mut failures = Vec::new();
    for profile in PROFILES {
        let found = proc::disagreements(&daemon, profile);
        failures.extend(found.into_iter().map(|failure| format!("{profile}: {failure}")));
    }
    failures.extend(daemon.end());
    assert!(failures.is_empty(), "{} disagreements:\n{}", failures.len(), failures.join("\n"));
}
