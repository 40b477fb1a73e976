//! Who speaks to servers.
//!
//! Reading order: [`spawn`] (the seam to whoever starts them), [`launcher`] (who does), [`server`] (one
//! server, started again and again), [`era`] (the first words), [`connection`] (one process), [`reader`],
//! [`outbox`], [`pending`], [`server_request`], [`cache`], [`backlog`], [`stderr`] (its parts).

pub mod backlog;
pub mod cache;
pub mod connection;
pub mod era;
pub mod launcher;
pub mod outbox;
pub mod pending;
pub mod reader;
pub mod server;
pub mod server_request;
pub mod spawn;
pub mod stderr;
