//! The real launcher, driven over its socket: by root, by an ordinary user, and as systemd starts it.
//!
//! Root runs every test in each mode; anybody else in user mode. Needs `only1mcp-init` and `-compile` built.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests"
)]

mod cgroup;
mod descriptors;
mod ending;
mod hostile;
mod launching;
mod minimal;
mod planting;
mod pool;
mod races;
mod reading;
mod strangers;
mod stuck;
mod support;
mod walls;
mod wire;
