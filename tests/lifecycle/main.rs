//! Stop and death: whatever is killed, what should be gone is gone, what should run comes back, and the next call works.

mod deaths;
mod ends;
