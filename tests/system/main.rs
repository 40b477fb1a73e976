//! System mode, in a virtual machine with a real systemd: the package, the units, what they leave and what they hide.
//!
//! Run by `tests/system/run`, which boots the machine; never on the machine of whoever runs the tests. All tests
//! share one installation and run one after the other, in two boots: those called `after_restart` in the second.

mod after_restart;
mod deaths;
mod machine;
mod package;
mod reloading;
mod secrets;
mod service;
mod serving;
mod walls;
