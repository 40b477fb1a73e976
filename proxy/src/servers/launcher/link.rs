//! The task that owns the socket to the launcher: asks, listens, connects again.

use super::socket::{Packet, Socket};
use super::{Ask, LauncherError, Started, greet, read_view, refusal_in_words, unexpected};
use crate::limits::{LAUNCHER_RECONNECT_WAIT_MAX, RESTART_WAIT_MIN, USAGE_WAIT};
use crate::servers::spawn::{InForce, Later, Leash, Process, Reloads};
use only1mcp_wire::message::FromLauncher;
use only1mcp_wire::{Event, Exit, InstanceId, Machine, Reply, Request, ServerName, Spawned, Usage};
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::net::unix::pipe;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

/// The task that owns the socket.
pub(super) struct Link {
    pub(super) path: PathBuf,
    pub(super) machine: Arc<RwLock<Machine>>,
    pub(super) publish: watch::Sender<Arc<InForce>>,
    pub(super) queue: mpsc::Receiver<Ask>,
    /// For leashes; weak, so that the task ends with the last [`Launcher`].
    pub(super) asks: mpsc::WeakSender<Ask>,
    pub(super) waiting: HashMap<u32, Waiting>,
    pub(super) running: HashMap<InstanceId, Running>,
    pub(super) last_id: u32,
    /// Told to whoever asks for the status.
    pub(super) reloads: Arc<Mutex<Reloads>>,
}

/// A server that was started over this connection.
pub(super) struct Running {
    server: ServerName,
    exit: oneshot::Sender<Exit>,
}

pub(super) enum Waiting {
    Spawn(ServerName, Started),
    View,
    Stop,
    Usage(oneshot::Sender<Option<Usage>>),
    Reload(oneshot::Sender<(u64, u32)>),
}

impl Link {
    pub(super) async fn run(mut self, socket: Socket) {
        let mut socket = socket;
        loop {
            match self.serve(&socket).await {
                Ok(()) => return,
                Err(error) => tracing::warn!(%error, "lost the launcher; connecting again"),
            }
            // Whoever waits learns that there will be no answer; with the launcher all servers ended.
            self.waiting.clear();
            self.running.clear();
            let Some(again) = self.reconnect().await else { return };
            socket = again;
        }
    }

    /// Connects until it works. Nothing if nobody is left who would ask.
    async fn reconnect(&mut self) -> Option<Socket> {
        let mut wait = RESTART_WAIT_MIN;
        loop {
            let attempt = async {
                let socket = Socket::connect(&self.path).await?;
                greet(&socket).await.map(|said| (socket, said))
            };
            match attempt.await {
                Ok((socket, (machine, in_force))) => {
                    tracing::info!(generation = in_force.generation, "connected to the launcher again");
                    *self.machine.write().unwrap_or_else(PoisonError::into_inner) = machine;
                    self.publish.send_replace(Arc::new(in_force));
                    return Some(socket);
                }
                Err(error) => tracing::debug!(%error, "no launcher yet"),
            }
            if self.queue.is_closed() || self.asks.strong_count() == 0 {
                return None;
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LAUNCHER_RECONNECT_WAIT_MAX);
        }
    }

    /// Asks and listens. Returns when nobody is left who would ask; fails when the launcher is gone.
    async fn serve(&mut self, socket: &Socket) -> Result<(), LauncherError> {
        loop {
            tokio::select! {
                ask = self.queue.recv() => match ask {
                    Some(ask) => self.ask(socket, ask).await?,
                    None => return Ok(()),
                },
                packet = socket.receive() => {
                    let packet = packet?.ok_or(LauncherError::Gone)?;
                    self.take(socket, packet).await?;
                }
            }
        }
    }

    async fn ask(&mut self, socket: &Socket, ask: Ask) -> Result<(), LauncherError> {
        let generation = self.publish.borrow().generation;
        match ask {
            // Whoever wanted it has stopped waiting.
            Ask::Spawn(.., answer) if answer.is_closed() => Ok(()),
            Ask::Spawn(server, partition, answer) => {
                let waiting = Waiting::Spawn(server.clone(), answer);
                let request = Request::Spawn { server, generation, partition };
                self.send(socket, &request, waiting).await
            }
            Ask::Stop(instance, grace) => self.send(socket, &stop(instance, grace), Waiting::Stop).await,
            Ask::Usage(instance, answer) => {
                self.send(socket, &Request::Usage { instance }, Waiting::Usage(answer)).await
            }
            Ask::Reload(answer) => self.send(socket, &Request::Reload, Waiting::Reload(answer)).await,
        }
    }

    async fn send(
        &mut self,
        socket: &Socket,
        request: &Request,
        waiting: Waiting,
    ) -> Result<(), LauncherError> {
        self.last_id = self.last_id.checked_add(1).unwrap_or(3);
        self.waiting.insert(self.last_id, waiting);
        socket.send(&request.to_packet(self.last_id)).await.map_err(LauncherError::Socket)
    }

