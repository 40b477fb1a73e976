//! What `only1mcp-compile` prints and the launcher carries out.

use crate::bounds;
use only1mcp_wire::limits::{PLAN_SET_BYTES_MAX, SERVERS_MAX};
use only1mcp_wire::{DecodeError, PlanSet};

/// A plan set has one encoding, no unread byte, and each of its servers is found by its name.
///
/// # Panics
/// If not.
pub fn holds(bytes: &[u8]) {
    let Ok(set) = bounds::decoding(bytes.len(), || PlanSet::from_bytes(bytes)) else { return };
    assert!(set.servers.len() <= SERVERS_MAX);
    assert!(set.to_bytes() == bytes, "the plan set has another encoding");
    for plan in &set.servers {
        assert_eq!(set.server(&plan.name), Some(plan), "{} is not found", plan.name);
    }
    let longer = [bytes, &[0]].concat();
    if longer.len() <= PLAN_SET_BYTES_MAX {
        assert_eq!(PlanSet::from_bytes(&longer), Err(DecodeError::Trailing), "a byte was left over");
    }
    let shorter = bytes.split_last().map(|(_, shorter)| shorter).unwrap_or_default();
    assert!(PlanSet::from_bytes(shorter).is_err(), "a byte was missing");
}
