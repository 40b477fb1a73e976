//! Installing a system call filter, and asking the kernel for its Landlock ABI.

use super::checked;
use nix::errno::Errno;
use seccompiler::sock_filter;

const LANDLOCK_CREATE_RULESET_VERSION: u32 = 1;

#[repr(C)]
struct Program {
    length: libc::c_ushort,
    filter: *const sock_filter,
}

/// Adds a filter to this thread. Needs `no_new_privs`.
///
/// By `prctl` and not by `seccomp(2)`, which the first filter already refuses when the second is
/// installed. Refusals are not logged: a server could fill the host's log with them.
///
/// # Errors
/// The kernel's.
pub fn install(filter: &[sock_filter]) -> nix::Result<()> {
    let length = libc::c_ushort::try_from(filter.len()).map_err(|_| Errno::E2BIG)?;
    let program = Program { length, filter: filter.as_ptr() };
    // SAFETY: `program` has the layout of `sock_fprog` and, like the slice it points into, outlives
    // the call; the kernel copies and checks the instructions.
    Errno::result(unsafe {
        libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program, 0, 0)
    })?;
    Ok(())
}

/// The kernel's Landlock ABI; 0 without Landlock.
#[must_use]
pub fn landlock_abi() -> u8 {
    let none: *const libc::c_void = std::ptr::null();
    // SAFETY: with this flag the kernel reads no attributes and answers with a number.
    let answer = checked(unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, none, 0_usize, LANDLOCK_CREATE_RULESET_VERSION)
    });
    answer.ok().and_then(|abi| u8::try_from(abi).ok()).unwrap_or(0)
}
