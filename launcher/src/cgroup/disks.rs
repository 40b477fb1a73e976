//! Which disk is behind a file: `io.max` knows whole disks only, by the numbers the kernel gives them.

use nix::sys::stat::{major, minor};
use std::path::Path;

/// Where the kernel lists block devices by number.
pub const BLOCK_DEVICES: &str = "/sys/dev/block";

/// The disk that holds the file system of this `st_dev`, as `MAJOR:MINOR`. `None` for one that lies in
/// memory, on another machine, or on several disks at once (tmpfs, NFS, overlay, btrfs): the kernel
/// numbers these itself, with major 0, and has no disk of that number to slow down.
pub fn disk_of(block_devices: &Path, device: u64) -> Option<String> {
    let number = format!("{}:{}", major(device), minor(device));
    // The entry is a link to the device's own directory, a partition's below that of its disk.
    let entry = block_devices.join(&number).canonicalize().ok()?;
    if !entry.join("partition").exists() {
        return Some(number);
    }
    let disk = std::fs::read_to_string(entry.parent()?.join("dev")).ok()?;
    Some(disk.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::makedev;
    use std::os::unix::fs::{MetadataExt, symlink};
    use std::path::PathBuf;

    /// A `/sys` with one disk, 254:0, that has one partition, 254:1.
    fn fake(name: &str) -> PathBuf {
        let sys = std::env::temp_dir().join(format!("only1mcp-disks-{name}-{}", std::process::id()));
        let (disk, block) = (sys.join("devices/vda"), sys.join("dev/block"));
        let partition = disk.join("vda1");
        std::fs::create_dir_all(&partition).unwrap();
        std::fs::create_dir_all(&block).unwrap();
        std::fs::write(disk.join("dev"), "254:0\n").unwrap();
        std::fs::write(partition.join("dev"), "254:1\n").unwrap();
        std::fs::write(partition.join("partition"), "1\n").unwrap();
        symlink("../../devices/vda", block.join("254:0")).unwrap();
        symlink("../../devices/vda/vda1", block.join("254:1")).unwrap();
        sys
    }

    #[test]
    fn a_partition_stands_for_its_disk_and_a_disk_for_itself() {
        let sys = fake("disk");
        for number in [0, 1] {
            let disk = disk_of(&sys.join("dev/block"), makedev(254, number));
            assert_eq!(disk.as_deref(), Some("254:0"), "254:{number}");
        }
        std::fs::remove_dir_all(sys).unwrap();
    }

    #[test]
    fn a_file_system_without_a_disk_has_none() {
        let sys = fake("none");
        assert_eq!(disk_of(&sys.join("dev/block"), makedev(0, 45)), None);
        std::fs::remove_dir_all(sys).unwrap();
        let proc = std::fs::metadata("/proc").unwrap().dev();
        assert_eq!(disk_of(Path::new(BLOCK_DEVICES), proc), None);
    }
}
