//! Tries the catalogue against the real programs: each attempt as control outside, attack inside and twin inside.
//!
//! In reading order: [`canaries`] sets up what must stay untouched, [`surroundings`] what else goes on; [`daemon`] starts the programs over a
//! configuration, [`supervisor`] keeps them running and [`relay`] speaks to a server in them; [`control`] proves that the question is real;
//! [`trial`] asks it inside and judges the answer; [`table`] shows what came of it.

pub mod canaries;
pub mod common_ground;
pub mod control;
pub mod daemon;
pub mod fault;
pub mod granted;
pub mod machine;
pub mod relay;
pub mod supervisor;
pub mod surroundings;
pub mod table;
pub mod trial;
pub mod verdict;
