//! Which processes there are: by a mark on their command line, or by descent.

use std::collections::HashSet;
use std::fs;
use std::time::{Duration, Instant};

/// One process: its id and start time name it for ever, whatever the kernel gives the id to later.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// Its parent's id.
    pub parent: i32,
    /// When it started, in clock ticks since boot.
    pub started: u64,
    /// `R`, `S`, `Z`, …
    pub state: char,
    /// Its command line, words joined by spaces.
    pub command_line: String,
}

impl Process {
    /// Reads one process; None if it is gone.
    #[must_use]
    pub fn read(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold anything: fields begin after the last one.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<_> = line.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
        Some(Self {
            pid,
            parent: fields.get(1)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
            state: fields.first()?.chars().next()?,
            command_line: words.join(" ").trim_end().to_owned(),
        })
    }

    /// Whether it still runs (a zombie does not).
    #[must_use]
    pub fn lives(&self) -> bool {
        Self::read(self.pid).is_some_and(|now| now.started == self.started && now.state != 'Z')
    }
}

/// All processes that run now.
#[must_use]
pub fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter_map(Process::read).filter(|process| process.state != 'Z').collect()
}

/// Those whose command line holds `mark`, this test excluded.
#[must_use]
pub fn marked(mark: &str) -> Vec<Process> {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    all().into_iter().filter(|process| process.pid != own && process.command_line.contains(mark)).collect()
}

/// A process and all below it.
#[must_use]
pub fn tree(root: i32) -> Vec<Process> {
    let all = all();
    let mut inside = HashSet::from([root]);
    loop {
        let before = inside.len();
        inside.extend(
            all.iter()
                .filter(|process| inside.contains(&process.parent))
                .map(|process| process.pid)
                .collect::<Vec<_>>(),
        );
        if inside.len() == before {
            return all.into_iter().filter(|process| inside.contains(&process.pid)).collect();
        }
    }
}

/// Waits until `done` or the time is over; whether it was done.
pub fn wait_until(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if done() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
