//! The mount calls that work on descriptors instead of paths, so that no name is looked up twice.

use super::{checked, descriptor};
use crate::weakened::{Weakness, lacks};
use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

const FSCONFIG_SET_FLAG: u32 = 0;
const FSCONFIG_SET_STRING: u32 = 1;
const FSCONFIG_CMD_CREATE: u32 = 6;
const FSOPEN_CLOEXEC: u32 = 1;
const FSMOUNT_CLOEXEC: u32 = 1;
const MOVE_MOUNT_F_EMPTY_PATH: u32 = 0x4;
const MOVE_MOUNT_T_EMPTY_PATH: u32 = 0x40;
const AT_RECURSIVE: u32 = 0x8000;
const AT_EMPTY_PATH: u32 = 0x1000;
const OPEN_TREE_CLONE: u32 = 1;
const OPEN_TREE_CLOEXEC: u32 = libc::O_CLOEXEC as u32;

/// What a mount forbids. `MOUNT_ATTR_*` bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes(u64);

impl Attributes {
    /// No set-uid.
    pub const NO_SETUID: Self = Self(0x2);
    /// No writing.
    pub const READ_ONLY: Self = Self(0x1);
    /// No device files.
    pub const NO_DEVICES: Self = Self(0x4);
    /// No execution.
    pub const NO_EXEC: Self = Self(0x8);

    /// What the kernel is asked to forbid.
    fn bits(self) -> u64 {
        let removable = [
            (Self::READ_ONLY, Weakness::ReadOnlyMounts),
            (Self::NO_SETUID, Weakness::NoSetuidMounts),
            (Self::NO_DEVICES, Weakness::NoDeviceMounts),
            (Self::NO_EXEC, Weakness::NoExecMounts),
        ];
        let lacking = removable.iter().filter(|(_, weakness)| lacks(*weakness));
        lacking.fold(self.0, |bits, (attribute, _)| bits & !attribute.0)
    }

    /// Both sets, if `condition`; else only this.
    #[must_use]
    pub const fn and_if(self, other: Self, condition: bool) -> Self {
        if condition { Self(self.0 | other.0) } else { self }
    }
}

/// Whether a call is for one mount or for all mounts below it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Only this mount.
    One,
    /// This mount and all below it.
    All,
}

/// A new, detached mount of a file system, with its options as `(key, value)`; an empty value makes
/// a flag.
///
/// # Errors
/// The kernel's.
pub fn new_filesystem(
    kind: &CStr,
    options: &[(&CStr, &CStr)],
    attributes: Attributes,
) -> nix::Result<OwnedFd> {
    // SAFETY: `kind` is a C string; the kernel copies it.
    let context = descriptor(unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), FSOPEN_CLOEXEC) })?;
    let configure = |command: u32, key: *const libc::c_char, value: *const libc::c_char| {
        // SAFETY: `key` and `value` are null or come from C strings that outlive the call.
        checked(unsafe { libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), command, key, value, 0) })
    };
    for (key, value) in options {
        if value.is_empty() {
            configure(FSCONFIG_SET_FLAG, key.as_ptr(), std::ptr::null())?;
        } else {
            configure(FSCONFIG_SET_STRING, key.as_ptr(), value.as_ptr())?;
        }
    }
    configure(FSCONFIG_CMD_CREATE, std::ptr::null(), std::ptr::null())?;
    // SAFETY: only integers are passed.
    descriptor(unsafe {
        libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), FSMOUNT_CLOEXEC, attributes.bits())
    })
}

/// A detached copy of the mounts at and below the file or directory `source`.
///
/// # Errors
/// The kernel's; `EINVAL` if `source` was opened in another mount namespace.
pub fn copy_tree(source: BorrowedFd<'_>) -> nix::Result<OwnedFd> {
    let flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE;
    // SAFETY: the path is a constant C string.
    descriptor(unsafe { libc::syscall(libc::SYS_open_tree, source.as_raw_fd(), c"".as_ptr(), flags) })
}

/// Forbids `attributes` on a mount. Nothing is ever allowed by this call.
///
/// # Errors
/// The kernel's.
pub fn restrict(mount: BorrowedFd<'_>, attributes: Attributes, depth: Depth) -> nix::Result<()> {
    let request = libc::mount_attr { attr_set: attributes.bits(), attr_clr: 0, propagation: 0, userns_fd: 0 };
    let flags = AT_EMPTY_PATH | if depth == Depth::All { AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a constant C string, and `request` outlives the call, which only reads it.
    checked(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const request,
            size_of_val(&request),
        )
    })?;
    Ok(())
}

/// Attaches a detached mount at the file or directory `target`.
///
/// # Errors
/// The kernel's.
pub fn attach(mount: BorrowedFd<'_>, target: BorrowedFd<'_>) -> nix::Result<()> {
    let flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
    // SAFETY: both paths are constant C strings.
    checked(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            mount.as_raw_fd(),
            c"".as_ptr(),
            target.as_raw_fd(),
            c"".as_ptr(),
            flags,
        )
    })?;
    Ok(())
}
