//! All privileges go: five empty capability sets, locked securebits, no new privileges.

use crate::kernel::credentials;
use crate::launch::failure::{At, Failure};
use crate::weakened::{Weakness, lacks};
use nix::errno::Errno;
use nix::sys::prctl;
use only1mcp_wire::Step;

/// Drops everything. In this order, because all but the last need a capability that is dropped.
pub fn drop_all() -> Result<(), Failure> {
    leave_session_keyring()?;
    drop_capabilities()?;
    forbid_new_privileges()
}

fn leave_session_keyring() -> Result<(), Failure> {
    if lacks(Weakness::SessionKeyring) {
        return Ok(());
    }
    match credentials::leave_session_keyring() {
        // No keyrings in this kernel, or no room for one more. Then the server stays attached to a
        // keyring that it cannot reach: the filter refuses every keyring call.
        Ok(()) | Err(Errno::ENOSYS | Errno::EDQUOT) => Ok(()),
        Err(errno) => Err(errno).at_subject(Step::Privileges, "session keyring"),
    }
}

fn drop_capabilities() -> Result<(), Failure> {
    #[cfg(feature = "weakened")]
    if lacks(Weakness::NoCapabilities) {
        return credentials::keep_capabilities().at(Step::Privileges);
    }
    if !lacks(Weakness::BoundingSet) {
        credentials::limit_bounding_set(&[]).at_subject(Step::Privileges, "bounding set")?;
    }
    if !lacks(Weakness::UnlockedSecurebits) {
        credentials::lock_securebits().at_subject(Step::Privileges, "securebits")?;
    }
    // Without "no new privileges" it takes a capability to go on; `execve` ends it.
    if lacks(Weakness::NoNewPrivileges) {
        return Ok(());
    }
    credentials::limit_capabilities(&[]).at_subject(Step::Privileges, "capabilities")
}

fn forbid_new_privileges() -> Result<(), Failure> {
    if lacks(Weakness::NoNewPrivileges) {
        return Ok(());
    }
    prctl::set_no_new_privs().at_subject(Step::Privileges, "no new privileges")
}

/// What is possible without a user namespace of its own: an ordinary user has no capability to drop,
/// and with no new privileges the bounding set means nothing.
pub fn drop_what_an_ordinary_user_can() -> Result<(), Failure> {
    credentials::limit_capabilities(&[]).at_subject(Step::Privileges, "capabilities")?;
    forbid_new_privileges()
}
