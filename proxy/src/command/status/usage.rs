//! What a server uses of its limits, as `status` puts it. Pure: numbers in, lines out.

use serde::Deserialize;

/// Counters of one server beside its limits. A daemon of another version may lack some.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Bytes of memory it may use.
    pub memory_limit_bytes: u64,
    /// Times something had to be given up to stay below.
    pub memory_limit_reached: u64,
    /// Processes and threads.
    pub processes: u64,
    /// Processes and threads it may have.
    pub process_limit: u64,
    /// Processes and threads it was refused.
    pub process_limit_reached: u64,
    /// Processor time, milliseconds.
    pub cpu_ms: u64,
    /// Times it had to wait for processor time.
    pub cpu_throttled_periods: u64,
    /// How long it had to wait, milliseconds.
    pub cpu_throttled_ms: u64,
    /// Bytes read from disks.
    pub io_read_bytes: u64,
    /// Bytes written to disks.
    pub io_written_bytes: u64,
}

impl Usage {
    /// How much, in one line.
    #[must_use]
    pub fn amounts(&self) -> String {
        format!(
            "{} of {} memory, {} of {} processes and threads, {} of processor time, disks: {} read, {} written",
            size(self.memory_bytes),
            size(self.memory_limit_bytes),
            self.processes,
            self.process_limit,
            time(self.cpu_ms),
            size(self.io_read_bytes),
            size(self.io_written_bytes)
        )
    }

    /// Which limits it ran into; nothing if none.
    #[must_use]
    pub fn reached(&self) -> Option<String> {
        let mut reached = Vec::new();
        if self.memory_limit_reached > 0 {
            reached.push(format!("memory {}", times(self.memory_limit_reached)));
        }
        if self.process_limit_reached > 0 {
            reached.push(format!("processes {}", times(self.process_limit_reached)));
        }
        if self.cpu_throttled_periods > 0 {
            let (periods, waited) = (times(self.cpu_throttled_periods), time(self.cpu_throttled_ms));
            reached.push(format!("cpu {periods}, {waited} waited"));
        }
        (!reached.is_empty()).then(|| reached.join("; "))
    }
}

fn times(count: u64) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

fn time(milliseconds: u64) -> String {
    format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100)
}

/// Whole units: more would change with every look.
fn size(bytes: u64) -> String {
    match bytes {
        0 => "0".to_owned(),
        1..0x10_0000 => format!("{} KiB", bytes.div_ceil(1 << 10)),
        _ => format!("{} MiB", bytes >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_was_not_reached_is_not_mentioned() {
        assert_eq!(Usage::default().reached(), None);
        let usage = Usage { process_limit_reached: 1, ..Usage::default() };
        assert_eq!(usage.reached().unwrap(), "processes once");
    }

    #[test]
    fn little_is_shown_in_small_units_and_much_in_large_ones() {
        assert_eq!([0, 1, 4096, 1 << 20, 512 << 20].map(size), ["0", "1 KiB", "4 KiB", "1 MiB", "512 MiB"]);
        assert_eq!(time(1_990), "1.9 s");
    }
}
