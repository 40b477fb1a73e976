//! Stepping aside: the kernel divides a cgroup only while no process is in it, and where only1mcp was given a
//! cgroup of its own (a scope, a service, a container) this process is the one in the way.

use crate::command::doctor::cgroup::{CONTROLLERS, own_group};
use std::fs;
use std::io;
use std::path::Path;

/// Our place below the cgroup we were started in. The launcher makes its own beside it.
const PLACE: &str = "only1mcp-start";

/// Moves this process one level down, if it is alone in a cgroup that has limits to give. Where it is not, nothing
/// is lost but the limits, which the launcher, `status` and `doctor` report.
pub fn step_aside() {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    if let Some(own) = own_group(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"))
        && is_worth_it(&own, std::process::id())
        && let Err(cause) = enter(&own.join(PLACE))
    {
        eprintln!(
            "only1mcp: cannot divide {}, so that servers have no limits by cgroup: {cause}",
            own.display()
        );
    }
}

/// Whether the cgroup offers what limits need, and nobody else is in it: others are not ours to move.
fn is_worth_it(own: &Path, pid: u32) -> bool {
    let read = |file: &str| fs::read_to_string(own.join(file)).unwrap_or_default();
    let offered = read("cgroup.controllers");
    let offers = |wanted: &&str| offered.split_whitespace().any(|found| found == *wanted);
    read("cgroup.procs").trim() == pid.to_string() && CONTROLLERS.iter().all(offers)
}

fn enter(place: &Path) -> io::Result<()> {
    match fs::create_dir(place) {
        Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => return Err(cause),
        _ => {}
    }
    fs::write(place.join("cgroup.procs"), "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_cgroup_of_our_own_with_all_controllers_is_divided() {
        let own = std::env::temp_dir().join(format!("only1mcp-aside-{}", std::process::id()));
        fs::create_dir(&own).unwrap();
        let worth = |processes: &str, controllers: &str| {
            fs::write(own.join("cgroup.procs"), processes).unwrap();
            fs::write(own.join("cgroup.controllers"), controllers).unwrap();
            is_worth_it(&own, 7)
        };
        assert!(worth("7\n", "cpu io memory pids\n"));
        assert!(!worth("7\n8\n", "cpu io memory pids\n"), "others are in it");
        assert!(!worth("7\n", "memory pids\n"), "nothing is gained");
        fs::remove_dir_all(own).unwrap();
    }
}
