//! Every bound of the wire, with its unit, in one place.

/// Bytes of one message of either end, header included.
pub const MESSAGE_BYTES_MAX: usize = 4096;
/// Descriptors one message may carry.
pub const DESCRIPTORS_MAX: usize = 16;
/// Bytes of a server's name.
pub const SERVER_NAME_BYTES_MAX: usize = 32;
/// Names in one page of a LIST reply.
pub const LIST_PAGE_NAMES: usize = 64;
/// Longest grace a STOP may ask for before the kill, in milliseconds.
pub const STOP_GRACE_MS_MAX: u32 = 10_000;
/// Bytes of a whole plan set, as printed by `only1mcp-compile`.
pub const PLAN_SET_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Servers one configuration may have.
pub const SERVERS_MAX: usize = 1024;
/// Bytes of any one text or byte string in a plan (the view is the one exception).
pub const PLAN_TEXT_BYTES_MAX: usize = 256 * 1024;
/// Entries of any one list in a plan.
pub const PLAN_LIST_ENTRIES_MAX: usize = 4096;
