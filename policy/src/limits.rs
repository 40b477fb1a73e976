//! Every bound of the policy crate, with its unit, in one place.

/// Bytes of one configuration or policy file.
pub const DOCUMENT_BYTES_MAX: usize = 64 * 1024;
/// Levels of nesting in a document. The deepest real one has seven.
pub const DOCUMENT_DEPTH_MAX: usize = 12;
/// Nodes (values and keys) in a document.
pub const DOCUMENT_NODES_MAX: usize = 16 * 1024;
/// Findings that are kept; later ones are counted only.
pub const FINDINGS_MAX: usize = 200;
/// Policy files in one `policies` directory.
pub const POLICY_FILES_MAX: usize = 1024;
/// Symbolic links followed for one path, as the kernel does.
pub const LINKS_MAX: usize = 40;
/// Interpreters in one shebang chain; the kernel allows five.
pub const SHEBANG_DEPTH_MAX: usize = 5;
/// Bytes read of a program to see what it is (`BINPRM_BUF_SIZE`).
pub const PROGRAM_HEAD_BYTES: usize = 256;
/// Bytes read of a `pyvenv.cfg`.
pub const PYVENV_BYTES_MAX: usize = 4096;
/// Entries of one directory that is listed.
pub const DIRECTORY_ENTRIES_MAX: usize = 100_000;
/// Entries looked at for protected files below one writable grant: about a tenth of a second.
pub const PROTECTED_SCAN_ENTRIES_MAX: usize = 200_000;
/// Levels looked at for protected files below one writable grant.
pub const PROTECTED_SCAN_DEPTH_MAX: usize = 8;
/// Protected files below one writable grant.
pub const PROTECTED_FOUND_MAX: usize = 128;
/// Paths one policy may grant, each way.
pub const GRANTS_MAX: usize = 64;
/// Bytes of all arguments and variables of one server together.
pub const ARGUMENT_BYTES_MAX: usize = 128 * 1024;
/// Characters of an aggregated tool's name that may be asked for.
pub const NAME_CHARACTERS_RANGE: std::ops::RangeInclusive<u64> = 16..=128;
/// The default of `proxy.names.max_length`, characters.
pub const NAME_CHARACTERS_DEFAULT: usize = 48;
/// The default of `proxy.auto_threshold`, tokens.
pub const AUTO_THRESHOLD_TOKENS_DEFAULT: u32 = 10_000;
/// What may be asked for by `proxy.auto_threshold` and `results.max_tokens`.
pub const TOKENS: std::ops::RangeInclusive<u64> = 100..=1_000_000;
/// The default of `startup_timeout`, milliseconds: Python servers need three seconds.
pub const STARTUP_TIMEOUT_MS_DEFAULT: u64 = 30_000;
/// The default of `request_timeout`, milliseconds.
pub const REQUEST_TIMEOUT_MS_DEFAULT: u64 = 60_000;
/// The default of `idle_timeout` where clients do not share a process, milliseconds.
pub const IDLE_TIMEOUT_MS_DEFAULT: u64 = 5 * 60 * 1000;
/// Replicas of one server that may be asked for. Two processes of each may run while one takes over from the other.
pub const REPLICAS: std::ops::RangeInclusive<u64> = 1..=32;
/// The default of `proxy.routing.virtual_nodes`: shares of the ring differ by about 8 %.
pub const VIRTUAL_NODES_DEFAULT: u32 = 150;
/// What may be asked for by `proxy.routing.virtual_nodes`.
pub const VIRTUAL_NODES: std::ops::RangeInclusive<u64> = 1..=1000;
/// The default of `proxy.health.check_interval`, milliseconds.
pub const HEALTH_INTERVAL_MS_DEFAULT: u64 = 10_000;
/// The default of `proxy.health.timeout`, milliseconds.
pub const HEALTH_TIMEOUT_MS_DEFAULT: u64 = 5_000;
/// The default of `proxy.health.failure_threshold`.
pub const HEALTH_FAILURE_THRESHOLD_DEFAULT: u32 = 3;
/// Shortest time between two checks, and for one, that may be asked for, milliseconds.
pub const HEALTH_MS_MIN: u64 = 50;
/// What may be asked for by `failure_threshold`.
pub const FAILURE_THRESHOLD: std::ops::RangeInclusive<u64> = 1..=100;
/// Calls of all clients, and of one, that a server has in its hands unless told otherwise.
pub const CONCURRENT_CALLS_DEFAULT: u32 = 1024;
/// What may be asked for by `concurrency`.
pub const CONCURRENT_CALLS: std::ops::RangeInclusive<u64> = 1..=4096;
/// Calls that may wait for a server unless told otherwise.
pub const QUEUED_CALLS_DEFAULT: u32 = 1024;
/// What may be asked for by `concurrency.queue`.
pub const QUEUED_CALLS: std::ops::RangeInclusive<u64> = 0..=4096;
/// What may be asked for by `rate_limit`, calls.
pub const RATE_CALLS: std::ops::RangeInclusive<u64> = 1..=1_000_000;
/// What may be asked for by `recycle.calls`.
pub const RECYCLE_CALLS: std::ops::RangeInclusive<u64> = 1..=1_000_000_000;
/// Shortest `recycle.age`, milliseconds: a start may take half of that.
pub const RECYCLE_AGE_MS_MIN: u64 = 60_000;
/// Longest `recycle.age`, milliseconds.
pub const RECYCLE_AGE_MS_MAX: u64 = 30 * 24 * 60 * 60 * 1000;
/// Longest time-out that may be asked for, milliseconds.
pub const TIMEOUT_MS_MAX: u64 = 24 * 60 * 60 * 1000;
/// Inodes of a scratch file system, one for each so many bytes.
pub const SCRATCH_BYTES_PER_INODE: u64 = 4096;
/// Fewest and most inodes of a scratch file system.
pub const SCRATCH_INODES: std::ops::RangeInclusive<u64> = 1024..=262_144;

