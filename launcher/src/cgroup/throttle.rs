//! `io.max`: how fast one server may read and write the disks behind its files.

use super::disks::{BLOCK_DEVICES, disk_of};
use super::read;
use nix::sys::stat::makedev;
use only1mcp_wire::plan::{Bind, BindKind, Limits};
use std::collections::BTreeSet;
use std::path::Path;

/// What became of a limit of reading and writing disks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Throttle {
    /// The policy asks for none.
    Unasked,
    /// To be set: a line of `io.max` for each disk.
    Lines(Vec<String>),
    /// It cannot be enforced, and why.
    Impossible(String),
}

/// A line for every disk behind what the server may read or write. One place without a disk would be a way
/// around the limit, so that there is none then.
pub fn throttle<'a>(limits: &Limits, places: impl Iterator<Item = &'a Bind>) -> Throttle {
    if !limits.ask_for_io() {
        return Throttle::Unasked;
    }
    match read(Path::new("/proc/self/mountinfo")) {
        Ok(mounts) => throttle_at(Path::new(BLOCK_DEVICES), &mounts, limits, places),
        Err(error) => Throttle::Impossible(format!("the mounts cannot be read: {error}")),
    }
}

fn throttle_at<'a>(
    block_devices: &Path,
    mountinfo: &str,
    limits: &Limits,
    places: impl Iterator<Item = &'a Bind>,
) -> Throttle {
    let mounts = Mount::all(mountinfo);
    let mut disks = BTreeSet::new();
    for place in places.filter(|place| place.kind != BindKind::Device) {
        // What is mounted below a granted directory is granted with it.
        let below = mounts.iter().filter(|mount| mount.is_below(&place.source));
        let own = [(place.source.as_str(), place.device)];
        for (path, device) in own.into_iter().chain(below.map(|mount| (mount.path.as_str(), mount.device))) {
            match disk_of(block_devices, device) {
                Some(disk) => drop(disks.insert(disk)),
                // A place that is only read is no way around a limit of writing.
                None if !place.writable && limits.io_read_bytes.is_none() => {}
                None => return Throttle::Impossible(format!("{path} is on a file system without a disk")),
            }
        }
    }
    Throttle::Lines(disks.iter().map(|disk| line(disk, limits)).collect())
}

/// A file system and where it is mounted.
#[derive(Debug)]
struct Mount {
    path: String,
    device: u64,
}

impl Mount {
    /// All of `/proc/self/mountinfo`. A line of another form is none.
    fn all(mountinfo: &str) -> Vec<Self> {
        let mount = |line: &str| {
            let mut fields = line.split(' ').skip(2);
            let (major, minor) = fields.next()?.split_once(':')?;
            let device = makedev(major.parse().ok()?, minor.parse().ok()?);
            Some(Self { path: unescaped(fields.nth(1)?), device })
        };
        mountinfo.lines().filter_map(mount).collect()
    }

    fn is_below(&self, directory: &str) -> bool {
        let rest = self.path.strip_prefix(directory.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.len() > 1 && rest.starts_with('/'))
    }
}

/// A path of mountinfo: blanks, line ends and backslashes stand there in octal.
fn unescaped(path: &str) -> String {
    let octal = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    octal.into_iter().fold(path.to_owned(), |path, (code, letter)| path.replace(code, letter))
}

