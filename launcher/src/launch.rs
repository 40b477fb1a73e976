//! The story of this program: one plan and one name become one confined process.
//!
//! [`launch`] decides everything and forks; the child runs [`confine`], one wall after the other;
//! [`Launching`] is the launcher's view of it until the server's program runs.

pub mod failure;
pub mod identity;
pub mod places;
mod prepare;
mod progress;

pub use prepare::Order;
pub use progress::{Launching, Progress};

use crate::cgroup::InstanceCgroup;
use crate::confine::landlock::Network;
use crate::confine::root::NewRoot;
use crate::confine::session::Descriptors;
use crate::confine::{landlock, namespaces, privileges, resources, session};
use crate::instances::Process;
use crate::kernel::clone::{self, Side, clone3};
use crate::kernel::{descriptors, process};
use crate::machine::{Isolation, Machine};
use crate::weakened::{Weakness, lacks};
use failure::{At, Failure};
use nix::errno::Errno;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{execve, write};
use only1mcp_wire::Step;
use prepare::Ready;
use std::convert::Infallible;
use std::os::fd::{AsFd, BorrowedFd};

/// Starts one server. What is returned still has to be brought to its end by [`Launching::advance`].
///
/// # Errors
/// [`Failure`] names the step; then nothing is left of the launch.
pub fn launch(order: &Order<'_>, machine: &mut Machine) -> Result<(Process, Launching), Failure> {
    let ready = prepare::prepare(order, machine)?;
    let (streams, servers) = progress::streams(ready.identity)?;
    let (line, childs) = progress::line()?;
    let cgroup = machine.cgroup(&order.plan.name, &order.plan.limits)?;
    let namespaces = if ready.isolation == Isolation::Namespaces { clone::namespaces() } else { 0 };
    let cloned = clone3(namespaces, cgroup.as_ref().map(AsFd::as_fd)).at(Step::Clone);
    match cloned.inspect_err(|_| give_back(cgroup.as_ref()))? {
        Side::Parent(child) => {
            let launching = Launching::new(child.pid, line, streams, &ready);
            Ok((Process { child, cgroup, isolation: ready.isolation }, launching))
        }
        Side::Child => carry_out(
            &ready,
            &Descriptors {
                streams: [servers.stdin.as_fd(), servers.stdout.as_fd(), servers.stderr.as_fd()],
                line: childs.as_fd(),
                launcher: machine.own_process.as_fd(),
            },
        ),
    }
}

/// The child's whole life: it becomes `only1mcp-init`, or says why not and ends.
fn carry_out(ready: &Ready<'_>, given: &Descriptors<'_>) -> ! {
    if let Err(failure) = session::settle(given) {
        fail(given.line, &failure);
    }
    let confined = match ready.isolation {
        Isolation::Namespaces => confine(ready),
        Isolation::LandlockOnly => confine_without_namespaces(ready),
    };
    match confined {
        Ok(never) => match never {},
        Err(failure) => fail(descriptors::line(), &failure),
    }
}

/// Every wall, from the outermost to the innermost, then the server. Runs alone in the child.
fn confine(ready: &Ready<'_>) -> Result<Infallible, Failure> {
    namespaces::wait_for_identity()?;
    namespaces::become_user(ready.groups)?;
    namespaces::tie_to_launcher()?;
    namespaces::forbid_nested()?;
    change_root(ready)?;
    namespaces::set_identity()?;
    resources::limit(&ready.plan.limits)?;
    privileges::drop_all()?;
    session::start()?;
    session::enter(&ready.working_directory)?;
    session::close_all_else()?;
    landlock::enforce(ready.landlock_abi, &ready.rules, Network::OfItsOwn)?;
    ready.filters.install()?;
    execve(&ready.program, &ready.arguments, &ready.environment).at(Step::ExecInit)
}

/// Builds a root in which nothing is but what the plan names, and enters it.
fn change_root(ready: &Ready<'_>) -> Result<(), Failure> {
    if lacks(Weakness::MountNamespace) {
        return session::make_scratch(&ready.state.source);
    }
    let plan = ready.plan;
    umask(Mode::empty());
    let root = NewRoot::mount()?;
    // Before the binds: a grant may lie below `/tmp`.
    plan.scratch.iter().try_for_each(|scratch| root.scratch(scratch))?;
    plan.binds.iter().try_for_each(|bind| root.bind(bind))?;
    root.bind(&ready.init)?;
    root.proc()?;
    root.bind(&ready.state)?;
    plan.files.iter().try_for_each(|file| root.file(file))?;
    plan.links.iter().try_for_each(|link| root.link(link))?;
    root.enter()
}

/// What is left of the walls in minimal mode, in the same order.
fn confine_without_namespaces(ready: &Ready<'_>) -> Result<Infallible, Failure> {
    namespaces::hide_from_debuggers()?;
    namespaces::tie_to_launcher()?;
    resources::limit(&ready.plan.limits)?;
    privileges::drop_what_an_ordinary_user_can()?;
    session::start()?;
    session::keep_orphans()?;
    session::enter(&ready.working_directory)?;
    session::make_scratch(&ready.state.source)?;
    session::close_all_else()?;
    landlock::enforce(ready.landlock_abi, &ready.rules, Network::OfTheHost)?;
    ready.filters.install()?;
    execve(&ready.program, &ready.arguments, &ready.environment).at(Step::ExecInit)
}

/// Reports a failure and ends. If the launcher is gone too, nobody needs to know.
fn fail(line: BorrowedFd<'_>, failure: &Failure) -> ! {
    let _: Result<usize, Errno> = write(line, &failure.to_report());
    process::end(1)
}

/// Removes the cgroup of a launch that made no child.
fn give_back(cgroup: Option<&InstanceCgroup>) {
    if let Some(cgroup) = cgroup {
        // If it cannot be removed now, the next start does it.
        let _: bool = cgroup.remove();
    }
}
