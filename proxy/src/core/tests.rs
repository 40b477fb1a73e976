//! The core from a front's side, over scripted servers.

mod aggregate;
mod asking_back;
mod caching;
mod cells;
mod failure;
mod flags;
mod misbehaviour;
mod pool;
mod scope;
mod tasks;
mod views;
mod watching;
