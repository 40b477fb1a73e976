//! How much of a model's context the servers take: definitions shown shorter, found by search, and long results cut.
//!
//! Reading order: [`tools`] (what clients see together), [`definition`] (one tool), [`words`], [`index`] (which tools a
//! question means), [`sentences`] (descriptions cut), [`compact`] (a definition without what can be missed),
//! [`signature`] (a tool in one line), [`meta`] (our own tools), [`arguments`], [`tokens`], [`results`], [`tables`].

pub mod arguments;
pub mod compact;
pub mod definition;
pub mod index;
pub mod meta;
pub mod results;
pub mod sentences;
pub mod signature;
pub mod tables;
pub mod tokens;
pub mod tools;
pub mod words;
