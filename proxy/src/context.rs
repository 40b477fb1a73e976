//! How much of a model's context the servers take: definitions shown shorter, found by search, and long results cut.
//!
//! Reading order: [`definition`] (one tool), [`words`], [`index`] (which tools a question means).

pub mod definition;
pub mod index;
pub mod words;
