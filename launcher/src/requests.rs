//! The complete list of what the proxy may ask, and what each request does. Every handler checks again
//! what it is given: the proxy is the process that faces the network.

use crate::cgroup::InstanceCgroup;
use crate::daemon::Daemon;
use crate::instances::{Instance, Phase};
use crate::launch::failure::Failure;
use crate::launch::{Order, launch};
use crate::log::{self, Level};
use crate::machine::{Isolation, MINIMAL_LANDLOCK_ABI};
use crate::peer::PeerError;
use nix::errno::Errno;
use only1mcp_wire::limits::LIST_PAGE_NAMES;
use only1mcp_wire::{
    InstanceId, Machine, Partition, Refusal, RefusalCode, Reply, Request, ServerName, ServerPlan, Step, Wall,
};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// What becomes of a request.
#[derive(Debug)]
pub enum Outcome {
    /// It is answered now, with these descriptors.
    Answer(Reply, Vec<OwnedFd>),
    /// It is answered when something has happened.
    Later,
}

impl From<Reply> for Outcome {
    fn from(reply: Reply) -> Self {
        Self::Answer(reply, Vec::new())
    }
}

/// Carries out one request of the connection `owner`.
///
/// # Errors
/// [`PeerError::Order`]: the connection must be closed.
pub fn handle(
    daemon: &mut Daemon,
    greeted: bool,
    owner: u64,
    id: u32,
    request: Request,
) -> Result<Outcome, PeerError> {
    match (greeted, request) {
        (false, Request::Hello) => Ok(hello(daemon).into()),
        (true, Request::Hello) => Err(PeerError::Order("HELLO twice")),
        (false, _) => Err(PeerError::Order("something before HELLO")),
        (true, Request::View) => Ok(view(daemon)),
        (true, Request::List { page }) => Ok(list(daemon, page).into()),
        (true, Request::Spawn { server, generation, partition }) => {
            Ok(spawn(daemon, owner, id, &server, generation, partition))
        }
        (true, Request::Stop { instance, grace_ms }) => Ok(stop(daemon, owner, instance, grace_ms).into()),
        (true, Request::Usage { instance }) => Ok(usage(daemon, owner, instance).into()),
        (true, Request::Reload) if daemon.reader.has_room() => {
            daemon.reader.request_for((owner, id));
            Ok(Outcome::Later)
        }
        (true, Request::Reload) => Err(PeerError::Order("RELOAD again and again")),
    }
}

fn hello(daemon: &Daemon) -> Reply {
    Reply::Hello(Machine {
        mode: daemon.machine.mode,
        landlock_abi: daemon.machine.landlock_abi,
        cgroup_limits: daemon.machine.cgroup_limits(),
        generation: daemon.configuration.as_ref().map_or(0, |configuration| configuration.generation),
    })
}

fn view(daemon: &Daemon) -> Outcome {
    let Some(configuration) = &daemon.configuration else {
        return refused(RefusalCode::NoConfiguration).into();
    };
    match configuration.view() {
        Ok(view) => Outcome::Answer(Reply::View { generation: configuration.generation }, vec![view]),
        Err(error) => {
            log::caused(Level::Error, format_args!("cannot hand out the view: {error}"));
            refused(RefusalCode::NoConfiguration).into()
        }
    }
}

fn list(daemon: &Daemon, page: u16) -> Reply {
    let Some(configuration) = &daemon.configuration else { return refused(RefusalCode::NoConfiguration) };
    let mut names = configuration.names().skip(usize::from(page) * LIST_PAGE_NAMES);
    let this = names.by_ref().take(LIST_PAGE_NAMES).cloned().collect();
    let next = names.next().and_then(|_| page.checked_add(1));
    Reply::List { names: this, next }
}

fn spawn(
    daemon: &mut Daemon,
    owner: u64,
    request: u32,
    server: &ServerName,
    generation: u64,
    partition: Partition,
) -> Outcome {
    match try_spawn(daemon, owner, request, server, generation, partition) {
        Ok(()) => Outcome::Later,
        Err(refusal) => Reply::Refused(refusal).into(),
    }
}

fn try_spawn(
    daemon: &mut Daemon,
    owner: u64,
    request: u32,
    server: &ServerName,
    generation: u64,
    partition: Partition,
) -> Result<(), Refusal> {
    if daemon.ending {
        return Err(code(RefusalCode::Ending));
    }
    let configuration = daemon.configuration.as_ref().ok_or(code(RefusalCode::NoConfiguration))?;
    if configuration.generation != generation {
        return Err(code(RefusalCode::StaleGeneration));
    }
    let (plan, filters) = configuration.server(server).ok_or(code(RefusalCode::UnknownServer))?;
    // Counted first: what is refused from here on is told in the log.
    daemon.instances.admit(server, &plan.spawn, Instant::now()).map_err(|why| held_back(server, why))?;
    let isolation = stand(daemon, plan).map_err(|wall| wall_missing(server, wall))?;
    let unnumbered = |errno: Errno| Refusal { errno: errno as i32, ..code(RefusalCode::LaunchFailed) };
    let id = daemon.instances.fresh_id().map_err(unnumbered)?;
    let (process, launching) = launch(&Order { plan, filters, partition, isolation }, &mut daemon.machine)
        .map_err(|failure| failed(server, &plan.program, &failure))?;
    let instance = Instance {
        name: server.clone(),
        program: plan.program.clone(),
        owner,
        digest: plan.digest,
        process,
        expires: None,
        phase: Phase::Launching { launching: Box::new(launching), request },
    };
    daemon.instances.insert(id, instance);
    Ok(())
}

