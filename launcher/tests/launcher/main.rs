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

mod descriptors;
mod ending;
mod hostile;
mod launching;
mod minimal;
mod planting;
mod races;
mod reading;
mod strangers;
mod support;
mod walls;
mod wire;
