//! The relay socket: newline-delimited JSON-RPC, as an MCP server speaks it on standard input and
//! output. One connection is one client; both families of the protocol may be mixed on it.

use super::accept::{self, LocalDoor};
use super::era::{self, Params};
use super::error::{Fault, code};
use super::legacy::{Watch, array};
use super::message::{self, Message, Notification, Request};
use super::session::legacy_caller;
use super::subscription::{self, Filter, Resources};
use super::{Front, frame, modern};
use crate::exchange::{Answer, Caller, Endpoint, Era, Exchange, Principal, STREAM_MESSAGES_MAX};
use crate::limits::{
    BATCH_MESSAGES_MAX, CLIENT_MESSAGE_BYTES_MAX, RELAY_LINES_MAX, RELAY_LINGER_MAX, RELAY_REQUESTS_MAX,
};
use bytes::{Bytes, BytesMut};
use futures_util::future::join_all;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
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
    let _ = stop.run_until_cancelled(connection.read(BufReader::new(reader))).await;
    connection.finish().await;
    drop(connection);
    // Ends when all senders are gone, or at once if the client does not read.
    let _ = writing.await;
}

/// Writes lines as they come, several at once if they wait already.
async fn write(mut writer: impl AsyncWrite + Unpin, mut waiting: mpsc::Receiver<Bytes>) {
    while let Some(message) = waiting.recv().await {
        let mut out = BytesMut::from(frame::line(&message));
        while out.len() < WRITE_BYTES {
            let Ok(more) = waiting.try_recv() else { break };
            out.extend_from_slice(&frame::line(&more));
        }
        if writer.write_all(&out).await.is_err() {
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
            // No server of ours asks its clients anything yet.
            Message::Response => Ok(()),
        }
    }

    async fn take_request(&mut self, request: &Request<'_>, body: Bytes) -> Result<(), Fault> {
        let params = Params::read(request.params)?;
        match era::of_message(None, Some(&request.method), &params) {
            Era::Modern => self.take_modern(request, &params, body),
            Era::Legacy if request.method == "initialize" => self.shake_hands(&params, body).await,
            Era::Legacy => {
                let answering = self.legacy_request(request, body, self.lines.clone())?;
                let lines = self.lines.clone();
                self.tasks.spawn(async move {
                    let answer = answering.await;
                    let _ = lines.send(answer.response).await;
                });
                Ok(())
            }
        }
    }

    fn take_modern(&mut self, request: &Request<'_>, params: &Params<'_>, body: Bytes) -> Result<(), Fault> {
        let version = era::modern_version(params)?;
        era::refuse_removed(&request.method)?;
        let caller = Caller {
            endpoint: Endpoint::Aggregate,
            era: Era::Modern,
            version,
            principal: self.principal.clone(),
            session: None,
        };
        let place = self.place()?;
        let (front, lines) = (Arc::clone(&self.front), self.lines.clone());
        let (under_way, id) = (Arc::clone(&self.modern), request.id.get().to_owned());
        let listens = request.method == "subscriptions/listen";
        let answering = async move {
            let _place = place;
            if listens {
                listen(&front, caller, &body, lines).await;
            } else {
                let answer = with_notifications(&front, caller, body, &lines).await;
                let _ = lines.send(answer.response).await;
            }
            under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        };
        let tasks = if listens { &mut self.listening } else { &mut self.tasks };
        let task = tasks.spawn(answering);
        let mut under_way = self.modern.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.retain(|_, task| !task.is_finished());
        under_way.insert(request.id.get().to_owned(), task);
        Ok(())
    }

    /// The legacy handshake. Nothing else is read meanwhile, so that what follows finds it done.
    async fn shake_hands(&mut self, params: &Params<'_>, body: Bytes) -> Result<(), Fault> {
        if self.handshake.is_some() {
            return Err(Fault::new(code::INVALID_REQUEST, "initialize was answered already"));
        }
        let version = era::negotiate(era::string(params.version).as_deref());
        let principal = self.principal.clone();
        let caller = legacy_caller(Endpoint::Aggregate, principal, version, self.number);
        let answer = with_notifications(&self.front, caller.clone(), body, &self.lines).await;
        if answer.error_code.is_none() {
            self.handshake = Some(Handshake { caller, resources: Resources::default() });
        }
        self.say(answer.response).await;
        Ok(())
    }

    /// Has the core answer a request of a client that has shaken hands.
    fn legacy_request(
        &self,
        request: &Request<'_>,
        body: Bytes,
        lines: mpsc::Sender<Bytes>,
    ) -> Result<impl Future<Output = Answer> + Send + use<E>, Fault> {
        let Some(Handshake { caller, resources }) = self.handshake.clone() else {
            return Err(Fault::new(code::INVALID_REQUEST, "begin with initialize, or with modern _meta"));
        };
        let watch = Watch::of(request)?;
        if matches!(watch, Watch::Begin(_)) && !resources.has_room() {
            return Err(Fault::new(code::INVALID_PARAMS, "too many resources are subscribed to"));
        }
        let (place, front) = (self.place()?, Arc::clone(&self.front));
        Ok(async move {
            let _place = place;
            let answer = with_notifications(&front, caller, body, &lines).await;
            watch.keep(&resources, &answer);
            answer
        })
    }

    fn place(&self) -> Result<tokio::sync::OwnedSemaphorePermit, Fault> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let status = http::StatusCode::SERVICE_UNAVAILABLE;
        place.map_err(|_| Fault::transport(status, "too many requests are under way"))
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
            let filter = Filter::legacy(handshake.resources);
            subscription::tell(&filter, &Endpoint::Aggregate, &mut events, &lines, &front.stop).await;
        });
    }

    /// An array of messages, for those who negotiated 2025-03-26: answered by an array.
    async fn take_batch(&mut self, line: &Bytes, elements: Vec<&RawValue>) -> Result<(), Fault> {
        let refuse = |problem: &str| Fault::new(code::INVALID_REQUEST, problem);
        if self.handshake.as_ref().is_none_or(|handshake| handshake.caller.version != era::BATCH_VERSION) {
            return Err(refuse("batches exist only in protocol version 2025-03-26"));
        }
        if elements.is_empty() || elements.len() > BATCH_MESSAGES_MAX {
            return Err(refuse("a batch holds 1 to 64 messages"));
        }
        let mut under_way = Vec::new();
        for element in elements {
            let own = line.slice_ref(element.get().as_bytes());
            match message::parse(element.get())? {
                Message::Request(request) if request.method == "initialize" => {
                    return Err(refuse("initialize must not be part of a batch"));
                }
                Message::Request(request) => {
                    under_way.push(self.legacy_request(&request, own, self.lines.clone())?);
                }
                Message::Notification(notification) => self.take_notification(&notification, own).await?,
                Message::Response => {}
            }
        }
        if !under_way.is_empty() {
            let lines = self.lines.clone();
            self.tasks.spawn(async move {
                let answers = array(&join_all(under_way).await);
                let _ = lines.send(answers.response).await;
            });
        }
        Ok(())
    }
}

