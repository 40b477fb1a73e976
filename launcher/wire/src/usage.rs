//! What a running server uses of its limits: the answer to a question, so that `status` need not guess.

use crate::codec::record;

record! {
    /// Counters of one server's cgroup at one moment, beside the limits they run up to.
    pub struct Usage {
        /// `memory.current`, bytes.
        pub memory_bytes: u64,
        /// `memory.max`, bytes.
        pub memory_limit_bytes: u64,
        /// How often something had to be given up to stay below `memory.max`.
        pub memory_limit_reached: u64,
        /// `pids.current`: processes and threads.
        pub processes: u64,
        /// `pids.max`.
        pub process_limit: u64,
        /// How often a process or thread was refused.
        pub process_limit_reached: u64,
        /// Processor time, microseconds.
        pub cpu_us: u64,
        /// Periods in which it was made to wait for `cpu.max`.
        pub cpu_throttled_periods: u64,
        /// How long it was made to wait, microseconds.
        pub cpu_throttled_us: u64,
        /// Bytes read from disks; 0 without the io controller.
        pub io_read_bytes: u64,
        /// Bytes written to disks; 0 without the io controller.
        pub io_written_bytes: u64,
    }
}
