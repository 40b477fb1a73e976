//! The loop that waits for everything at once: the proxy, the servers, signals, deadlines.
//!
//! One thread, and nothing in it waits for a single peer or a single launch.

mod reader;
mod sources;

use crate::configuration::{Compilation, Configuration};
use crate::instances::{Instance, Instances, Phase, descendants};
use crate::launch::Progress;
use crate::limits::{DRAIN_TIME, SHUTDOWN_GRACE};
use crate::log::{self, Level};
use crate::machine::{Isolation, Machine};
use crate::peer::{Peer, PeerError};
use crate::requests::{self, Outcome};
use crate::start::StartError;
use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use only1mcp_wire::message::FromLauncher;
use only1mcp_wire::{Event, InstanceId, Refusal, Reply, Spawned, Step, Wall};
use reader::News;
pub use reader::Reader;
use sources::Source;
use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

/// The signals that tell the launcher to end.
const ENDING: [Signal; 2] = [Signal::SIGTERM, Signal::SIGINT];

/// All the launcher's state.
#[derive(Debug)]
pub struct Daemon {
    /// What this machine offers.
    pub machine: Machine,
    /// The configuration in force, if there is one.
    pub configuration: Option<Configuration>,
    /// The servers.
    pub instances: Instances,
    listener: OwnedFd,
    signals: SignalFd,
    /// Reads the configuration.
    pub reader: Reader,
    peer: Option<Peer>,
    /// Counts connections; a server belongs to the one that asked for it.
    connection: u64,
    /// Told to end: nothing is started any more.
    pub ending: bool,
}

