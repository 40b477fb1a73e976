//! Limits of servers on a machine whose cgroup v2 has all controllers, as root in a delegated scope of systemd.
//!
//! Each attempt is a triple: outside nothing holds it, inside the kernel does with the exact answer, and what is
//! within the limit works. What the launcher wrote is read by a library that has never heard of it. Run by
//! `tests/vm/run`, one test at a time: they measure, and some take all of the machine that they can get.

mod delegated;
mod disks;
mod ends;
mod memory;
mod processes;
mod processor;
mod reader;
