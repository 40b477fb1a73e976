//! The command line as processes: the program itself, with stand-ins for all programs it starts.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests and what serves them")]

#[path = "command/fakes.rs"]
mod fakes;
#[path = "command/one_shot.rs"]
mod one_shot;
#[path = "command/remote.rs"]
mod remote;
#[path = "command/start.rs"]
mod start;
#[path = "command/stdio.rs"]
mod stdio;
