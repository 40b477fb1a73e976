//! Decides, never acts: configuration and policy documents become checked plans, a view and verdicts.
//! No clock, no file, no socket, no async: values in, values out.
#![forbid(unsafe_code)]

pub mod view;
