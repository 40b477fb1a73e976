//! The real launcher, driven over its socket: by root, and by an ordinary user.
//!
//! Root runs every test twice, once in each mode; anybody else once. Needs `only1mcp-init` built.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests"
)]

mod cgroup;
mod ending;
mod launching;
mod minimal;
mod reading;
mod support;
mod walls;
mod wire;
