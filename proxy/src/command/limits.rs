//! Every bound of the command line, with its unit, in one place.

use crate::limits::LIST_BYTES_MAX;
use std::time::Duration;

/// First wait before a worker that ended is started again.
pub const BACK_OFF_FIRST: Duration = Duration::from_millis(100);
/// Longest wait before a worker that ended is started again.
pub const BACK_OFF_MAX: Duration = Duration::from_secs(10);
/// A worker that ran this long counts as well again.
pub const STEADY_AFTER: Duration = Duration::from_secs(10);
/// From the first signal until a further one means: now.
pub const STOP_AGAIN: Duration = Duration::from_secs(1);
/// From the first signal until the proxy is killed.
pub const STOP_PROXY: Duration = Duration::from_secs(8);
/// From the first signal until everything is killed.
pub const STOP_ALL: Duration = Duration::from_secs(10);
/// How long `stdio` waits for a daemon it started.
pub const DAEMON_START: Duration = Duration::from_secs(15);
/// How long one question of `stdio` whether the daemon answers may take.
pub const DAEMON_ANSWER: Duration = Duration::from_secs(1);
/// How often `stdio` looks whether the daemon answers.
pub const DAEMON_LOOK: Duration = Duration::from_millis(25);
/// How long `stdio` waits for answers after its client closed its end.
pub const STDIO_DRAIN: Duration = Duration::from_secs(30);
/// How long `stdio --url` waits for the end of its session to be taken note of.
pub const REMOTE_FAREWELL: Duration = Duration::from_secs(1);
/// Requests `stdio --url` has under way at once; a further line waits.
pub const REMOTE_REQUESTS_MAX: usize = 64;
/// Lines that may wait for a slow client of `stdio --url`.
pub const REMOTE_LINES_MAX: usize = 256;
/// Bytes of one answer or event `stdio --url` reads.
pub const REMOTE_ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How often `policy test` looks whether the attacker has ended.
pub const TEST_LOOK: Duration = Duration::from_millis(20);
/// First uid of the pools of `policy test` as root: beside the daemon's, so that no canary is a real server's.
pub const TEST_POOL_FIRST: u32 = POOL_FIRST + POOL_COUNT;
/// Uids of one of these pools.
pub const TEST_POOL_COUNT: u32 = 1024;
/// How many such pools there are, for tests at the same time.
pub const TEST_POOLS: u32 = 64;
/// How long `status` waits for an answer.
pub const STATUS_ANSWER: Duration = Duration::from_secs(5);
/// How long `context` waits for an answer: a daemon that has just begun waits for its servers first.
pub const CONTEXT_ANSWER: Duration = Duration::from_secs(30);
/// Bytes of the definitions of all tools of a daemon.
pub const CONTEXT_BYTES_MAX: usize = 32 * LIST_BYTES_MAX;
/// Bytes of one recorded list of tools, and what stands around it.
pub const CONTEXT_FILE_BYTES_MAX: u64 = 2 * LIST_BYTES_MAX as u64;
/// How long the daemon may take to read its configuration.
pub const RELOAD_ANSWER: Duration = Duration::from_secs(60);
/// How long `call` waits for one message.
pub const CALL_ANSWER: Duration = Duration::from_secs(600);
/// Bytes of an answer of the admin socket, but for `context`.
pub const STATUS_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Flags of one server in the table of `status`.
pub const STATUS_FLAGS_MAX: usize = 3;
/// Bytes of one line that `call` reads.
pub const CALL_LINE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Pages of `tools/list` that `call` reads.
pub const CALL_PAGES_MAX: usize = 1000;
/// Bytes of the end of the daemon's log shown when it does not start.
pub const LOG_TAIL_BYTES: u64 = 4096;
/// Private instances of one configuration that may run at once.
pub const PRIVATE_INSTANCES_MAX: u32 = 32;
/// Addresses one name given to `--listen` may have.
pub const LISTEN_ADDRESSES_MAX: usize = 4;
/// Connections that may wait to be accepted on one socket.
pub const SOCKET_BACKLOG: i32 = 1024;
/// Bytes of the path of a Unix socket, the final NUL not counted.
pub const SOCKET_PATH_BYTES_MAX: usize = 107;
/// First uid of the pool in root mode: outside every range of systemd's table.
pub const POOL_FIRST: u32 = 0x7000_0000;
/// Uids of the pool in root mode.
pub const POOL_COUNT: u32 = 65_536;
/// The first of the pool's uids that a server may get; those before are the launcher's and the proxy's.
pub const POOL_RESERVED: u32 = 16;
/// Bytes of randomness in the token.
pub const TOKEN_BYTES: usize = 32;