/// Has the core answer a request, and passes its notifications on before the answer.
async fn with_notifications<E: Exchange>(
    front: &Arc<Front<E>>,
    caller: Caller,
    body: Bytes,
    lines: &mpsc::Sender<Bytes>,
) -> Answer {
    let (sender, mut notifications) = mpsc::channel(STREAM_MESSAGES_MAX);
    let mut answering = std::pin::pin!(Arc::clone(&front.exchange).request(caller, body, sender));
    let answer = loop {
        tokio::select! {
            biased;
            Some(message) = notifications.recv() => drop(lines.send(message).await),
            answer = &mut answering => break answer,
        }
    };
    while let Ok(message) = notifications.try_recv() {
        let _ = lines.send(message).await;
    }
    answer
}

/// Answers `subscriptions/listen` until it is cancelled or the client is gone.
async fn listen<E: Exchange>(
    front: &Arc<Front<E>>,
    caller: Caller,
    body: &Bytes,
    lines: mpsc::Sender<Bytes>,
) {
    // It was parsed before; only the slices could not be taken along.
    let Ok(Message::Request(request)) = message::text(body).and_then(message::parse) else { return };
    match modern::listen(front, caller, &request).await {
        Ok(listening) => {
            let _ = lines.send(listening.acknowledgement()).await;
            listening.tell(lines).await;
        }
        Err(fault) => drop(lines.send(fault.about(request.id).to_json()).await),
    }
}
