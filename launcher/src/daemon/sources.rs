//! What the daemon waits for, in the order in which it is attended to.

use super::Daemon;
use crate::cgroup::{Cgroups, InstanceCgroup};
use crate::instances::Phase;
use crate::limits::TIDY_INTERVAL;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use only1mcp_wire::InstanceId;
use std::os::fd::AsFd;
use std::time::Instant;

/// Something that has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A signal came.
    Signal,
    /// The connection can be read or written.
    Peer,
    /// The process at the other end has ended.
    PeerEnded,
    /// Somebody connects. After the peer, so that an old connection is closed before a new one comes.
    Listener,
    /// A watched file changed.
    Watch,
    /// The compiler printed something or ended.
    Compilation,
    /// A launch has come further.
    Launch(InstanceId),
    /// A server ran into a limit.
    Limit(InstanceId),
    /// A server has ended. After its limit, so that what it ran into is told first.
    Process(InstanceId),
}

/// Waits until something happens or the next deadline.
pub fn wait(daemon: &Daemon) -> nix::Result<Vec<Source>> {
    let (mut polled, sources) = everything(daemon);
    match poll(&mut polled, timeout(daemon, Instant::now())) {
        Ok(_) => {}
        Err(Errno::EINTR) => return Ok(Vec::new()),
        Err(errno) => return Err(errno),
    }
    let happened = |entry: &PollFd<'_>| entry.any().unwrap_or(true);
    Ok(polled.iter().zip(sources).filter_map(|(entry, source)| happened(entry).then_some(source)).collect())
}

fn everything(daemon: &Daemon) -> (Vec<PollFd<'_>>, Vec<Source>) {
    let mut all = vec![(PollFd::new(daemon.signals.as_fd(), PollFlags::POLLIN), Source::Signal)];
    if let Some(peer) = &daemon.peer {
        let mut flags = PollFlags::POLLIN;
        flags.set(PollFlags::POLLOUT, peer.has_unsent());
        all.push((PollFd::new(peer.socket(), flags), Source::Peer));
        if let Some(process) = peer.process() {
            all.push((PollFd::new(process, PollFlags::POLLIN), Source::PeerEnded));
        }
    }
    all.push((PollFd::new(daemon.listener.as_fd(), PollFlags::POLLIN), Source::Listener));
    if let Some(watch) = &daemon.reader.watch {
        all.push((PollFd::new(watch.polled(), PollFlags::POLLIN), Source::Watch));
    }
    if let Some(compilation) = &daemon.reader.compilation {
        let polled = compilation.polled().map(|fd| (PollFd::new(fd, PollFlags::POLLIN), Source::Compilation));
        all.extend(polled);
    }
    for (id, instance) in daemon.instances.iter() {
        if let Phase::Launching { launching, .. } = &instance.phase {
            all.push((PollFd::new(launching.line().as_fd(), PollFlags::POLLIN), Source::Launch(id)));
        }
        if let Some(events) = instance.process.cgroup.as_ref().and_then(InstanceCgroup::polled) {
            all.push((PollFd::new(events, PollFlags::POLLPRI), Source::Limit(id)));
        }
        let process = instance.process.child.pidfd.as_fd();
        all.push((PollFd::new(process, PollFlags::POLLIN), Source::Process(id)));
    }
    all.into_iter().unzip()
}

fn timeout(daemon: &Daemon, now: Instant) -> PollTimeout {
    let deadlines = daemon.instances.iter().filter_map(|(_, instance)| instance.deadline());
    let cgroups = daemon.instances.iter().filter_map(|(_, instance)| instance.process.cgroup.as_ref());
    let quiet = cgroups.filter_map(InstanceCgroup::quiet_until);
    let left = daemon.machine.cgroups.as_ref().is_some_and(Cgroups::has_left);
    let tidy = left.then(|| now + TIDY_INTERVAL);
    let all = deadlines.chain(quiet).chain(tidy).chain(daemon.reader.deadline());
    let Some(next) = all.min() else { return PollTimeout::NONE };
    // Rounded up: a poll that ends a fraction too early would turn the loop in vain.
    let left = next.saturating_duration_since(now) + std::time::Duration::from_millis(1);
    PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
}
