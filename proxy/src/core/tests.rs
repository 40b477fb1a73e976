//! The core from a front's side, over scripted servers.

mod aggregate;
mod cells;
mod failure;
mod misbehaviour;
mod watching;