    async fn take(&mut self, socket: &Socket, packet: Packet) -> Result<(), LauncherError> {
        match packet.message {
            FromLauncher::Event(Event::Exited { instance, exit }) => {
                if let Some(running) = self.running.remove(&instance) {
                    let _ = running.exit.send(exit);
                }
                Ok(())
            }
            FromLauncher::Event(Event::LimitReached { instance, limit, times }) => {
                if let Some(running) = self.running.get(&instance) {
                    tracing::warn!(server = %running.server, %limit, times, "limit reached");
                }
                Ok(())
            }
            FromLauncher::Event(Event::Changed { generation, errors }) => {
                tracing::info!(generation, errors, "the configuration was read again");
                self.count_reload(errors);
                if errors == 0 && generation != self.publish.borrow().generation {
                    return self.send(socket, &Request::View, Waiting::View).await;
                }
                Ok(())
            }
            FromLauncher::Reply(id, reply) => {
                let waiting = self.waiting.remove(&id);
                self.answer(socket, waiting, reply, packet.descriptors).await
            }
        }
    }

    fn count_reload(&self, errors: u32) {
        let mut reloads = self.reloads.lock().unwrap_or_else(PoisonError::into_inner);
        reloads.accepted += u64::from(errors == 0);
        reloads.refused += u64::from(errors > 0);
        reloads.last_errors = errors;
    }

    async fn answer(
        &mut self,
        socket: &Socket,
        waiting: Option<Waiting>,
        reply: Reply,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(), LauncherError> {
        match (waiting, reply) {
            (None, reply) => Err(unexpected("nothing", &reply)),
            // UNKNOWN INSTANCE means that it has ended already.
            (Some(Waiting::Stop), _) => Ok(()),
            (Some(Waiting::Usage(answer)), Reply::Usage(usage)) => {
                let _ = answer.send(usage);
                Ok(())
            }
            // It has ended since it was asked about.
            (Some(Waiting::Usage(_)), Reply::Refused(_)) => Ok(()),
            (Some(Waiting::Usage(_)), reply) => Err(unexpected("USAGE", &reply)),
            (Some(Waiting::Reload(answer)), Reply::Reloaded { generation, errors }) => {
                let _ = answer.send((generation, errors));
                Ok(())
            }
            (Some(Waiting::Reload(_)), reply) => Err(unexpected("RELOAD", &reply)),
            (Some(Waiting::View), Reply::Refused(refusal)) => {
                tracing::warn!(reason = %refusal_in_words(&refusal), "no view");
                Ok(())
            }
            (Some(Waiting::View), reply) => {
                self.publish.send_replace(Arc::new(read_view(reply, descriptors)?));
                Ok(())
            }
            (Some(Waiting::Spawn(server, answer)), Reply::Spawned(spawned)) => {
                let instance = spawned.instance;
                let started = self.adopt(server, spawned, descriptors).map(Box::new);
                // Nobody waits for it any more, or its pipes are of no use: it must not run on.
                if started.is_err() || answer.send(started).is_err() {
                    return self.send(socket, &stop(instance, Duration::ZERO), Waiting::Stop).await;
                }
                Ok(())
            }
            (Some(Waiting::Spawn(_, answer)), reply) => {
                let _ = answer.send(Err(match reply {
                    Reply::Refused(refusal) => LauncherError::Refused(refusal),
                    other => unexpected("SPAWN", &other),
                }));
                Ok(())
            }
        }
    }

    fn adopt(
        &mut self,
        server: ServerName,
        spawned: Spawned,
        descriptors: Vec<OwnedFd>,
    ) -> Result<Process, LauncherError> {
        let [stdin, stdout, stderr, _pidfd] = <[OwnedFd; 4]>::try_from(descriptors)
            .map_err(|_| LauncherError::Protocol("a server comes with four descriptors".to_owned()))?;
        let (report, exit) = oneshot::channel();
        self.running.insert(spawned.instance, Running { server, exit: report });
        let leash = Box::new(LauncherLeash { asks: self.asks.clone(), instance: spawned.instance });
        Ok(Process {
            stdin: Box::new(pipe::Sender::from_owned_fd(stdin)?),
            stdout: Box::new(pipe::Receiver::from_owned_fd(stdout)?),
            stderr: Box::new(pipe::Receiver::from_owned_fd(stderr)?),
            spawned,
            exit,
            leash,
        })
    }
}

fn stop(instance: InstanceId, grace: Duration) -> Request {
    let grace_ms = u32::try_from(grace.as_millis()).unwrap_or(u32::MAX);
    Request::Stop { instance, grace_ms: grace_ms.min(only1mcp_wire::limits::STOP_GRACE_MS_MAX) }
}

/// Asks the launcher about one server.
struct LauncherLeash {
    asks: mpsc::WeakSender<Ask>,
    instance: InstanceId,
}

impl Leash for LauncherLeash {
    fn stop(&self, grace: Duration) {
        let Some(asks) = self.asks.upgrade() else { return };
        if let Err(TrySendError::Full(ask)) = asks.try_send(Ask::Stop(self.instance, grace)) {
            tokio::spawn(async move { asks.send(ask).await });
        }
    }

    fn usage(&self) -> Later<'_, Option<Usage>> {
        Box::pin(async {
            let (answer, answered) = oneshot::channel();
            self.asks.upgrade()?.send(Ask::Usage(self.instance, answer)).await.ok()?;
            timeout(USAGE_WAIT, answered).await.ok()?.ok()?
        })
    }
}
