//! Everything a client reaches, and the command line. This crate never starts a server: it names one
//! to the launcher and speaks MCP over the pipes it gets back.
//!
//! Reading order: [`command`] (what a person types), [`serve`] (start the proxy), [`front`] (who
//! speaks to clients), [`exchange`] (the seam), [`core`] (answer one request), [`servers`] (who speaks
//! to servers), [`mcp`] (the protocol as data), [`limits`].

pub mod command;
pub mod context;
pub mod core;
pub mod exchange;
pub mod front;
#[cfg(test)]
mod golden;
mod kernel;
pub mod limits;
pub mod lock;
pub mod mcp;
pub mod serve;
pub mod servers;
