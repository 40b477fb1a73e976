//! The contracts of the launcher: what the proxy may ask of it ([`message`]), and what
//! `only1mcp-compile` hands it to carry out ([`plan`]). Pure data: no socket, no file, no clock.
//!
//! The proxy can only *name* a server: no message has a field for a path, an argument, an
//! environment or a limit. Each end has its own message type, so a message cannot go the wrong way.
//!
//! Reading order: [`limits`], [`name`], [`message`], [`step`], [`enforced`], [`usage`], [`plan`], [`codec`].
#![forbid(unsafe_code)]

pub mod codec;
pub mod enforced;
pub mod limits;
pub mod message;
pub mod name;
pub mod plan;
pub mod step;
pub mod usage;

pub use codec::{Decode, DecodeError, Encode};
pub use enforced::{Enforced, Mode, Wall};
pub use message::{
    Event, Exit, InstanceId, Machine, Partition, Refusal, RefusalCode, Reply, Request, Spawned,
};
pub use name::ServerName;
pub use plan::{PlanSet, ServerPlan};
pub use step::Step;
pub use usage::Usage;
