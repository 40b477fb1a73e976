//! The walls, one module each. Every function here runs in the child of a launch, before `execve`.
//!
//! In the order in which they go up: [`namespaces`], [`root`], [`resources`], [`privileges`],
//! [`session`], [`landlock`], [`seccomp`].

pub mod landlock;
pub mod namespaces;
pub mod privileges;
pub mod resources;
pub mod root;
pub mod seccomp;
pub mod session;
