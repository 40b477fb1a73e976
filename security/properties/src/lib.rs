//! What must hold of every byte stream a stranger may write, as functions of bytes. Each panics where its property
//! fails. libFuzzer calls them with what it makes up (`security/fuzz`), `cargo test` with every kept corpus file
//! (`tests/replay.rs`), so that what was found once stays mended.
//!
//! Reading order: [`bounds`] (what one input may cost); [`wire_message`], [`wire_value`], [`plan`] (the launcher's
//! contracts); [`policy_document`], [`policy_word`], [`yaml_agreement`] (what an operator writes); [`envelope`],
//! [`client_message`], [`headers`], [`events`], [`names`], [`definition`] (what clients and servers send).
#![forbid(unsafe_code)]

pub mod bounds;
pub mod client_message;
pub mod definition;
pub mod envelope;
pub mod events;
pub mod headers;
mod host;
pub mod names;
pub mod plan;
pub mod policy_document;
pub mod policy_word;
pub mod wire_message;
pub mod wire_value;
pub mod yaml_agreement;

/// A property of bytes: it panics where it does not hold.
pub type Property = fn(&[u8]);

/// Every property, by the name of its fuzz target and its corpus.
pub const ALL: [(&str, Property); 12] = [
    ("wire_message", wire_message::holds),
    ("wire_value", wire_value::holds),
    ("plan", plan::holds),
    ("policy_document", policy_document::holds),
    ("policy_word", policy_word::holds),
    ("yaml_agreement", yaml_agreement::holds),
    ("envelope", envelope::holds),
    ("client_message", client_message::holds),
    ("headers", headers::holds),
    ("events", events::holds),
    ("names", names::holds),
    ("definition", definition::holds),
];
