//! The client of the launcher: names a server and gets its pipes back.
//!
//! One task owns the socket. It connects again when the launcher went away, and says HELLO and asks for
//! the VIEW each time, because a launcher that was started again counts its generations anew.

mod socket;
#[cfg(test)]
mod tests;

use crate::limits::{LAUNCHER_RECONNECT_WAIT_MAX, LAUNCHER_REPLY_TIMEOUT, RESTART_WAIT_MIN};
use crate::servers::spawn::{InForce, Later, Leash, Process, SpawnError, Spawner};
use only1mcp_policy::view::View;
use only1mcp_wire::message::FromLauncher;
use only1mcp_wire::{
    Event, Exit, InstanceId, Machine, Partition, Refusal, Reply, Request, ServerName, Spawned,
};
use socket::{Packet, Socket};
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot, watch};

/// Requests to the launcher that may wait for each other.
const REQUESTS_MAX: usize = 256;

/// A connection to the launcher that is made again when it breaks. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Launcher {
    asks: mpsc::Sender<Ask>,
    machine: Arc<RwLock<Machine>>,
    in_force: watch::Receiver<Arc<InForce>>,
}

/// Why the launcher did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LauncherError {
    /// The socket.
    #[error("cannot reach the launcher: {0}")]
    Socket(#[from] std::io::Error),
    /// It said what it may not say.
    #[error("the launcher broke the protocol: {0}")]
    Protocol(String),
    /// It said no.
    #[error("{}", refusal_in_words(.0))]
    Refused(Refusal),
    /// It said nothing.
    #[error("the launcher did not answer in time")]
    TimedOut,
    /// It went away before it answered.
    #[error("the launcher went away")]
    Gone,
}

/// What one request is answered with.
#[derive(Debug)]
enum Granted {
    Started(Box<Process>),
    Stopping,
}

/// A request on its way to the task that owns the socket.
#[derive(Debug)]
struct Ask {
    request: Wanted,
    answer: oneshot::Sender<Result<Granted, LauncherError>>,
}

#[derive(Debug)]
enum Wanted {
    Spawn(ServerName),
    Stop(InstanceId, Duration),
}

impl Launcher {
    /// Connects to the launcher's socket, says HELLO and asks for the VIEW. Must run inside a tokio runtime.
    ///
    /// # Errors
    /// [`LauncherError`] if there is no launcher, or it refuses.
    pub async fn connect(path: &Path) -> Result<Self, LauncherError> {
        let socket = Socket::connect(path).await?;
        let (machine, in_force) = greet(&socket).await?;
        let machine = Arc::new(RwLock::new(machine));
        let (publish, in_force) = watch::channel(Arc::new(in_force));
        let (asks, queue) = mpsc::channel(REQUESTS_MAX);
        let link = Link {
            path: path.to_owned(),
            machine: machine.clone(),
            publish,
            queue,
            asks: asks.clone().downgrade(),
            waiting: HashMap::new(),
            exits: HashMap::new(),
            last_id: 2,
        };
        tokio::spawn(link.run(socket));
        Ok(Self { asks, machine, in_force })
    }

    /// What the launcher said about this machine.
    #[must_use]
    pub fn machine(&self) -> Machine {
        self.machine.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The view in force and its generation.
    ///
    /// # Errors
    /// None now: the view was asked for by [`Launcher::connect`].
    pub async fn view(&self) -> Result<(u64, View), LauncherError> {
        let in_force = self.in_force.borrow().clone();
        Ok((in_force.generation, in_force.view.clone()))
    }

    async fn start(&self, server: &ServerName) -> Result<Process, LauncherError> {
        let (answer, answered) = oneshot::channel();
        let ask = Ask { request: Wanted::Spawn(server.clone()), answer };
        self.asks.send(ask).await.map_err(|_| LauncherError::Gone)?;
        let answered = tokio::time::timeout(LAUNCHER_REPLY_TIMEOUT, answered);
        match answered.await.map_err(|_| LauncherError::TimedOut)?.map_err(|_| LauncherError::Gone)?? {
            Granted::Started(process) => Ok(*process),
            Granted::Stopping => Err(LauncherError::Protocol("a SPAWN was answered as a STOP".to_owned())),
        }
    }
}

impl Spawner for Launcher {
    fn spawn<'a>(&'a self, server: &'a ServerName) -> Later<'a, Result<Process, SpawnError>> {
        Box::pin(async move { self.start(server).await.map_err(|error| SpawnError(error.to_string())) })
    }

