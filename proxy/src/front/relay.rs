//! The relay socket: newline-delimited JSON-RPC, as an MCP server speaks it on standard input and
//! output. One connection is one client; both families of the protocol may be mixed on it.

pub mod requests;

use super::accept::{self, LocalDoor};
use super::error::{Fault, code};
use super::message::{self, Message, Notification};
use super::subscription::{self, Filter, Resources};
use super::{Front, frame, modern};
use crate::exchange::{Caller, Endpoint, Exchange, Principal};
use crate::limits::{
    CLIENT_MESSAGE_BYTES_MAX, RELAY_HANG_UP_POLL, RELAY_LINES_MAX, RELAY_LINGER_MAX, RELAY_REQUESTS_MAX,
    RELAY_WRITE_TIME_MAX,
};
use bytes::{Bytes, BytesMut};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, Interest,
};
use tokio::net::UnixStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};

/// Bytes that are written with one system call if they wait already.
const WRITE_BYTES: usize = 64 * 1024;

/// Serves the relay socket until the proxy stops.
pub async fn serve<E: Exchange>(front: Arc<Front<E>>, door: LocalDoor) {
    accept::unix(door, move |stream| {
        let front = Arc::clone(&front);
        async move {
            if let Ok(peer) = stream.peer_cred() {
                client(front, stream, Principal::LocalUser(peer.uid())).await;
            }
        }
    })
    .await;
}

/// Serves one client until it goes away or the proxy stops.
pub async fn client<E: Exchange>(front: Arc<Front<E>>, stream: UnixStream, principal: Principal) {
    let (reader, writer) = stream.into_split();
    let (lines, waiting) = mpsc::channel(RELAY_LINES_MAX);
    let writing = tokio::spawn(write(writer, waiting));
    let mut connection = Connection::new(Arc::clone(&front), principal, lines);
    let stop = front.stop.clone();
    let mut reader = BufReader::new(reader);
    let _ = stop.run_until_cancelled(connection.read(&mut reader)).await;
    tokio::select! {
        () = connection.finish() => {}
        () = hung_up(reader.get_ref().as_ref()) => {}
    }
    // What is under way ends with it.
    drop(connection);
    // Ends when all senders are gone, or when the client has read nothing for too long.
    let _ = writing.await;
}

/// Waits until the client has closed both directions, or was killed: nobody reads its answers any more. One that only
/// says no more has closed one.
async fn hung_up(stream: &UnixStream) {
    // The kernel's word stands beside "may be written to", which does not wait: so we look now and then.
    while stream.ready(Interest::WRITABLE).await.is_ok_and(|ready| !ready.is_write_closed()) {
        tokio::time::sleep(RELAY_HANG_UP_POLL).await;
    }
}

/// Writes lines as they come, several at once if they wait already.
async fn write(mut writer: impl AsyncWrite + Unpin, mut waiting: mpsc::Receiver<Bytes>) {
    while let Some(message) = waiting.recv().await {
        let mut out = BytesMut::from(frame::line(&message));
        while out.len() < WRITE_BYTES {
            let Ok(more) = waiting.try_recv() else { break };
            out.extend_from_slice(&frame::line(&more));
        }
        let written = tokio::time::timeout(RELAY_WRITE_TIME_MAX, writer.write_all(&out)).await;
        if !matches!(written, Ok(Ok(()))) {
            return;
        }
    }
}

/// What a legacy handshake leaves behind.
#[derive(Clone)]
struct Handshake {
    caller: Caller,
    resources: Resources,
}

/// Requests of the modern wire by their id, so that a cancellation finds them.
type UnderWay = Arc<Mutex<HashMap<String, AbortHandle>>>;

struct Connection<E: Exchange> {
    front: Arc<Front<E>>,
    principal: Principal,
    number: u64,
    lines: mpsc::Sender<Bytes>,
    handshake: Option<Handshake>,
    told: bool,
    places: Arc<Semaphore>,
    /// Requests under way.
    tasks: JoinSet<()>,
    /// What never ends by itself: subscriptions.
    listening: JoinSet<()>,
    modern: UnderWay,
}

impl<E: Exchange> Drop for Connection<E> {
    fn drop(&mut self) {
        self.front.exchange.session_ended(self.number);
    }
}

impl<E: Exchange> Connection<E> {
    fn new(front: Arc<Front<E>>, principal: Principal, lines: mpsc::Sender<Bytes>) -> Self {
        Self {
            number: front.sessions.next_number(),
            front,
            principal,
            lines,
            handshake: None,
            told: false,
            places: Arc::new(Semaphore::new(RELAY_REQUESTS_MAX)),
            tasks: JoinSet::new(),
            listening: JoinSet::new(),
            modern: UnderWay::default(),
        }
    }

