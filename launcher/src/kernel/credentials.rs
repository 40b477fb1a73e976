//! Capabilities, securebits and the session keyring.

use super::checked;
use nix::errno::Errno;

/// `_LINUX_CAPABILITY_VERSION_3`: two 32-bit words per set.
const VERSION: u32 = 0x2008_0522;
/// No kernel has more capabilities than a set has bits.
const CAPABILITIES_MAX: libc::c_ulong = 63;
const KEYCTL_JOIN_SESSION_KEYRING: libc::c_int = 1;
/// `NOROOT`, `NO_SETUID_FIXUP`, `NO_CAP_AMBIENT_RAISE` and `KEEP_CAPS` off, each with its lock.
const SECUREBITS: libc::c_ulong = 0b1110_1111;

/// A capability, by the number the kernel gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Capability {
    /// `CAP_CHOWN`.
    ChangeOwner = 0,
    /// `CAP_DAC_OVERRIDE`.
    IgnoreModes = 1,
    /// `CAP_FOWNER`.
    ActAsOwner = 3,
    /// `CAP_KILL`.
    Kill = 5,
    /// `CAP_SETGID`.
    SetGid = 6,
    /// `CAP_SETUID`.
    SetUid = 7,
}

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Words {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Keeps only `kept` in the bounding set.
///
/// # Errors
/// `EPERM` without `CAP_SETPCAP`.
pub fn limit_bounding_set(kept: &[Capability]) -> nix::Result<()> {
    for number in 0..=CAPABILITIES_MAX {
        if kept.iter().any(|&capability| capability as libc::c_ulong == number) {
            continue;
        }
        // SAFETY: only integers are passed.
        let result = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, number, 0, 0, 0) };
        match Errno::result(result) {
            // This kernel has no capability of that number, and none above.
            Err(Errno::EINVAL) => return Ok(()),
            other => other?,
        };
    }
    Ok(())
}

/// Keeps only `kept` in the effective and permitted sets; the inheritable and ambient sets end up empty.
///
/// # Errors
/// `EPERM` if one of `kept` is not permitted now.
pub fn limit_capabilities(kept: &[Capability]) -> nix::Result<()> {
    // SAFETY: only integers are passed.
    Errno::result(unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) })?;
    let low = kept.iter().fold(0, |bits, &capability| bits | 1_u32 << capability as u8);
    let header = Header { version: VERSION, pid: 0 };
    let words = [
        Words { effective: low, permitted: low, inheritable: 0 },
        Words { effective: 0, permitted: 0, inheritable: 0 },
    ];
    // SAFETY: version 3 means exactly one header and two words, laid out as the kernel's structs.
    checked(unsafe { libc::syscall(libc::SYS_capset, &raw const header, words.as_ptr()) })?;
    Ok(())
}

/// Has every capability of this process survive `execve`, as a launcher would that forgot them all.
///
/// # Errors
/// The kernel's.
#[cfg(feature = "weakened")]
pub fn keep_capabilities() -> nix::Result<()> {
    let header = Header { version: VERSION, pid: 0 };
    let mut words = [Words { effective: 0, permitted: 0, inheritable: 0 }; 2];
    // SAFETY: version 3 means exactly one header and two words, laid out as the kernel's structs.
    checked(unsafe { libc::syscall(libc::SYS_capget, &raw const header, words.as_mut_ptr()) })?;
    words.iter_mut().for_each(|word| word.inheritable = word.permitted);
    // SAFETY: as above.
    checked(unsafe { libc::syscall(libc::SYS_capset, &raw const header, words.as_ptr()) })?;
    for number in 0..=CAPABILITIES_MAX {
        // SAFETY: only integers are passed.
        let raised = unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE, number, 0, 0) };
        match Errno::result(raised) {
            // This kernel has no capability of that number, or this process does not have it.
            Err(Errno::EINVAL | Errno::EPERM) => {}
            other => drop(other?),
        }
    }
    Ok(())
}

/// Locks the securebits: a program gains nothing by uid 0, and ambient capabilities stay off.
///
/// # Errors
/// `EPERM` without `CAP_SETPCAP`.
pub fn lock_securebits() -> nix::Result<()> {
    // SAFETY: only integers are passed.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_SECUREBITS, SECUREBITS, 0, 0, 0) })?;
    Ok(())
}

/// Leaves the session keyring of whoever started us for a new, empty one.
///
/// # Errors
/// The kernel's; `ENOSYS` where it has no keyrings.
pub fn leave_session_keyring() -> nix::Result<()> {
    let unnamed: *const libc::c_char = std::ptr::null();
    // SAFETY: a null name asks for an anonymous keyring.
    checked(unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, unnamed) })?;
    Ok(())
}
