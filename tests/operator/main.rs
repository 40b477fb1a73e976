//! The command line as an operator uses it: documents, the running daemon, and the walls it claims.

mod comparing;
mod documents;
mod proving;
mod running;
mod walls;
