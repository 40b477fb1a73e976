//! How much of a model's context the servers take: definitions shown shorter, found by search, and long results cut.
//!
//! Reading order: [`definition`] (one tool), [`words`], [`index`] (which tools a question means); [`flags`] (what is odd about a list).

pub mod definition;
pub mod flags;
pub mod index;
pub mod words;
