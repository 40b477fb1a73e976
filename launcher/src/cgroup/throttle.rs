//! `io.max`: how fast one server may read and write the disks behind its files.

use super::disks::{BLOCK_DEVICES, disk_of};
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
    throttle_at(Path::new(BLOCK_DEVICES), limits, places)
}

fn throttle_at<'a>(
    block_devices: &Path,
    limits: &Limits,
    places: impl Iterator<Item = &'a Bind>,
) -> Throttle {
    if !limits.ask_for_io() {
        return Throttle::Unasked;
    }
    let mut disks = BTreeSet::new();
    for place in places.filter(|place| place.kind != BindKind::Device) {
        match disk_of(block_devices, place.device) {
            Some(disk) => drop(disks.insert(disk)),
            // A place that is only read is no way around a limit of writing.
            None if !place.writable && limits.io_read_bytes.is_none() => {}
            None => {
                return Throttle::Impossible(format!("{} is on a file system without a disk", place.source));
            }
        }
    }
    Throttle::Lines(disks.iter().map(|disk| line(disk, limits)).collect())
}

fn line(disk: &str, limits: &Limits) -> String {
    let pair =
        |key: &str, bytes: Option<u64>| bytes.map_or_else(String::new, |bytes| format!(" {key}={bytes}"));
    format!("{disk}{}{}", pair("rbps", limits.io_read_bytes), pair("wbps", limits.io_write_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::makedev;
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

    fn try_with(name: &str, limits: &Limits, places: &[Bind]) -> Throttle {
        let block = fake(name);
        let throttle = throttle_at(&block, limits, places.iter());
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
        assert_eq!(try_with("none", &limits(None, None), &places), Throttle::Unasked);
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
