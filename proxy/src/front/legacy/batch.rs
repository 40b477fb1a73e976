//! Arrays of messages, which only revision 2025-03-26 has.

use super::stream::respond;
use super::{run, session};
use crate::exchange::Who;
use crate::exchange::{Answer, Exchange, STREAM_MESSAGES_MAX};
use crate::front::answer::{Abandoned, Work};
use crate::front::error::{Fault, code};
use crate::front::message::{self, Message};
use crate::front::{Front, era, headers};
use crate::limits::BATCH_MESSAGES_MAX;
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::future::join_all;
use http::{HeaderMap, StatusCode};
use serde_json::value::RawValue;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Answers one POST that holds an array of messages: an array of the answers, in the requests' order.
///
/// # Errors
/// -32600 where batches do not exist, or for one that is empty, too long, or holds `initialize`.
pub async fn post<E: Exchange>(
    front: &Arc<Front<E>>,
    who: Who,
    headers: &HeaderMap,
    body: &Bytes,
    elements: Vec<&RawValue>,
) -> Result<Response, Fault> {
    let refuse = |problem: &str| Fault::new(code::INVALID_REQUEST, problem);
    let session = session(front, &who, headers)?;
    if session.caller.version != era::BATCH_VERSION {
        return Err(refuse("batches exist only in protocol version 2025-03-26"));
    }
    if elements.is_empty() || elements.len() > BATCH_MESSAGES_MAX {
        return Err(refuse("a batch holds 1 to 64 messages"));
    }
    let accepts = headers::accept(headers)?;
    let mut messages = Vec::new();
    for element in elements {
        let message = message::parse(element.get())?;
        if matches!(&message, Message::Request(request) if request.method == "initialize") {
            return Err(refuse("initialize must not be part of a batch"));
        }
        messages.push((message, body.slice_ref(element.get().as_bytes())));
    }
    // Only now, so that a batch that is refused has done nothing.
    let (sender, notifications) = mpsc::channel(STREAM_MESSAGES_MAX);
    let mut under_way = Vec::new();
    for (message, own) in &messages {
        if let Message::Request(request) = message {
            under_way.push(run(front, &session, own.clone(), request, sender.clone())?);
        }
    }
    for (message, own) in messages {
        match message {
            Message::Request(_) => {}
            Message::Notification(_) => {
                Arc::clone(&front.exchange).notification(session.caller.clone(), own).await;
            }
            Message::Response => front.exchange.response(&session.caller, &own),
        }
    }
    drop(sender);
    if under_way.is_empty() {
        return Ok(StatusCode::ACCEPTED.into_response());
    }
    let work = Work::new(Abandoned::GoOn, async move { array(&join_all(under_way).await) });
    Ok(respond(front, &session, work, notifications, accepts).await)
}

/// The answers of a batch as one.
pub fn array(answers: &[Answer]) -> Answer {
    let mut out = BytesMut::new();
    for (index, answer) in answers.iter().enumerate() {
        out.put_u8(if index == 0 { b'[' } else { b',' });
        out.put_slice(&answer.response);
    }
    out.put_u8(b']');
    Answer { response: out.freeze(), error_code: None, retry_after: None }
}