/// What may be asked for by `limits.memory`, bytes.
pub const MEMORY_BYTES: std::ops::RangeInclusive<u64> = (16 << 20)..=(1 << 40);
/// What may be asked for by `limits.processes`.
pub const PROCESSES: std::ops::RangeInclusive<u64> = 1..=4096;
/// What may be asked for by `limits.cpu`, hundredths of a processor.
pub const CPU_PERCENT: std::ops::RangeInclusive<u64> = 1..=102_400;
/// What may be asked for by `limits.open_files`.
pub const OPEN_FILES: std::ops::RangeInclusive<u64> = 16..=65_536;
/// What may be asked for by `limits.scratch`, bytes.
pub const SCRATCH_BYTES: std::ops::RangeInclusive<u64> = (1 << 20)..=(64 << 30);
/// What may be asked for by `limits.file_size`, bytes.
pub const FILE_BYTES: std::ops::RangeInclusive<u64> = (1 << 16)..=(1 << 40);
/// What may be asked for by `limits.io`, bytes per second. Below, even a program of its own could not be loaded.
pub const IO_BYTES: std::ops::RangeInclusive<u64> = (64 << 10)..=(1 << 40);
/// What may be asked for by `requires.landlock`.
pub const LANDLOCK_ABI: std::ops::RangeInclusive<u64> = 1..=11;

/// Instances of one shared server at once: the one in use and its successor.
pub const SPAWN_INSTANCES: u32 = 2;
/// Processes of one server that clients do not share.
pub const SCOPED_PROCESSES_MAX: u32 = 32;
/// Spawns of one server that may follow each other at once.
pub const SPAWN_BURST: u32 = 10;
/// Spawns of one server per minute after that.
pub const SPAWNS_PER_MINUTE: u32 = 60;
