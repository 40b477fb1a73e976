//! Decides, never acts: configuration and policy documents become checked plans, a view and verdicts.
//! No clock, no socket, no async: values in, values out. Even the host's files are asked about through
//! a trait, so that every decision can be tested on a tree in memory.
//!
//! Reading order: [`limits`], [`finding`], [`document`], [`files`], [`path`], [`profile`],
//! [`system_calls`], [`floor`], [`protected`], [`resolve`], [`root`], [`policy`], [`check`], [`plan`],
//! [`view`], [`redact`], [`explain`], [`show`], [`schema`],
//! [`stand_in`], [`confinement`], [`diff`].
#![forbid(unsafe_code)]

pub mod check;
pub mod confinement;
pub mod diff;
pub mod document;
pub mod explain;
pub mod files;
pub mod finding;
pub mod floor;
#[cfg(test)]
mod golden;
pub mod interpolate;
pub mod limits;
pub mod path;
pub mod plan;
pub mod policy;
pub mod printable;
pub mod profile;
pub mod protected;
pub mod redact;
pub mod resolve;
pub mod root;
pub mod schema;
pub mod show;
pub mod stand_in;
pub mod system_calls;
pub mod view;