    /// Takes lines until the client closes its side, sends too long a line, or reads no more.
    async fn read(&mut self, mut reader: impl AsyncBufRead + Unpin) {
        let limit = CLIENT_MESSAGE_BYTES_MAX as u64 + 1;
        loop {
            let mut line = Vec::new();
            match (&mut reader).take(limit).read_until(b'\n', &mut line).await {
                Ok(length) if length > 0 => {}
                _ => return,
            }
            if line.len() > CLIENT_MESSAGE_BYTES_MAX {
                let problem = format!("a line may have {CLIENT_MESSAGE_BYTES_MAX} bytes at most");
                self.say(Fault::new(code::INVALID_REQUEST, problem).to_json()).await;
                return;
            }
            while self.tasks.try_join_next().is_some() || self.listening.try_join_next().is_some() {}
            if !line.trim_ascii().is_empty() {
                self.take(Bytes::from(line)).await;
            }
            if self.lines.is_closed() {
                return;
            }
        }
    }

    /// Lets requests under way finish after the client has closed its side, for a while. Subscriptions
    /// end at once, or say goodbye if it is the proxy that stops.
    async fn finish(&mut self) {
        let lines = self.lines.clone();
        let rest = async {
            while self.tasks.join_next().await.is_some() {}
            if self.front.stop.is_cancelled() {
                while self.listening.join_next().await.is_some() {}
            }
        };
        tokio::select! {
            () = rest => {}
            () = lines.closed() => {}
            () = tokio::time::sleep(RELAY_LINGER_MAX) => {}
        }
        self.tasks.shutdown().await;
        self.listening.shutdown().await;
    }

    async fn say(&self, message: Bytes) {
        // A client that is gone is noticed by the reader.
        let _ = self.lines.send(message).await;
    }

    /// Answers one line, or starts to.
    async fn take(&mut self, line: Bytes) {
        if let Err(fault) = self.try_take(&line).await {
            self.say(fault.to_json()).await;
        }
    }

    async fn try_take(&mut self, line: &Bytes) -> Result<(), Fault> {
        let text = message::text(line)?;
        if let Some(elements) = message::batch(text)? {
            return self.take_batch(line, elements).await;
        }
        let own = line.slice_ref(text.trim_ascii().as_bytes());
        match message::parse(text)? {
            Message::Request(request) => {
                let taken = self.take_request(&request, own).await;
                taken.map_err(|fault| fault.about(request.id))
            }
            Message::Notification(notification) => self.take_notification(&notification, own).await,
            Message::Response => {
                self.take_response(&own);
                Ok(())
            }
        }
    }

    async fn take_notification(&mut self, notification: &Notification<'_>, body: Bytes) -> Result<(), Fault> {
        if notification.method == "notifications/cancelled" && self.cancel(notification) {
            return Ok(());
        }
        // A notification is not answered, not even one that comes too early.
        let Some(handshake) = self.handshake.clone() else { return Ok(()) };
        if notification.method == "notifications/initialized" && !self.told {
            self.told = true;
            self.tell(handshake.clone());
        }
        Arc::clone(&self.front.exchange).notification(handshake.caller, body).await;
        Ok(())
    }

    /// An answer to something a server has asked: only a client that has shaken hands is asked anything.
    fn take_response(&self, body: &Bytes) {
        if let Some(handshake) = &self.handshake {
            self.front.exchange.response(&handshake.caller, body);
        }
    }

    /// Ends a request of the modern wire; gives false if the notification names none.
    fn cancel(&self, notification: &Notification<'_>) -> bool {
        let Some(id) = modern::cancelled_request(notification) else { return false };
        let task = self.modern.lock().unwrap_or_else(PoisonError::into_inner).remove(id.get());
        task.is_some_and(|task| {
            task.abort();
            true
        })
    }

    /// Tells a legacy client what happens, until the connection ends.
    fn tell(&mut self, handshake: Handshake) {
        let (front, lines) = (Arc::clone(&self.front), self.lines.clone());
        let mut events = front.exchange.events();
        self.listening.spawn(async move {
            let mut filter = Filter::legacy(handshake.resources, &handshake.caller);
            if !front.exchange.shows_changes_of_tools(&handshake.caller) {
                filter = filter.without_tools();
            }
            subscription::tell(&filter, &Endpoint::Aggregate, &mut events, &lines, &front.stop).await;
        });
    }
}
