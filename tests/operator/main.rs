//! The command line as an operator uses it: documents, the running daemon, and the walls it claims.

mod documents;
mod running;
mod walls;
