//! cgroup v2: whether it is there, ours to divide, with the controllers for limits, and with `cgroup.kill`.

use super::attempt::named;
use super::finding::{Finding, Group, Outcome};
use nix::errno::Errno;
use std::io;
use std::path::{Path, PathBuf};

/// What `limits.io` needs beside them.
const IO_CONTROLLER: &str = "io";
/// Controllers for memory, process and processor limits.
pub const CONTROLLERS: [&str; 3] = ["memory", "pids", "cpu"];
const DELEGATE: &str = "run under systemd with Delegate=yes: the package's units do, or as a user \
                        `systemd-run --user -p Delegate=yes -p OOMPolicy=continue only1mcp start`";

const IO_DELEGATE: &str = "run under systemd with Delegate=yes; in user mode an administrator has to let users have it: \
                           `systemctl edit user@.service`, [Service] Delegate=cpu memory pids io";

/// Tries to make a group below our own.
#[must_use]
pub fn examine() -> Vec<Finding> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let Some(own) = own_group(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup")) else {
        return vec![
            Finding::ok(Group::Limits, "cgroup v2", "not mounted, or we are in none")
                .but(Outcome::Absent)
                .help("boot with systemd.unified_cgroup_hierarchy=1, or mount cgroup2 on /sys/fs/cgroup"),
        ];
    };
    let offered = std::fs::read_to_string(own.join("cgroup.controllers")).unwrap_or_default();
    let made = make_group(&own);
    let io = io_controller(&own, &offered);
    let mut findings = vec![controllers(&own, &offered), io, writable(&own, made.as_ref().err())];
    if let Ok(kill) = made {
        findings.push(cgroup_kill(kill));
    }
    findings
}

/// Our group's directory: the mount point of cgroup2 and the path of the `0::` line below it.
#[must_use]
pub fn own_group(mountinfo: &str, cgroup: &str) -> Option<PathBuf> {
    let mount = mountinfo.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut fields = before.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        after.starts_with("cgroup2 ").then_some((root, point))
    });
    let path = cgroup.lines().find_map(|line| line.strip_prefix("0::"))?;
    let (root, point) = mount?;
    let below = Path::new(path).strip_prefix(root).ok()?;
    // Joined with nothing it would get a slash at its end.
    if below.as_os_str().is_empty() { Some(point.into()) } else { Some(Path::new(point).join(below)) }
}

fn controllers(own: &Path, offered: &str) -> Finding {
    let name = "controllers";
    let (has, lacks): (Vec<&str>, Vec<&str>) =
        CONTROLLERS.into_iter().partition(|&wanted| offered.split_whitespace().any(|found| found == wanted));
    if lacks.is_empty() {
        return Finding::ok(Group::Limits, name, format!("{} in {}", has.join(", "), own.display()));
    }
    Finding::ok(Group::Limits, name, format!("{} not offered in {}", lacks.join(", "), own.display()))
        .but(Outcome::Absent)
        .help(format!("{DELEGATE}; on a machine with cgroup v1 boot with systemd.unified_cgroup_hierarchy=1"))
}

/// The controller without which only `limits.io` cannot be enforced.
fn io_controller(own: &Path, offered: &str) -> Finding {
    let name = "io controller";
    if offered.split_whitespace().any(|found| found == IO_CONTROLLER) {
        return Finding::ok(Group::Limits, name, format!("{IO_CONTROLLER} in {}", own.display()));
    }
    let detail = format!("{IO_CONTROLLER} not offered in {}; only `limits.io` needs it", own.display());
    Finding::ok(Group::Limits, name, detail).but(Outcome::Absent).help(IO_DELEGATE)
}

fn writable(own: &Path, refused: Option<&io::Error>) -> Finding {
    let name = "own group";
    match refused {
        None => Finding::ok(Group::Limits, name, format!("made one below {}", own.display())),
        Some(cause) => {
            let why =
                cause.raw_os_error().map_or_else(|| cause.to_string(), |raw| named(Errno::from_raw(raw)));
            Finding::ok(Group::Limits, name, format!("cannot make one below {}: {why}", own.display()))
                .but(Outcome::Absent)
                .help(DELEGATE)
        }
    }
}

fn cgroup_kill(present: bool) -> Finding {
    let name = "cgroup.kill";
    if present {
        return Finding::ok(Group::Limits, name, "a whole server can be ended at once");
    }
    Finding::ok(Group::Limits, name, "not offered; servers are ended by their pid namespace")
        .but(Outcome::Absent)
        .help("Linux 5.14 or newer")
}

/// Makes a group and removes it. Whether it had `cgroup.kill`.
fn make_group(own: &Path) -> io::Result<bool> {
    let path = own.join(format!("only1mcp-doctor-{}", std::process::id()));
    std::fs::create_dir(&path)?;
    let kill = path.join("cgroup.kill").exists();
    std::fs::remove_dir(&path)?;
    Ok(kill)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
24 30 0:22 / /proc rw shared:5 - proc proc rw\n\
35 24 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n";

    #[test]
    fn our_group_is_the_mount_point_and_our_path_below_it() {
        let own = own_group(MOUNTS, "0::/user.slice/a.scope\n");
        assert_eq!(own.unwrap(), Path::new("/sys/fs/cgroup/user.slice/a.scope"));
    }

    #[test]
    fn in_a_container_the_mounts_root_is_cut_off() {
        let mounts = "35 24 0:30 /docker/x /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(own_group(mounts, "0::/docker/x/y\n").unwrap(), Path::new("/sys/fs/cgroup/y"));
    }

    #[test]
    fn without_cgroup2_there_is_no_group() {
        assert_eq!(own_group("24 30 0:22 / /proc rw - proc proc rw\n", "0::/\n"), None);
        assert_eq!(own_group(MOUNTS, "4:memory:/x\n"), None);
    }

    #[test]
    fn a_missing_io_controller_is_a_finding_of_its_own() {
        let finding = io_controller(Path::new("/c"), "cpu memory pids");
        assert_eq!(finding.outcome, Outcome::Absent);
        assert_eq!(finding.detail, "io not offered in /c; only `limits.io` needs it");
        assert_eq!(io_controller(Path::new("/c"), "cpu io memory pids").outcome, Outcome::Ok);
    }

    #[test]
    fn missing_controllers_are_named_and_do_not_stop_us() {
        let finding = controllers(Path::new("/c"), "cpuset cpu io");
        assert_eq!(finding.outcome, Outcome::Absent);
        assert_eq!(finding.detail, "memory, pids not offered in /c");
        assert_eq!(controllers(Path::new("/c"), "cpu io memory pids").outcome, Outcome::Ok);
    }
}
