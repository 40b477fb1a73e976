//! The only unsafe code of the launcher: system calls for which no safe wrapper exists.
//!
//! Each function is one call or one short protocol; what to call and when is decided elsewhere.
//! Files: [`clone`], [`credentials`], [`descriptors`], [`filter`], [`mount`], [`network`], [`process`].
#![expect(unsafe_code, reason = "raw system calls; nothing else of the launcher may contain any")]

pub mod clone;
pub mod credentials;
pub mod descriptors;
pub mod filter;
pub mod mount;
pub mod network;
pub mod process;

use nix::errno::Errno;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// The result of a raw system call that answers with a plain number.
fn checked(result: libc::c_long) -> nix::Result<libc::c_long> {
    Errno::result(result)
}

/// The result of a raw system call that answers with a new descriptor.
fn descriptor(result: libc::c_long) -> nix::Result<OwnedFd> {
    let number = RawFd::try_from(Errno::result(result)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel just returned this number as a new descriptor, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
