//! The proof: every attack we know, tried from inside a real sandbox, and the two built-in servers.
//!
//! It never decides what a server may do and never confines anything: it only tries. In reading order:
//! [`catalogue`] says what is tried and what the kernel must answer; [`attempts`] tries it; [`probe`] runs one
//! attempt and words the answer; [`server`] is the smallest MCP server that serves; [`probe_server`] and
//! [`notes`] are the two servers built on it; [`runner`] tries the whole catalogue against the real programs;
//! [`proof`] does so under one server's own policy; [`coverage`] says what tests of their own hold and what does
//! not apply; [`ledger`] writes all that down for people.

pub mod attempts;
pub mod catalogue;
pub mod coverage;
pub mod driven;
pub mod ledger;
pub mod notes;
pub mod probe;
pub mod probe_server;
pub mod proof;
pub mod runner;
pub mod server;