/// Says that the proxy asks for more than it may have.
fn held_back(server: &ServerName, why: RefusalCode) -> Refusal {
    log::caused(Level::Warn, format_args!("did not start server \"{server}\": {why}"));
    code(why)
}

/// What can be put around this server; else the first wall that is required and missing.
fn stand(daemon: &Daemon, plan: &ServerPlan) -> Result<Isolation, Wall> {
    let isolation = daemon.machine.isolation.ok_or(Wall::UserNamespace)?;
    let floor = match isolation {
        Isolation::Namespaces => 1,
        Isolation::LandlockOnly => MINIMAL_LANDLOCK_ABI,
    };
    if daemon.machine.landlock_abi < plan.requires.landlock_abi.max(floor) {
        return Err(Wall::Landlock);
    }
    if plan.requires.cgroup && !daemon.machine.cgroup_limits() {
        return Err(Wall::MemoryLimit);
    }
    Ok(isolation)
}

/// What a person can do about blocked user namespaces.
pub fn advice_on_namespaces() -> &'static str {
    "allow unprivileged user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, \
     kernel.apparmor_restrict_unprivileged_userns), or start with --allow-degraded"
}

fn wall_missing(server: &ServerName, wall: Wall) -> Refusal {
    log::error(format_args!(
        "cannot start server \"{server}\": its policy requires a wall that this machine lacks: {wall}"
    ));
    log::help(match wall {
        Wall::Landlock => {
            "a newer kernel has a higher landlock ABI; or lower requires.landlock in the policy"
        }
        Wall::UserNamespace => advice_on_namespaces(),
        Wall::IoLimit => {
            "have the io controller delegated (systemd: Delegate=yes) and keep all its files on disks, \
             or take limits.io or requires.cgroup out of the policy"
        }
        _ => {
            "run it under systemd or another manager that delegates memory, pids and cpu of cgroup v2, \
              or take requires.cgroup out of the policy"
        }
    });
    Refusal { wall: Some(wall), ..code(RefusalCode::WallMissing) }
}

/// Logs a failure in full, and says of it what the proxy may know.
pub fn failed(server: &ServerName, program: &str, failure: &Failure) -> Refusal {
    let denied = matches!(failure.errno, Errno::EPERM | Errno::ENOSPC | Errno::EACCES | Errno::EUSERS);
    if failure.step == Step::Clone && denied {
        return wall_missing(server, Wall::UserNamespace);
    }
    if failure.step == Step::Cgroup && failure.errno == Errno::ENODEV {
        log::error(format_args!("server \"{server}\": {}", failure.subject));
        return wall_missing(server, Wall::IoLimit);
    }
    let mut failure = failure.clone();
    if failure.step == Step::ExecServer {
        program.clone_into(&mut failure.subject);
    }
    log::error(format_args!("cannot start server \"{server}\": {failure}"));
    advice(&failure).into_iter().for_each(log::help);
    Refusal { step: Some(failure.step), errno: failure.errno as i32, ..code(RefusalCode::LaunchFailed) }
}

/// What a person can do about a failure.
fn advice(failure: &Failure) -> Option<&'static str> {
    Some(match (failure.step, failure.errno) {
        (Step::ExecServer, Errno::ENOENT) => {
            "the program, its interpreter or loader is not visible inside; only1mcp policy explain shows what is"
        }
        (Step::ExecServer, Errno::EACCES) => {
            "the policy does not let it be executed, or it has no execute permission"
        }
        (Step::SourceChanged, _) => {
            "it was replaced since the configuration was read; the next reading takes it as it is"
        }
        (Step::OpenSource, Errno::EACCES) => {
            "the sandbox's user may not reach it; open the path for others, or move it"
        }
        (Step::OpenSource, Errno::ELOOP) => {
            "a part of the path became a symbolic link since the configuration was read"
        }
        (Step::Credential, Errno::ENOENT) => {
            "put the secret into a file of this name in the credentials directory, mode 0600"
        }
        (Step::Credential, Errno::EPERM) => "chmod 0600 the file: nobody else may read it",
        (Step::NoNestedNamespaces, _) => {
            "mount /proc/sys writable for the launcher (containers: --security-opt systempaths=unconfined)"
        }
        (Step::Proc, _) => {
            "the launcher needs a /proc without masks (containers: --security-opt systempaths=unconfined)"
        }
        _ => return None,
    })
}

fn stop(daemon: &mut Daemon, owner: u64, id: InstanceId, grace_ms: u32) -> Reply {
    match daemon.instances.get_mut(id) {
        Some(instance) if instance.owner == owner => {
            let grace = Duration::from_millis(grace_ms.into());
            instance.stop(Instant::now() + grace);
            Reply::Stopping
        }
        _ => refused(RefusalCode::UnknownInstance),
    }
}

fn usage(daemon: &mut Daemon, owner: u64, id: InstanceId) -> Reply {
    match daemon.instances.get_mut(id) {
        Some(instance) if instance.owner == owner => {
            Reply::Usage(instance.process.cgroup.as_ref().and_then(InstanceCgroup::usage))
        }
        _ => refused(RefusalCode::UnknownInstance),
    }
}

fn refused(why: RefusalCode) -> Reply {
    Reply::Refused(code(why))
}

fn code(code: RefusalCode) -> Refusal {
    Refusal { code, step: None, errno: 0, wall: None }
}

/// Logs a launch that did not come to its end in time, and says of it what the proxy may know.
pub fn timed_out(server: &ServerName) -> Refusal {
    let failure = Failure { step: Step::Prepare, errno: Errno::ETIMEDOUT, subject: String::new() };
    failed(server, "", &failure)
}
