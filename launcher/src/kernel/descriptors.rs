//! Descriptors by number: taking over inherited ones, placing and closing them.

use super::checked;
use nix::errno::Errno;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// The child's line to the launcher.
pub const LINE: RawFd = 3;
/// The child's pidfd of the launcher.
pub const LAUNCHER: RawFd = 4;
/// The first number of the child that stands for nothing.
pub const FIRST_FREE: RawFd = 5;

/// The child's line to the launcher, once it is in its place.
#[must_use]
pub fn line() -> BorrowedFd<'static> {
    // SAFETY: `confine::session::settle` put it there and nothing closes it before `execve`.
    unsafe { BorrowedFd::borrow_raw(LINE) }
}

/// The child's pidfd of the launcher, once it is in its place.
#[must_use]
pub fn launcher() -> BorrowedFd<'static> {
    // SAFETY: as for `line`; it is used before `close_from` takes it.
    unsafe { BorrowedFd::borrow_raw(LAUNCHER) }
}

/// Opens `/dev/null` in place of each standard stream that whoever started us left closed, so that
/// nothing else ever gets its number.
///
/// # Errors
/// The kernel's.
pub fn fill_standard_streams() -> nix::Result<()> {
    for number in 0..LINE {
        // SAFETY: F_GETFD only looks the number up.
        if unsafe { libc::fcntl(number, libc::F_GETFD) } == -1 {
            // SAFETY: a constant C string; the lowest free number is this one. It stays open for ever.
            Errno::result(unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) })?;
        }
    }
    Ok(())
}

/// Takes over a descriptor that whoever started us left open under this number.
///
/// The caller must not have taken it before: `main` calls this once, before anything is opened.
///
/// # Errors
/// `EBADF` if nothing is open there.
pub fn inherited(number: RawFd) -> nix::Result<OwnedFd> {
    // SAFETY: F_GETFD only looks the number up.
    Errno::result(unsafe { libc::fcntl(number, libc::F_GETFD) })?;
    // SAFETY: it is open, and at the start of `main` no other value of this process owns it.
    let owned = unsafe { OwnedFd::from_raw_fd(number) };
    // SAFETY: F_SETFD only changes a flag of the descriptor we own.
    Errno::result(unsafe { libc::fcntl(owned.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) })?;
    Ok(owned)
}

/// Closes every descriptor from this number on.
///
/// Only for the start of `main` and for the child of a launch, which executes or ends right after:
/// any value that still owns one of them must not be used or dropped again.
///
/// # Errors
/// The kernel's.
pub fn close_from(first: RawFd) -> nix::Result<()> {
    let first = libc::c_uint::try_from(first).map_err(|_| Errno::EBADF)?;
    // SAFETY: the callers named above own nothing in the range that they still use.
    checked(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) })?;
    Ok(())
}

/// Makes `number` another name of `source`, one that survives `execve`.
///
/// Only for the child of a launch, which owns no value that stands for `number`.
///
/// # Errors
/// The kernel's.
pub fn place(source: BorrowedFd<'_>, number: RawFd) -> nix::Result<()> {
    if source.as_raw_fd() == number {
        // SAFETY: F_SETFD only clears the close-on-exec flag.
        Errno::result(unsafe { libc::fcntl(number, libc::F_SETFD, 0) })?;
        return Ok(());
    }
    // SAFETY: the target is below `FIRST_FREE`, which no value of the child owns.
    Errno::result(unsafe { libc::dup2(source.as_raw_fd(), number) })?;
    Ok(())
}

/// A copy of a descriptor with a number of at least `lowest`, close-on-exec.
///
/// # Errors
/// The kernel's.
pub fn copy_above(source: BorrowedFd<'_>, lowest: RawFd) -> nix::Result<OwnedFd> {
    // SAFETY: F_DUPFD_CLOEXEC makes a new descriptor, owned by nobody else.
    let number = Errno::result(unsafe { libc::fcntl(source.as_raw_fd(), libc::F_DUPFD_CLOEXEC, lowest) })?;
    // SAFETY: as above.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