    fn machine(&self) -> Machine {
        Self::machine(self)
    }

    fn in_force(&self) -> watch::Receiver<Arc<InForce>> {
        self.in_force.clone()
    }
}

/// HELLO and VIEW, with nothing else under way.
async fn greet(socket: &Socket) -> Result<(Machine, InForce), LauncherError> {
    socket.send(&Request::Hello.to_packet(1)).await?;
    let machine = match answer_to(socket, 1).await? {
        (Reply::Hello(machine), _) => machine,
        (other, _) => return Err(unexpected("HELLO", &other)),
    };
    socket.send(&Request::View.to_packet(2)).await?;
    let (reply, descriptors) = answer_to(socket, 2).await?;
    Ok((machine, read_view(reply, descriptors)?))
}

/// The answer to the one request under way.
async fn answer_to(socket: &Socket, id: u32) -> Result<(Reply, Vec<OwnedFd>), LauncherError> {
    let answer = async {
        loop {
            let packet = socket.receive().await?.ok_or(LauncherError::Gone)?;
            match packet.message {
                FromLauncher::Event(_) => {}
                FromLauncher::Reply(of, Reply::Refused(refusal)) if of == id => {
                    return Err(LauncherError::Refused(refusal));
                }
                FromLauncher::Reply(of, reply) if of == id => return Ok((reply, packet.descriptors)),
                FromLauncher::Reply(..) => {
                    return Err(LauncherError::Protocol("an answer to nothing".to_owned()));
                }
            }
        }
    };
    tokio::time::timeout(LAUNCHER_REPLY_TIMEOUT, answer).await.map_err(|_| LauncherError::TimedOut)?
}

fn read_view(reply: Reply, descriptors: Vec<OwnedFd>) -> Result<InForce, LauncherError> {
    let Reply::View { generation } = reply else { return Err(unexpected("VIEW", &reply)) };
    let [memfd] = <[OwnedFd; 1]>::try_from(descriptors)
        .map_err(|_| LauncherError::Protocol("a view comes with one descriptor".to_owned()))?;
    let bytes = socket::read_memfd(memfd)?;
    let view = serde_json::from_slice(&bytes)
        .map_err(|error| LauncherError::Protocol(format!("the view cannot be read: {error}")))?;
    Ok(InForce { generation, view })
}

fn unexpected(request: &str, reply: &Reply) -> LauncherError {
    LauncherError::Protocol(format!("{request} was answered with {reply:?}"))
}

/// A refusal for a person: the code, the step that failed, the kernel's reason, the wall that is missing.
fn refusal_in_words(refusal: &Refusal) -> String {
    let mut text = refusal.code.to_string();
    if let Some(step) = refusal.step {
        text.push_str(&format!(": could not {step}"));
    }
    if let Some(wall) = refusal.wall {
        text.push_str(&format!(": {wall}"));
    }
    if refusal.errno != 0 {
        text.push_str(&format!(": {}", std::io::Error::from_raw_os_error(refusal.errno)));
    }
    text
}

/// The task that owns the socket.
struct Link {
    path: PathBuf,
    machine: Arc<RwLock<Machine>>,
    publish: watch::Sender<Arc<InForce>>,
    queue: mpsc::Receiver<Ask>,
    /// For leashes; weak, so that the task ends with the last [`Launcher`].
    asks: mpsc::WeakSender<Ask>,
    waiting: HashMap<u32, Waiting>,
    exits: HashMap<InstanceId, oneshot::Sender<Exit>>,
    last_id: u32,
}

enum Waiting {
    Ask(oneshot::Sender<Result<Granted, LauncherError>>),
    View,
    /// A STOP of our own.
    Nobody,
}

impl Link {
    async fn run(mut self, socket: Socket) {
        let mut socket = socket;
        loop {
            match self.serve(&socket).await {
                Ok(()) => return,
                Err(error) => tracing::warn!(%error, "lost the launcher; connecting again"),
            }
            // Whoever waits learns that there will be no answer; with the launcher all servers ended.
            self.waiting.clear();
            self.exits.clear();
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
        if ask.answer.is_closed() {
            return Ok(());
        }
        let generation = self.publish.borrow().generation;
        let request = match ask.request {
            Wanted::Spawn(server) => Request::Spawn { server, generation, partition: Partition::SHARED },
            Wanted::Stop(instance, grace) => stop(instance, grace),
        };
        self.send(socket, &request, Waiting::Ask(ask.answer)).await
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
                if let Some(waiting) = self.exits.remove(&instance) {
                    let _ = waiting.send(exit);
                }
                Ok(())
            }
            FromLauncher::Event(Event::Changed { generation, errors }) => {
                tracing::info!(generation, errors, "the configuration was read again");
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

    async fn answer(
        &mut self,
        socket: &Socket,
        waiting: Option<Waiting>,
        reply: Reply,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(), LauncherError> {
        match (waiting, reply) {
            (None, reply) => Err(unexpected("nothing", &reply)),
            (Some(Waiting::Nobody), _) => Ok(()),
            (Some(Waiting::View), Reply::Refused(refusal)) => {
                tracing::warn!(reason = %refusal_in_words(&refusal), "no view");
                Ok(())
            }
            (Some(Waiting::View), reply) => {
                self.publish.send_replace(Arc::new(read_view(reply, descriptors)?));
                Ok(())
            }
            (Some(Waiting::Ask(answer)), Reply::Spawned(spawned)) => {
                let instance = spawned.instance;
                let started =
                    self.adopt(spawned, descriptors).map(|process| Granted::Started(Box::new(process)));
                // Nobody waits for it any more, or its pipes are of no use: it must not run on.
                if started.is_err() || answer.send(started).is_err() {
                    return self.send(socket, &stop(instance, Duration::ZERO), Waiting::Nobody).await;
                }
                Ok(())
            }
            (Some(Waiting::Ask(answer)), reply) => {
                let _ = answer.send(match reply {
                    Reply::Stopping => Ok(Granted::Stopping),
                    Reply::Refused(refusal) => Err(LauncherError::Refused(refusal)),
                    other => Err(unexpected("a request", &other)),
                });
                Ok(())
            }
        }
    }

    fn adopt(&mut self, spawned: Spawned, descriptors: Vec<OwnedFd>) -> Result<Process, LauncherError> {
        let [stdin, stdout, stderr, _pidfd] = <[OwnedFd; 4]>::try_from(descriptors)
            .map_err(|_| LauncherError::Protocol("a server comes with four descriptors".to_owned()))?;
        let (report, exit) = oneshot::channel();
        self.exits.insert(spawned.instance, report);
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

/// Ends one server through the launcher.
struct LauncherLeash {
    asks: mpsc::WeakSender<Ask>,
    instance: InstanceId,
}

impl Leash for LauncherLeash {
    fn stop(&self, grace: Duration) {
        let Some(asks) = self.asks.upgrade() else { return };
        let request = Wanted::Stop(self.instance, grace);
        tokio::spawn(async move {
            let (answer, answered) = oneshot::channel();
            if asks.send(Ask { request, answer }).await.is_ok() {
                // UNKNOWN INSTANCE means that it has ended already.
                let _ = answered.await;
            }
        });
    }
}
