//! A system call filter that takes away one call.

use nix::errno::Errno;
use nix::sys::utsname::uname;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

/// Refuses ourselves `uname` and calls it.
pub(super) fn refuse_a_call() -> Result<String, Errno> {
    let arch = std::env::consts::ARCH.try_into().map_err(|_| Errno::ENOSYS)?;
    let rules = [(nix::libc::SYS_uname, Vec::new())].into_iter().collect();
    let denied = SeccompAction::Errno(Errno::EUSERS as u32);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, denied, arch).map_err(|_| Errno::EINVAL)?;
    let program: BpfProgram = filter.try_into().map_err(|_| Errno::EINVAL)?;
    apply_filter(&program).map_err(|_| Errno::last())?;
    match uname() {
        Err(Errno::EUSERS) => Ok(String::new()),
        // In force by its own account, and yet not.
        _ => Err(Errno::ENOSYS),
    }
}
