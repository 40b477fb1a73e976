//! R06 and R18: room without end, and disks for oneself.

use crate::delegated::{LIMITS, act, beside_a_good_neighbour, configuration, outside, reader, start, with};
use harness::programs;
use harness::run::run;
use harness::scratch::Scratch;
use std::fs;
use std::process::Command;

/// How many were taken before there was no room.
fn until_full(told: &str, wanted: &str) -> u64 {
    let taken = told.strip_suffix(&format!(" of {wanted}: ENOSPC"));
    taken.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{told}"))
}

#[test]
fn r06_a_full_scratch_ends_with_enospc_and_harms_nobody() {
    assert_eq!(outside("fill /var/tmp/greed 32"), "32 of 32", "outside nothing holds it");
    fs::remove_file("/var/tmp/greed").unwrap();
    let daemon = with(LIMITS);
    for place in ["/tmp", "/dev/shm"] {
        let told = beside_a_good_neighbour(&daemon, || act(&daemon, &format!("fill {place}/greed 32")));
        assert!((7..=8).contains(&until_full(&told, "32")), "{told}");
        assert_eq!(act(&daemon, &format!("remove {place}/greed")), "removed");
        assert_eq!(
            act(&daemon, &format!("fill {place}/greed 4")),
            "4 of 4",
            "what is within the limit works"
        );
        assert_eq!(act(&daemon, &format!("remove {place}/greed")), "removed");
    }
    assert_eq!(daemon.server_status("greedy")["restarts"], 0);
}

#[test]
fn r06_files_without_content_end_with_enospc_too() {
    let scratch = Scratch::new();
    let folder = scratch.folder("files", 0o755);
    assert_eq!(outside(&format!("files {} 3000", folder.display())), "3000 of 3000");
    let daemon = with(LIMITS);
    // One for each 4 KiB of its size, the directory itself among them.
    assert!((2000..=2048).contains(&until_full(&act(&daemon, "files /tmp 3000"), "3000")));
    assert_eq!(act(&daemon, "files /tmp 1000"), "1000 of 1000", "what is within the limit works");
}

fn milliseconds(told: &str) -> u64 {
    told.strip_suffix(" ms").and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{told}"))
}

#[test]
fn r18_a_writer_is_slowed_down_to_its_rate() {
    let free = milliseconds(&outside("write /var/tmp/greed 8"));
    let daemon = with(&format!("{LIMITS}, io: {{write: 1MiB}}"));
    let walls = daemon.server_status("greedy")["walls"].to_string();
    assert!(walls.contains("\"io limit\""), "{walls}");
    let reader = reader(&daemon);
    let line = reader.file("io.max");
    assert!(line.contains("rbps=max wbps=1048576 "), "{line}");
    let before = reader.written_bytes();
    assert!(milliseconds(&act(&daemon, "write /state/small 1")) < 5000, "what is within the limit works");
    let held = milliseconds(&beside_a_good_neighbour(&daemon, || act(&daemon, "write /state/greed 8")));
    // Eight seconds' worth; the first is free.
    assert!(held >= 6500, "8 MiB were written in {held} ms");
    assert!(free < held / 2, "outside it is as slow: {free} ms");
    let written = reader.written_bytes() - before;
    assert!(written >= 9 << 20, "the kernel counts {written} bytes: {}", reader.file("io.stat"));
    let usage = &daemon.server_status("greedy")["usage"];
    assert!(usage["io_written_bytes"].as_u64().unwrap() >= before + written, "{usage}");
}

/// A tmpfs that any uid may write, in a folder that any uid may write, for as long as this lives.
struct Tmpfs(String);

impl Tmpfs {
    fn mount(scratch: &Scratch) -> Self {
        let above = scratch.folder("above", 0o777);
        let place = format!("{}/memory", above.display());
        fs::create_dir(&place).unwrap();
        let outcome = run(Command::new("mount").args(["-t", "tmpfs", "-o", "mode=777", "tmpfs", &place]));
        assert_eq!(outcome.code, 0, "{outcome:?}");
        Self(place)
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = run(Command::new("umount").args(["-l", &self.0]));
    }
}

#[test]
fn r18_a_limit_that_a_file_system_without_a_disk_would_undo_is_missing_or_refused() {
    let scratch = Scratch::new();
    let tmpfs = Tmpfs::mount(&scratch);
    let folder = programs::folder().display().to_string();
    let limits = format!("{LIMITS}, io: {{write: 1MiB}}");
    let above = tmpfs.0.trim_end_matches("/memory");
    for granted in [&tmpfs.0, above] {
        missing_or_refused(&limits, &folder, granted, &tmpfs.0);
    }
}

/// Whether `granted` is itself without a disk or has something mounted below it that is.
fn missing_or_refused(limits: &str, folder: &str, granted: &str, diskless: &str) {
    let files = format!("filesystem: {{read: [{folder}], write: [state, {granted}]}}");
    let daemon = start(&configuration(limits, &files));
    let missing = daemon.server_status("greedy")["walls_missing"].to_string();
    assert!(missing.contains("\"io limit\""), "{granted}: {missing}");
    let why = format!(
        "the io limit of server \"greedy\" is not in force: {diskless} is on a file system without a disk"
    );
    assert!(daemon.log().contains(&why), "{}", daemon.log());
    drop(daemon);
    let daemon = start(&configuration(limits, &format!("{files}, requires: {{cgroup: true}}")));
    let status = daemon.server_status("greedy");
    assert_eq!(status["state"], "failed", "{status}");
    assert_eq!(status["last_error"], "the policy requires a wall that this machine lacks: io limit");
    assert_eq!(daemon.server_status("good")["state"], "ready");
}
