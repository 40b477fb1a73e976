//! What the kernel counts of one cgroup, read from its files.

use super::read;
use only1mcp_wire::Usage;
use std::path::Path;

/// Everything `status` shows of a server's limits. What a file does not say is 0: kernels differ in what they count.
pub fn usage(cgroup: &Path) -> Usage {
    let file = |name: &str| read(&cgroup.join(name)).unwrap_or_default();
    let number = |name: &str| file(name).trim().parse().unwrap_or(0);
    let (memory, processes, cpu) = (file("memory.events"), file("pids.events"), file("cpu.stat"));
    let io = file("io.stat");
    Usage {
        memory_bytes: number("memory.current"),
        memory_limit_bytes: number("memory.max"),
        memory_limit_reached: keyed(&memory, "max"),
        processes: number("pids.current"),
        process_limit: number("pids.max"),
        process_limit_reached: keyed(&processes, "max"),
        cpu_us: keyed(&cpu, "usage_usec"),
        cpu_throttled_periods: keyed(&cpu, "nr_throttled"),
        cpu_throttled_us: keyed(&cpu, "throttled_usec"),
        io_read_bytes: summed(&io, "rbytes="),
        io_written_bytes: summed(&io, "wbytes="),
    }
}

/// The number after this key in a file of `key number` lines.
pub fn keyed(text: &str, key: &str) -> u64 {
    let value = text.lines().find_map(|line| line.split_once(' ').filter(|(found, _)| *found == key));
    value.and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(0)
}

/// The sum of a counter over all disks of `io.stat`.
fn summed(text: &str, prefix: &str) -> u64 {
    text.split_whitespace().filter_map(|word| word.strip_prefix(prefix)?.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_counters_of_every_controller() {
        let cgroup = std::env::temp_dir().join(format!("only1mcp-counters-{}", std::process::id()));
        std::fs::create_dir(&cgroup).unwrap();
        for (file, content) in [
            ("memory.current", "4096\n"),
            ("memory.max", "8192\n"),
            ("memory.events", "low 0\nhigh 0\nmax 3\noom 1\noom_kill 0\n"),
            ("pids.current", "2\n"),
            ("pids.max", "64\n"),
            ("pids.events", "max 12\n"),
            ("cpu.stat", "usage_usec 500\nnr_periods 9\nnr_throttled 4\nthrottled_usec 70\n"),
            ("io.stat", "8:0 rbytes=10 wbytes=20 rios=1\n8:16 rbytes=1 wbytes=2 rios=1\n"),
        ] {
            std::fs::write(cgroup.join(file), content).unwrap();
        }
        let usage = usage(&cgroup);
        std::fs::remove_dir_all(cgroup).unwrap();
        assert_eq!(
            (usage.memory_bytes, usage.memory_limit_bytes, usage.memory_limit_reached),
            (4096, 8192, 3)
        );
        assert_eq!((usage.processes, usage.process_limit, usage.process_limit_reached), (2, 64, 12));
        assert_eq!((usage.cpu_us, usage.cpu_throttled_periods, usage.cpu_throttled_us), (500, 4, 70));
        assert_eq!((usage.io_read_bytes, usage.io_written_bytes), (11, 22));
    }

    #[test]
    fn a_key_is_a_whole_word() {
        assert_eq!(keyed("oom 3\noom_kill 1\n", "oom_kill"), 1);
        assert_eq!(keyed("oom_kill 1\n", "oom"), 0);
        assert_eq!(keyed("", "max"), 0);
    }
}
