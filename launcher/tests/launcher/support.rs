//! The launcher as its proxy and supervisor see it: a process, a socket, messages, descriptors.

pub mod forged;
pub mod plans;
pub mod proxy;
pub mod running;
