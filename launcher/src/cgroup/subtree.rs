//! Finding the place in the cgroup v2 tree where the launcher may make cgroups, and taking it.

use super::{CONTROLLERS, Cgroups, Control, read, write};
use std::path::{Path, PathBuf};

/// How our directories begin; what follows is the launcher's process id.
const PREFIX: &str = "only1mcp-";
/// The launcher's own place: a cgroup with children may hold no process.
const SUPERVISOR: &str = "supervisor";

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
    let made = std::fs::create_dir_all(&supervisor).and_then(|()| write(&supervisor, "cgroup.procs", "0"));
    if made.is_err() {
        remove(&path);
        return None;
    }
    for controller in CONTROLLERS {
        // Refused where a controller is not there, or where other processes are in the way.
        let enable = format!("+{controller}");
        let _: std::io::Result<()> = write(base, "cgroup.subtree_control", &enable);
        let _: std::io::Result<()> = write(&path, "cgroup.subtree_control", &enable);
    }
    let control = control(&read(&path.join("cgroup.subtree_control")).unwrap_or_default());
    Some(Cgroups { base: base.to_owned(), path, control, made: 0 })
}

fn control(enabled: &str) -> Control {
    let all = CONTROLLERS.iter().all(|wanted| enabled.split_whitespace().any(|found| found == *wanted));
    if all { Control::Limits } else { Control::KillOnly }
}

/// Removes what an earlier launcher could not: its directories, if nothing runs in them.
fn remove_stale(base: &Path) {
    let Ok(entries) = std::fs::read_dir(base) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let stale = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        if stale.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            remove(&entry.path());
        }
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
    fn limits_need_all_three_controllers() {
        assert_eq!(control("cpu io memory pids\n"), Control::Limits);
        assert_eq!(control("memory pids\n"), Control::KillOnly);
        assert_eq!(control("cpuset memory pids\n"), Control::KillOnly);
    }
}
