//! Every bound of the launcher, with its unit, in one place. Those of the wire are in `only1mcp-wire`.

use std::time::Duration;

/// How long a launch may take from the fork to the server's `execve`.
pub const LAUNCH_TIME_MAX: Duration = Duration::from_secs(10);
/// How long `only1mcp-compile` may take.
pub const COMPILE_TIME_MAX: Duration = Duration::from_secs(20);
/// Bytes of findings kept of `only1mcp-compile`.
pub const FINDINGS_BYTES_MAX: u64 = 64 * 1024;
/// Servers that run at once, all names together.
pub const INSTANCES_MAX: usize = 256;
/// Messages that wait for a proxy that does not read; one more and the connection is closed.
pub const OUTBOX_MESSAGES_MAX: usize = 512;
/// Lines of the log that a proxy may cause in [`CAUSED_LINES_TIME`]; more are counted and left out.
pub const CAUSED_LINES_MAX: u32 = 100;
/// The stretch of time for which these lines are counted.
pub const CAUSED_LINES_TIME: Duration = Duration::from_secs(60);
/// Bytes of one credential.
pub const CREDENTIAL_BYTES_MAX: u64 = 64 * 1024;
/// Bytes of what a failing step says of its subject.
pub const SUBJECT_BYTES_MAX: usize = 1024;
/// Descriptors the launcher itself may have open; its own soft limit is raised to this or the hard one.
pub const OPEN_FILES_MAX: u64 = 65_536;
/// How long a server may go on under a plan that is no longer in force.
pub const DRAIN_TIME: Duration = Duration::from_secs(60);
/// Grace of servers when the launcher itself is told to end.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);
/// How long after SIGKILL a server may still be there before that is logged.
pub const KILL_TIME_MAX: Duration = Duration::from_secs(10);
/// How long what a killed launcher left may take to end, at the next start.
pub const STALE_TIME_MAX: Duration = Duration::from_secs(1);
/// How often that is looked at.
pub const STALE_LOOK: Duration = Duration::from_millis(5);
/// How often it is looked whether a cgroup that was not empty is empty now.
pub const TIDY_INTERVAL: Duration = Duration::from_millis(100);
/// How often a server that goes on running into a limit is reported.
pub const LIMIT_REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// How long a change of the configuration must rest before it is read.
pub const SETTLE_TIME: Duration = Duration::from_millis(200);
/// How long changes may go on before the configuration is read in spite of them.
pub const CHANGE_TIME_MAX: Duration = Duration::from_secs(2);
/// How long a faulty configuration is left alone where its changes cannot be watched.
pub const UNWATCHED_TIME_MAX: Duration = Duration::from_secs(10);
/// Bytes of the new root's own tmpfs: links, synthetic files and mount points.
pub const ROOT_TMPFS_SIZE: &std::ffi::CStr = c"16m";
/// Files of the new root's own tmpfs.
pub const ROOT_TMPFS_INODES: &std::ffi::CStr = c"16384";
/// `RLIMIT_MEMLOCK` of a server, bytes.
pub const LOCKED_MEMORY_BYTES: u64 = 64 * 1024;
/// `RLIMIT_SIGPENDING` of a server.
pub const PENDING_SIGNALS: u64 = 1024;
/// How often minimal mode looks for processes that were started while it killed others.
pub const KILL_ROUNDS_MAX: usize = 64;
/// How long an orphan that was killed is waited for, milliseconds. Only the kernel can hold it up.
pub const ORPHAN_TIME_MAX_MS: u8 = 200;
/// Requests to read the configuration again that may wait for an answer.
pub const RELOADS_ASKED_MAX: usize = 16;
