//! Finding the place in the cgroup v2 tree where the launcher may make cgroups, and taking it.

use super::counters::keyed;
use super::{CONTROLLERS, Cgroups, Control, IO_CONTROLLER, read, write};
use crate::limits::{STALE_LOOK, STALE_TIME_MAX};
use crate::weakened::{Weakness, lacks};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// How our directories begin; what follows is the launcher's process id.
const PREFIX: &str = "only1mcp-";
/// The launcher's own place: a cgroup with children may hold no process.
const SUPERVISOR: &str = "supervisor";
/// The launcher's name, as the kernel cuts it.
const COMMAND: &str = "only1mcp-launch";

/// Takes a subtree: the nearest place that gives limits, else the nearest that can be written.
/// `None` where no cgroup v2 tree is writable.
#[must_use]
pub fn claim() -> Option<Cgroups> {
    let mounts = read(Path::new("/proc/self/mountinfo")).ok()?;
    let own = own_directory(&mounts, &read(Path::new("/proc/self/cgroup")).ok()?)?;
    let top = hierarchy(&mounts)?.0;
    let mut best: Option<Cgroups> = None;
    for base in own.ancestors().take_while(|base| base.starts_with(&top)) {
        let Some(found) = claim_below(base) else { continue };
        if let Some(worse) = best.take() {
            if found.control == Control::KillOnly {
                // Back into the nearer one.
                found.leave();
                return claim_below(&worse.base);
            }
            remove(&worse.path);
        }
        if found.control == Control::Limits {
            return Some(found);
        }
        best = Some(found);
    }
    best
}

/// Where the v2 tree is mounted, and which of its directories is mounted there.
fn hierarchy(mountinfo: &str) -> Option<(PathBuf, String)> {
    mountinfo.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        if !right.starts_with("cgroup2 ") {
            return None;
        }
        let mut fields = left.split(' ').skip(3);
        let root = fields.next()?.to_owned();
        Some((PathBuf::from(fields.next()?), root))
    })
}

/// The directory of the cgroup this process is in, if it lies below the mount.
fn own_directory(mountinfo: &str, cgroup: &str) -> Option<PathBuf> {
    let (mount, root) = hierarchy(mountinfo)?;
    let path = cgroup.lines().find_map(|line| line.strip_prefix("0::"))?;
    let below = path.strip_prefix(root.trim_end_matches('/'))?;
    if below.split('/').any(|part| part == "..") {
        return None;
    }
    Some(mount.join(below.trim_start_matches('/')))
}

/// Makes our directory below `base` and moves this process into it.
fn claim_below(base: &Path) -> Option<Cgroups> {
    remove_stale(base);
    let path = base.join(format!("{PREFIX}{}", std::process::id()));
    let supervisor = path.join(SUPERVISOR);
    // One that is there already is another's, of a pid namespace in which our number is its own, too.
    std::fs::create_dir(&path).ok()?;
    let made = std::fs::create_dir(&supervisor).and_then(|()| write(&supervisor, "cgroup.procs", "0"));
    if made.is_err() {
        remove(&path);
        return None;
    }
    for controller in CONTROLLERS.into_iter().chain([IO_CONTROLLER]) {
        // Refused where a controller is not there, or where other processes are in the way.
        let enable = format!("+{controller}");
        let _: std::io::Result<()> = write(base, "cgroup.subtree_control", &enable);
        let _: std::io::Result<()> = write(&path, "cgroup.subtree_control", &enable);
    }
    let control = control(&read(&path.join("cgroup.subtree_control")).unwrap_or_default());
    Some(Cgroups { base: base.to_owned(), path, control, made: 0, left: Vec::new() })
}

fn control(enabled: &str) -> Control {
    let all = CONTROLLERS.iter().all(|wanted| enabled.split_whitespace().any(|found| found == *wanted));
    if all { Control::Limits } else { Control::KillOnly }
}

/// Ends and removes what launchers left that were killed. Where the namespaces of its servers ended with it
/// that is empty directories; in minimal mode it may be processes.
fn remove_stale(base: &Path) {
    if lacks(Weakness::SparedRemains) {
        return;
    }
    let Ok(entries) = std::fs::read_dir(base) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.parse().ok()) else {
            continue;
        };
        if is_stale(&entry.path(), pid, Path::new("/proc")) {
            // All below at once; what is not gone at the removal is removed by the next start.
            let _: std::io::Result<()> = write(&entry.path(), "cgroup.kill", "1");
            wait_until_empty(&entry.path());
            remove(&entry.path());
        }
    }
}

