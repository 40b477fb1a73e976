//! How messages stand on an event stream and on a line.

use super::kept::event_id::EventId;
use crate::limits::STREAM_RETRY;
use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;
use serde_json::value::RawValue;
use std::time::Duration;

/// An event without meaning that keeps a stream open and finds out whether the client is still there.
pub const KEEP_ALIVE: Bytes = Bytes::from_static(b": keep-alive\n\n");

/// One message as one event.
pub fn event(message: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(message.len() + 8);
    put_event(&mut out, message);
    out.freeze()
}

/// Appends one message as one event.
pub fn put_event(out: &mut BytesMut, message: &[u8]) {
    out.put_slice(b"data: ");
    put_one_line(out, message);
    out.put_slice(b"\n\n");
}

/// One message as one line.
pub fn line(message: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(message.len() + 1);
    put_one_line(&mut out, message);
    out.put_u8(b'\n');
    out.freeze()
}

/// JSON has line ends only between its tokens, where a space says the same.
fn put_one_line(out: &mut BytesMut, message: &[u8]) {
    let start = out.len();
    out.put_slice(message);
    for byte in out.iter_mut().skip(start).filter(|byte| matches!(byte, b'\n' | b'\r')) {
        *byte = b' ';
    }
}

/// One message as one event that a client can name.
pub fn event_of(id: EventId, message: &[u8]) -> Bytes {
    let id = id.to_string();
    let mut out = BytesMut::with_capacity(message.len() + id.len() + 16);
    out.put_slice(b"id: ");
    out.put_slice(id.as_bytes());
    out.put_u8(b'\n');
    put_event(&mut out, message);
    out.freeze()
}

/// The event that gives a stream of 2025-11-25 an id and says when to come back after it broke.
pub fn priming(id: EventId) -> Bytes {
    Bytes::from(format!("id: {id}\nretry: {}\ndata: \n\n", STREAM_RETRY.as_millis()))
}

/// Says when to come back, before we close a stream that has not come to its end.
pub fn retry(after: Duration) -> Bytes {
    Bytes::from(format!("retry: {}\n\n", after.as_millis()))
}

/// A JSON-RPC notification of our own.
#[derive(Serialize)]
struct Notification<'a> {
    jsonrpc: &'static str,
    method: &'a str,
    params: &'a NotificationParams<'a>,
}

/// What our own notifications can say.
#[derive(Default, Serialize)]
pub struct NotificationParams<'a> {
    /// Which resource changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<&'a str>,
    /// What a subscription will be told of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notifications: Option<serde_json::Value>,
    /// To which subscription it belongs, on the modern wire.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<SubscriptionMeta<'a>>,
}

/// The `_meta` of everything that belongs to a subscription: the raw id of its listen request.
#[derive(Clone, Copy, Serialize)]
pub struct SubscriptionMeta<'a> {
    /// Byte for byte.
    #[serde(rename = "io.modelcontextprotocol/subscriptionId")]
    pub id: &'a RawValue,
}

/// One of our own notifications.
pub fn notification(method: &str, params: &NotificationParams<'_>) -> Bytes {
    to_bytes(&Notification { jsonrpc: "2.0", method, params })
}

/// The answer that ends a subscription.
pub fn subscription_end(id: &RawValue) -> Bytes {
    #[derive(Serialize)]
    struct Response<'a> {
        jsonrpc: &'static str,
        id: &'a RawValue,
        result: Complete<'a>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Complete<'a> {
        result_type: &'static str,
        #[serde(rename = "_meta")]
        meta: SubscriptionMeta<'a>,
    }
    let result = Complete { result_type: "complete", meta: SubscriptionMeta { id } };
    to_bytes(&Response { jsonrpc: "2.0", id, result })
}

/// Serializing these types into memory cannot fail; an empty message would be seen by every test.
fn to_bytes(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).map(Bytes::from).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_the_message_holds() {
        assert_eq!(event(b"{\n\"a\":\r1}"), "data: { \"a\": 1}\n\n");
        assert_eq!(line(b"{\n}"), "{ }\n");
    }

    #[test]
    fn a_notification_carries_the_id_of_its_subscription_byte_for_byte() {
        let id = RawValue::from_string("18446744073709551616".to_owned()).unwrap();
        let params = NotificationParams {
            uri: Some("a:b"),
            meta: Some(SubscriptionMeta { id: &id }),
            ..NotificationParams::default()
        };
        assert_eq!(
            notification("n", &params),
            r#"{"jsonrpc":"2.0","method":"n","params":{"uri":"a:b","_meta":{"io.modelcontextprotocol/subscriptionId":18446744073709551616}}}"#
        );
    }
}
