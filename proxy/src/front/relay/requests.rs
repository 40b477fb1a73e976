//! The requests of one relay connection: each runs on its own, and answers as soon as it can.

use super::{Connection, Handshake};
use crate::exchange::{Answer, Caller, Endpoint, Era, Exchange, STREAM_MESSAGES_MAX, Who};
use crate::front::era::{self, Params};
use crate::front::error::{Fault, code};
use crate::front::legacy::{Watch, batch::array};
use crate::front::message::{self, Message, Request};
use crate::front::session::legacy_caller;
use crate::front::subscription::Resources;
use crate::front::{Front, modern};
use crate::limits::BATCH_MESSAGES_MAX;
use bytes::Bytes;
use futures_util::future::join_all;
use serde_json::value::RawValue;
use std::sync::{Arc, PoisonError};
use tokio::sync::mpsc;

impl<E: Exchange> Connection<E> {
    /// Starts to answer one request.
    pub(super) async fn take_request(&mut self, request: &Request<'_>, body: Bytes) -> Result<(), Fault> {
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
            view: params.protocol.view()?,
            era: Era::Modern,
            version,
            principal: self.principal.clone(),
            session: None,
            relay: Some(self.number),
            capabilities: params.client_capabilities(),
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
        let who = Who { view: params.protocol.view()?, ..Who::at_all(self.principal.clone()) };
        let mut caller = legacy_caller(who, version, self.number);
        caller.capabilities = params.client_capabilities();
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

    /// An array of messages, for those who negotiated 2025-03-26: answered by an array.
    pub(super) async fn take_batch(&mut self, line: &Bytes, elements: Vec<&RawValue>) -> Result<(), Fault> {
        let refuse = |problem: &str| Fault::new(code::INVALID_REQUEST, problem);
        if self.handshake.as_ref().is_none_or(|handshake| handshake.caller.version != era::BATCH_VERSION) {
            return Err(refuse("batches exist only in protocol version 2025-03-26"));
        }
        if elements.is_empty() || elements.len() > BATCH_MESSAGES_MAX {
            return Err(refuse("a batch holds 1 to 64 messages"));
        }
        let mut messages = Vec::new();
        for element in elements {
            let message = message::parse(element.get())?;
            if matches!(&message, Message::Request(request) if request.method == "initialize") {
                return Err(refuse("initialize must not be part of a batch"));
            }
            messages.push((message, line.slice_ref(element.get().as_bytes())));
        }
        // Only now, so that a batch that is refused has done nothing.
        let mut under_way = Vec::new();
        for (message, own) in &messages {
            if let Message::Request(request) = message {
                under_way.push(self.legacy_request(request, own.clone(), self.lines.clone())?);
            }
        }
        for (message, own) in messages {
            match message {
                Message::Request(_) => {}
                Message::Notification(notification) => self.take_notification(&notification, own).await?,
                Message::Response => self.take_response(&own),
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
