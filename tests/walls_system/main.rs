//! The walls in system mode: the attack catalogue against the services of the installed package.
//!
//! Run by `tests/walls_system/run` in a virtual machine with the package installed; it rewrites the configuration of the machine
//! it runs on. What was answered comes out as `answers`, from which `security/degraded.md` is made.

#[path = "../../security/tests/walls/proc.rs"]
mod proc;
#[path = "../../security/tests/walls/suite.rs"]
mod suite;

use std::path::{Path, PathBuf};
use std::{env, fs};

use only1mcp_escape::catalogue::Mode;
use only1mcp_escape::runner::canaries::Canaries;
use only1mcp_escape::runner::daemon::Daemon;
use only1mcp_escape::runner::machine::{Person, Programs};

/// Where the canaries are: the services have a `/tmp` and a `/var/tmp` of their own.
const BASE: &str = "/srv";
/// Where the package has the programs.
const PROGRAMS: &str = "/usr/lib/only1mcp";
/// One server each, under which the whole catalogue is run: an emulated machine is slow, and every other mode has all profiles.
const PROFILES: [&str; 2] = ["native", "node"];
/// Where results go; refuses to go on in a machine that is not to be thrown away.
fn results() -> PathBuf {
    let results = env::var_os("VM_RESULTS").filter(|_| Path::new("/var/lib/only1mcp-vm").is_dir());
    results
        .expect("these tests rewrite the machine's configuration: run them with tests/walls_system/run")
        .into()
}

fn installed() -> (Daemon, Canaries, Programs) {
    let (root, programs) = (Person { uid: 0, gid: 0 }, Programs::of(PROGRAMS.into()));
    let canaries = Canaries::new(Path::new(BASE), Mode::System, &root, &programs).unwrap();
    (Daemon::installed(&canaries, &PROFILES, &programs).unwrap(), canaries, programs)
}

/// What `status` says of a wall that kernels have differently, a line as in the table of answers.
fn said(daemon: &Daemon, key: &str) -> String {
    let status = daemon.status(PROFILES[0]).unwrap();
    format!("status\t{key}\t{}\n", status.get(key).unwrap())
}

#[test]
fn the_walls_hold_in_system_mode() {
    let results = results();
    let (mut daemon, mut canaries, programs) = installed();
    drop(daemon.relay(&PROFILES).unwrap());
    let walls = said(&daemon, "landlock_abi") + &said(&daemon, "walls_missing");
    let table = suite::hold(daemon, &mut canaries, &programs);
    fs::write(results.join("answers"), walls + &table.answers()).unwrap();
}

#[test]
fn status_and_plan_agree_with_proc_in_system_mode() {
    results();
    let (daemon, _canaries, _programs) = installed();
    suite::agree(daemon);
}
