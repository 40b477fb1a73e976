//! The protocol as data: raw JSON in, raw JSON out, no task, no socket.
//!
//! Reading order: [`object`] (one level of raw JSON), [`edit`] and [`within`] (change a member, keep the rest),
//! [`envelope`] (a JSON-RPC message), [`method`], [`version`], [`error`], [`level`], [`request`] (what goes to a
//! server), [`normalise`] and [`content`] (what comes back, for clients of other eras and revisions), [`names`] (of the
//! aggregate),
//! [`capability`], [`input`], [`digest`] (what servers ask back).

pub mod capability;
pub mod content;
pub mod digest;
pub mod edit;
pub mod envelope;
pub mod error;
pub mod input;
pub mod level;
pub mod method;
pub mod names;
pub mod normalise;
pub mod object;
pub mod request;
pub mod version;
pub mod within;