/// A launcher always is in its own place, and two signs of it must be missing: it may be about to move there,
/// and one of another pid namespace (a container's) has a number that means nothing here.
fn is_stale(subtree: &Path, pid: u32, proc: &Path) -> bool {
    // What cannot be looked at is not known to be gone; only what is not there is.
    let look = |path: PathBuf| match read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Some(String::new()),
        other => other.ok(),
    };
    // Our own number there is an earlier process's: we have not made ours yet.
    let runs = |name: &str| pid != std::process::id() && name.trim_end() == COMMAND;
    let name = look(proc.join(pid.to_string()).join("comm"));
    let inside = look(subtree.join(SUPERVISOR).join("cgroup.procs"));
    name.is_some_and(|name| !runs(&name)) && inside.is_some_and(|inside| inside.trim().is_empty())
}

/// Gives what was killed a moment to be gone.
fn wait_until_empty(subtree: &Path) {
    let end = Instant::now() + STALE_TIME_MAX;
    let populated =
        || read(&subtree.join("cgroup.events")).is_ok_and(|events| keyed(&events, "populated") > 0);
    while populated() && Instant::now() < end {
        std::thread::sleep(STALE_LOOK);
    }
}

/// Removes a subtree of ours. A cgroup that still holds a process refuses, and stays.
pub fn remove(path: &Path) {
    let Ok(entries) = std::fs::read_dir(path) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        let _: std::io::Result<()> = std::fs::remove_dir(entry.path());
    }
    let _: std::io::Result<()> = std::fs::remove_dir(path);
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "24 20 0:21 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
        25 24 0:22 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
        26 24 0:23 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n";

    #[test]
    fn finds_its_own_directory_beside_version_one() {
        let cgroup = "4:memory:/x\n0::/user.slice/me.scope\n";
        let expected = PathBuf::from("/sys/fs/cgroup/unified/user.slice/me.scope");
        assert_eq!(own_directory(HYBRID, cgroup), Some(expected));
        assert_eq!(own_directory(HYBRID, "0::/\n"), Some(PathBuf::from("/sys/fs/cgroup/unified/")));
    }

    #[test]
    fn takes_the_part_of_the_tree_that_is_mounted_into_account() {
        let mounts = "30 1 0:5 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
        assert_eq!(own_directory(mounts, "0::/docker/abc/sub\n"), Some(PathBuf::from("/sys/fs/cgroup/sub")));
        assert_eq!(own_directory(mounts, "0::/other\n"), None);
        assert_eq!(own_directory(mounts, "0::/docker/abc/../x\n"), None);
    }

    #[test]
    fn has_no_directory_without_version_two() {
        assert_eq!(own_directory("24 20 0:21 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n", "0::/\n"), None);
    }

    #[test]
    fn only_a_subtree_without_its_launcher_is_stale() {
        let top = std::env::temp_dir().join(format!("only1mcp-stale-{}", std::process::id()));
        let (subtree, proc) = (top.join("only1mcp-7"), top.join("proc"));
        let (procs, comm) = (subtree.join("supervisor/cgroup.procs"), proc.join("7/comm"));
        std::fs::create_dir_all(procs.parent().unwrap()).unwrap();
        std::fs::create_dir_all(comm.parent().unwrap()).unwrap();
        let stale = |inside: &str, name: &str| {
            std::fs::write(&procs, inside).unwrap();
            std::fs::write(&comm, name).unwrap();
            is_stale(&subtree, 7, &proc)
        };
        assert!(!stale("7\n", "only1mcp-launch\n"), "it runs");
        assert!(!stale("", "only1mcp-launch\n"), "it is about to move there");
        assert!(!stale("0\n", "cat\n"), "it runs in a pid namespace we do not see into");
        assert!(stale("", "cat\n"), "its number went to another");
        let own = std::process::id();
        std::fs::create_dir_all(proc.join(own.to_string())).unwrap();
        std::fs::write(proc.join(own.to_string()).join("comm"), "only1mcp-launch\n").unwrap();
        assert!(is_stale(&subtree, own, &proc), "an earlier launcher had our number");
        std::fs::remove_file(&procs).unwrap();
        std::fs::create_dir(&procs).unwrap();
        assert!(!is_stale(&subtree, 7, &proc), "whether it runs cannot be read");
        std::fs::remove_dir(&procs).unwrap();
        assert!(is_stale(&subtree, 7, &proc), "it never moved there");
        std::fs::remove_dir_all(top).unwrap();
    }

    #[test]
    fn limits_need_all_three_controllers() {
        assert_eq!(control("cpu io memory pids\n"), Control::Limits);
        assert_eq!(control("memory pids\n"), Control::KillOnly);
        assert_eq!(control("cpuset memory pids\n"), Control::KillOnly);
    }
}
