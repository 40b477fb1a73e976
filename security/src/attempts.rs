//! The attempts themselves, by what they attack; each file ends with its part of the catalogue.

pub mod calls;
pub mod common_ground;
pub mod escalation;
pub mod execution;
pub mod files;
pub mod fuzz;
pub mod leaks;
pub mod lineage;
pub mod lookout;
pub mod mounts;
pub mod network;
pub mod privileges;
pub mod processes;
pub mod resources;
pub mod sockets;
pub mod surface;
pub mod tables;
pub mod tampering;
pub mod twins;

use std::ffi::{CStr, CString};

use crate::call;
use crate::probe::Targets;
use crate::probe::kernel::Answer;
use crate::probe::targets::Missing;

/// Where a server may write, inside.
const STATE: &str = "/state";

/// What this machine has of the files that attempts ask for: run outside, it becomes targets.
#[must_use]
pub fn found_on_this_machine() -> [(&'static str, String); 6] {
    let present = |files: &[&str]| -> String {
        let found: Vec<&str> =
            files.iter().copied().filter(|file| std::fs::symlink_metadata(file).is_ok()).collect();
        found.join(",")
    };
    [
        ("devices", present(&files::DEVICES)),
        ("knobs", present(&leaks::KNOBS)),
        ("places", present(&lookout::PLACES)),
        ("setuid_programs", present(&lineage::SETUID_PROGRAMS)),
        ("groups", present(&escalation::GROUPS)),
        ("switches", present(&escalation::SWITCHES)),
    ]
}

/// A path below the directory where the probe may write: the target `scratch`, or the state directory.
fn scratch(targets: &Targets, name: &str) -> Result<CString, Missing> {
    let directory = targets.text("scratch").unwrap_or(STATE);
    c_string(&format!("{directory}/{name}"))
}

/// Where temporary files go: `/tmp`, or what stands in for it without a root of its own.
fn temporary() -> String {
    std::env::var("TMPDIR").unwrap_or_else(|_| "/tmp".to_owned())
}

fn c_string(text: &str) -> Result<CString, Missing> {
    CString::new(text).map_err(|_| format!("{text:?} holds a NUL"))
}

fn open(path: &CStr, flags: i32) -> Answer {
    call!(libc::SYS_openat, libc::AT_FDCWD, path, flags | libc::O_CLOEXEC | libc::O_NONBLOCK, 0o600)
}

/// Opens and reads at least one byte, so that an empty promise does not count.
fn read(path: &CStr) -> Answer {
    let descriptor = open(path, libc::O_RDONLY)?;
    let mut byte = [0_u8; 1];
    let answer = call!(libc::SYS_read, descriptor, byte.as_mut_slice());
    let _ = close(descriptor);
    answer
}

fn close(descriptor: i64) -> Answer {
    call!(libc::SYS_close, descriptor)
}

fn write_new(path: &CStr, content: &[u8]) -> Answer {
    let descriptor = open(path, libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC)?;
    let answer = call!(libc::SYS_write, descriptor, content, content.len());
    let _ = close(descriptor);
    answer
}

fn unlink(path: &CStr) -> Answer {
    call!(libc::SYS_unlinkat, libc::AT_FDCWD, path, 0)
}