impl Daemon {
    /// A daemon that serves nobody yet, with the configuration in force if one was compiled already.
    ///
    /// # Errors
    /// The kernel's, or that the compiled configuration is refused.
    pub fn new(
        listener: OwnedFd,
        machine: Machine,
        mut reader: Reader,
        printed: Option<Vec<u8>>,
    ) -> Result<Self, StartError> {
        let kernel = |errno| StartError::Kernel("signalfd", errno);
        let mut signals = SigSet::empty();
        ENDING.into_iter().chain([Signal::SIGHUP]).for_each(|signal| signals.add(signal));
        signals.thread_block().map_err(kernel)?;
        reader.isolation = machine.isolation.unwrap_or(reader.isolation);
        let configuration = match printed.map(|printed| reader.accept_first(printed)) {
            Some(News::Configuration(configuration)) => Some(*configuration),
            // The compiler found no error in it, so no change of it can be waited for.
            Some(News::Same | News::Errors(_)) => return Err(StartError::Refused),
            None => None,
        };
        let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK);
        Ok(Self {
            machine,
            configuration,
            instances: Instances::default(),
            listener,
            signals: signals.map_err(kernel)?,
            reader,
            peer: None,
            connection: 0,
            ending: false,
        })
    }

    /// Serves until it is told to end and all servers have.
    ///
    /// # Errors
    /// [`StartError::Kernel`] if it cannot even wait.
    pub fn run(mut self) -> Result<(), StartError> {
        if self.configuration.is_none() {
            let news = self.reader.read_first();
            self.take_news(news);
        }
        while !(self.ending && self.instances.is_empty()) {
            let ready = sources::wait(&self).map_err(|errno| StartError::Kernel("poll", errno))?;
            ready.into_iter().for_each(|source| self.attend(source));
            self.keep_deadlines(Instant::now());
        }
        if let Some(cgroups) = self.machine.cgroups.take() {
            cgroups.leave();
        }
        log::info("ended; no server is left");
        Ok(())
    }

    fn attend(&mut self, source: Source) {
        match source {
            Source::Signal => self.take_signal(),
            Source::Peer => self.serve_peer(),
            Source::PeerEnded => self.lose_peer(&PeerError::Closed),
            Source::Listener => self.accept(),
            Source::Watch => self.reader.look(),
            Source::Compilation => self.follow_compilation(),
            Source::Launch(id) => self.advance(id),
            Source::Limit(id) => self.report_limit(id),
            Source::Process(id) => self.bury(id),
        }
    }

    /// Puts a configuration that was read into force, or says why not.
    fn take_news(&mut self, news: News) {
        let errors = match news {
            News::Same => return,
            News::Errors(count) => count,
            News::Configuration(configuration) => {
                // A proxy that does not replace them has had its chance: a policy may have become narrower.
                let in_force = |instance: &Instance| {
                    configuration
                        .server(&instance.name)
                        .is_some_and(|(plan, _)| plan.digest == instance.digest)
                };
                self.instances.expire(in_force, Instant::now() + DRAIN_TIME);
                self.configuration = Some(*configuration);
                0
            }
        };
        let generation = self.configuration.as_ref().map_or(0, |configuration| configuration.generation);
        if self.peer.as_ref().is_some_and(|peer| peer.greeted) {
            let changed = Event::Changed { generation, errors };
            self.tell(self.connection, &FromLauncher::Event(changed), Vec::new());
        }
    }

    fn follow_compilation(&mut self) {
        if let Some(news) = self.reader.advance(self.configuration.as_ref()) {
            let errors = if let News::Errors(errors) = news { errors } else { 0 };
            self.take_news(news);
            self.answer_reloads(errors);
        }
    }

    /// Tells those who asked for what was read just now.
    fn answer_reloads(&mut self, errors: u32) {
        let generation = self.configuration.as_ref().map_or(0, |configuration| configuration.generation);
        for (owner, id) in self.reader.answered() {
            let reloaded = FromLauncher::Reply(id, Reply::Reloaded { generation, errors });
            self.tell(owner, &reloaded, Vec::new());
        }
    }

    fn take_signal(&mut self) {
        let Ok(Some(signal)) = self.signals.read_signal() else { return };
        if i32::try_from(signal.ssi_signo) == Ok(Signal::SIGHUP as i32) {
            log::info("told to read the configuration again");
            self.reader.request();
        } else if !self.ending {
            self.end();
        }
    }

    fn end(&mut self) {
        log::info("told to end; ending all servers");
        self.ending = true;
        let deadline = Instant::now() + SHUTDOWN_GRACE;
        for id in self.instances.ids() {
            if let Some(instance) = self.instances.get_mut(id) {
                instance.stop(deadline);
            }
        }
    }

    fn accept(&mut self) {
        match Peer::accept(self.listener.as_fd(), self.machine.mode) {
            Ok(_) if self.peer.is_some() || self.ending => {
                log::caused(Level::Warn, "a second proxy connected and was sent away")
            }
            Ok(peer) => {
                self.connection += 1;
                self.peer = Some(peer);
            }
            Err(PeerError::Kernel(Errno::EAGAIN | Errno::EINTR | Errno::ECONNABORTED)) => {}
            Err(error) => log::caused(Level::Warn, format_args!("refused a connection: {error}")),
        }
    }

    fn serve_peer(&mut self) {
        if let Err(error) = self.try_serve_peer() {
            self.lose_peer(&error);
        }
    }

    fn try_serve_peer(&mut self) -> Result<(), PeerError> {
        let Some(peer) = &mut self.peer else { return Ok(()) };
        peer.flush()?;
        let Some((id, request)) = peer.receive()? else { return Ok(()) };
        let greeted = std::mem::replace(&mut peer.greeted, true);
        let owner = self.connection;
        match requests::handle(self, greeted, owner, id, request)? {
            Outcome::Answer(reply, descriptors) => self.send(&FromLauncher::Reply(id, reply), descriptors),
            Outcome::Later => Ok(()),
        }
    }

    fn send(&mut self, message: &FromLauncher, descriptors: Vec<OwnedFd>) -> Result<(), PeerError> {
        self.peer.as_mut().map_or(Ok(()), |peer| peer.send(message, descriptors))
    }

    /// Tells the proxy something, if it is still the one whose server this is about.
    fn tell(&mut self, owner: u64, message: &FromLauncher, descriptors: Vec<OwnedFd>) {
        if owner != self.connection {
            return;
        }
        if let Err(error) = self.send(message, descriptors) {
            self.lose_peer(&error);
        }
    }

    /// Closes the connection; all servers that were started over it end with it.
    fn lose_peer(&mut self, why: &PeerError) {
        if self.peer.take().is_none() {
            return;
        }
        match why {
            PeerError::Closed => log::caused(Level::Info, why),
            _ => log::caused(Level::Warn, format_args!("closed a connection: {why}")),
        }
        for id in self.instances.ids() {
            if let Some(instance) = self.instances.get_mut(id) {
                instance.kill();
            }
        }
        // Nobody is left to be told of their ends.
        self.connection += 1;
    }

    /// Follows a launch; answers its SPAWN when it has come to its end.
    fn advance(&mut self, id: InstanceId) {
        let Some(instance) = self.instances.get_mut(id) else { return };
        let Phase::Launching { launching, .. } = &mut instance.phase else { return };
        match launching.advance() {
            Progress::Pending => {}
            Progress::Running => self.launched(id),
            Progress::Failed(failure) => {
                if failure.step == Step::SourceChanged {
                    // Perhaps an upgrade that nobody watched; the proxy hears of it and tries again.
                    self.reader.request();
                }
                let refusal = requests::failed(&instance.name, &instance.program, &failure);
                self.abandon(id, refusal);
            }
        }
    }

    fn launched(&mut self, id: InstanceId) {
        let Some(instance) = self.instances.get_mut(id) else { return };
        let enforced = self.machine.enforced(instance.process.io);
        let Phase::Launching { launching, request } = std::mem::replace(&mut instance.phase, Phase::Running)
        else {
            return;
        };
        let Ok(pidfd) = instance.process.child.pidfd.try_clone() else {
            // Out of descriptors. Without one the proxy could not hold the server.
            instance.kill();
            return;
        };
        let (pid, digest, owner) = (instance.process.child.pid, instance.digest, instance.owner);
        log::info(format_args!("started server \"{}\" as {id}, pid {pid}", instance.name));
        let streams = launching.streams;
        let reply = Reply::Spawned(Spawned { instance: id, pid, digest, enforced });
        let descriptors = vec![streams.stdin, streams.stdout, streams.stderr, pidfd];
        self.tell(owner, &FromLauncher::Reply(request, reply), descriptors);
    }

    /// Ends a launch that failed. The child is killed in any case; its burial follows.
    fn abandon(&mut self, id: InstanceId, refusal: Refusal) {
        let Some(instance) = self.instances.get_mut(id) else { return };
        let owner = instance.owner;
        let phase = std::mem::replace(&mut instance.phase, Phase::Running);
        instance.kill();
        instance.owner = 0;
        if let Phase::Launching { request, .. } = phase {
            self.tell(owner, &FromLauncher::Reply(request, Reply::Refused(refusal)), Vec::new());
        }
    }

    /// Reaps a server that has ended, and tells its owner.
    fn bury(&mut self, id: InstanceId) {
        // What its launch reported comes first.
        self.advance(id);
        let Some(instance) = self.instances.get_mut(id) else { return };
        let Some(exit) = instance.process.reap() else { return };
        let Some(mut instance) = self.instances.remove(id) else { return };
        let cgroup = instance.process.cgroup.take();
        // In minimal mode what it forked outlives it; in a namespace nothing does.
        if let Some(cgroup) = &cgroup {
            cgroup.kill();
        }
        if instance.process.isolation == Isolation::LandlockOnly {
            descendants::end_orphans(&self.expected_children());
        }
        if let (Some(cgroups), Some(cgroup)) = (&mut self.machine.cgroups, cgroup) {
            cgroups.bury(cgroup);
        }
        // Whoever is told finds nothing of it any more, not even a descriptor here.
        drop(instance.process);
        if instance.owner != 0 {
            log::info(format_args!("server \"{}\" ({id}) ended: {exit:?}", instance.name));
            self.tell(instance.owner, &FromLauncher::Event(Event::Exited { instance: id, exit }), Vec::new());
        }
    }

    /// Tells the owner of a server that it could not have another process, and goes on.
    fn report_limit(&mut self, id: InstanceId) {
        let Some(instance) = self.instances.get_mut(id) else { return };
        let Some(cgroup) = &mut instance.process.cgroup else { return };
        let Some(times) = cgroup.refused_processes(Instant::now()) else { return };
        log::warn(format_args!(
            "server \"{}\" ({id}) reached its process limit, {times} times so far",
            instance.name
        ));
        let reached = Event::LimitReached { instance: id, limit: Wall::ProcessLimit, times };
        let owner = instance.owner;
        // Until it is spawned, the proxy does not know its id.
        if !matches!(instance.phase, Phase::Launching { .. }) {
            self.tell(owner, &FromLauncher::Event(reached), Vec::new());
        }
    }

    /// The children somebody waits for.
    fn expected_children(&self) -> BTreeSet<u32> {
        let servers = self.instances.iter().map(|(_, instance)| instance.process.child.pid);
        servers.chain(self.reader.compilation.as_ref().map(Compilation::pid)).collect()
    }

    fn keep_deadlines(&mut self, now: Instant) {
        self.instances.iter_mut().filter_map(|instance| instance.process.cgroup.as_mut()).for_each(
            |cgroup| {
                cgroup.listen_if_due(now);
            },
        );
        if let Some(cgroups) = &mut self.machine.cgroups {
            cgroups.tidy();
        }
        if !self.reader.start_if_due(now) {
            self.answer_reloads(1);
        }
        if self.reader.is_overdue(now) {
            self.follow_compilation();
        }
        let due = |(id, instance): (InstanceId, &Instance)| {
            instance.deadline().is_some_and(|deadline| deadline <= now).then_some(id)
        };
        for id in self.instances.iter().filter_map(due).collect::<Vec<_>>() {
            self.overdue(id);
        }
    }

    fn overdue(&mut self, id: InstanceId) {
        let Some(instance) = self.instances.get_mut(id) else { return };
        match instance.phase {
            Phase::Launching { .. } => {
                let refusal = requests::timed_out(&instance.name);
                self.abandon(id, refusal);
            }
            Phase::Killed(_) => {
                log::error(format_args!("server \"{}\" ({id}) was killed and is still there", instance.name));
                instance.kill();
            }
            Phase::Running => {
                log::info(format_args!(
                    "server \"{}\" ({id}) runs under an old plan: ending it",
                    instance.name
                ));
                instance.stop(Instant::now() + SHUTDOWN_GRACE);
            }
            Phase::Stopping(_) => instance.kill(),
        }
    }
}
