//! The client of the launcher: names a server and gets its pipes back.
//!
//! One task owns the socket. It connects again when the launcher went away, and says HELLO and asks for
//! the VIEW each time, because a launcher that was started again counts its generations anew.

mod link;
mod socket;
#[cfg(test)]
mod tests;

use crate::limits::LAUNCHER_REPLY_TIMEOUT;
use crate::servers::spawn::{InForce, Later, Process, Reloads, SpawnError, Spawner};
use link::Link;
use only1mcp_policy::view::View;
use only1mcp_wire::message::FromLauncher;
use only1mcp_wire::{
    InstanceId, Machine, Partition, Refusal, RefusalCode, Reply, Request, ServerName, Usage,
};
use socket::Socket;
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// Requests to the launcher that may wait for each other.
const REQUESTS_MAX: usize = 256;

/// A connection to the launcher that is made again when it breaks. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Launcher {
    asks: mpsc::Sender<Ask>,
    machine: Arc<RwLock<Machine>>,
    in_force: watch::Receiver<Arc<InForce>>,
    reloads: Arc<Mutex<Reloads>>,
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

impl From<LauncherError> for SpawnError {
    fn from(error: LauncherError) -> Self {
        let is_passing = match &error {
            LauncherError::Socket(_) | LauncherError::TimedOut | LauncherError::Gone => true,
            LauncherError::Protocol(_) => false,
            LauncherError::Refused(refusal) => matches!(
                refusal.code,
                RefusalCode::StaleGeneration
                    | RefusalCode::TooManyInstances
                    | RefusalCode::TooManySpawns
                    | RefusalCode::Ending
            ),
        };
        Self { reason: error.to_string(), is_passing }
    }
}

/// A request on its way to the task that owns the socket.
#[derive(Debug)]
enum Ask {
    Spawn(ServerName, Partition, Started),
    Stop(InstanceId, Duration),
    Usage(InstanceId, oneshot::Sender<Option<Usage>>),
    Reload(oneshot::Sender<(u64, u32)>),
}

/// Where a started server goes.
type Started = oneshot::Sender<Result<Box<Process>, LauncherError>>;

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
        let reloads = Arc::new(Mutex::new(Reloads::default()));
        let link = Link {
            path: path.to_owned(),
            machine: machine.clone(),
            publish,
            queue,
            asks: asks.clone().downgrade(),
            waiting: HashMap::new(),
            running: HashMap::new(),
            last_id: 2,
            reloads: reloads.clone(),
        };
        tokio::spawn(link.run(socket));
        Ok(Self { asks, machine, in_force, reloads })
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

    async fn start(&self, server: &ServerName, partition: Partition) -> Result<Process, LauncherError> {
        let (answer, answered) = oneshot::channel();
        self.asks
            .send(Ask::Spawn(server.clone(), partition, answer))
            .await
            .map_err(|_| LauncherError::Gone)?;
        let answered = tokio::time::timeout(LAUNCHER_REPLY_TIMEOUT, answered);
        let started = answered.await.map_err(|_| LauncherError::TimedOut)?;
        Ok(*started.map_err(|_| LauncherError::Gone)??)
    }
}

impl Spawner for Launcher {
    fn spawn<'a>(
        &'a self,
        server: &'a ServerName,
        partition: Partition,
    ) -> Later<'a, Result<Process, SpawnError>> {
        Box::pin(async move { self.start(server, partition).await.map_err(SpawnError::from) })
    }

    fn machine(&self) -> Machine {
        Self::machine(self)
    }

    fn in_force(&self) -> watch::Receiver<Arc<InForce>> {
        self.in_force.clone()
    }

    fn reload(&self) -> Later<'_, Result<(u64, u32), SpawnError>> {
        Box::pin(async {
            let (answer, answered) = oneshot::channel();
            self.asks.send(Ask::Reload(answer)).await.map_err(|_| LauncherError::Gone)?;
            let answered = tokio::time::timeout(LAUNCHER_REPLY_TIMEOUT, answered);
            let reloaded = answered.await.map_err(|_| LauncherError::TimedOut)?;
            Ok(reloaded.map_err(|_| LauncherError::Gone)?)
        })
    }

    fn reloads(&self) -> Reloads {
        *self.reloads.lock().unwrap_or_else(PoisonError::into_inner)
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
