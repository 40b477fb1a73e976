//! Who speaks to servers.
//!
//! Reading order: [`spawn`] (the seam to whoever starts them), [`launcher`] (who does), [`server`] (one
//! server), [`balancer`], [`budget`], [`durations`], [`replica`] (a process of it, started again and again), [`circuit`], [`era`]
//! (the first words), [`connection`] (one process), [`reader`], [`outbox`], [`pending`], [`server_request`],
//! [`cache`], [`backlog`], [`stderr`] (its parts).

pub mod backlog;
pub mod balancer;
pub mod budget;
pub mod cache;
pub mod circuit;
pub mod connection;
pub mod durations;
pub mod era;
pub mod launcher;
pub mod outbox;
pub mod pending;
pub mod reader;
pub mod replica;
pub mod server;
pub mod server_request;
pub mod spawn;
pub mod stderr;
