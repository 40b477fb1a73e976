//! Bad input: each gives one clear error that names the thing and the mend, the rest goes on, nothing is lost.

mod documents;
mod hostile;
mod requests;
mod servers;