fn line(disk: &str, limits: &Limits) -> String {
    let pair =
        |key: &str, bytes: Option<u64>| bytes.map_or_else(String::new, |bytes| format!(" {key}={bytes}"));
    format!("{disk}{}{}", pair("rbps", limits.io_read_bytes), pair("wbps", limits.io_write_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn limits(io_read_bytes: Option<u64>, io_write_bytes: Option<u64>) -> Limits {
        Limits {
            memory_bytes: 0,
            processes: 0,
            cpu_percent: 0,
            open_files: 0,
            file_bytes: 0,
            io_read_bytes,
            io_write_bytes,
        }
    }

    fn place(source: &str, device: u64, writable: bool) -> Bind {
        Bind {
            source: source.into(),
            target: source.into(),
            kind: BindKind::Directory,
            device,
            inode: 0,
            writable,
            executable: false,
        }
    }

    /// Two disks without partitions, 8:0 and 8:16.
    fn fake(name: &str) -> PathBuf {
        let block = std::env::temp_dir().join(format!("only1mcp-throttle-{name}-{}", std::process::id()));
        for disk in ["8:0", "8:16"] {
            std::fs::create_dir_all(block.join(disk)).unwrap();
        }
        block
    }

    const MOUNTS: &str = "20 1 8:0 / / rw - ext4 /dev/sda rw\n\
        21 20 8:16 / /data/my\\040disk rw,relatime shared:1 - ext4 /dev/sdb rw\n\
        22 20 0:40 / /memory/inner rw - tmpfs tmpfs rw\n";

    fn try_with(name: &str, limits: &Limits, places: &[Bind]) -> Throttle {
        let block = fake(name);
        let throttle = throttle_at(&block, MOUNTS, limits, places.iter());
        std::fs::remove_dir_all(block).unwrap();
        throttle
    }

    #[test]
    fn every_disk_gets_one_line_with_what_was_asked_for() {
        let disks = [(makedev(8, 0), true), (makedev(8, 16), false), (makedev(8, 0), false)];
        let places = disks.map(|(device, writable)| place("/x", device, writable));
        let both = try_with("both", &limits(Some(5), Some(7)), &places);
        assert_eq!(both, Throttle::Lines(vec!["8:0 rbps=5 wbps=7".into(), "8:16 rbps=5 wbps=7".into()]));
        let one = try_with("one", &limits(None, Some(7)), &places);
        assert_eq!(one, Throttle::Lines(vec!["8:0 wbps=7".into(), "8:16 wbps=7".into()]));
        assert_eq!(throttle(&limits(None, None), places.iter()), Throttle::Unasked);
    }

    #[test]
    fn what_is_mounted_below_a_place_is_slowed_down_with_it() {
        let at = |path: &str| [place(path, makedev(8, 0), true)];
        let only_write = limits(None, Some(7));
        let disks =
            |disks: &[&str]| Throttle::Lines(disks.iter().map(|disk| format!("{disk} wbps=7")).collect());
        assert_eq!(try_with("below", &only_write, &at("/data")), disks(&["8:0", "8:16"]));
        assert_eq!(try_with("beside", &only_write, &at("/data/my")), disks(&["8:0"]));
        assert_eq!(try_with("itself", &only_write, &at("/data/my disk")), disks(&["8:0"]));
        let impossible = Throttle::Impossible("/memory/inner is on a file system without a disk".into());
        assert_eq!(try_with("memory", &only_write, &at("/memory")), impossible);
    }

    #[test]
    fn a_place_without_a_disk_makes_a_limit_impossible_unless_it_is_only_read_and_writing_is_limited() {
        let tmpfs = makedev(0, 40);
        let places = [place("/disk", makedev(8, 0), true), place("/run/x", tmpfs, false)];
        assert_eq!(
            try_with("write", &limits(None, Some(1)), &places),
            Throttle::Lines(vec!["8:0 wbps=1".into()])
        );
        let impossible = Throttle::Impossible("/run/x is on a file system without a disk".into());
        assert_eq!(try_with("read", &limits(Some(1), None), &places), impossible);
        let writable = [place("/run/x", tmpfs, true)];
        assert_eq!(try_with("writable", &limits(None, Some(1)), &writable), impossible);
    }

    #[test]
    fn devices_are_no_files_of_a_disk() {
        let null = Bind { kind: BindKind::Device, ..place("/dev/null", makedev(0, 6), true) };
        let throttle = try_with("null", &limits(Some(1), Some(1)), &[null]);
        assert_eq!(throttle, Throttle::Lines(Vec::new()));
    }
}
