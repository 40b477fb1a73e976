//! Landlock: the second wall behind the mounts, with every right the kernel knows.
//!
//! Its network rules name ports and no address, so they cannot tell the server's own loopback from a
//! way out: where there is a network namespace, that is the wall, and loopback works inside.

use crate::launch::failure::{At, Failure};
use crate::weakened::{Weakness, lacks};
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, Errno as LandlockErrno, PathBeneath,
    Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{SFlag, fstat};
use only1mcp_wire::Step;
use only1mcp_wire::plan::AccessRule;
use std::os::fd::OwnedFd;

/// The highest ABI whose rights this build knows; of a newer kernel no more is used.
pub const KNOWN_ABI: u8 = 10;

/// Whose network the server is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// An empty one, where it may use loopback.
    OfItsOwn,
    /// The host's, where it may use nothing.
    OfTheHost,
}

/// Enforces `rules`, on paths of the new root, at the level `abi`.
pub fn enforce(abi: u8, rules: &[AccessRule], network: Network) -> Result<(), Failure> {
    if lacks(Weakness::Landlock) {
        return Ok(());
    }
    let abi = ABI::from(i32::from(abi));
    let mut ruleset = handle_everything(abi, network).at(Step::Landlock)?;
    for rule in rules {
        ruleset = allow(ruleset, abi, rule).at_subject(Step::Landlock, &rule.path)?;
    }
    // `privileges` has set it. Were it forgotten there, this call should fail and not mend it.
    let ruleset = ruleset.no_new_privs(false);
    let status = ruleset.restrict_self().map_err(errno).at(Step::Landlock)?;
    // Cannot differ: every right was a hard requirement. But a wall is looked at, not believed in.
    if status.ruleset == RulesetStatus::FullyEnforced {
        Ok(())
    } else {
        Err(Errno::EOPNOTSUPP).at(Step::Landlock)
    }
}

fn handle_everything(abi: ABI, network: Network) -> nix::Result<RulesetCreated> {
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(abi))
        .map_err(errno)?;
    if abi >= ABI::V4 && network == Network::OfTheHost {
        ruleset = ruleset.handle_access(AccessNet::from_all(abi)).map_err(errno)?;
    }
    if abi >= ABI::V6 {
        ruleset = ruleset.scope(Scope::from_all(abi)).map_err(errno)?;
    }
    ruleset.create().map_err(errno)
}

fn allow(ruleset: RulesetCreated, abi: ABI, rule: &AccessRule) -> nix::Result<RulesetCreated> {
    // Through no link: one may have been put there by an earlier run of the server.
    let how =
        OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
    let path: OwnedFd = openat2(AT_FDCWD, rule.path.as_str(), how)?;
    let directory = SFlag::from_bits_truncate(fstat(&path)?.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR;
    let mut access = rights(abi, rule);
    if !directory {
        access &= AccessFs::from_file(abi);
    }
    if access.is_empty() {
        return Ok(ruleset);
    }
    ruleset.add_rule(PathBeneath::new(path, access)).map_err(errno)
}

/// The rights a rule means. Never devices: neither making them nor their special commands.
fn rights(abi: ABI, rule: &AccessRule) -> BitFlags<AccessFs> {
    let mut access = BitFlags::EMPTY;
    if rule.read {
        access |= AccessFs::ReadFile | AccessFs::ReadDir;
    }
    if rule.write {
        let devices = AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev;
        access |= AccessFs::from_write(abi) & !devices;
    }
    if rule.execute {
        access |= AccessFs::Execute;
    }
    access
}

/// The kernel's error below one of the crate's; `EINVAL` if there is none.
fn errno(error: RulesetError) -> Errno {
    Errno::from_raw(*LandlockErrno::from(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(read: bool, write: bool, execute: bool) -> AccessRule {
        AccessRule { path: "/x".into(), read, write, execute }
    }

    #[test]
    fn a_rule_without_rights_allows_nothing() {
        assert!(rights(ABI::V10, &rule(false, false, false)).is_empty());
    }

    #[test]
    fn writing_is_neither_reading_nor_executing_nor_making_devices() {
        let access = rights(ABI::V10, &rule(false, true, false));
        assert!(access.contains(AccessFs::WriteFile | AccessFs::Refer | AccessFs::Truncate));
        let others = AccessFs::ReadFile
            | AccessFs::Execute
            | AccessFs::MakeChar
            | AccessFs::MakeBlock
            | AccessFs::IoctlDev;
        assert!((access & others).is_empty());
    }

    #[test]
    fn the_known_abi_is_the_highest_of_the_library() {
        assert_eq!(ABI::from(i32::from(KNOWN_ABI)), ABI::from(i32::MAX));
        assert_ne!(ABI::from(i32::from(KNOWN_ABI) - 1), ABI::from(i32::MAX));
    }

    #[test]
    fn asks_an_old_kernel_for_nothing_it_does_not_know() {
        let access = rights(ABI::V1, &rule(true, true, true));
        assert!(AccessFs::from_all(ABI::V1).contains(access));
    }
}
