//! How much of a model's context the servers take: definitions shown shorter, found by search, and long results cut.
//!
//! Reading order: [`tools`] (what clients see together), [`definition`] (one tool), [`raw`] (what is kept of it),
//! [`words`], [`index`] (which tools a question means), [`vectors`] (what a text is about), [`sentences`]
//! (descriptions cut), [`compact`] (a definition without what can be missed), [`signature`] (a tool in one line),
//! [`meta`] (our own tools), [`arguments`], [`tokens`], [`results`], [`tables`], [`flags`] (what is odd about a
//! list).

pub mod arguments;
pub mod compact;
pub mod definition;
pub mod flags;
pub mod index;
pub mod meta;
pub mod raw;
pub mod results;
pub mod sentences;
pub mod signature;
pub mod tables;
pub mod tokens;
pub mod tools;
pub mod vectors;
pub mod words;
