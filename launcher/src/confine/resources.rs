//! Resource limits of the process. They are only ever lowered: nobody here may raise a hard limit.

use crate::launch::failure::{At, Failure};
use crate::limits::{LOCKED_MEMORY_BYTES, PENDING_SIGNALS};
use crate::weakened::{Weakness, lacks};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use only1mcp_wire::Step;
use only1mcp_wire::plan::Limits;

/// Sets all limits of the plan, and zero for what no server needs.
pub fn limit(limits: &Limits) -> Result<(), Failure> {
    if lacks(Weakness::ResourceLimits) {
        return Ok(());
    }
    let wanted = [
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_NOFILE, limits.open_files.into()),
        (Resource::RLIMIT_FSIZE, limits.file_bytes),
        // Counted per user namespace, so that a sandbox does not count the person's own processes.
        (Resource::RLIMIT_NPROC, limits.processes.into()),
        (Resource::RLIMIT_MEMLOCK, LOCKED_MEMORY_BYTES),
        (Resource::RLIMIT_MSGQUEUE, 0),
        (Resource::RLIMIT_SIGPENDING, PENDING_SIGNALS),
        (Resource::RLIMIT_RTPRIO, 0),
        (Resource::RLIMIT_NICE, 0),
    ];
    wanted.into_iter().try_for_each(|(resource, limit)| lower(resource, limit))
}

fn lower(resource: Resource, limit: u64) -> Result<(), Failure> {
    let at = |result: nix::Result<_>| result.at_subject(Step::ResourceLimits, &format!("{resource:?}"));
    let (_, hard) = at(getrlimit(resource))?;
    let limit = limit.min(hard);
    setrlimit(resource, limit, limit).at_subject(Step::ResourceLimits, &format!("{resource:?}"))
}
