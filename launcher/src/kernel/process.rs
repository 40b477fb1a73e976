//! Processes by pidfd, the helper of the root phase, and ending without ceremony.

use super::{checked, descriptor};
use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::unistd::ForkResult;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// The highest signal of Linux.
const SIGNALS_MAX: libc::c_int = 64;

/// A descriptor for the process with this id.
///
/// # Errors
/// The kernel's.
pub fn open(pid: u32) -> nix::Result<OwnedFd> {
    // SAFETY: only integers are passed.
    descriptor(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })
}

/// Sends a signal to exactly this process.
///
/// # Errors
/// The kernel's; `ESRCH` if it ended.
pub fn signal(process: BorrowedFd<'_>, signal: Signal) -> nix::Result<()> {
    let information: *const libc::siginfo_t = std::ptr::null();
    // SAFETY: with no information the kernel fills it in as for `kill`.
    checked(unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), signal as libc::c_int, information, 0)
    })?;
    Ok(())
}

/// Forks.
///
/// # Errors
/// The kernel's.
pub fn fork() -> nix::Result<ForkResult> {
    // SAFETY: the launcher has one thread (checked at start), so the child may do whatever it could.
    unsafe { nix::unistd::fork() }
}

/// Ends this process at once, for a child that must run none of the launcher's clean-up.
pub fn end(status: i32) -> ! {
    // SAFETY: `_exit` takes a plain number and does not return.
    unsafe { libc::_exit(status) }
}

/// Sets every signal to its default, those too that the C library keeps to itself: whoever started
/// the launcher may have ignored them.
pub fn default_signals() {
    /// The kernel's own `sigaction`, of which all zeros means the default.
    #[repr(C)]
    struct Action {
        handler: usize,
        flags: libc::c_ulong,
        restorer: usize,
        mask: u64,
    }
    let default = Action { handler: libc::SIG_DFL, flags: 0, restorer: 0, mask: 0 };
    let nowhere: *mut Action = std::ptr::null_mut();
    for number in 1..=SIGNALS_MAX {
        // SAFETY: the default action runs no code of ours; the two signals that cannot be changed are
        // refused, which changes nothing.
        unsafe {
            libc::syscall(libc::SYS_rt_sigaction, number, &raw const default, nowhere, size_of::<u64>());
        }
    }
}

/// Eight bytes nobody can guess.
///
/// # Errors
/// The kernel's; not once it has booted.
pub fn random() -> nix::Result<u64> {
    let mut bytes = [0; 8];
    // SAFETY: the kernel writes at most the length of the array.
    let count =
        checked(unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) as libc::c_long })?;
    if usize::try_from(count) == Ok(bytes.len()) { Ok(u64::from_le_bytes(bytes)) } else { Err(Errno::EAGAIN) }
}
