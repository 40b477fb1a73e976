//! Bodies of clients as the front reads them, held against the core's reader and against what our own relay sends.

use only1mcp::command::stdio::remote::message::{Kind, Message as Relayed};
use only1mcp::front::era::{self, Params};
use only1mcp::front::headers;
use only1mcp::front::message::{self, Message};
use only1mcp::mcp::envelope::Envelope;

/// Two readers never see two different messages, and headers made by our relay are those our front expects.
///
/// # Panics
/// If not.
pub fn holds(body: &[u8]) {
    let Ok(text) = message::text(body) else { return };
    match message::batch(text) {
        Ok(None) => one(text),
        Ok(Some(parts)) => parts.into_iter().for_each(|part| one(part.get())),
        Err(_) => {}
    }
}

fn one(text: &str) {
    let (front, core) = (message::parse(text), Envelope::parse(text.as_bytes()));
    match &front {
        Ok(Message::Request(request)) => {
            if let Ok(core) = &core {
                let params = request.params.map(|params| params.get());
                let method = request.method.clone();
                assert_eq!(*core, Envelope::Request { id: request.id.get(), method, params }, "{text}");
            }
            if let Ok(params) = Params::read(request.params) {
                relayed(text, &request.method, &params);
            }
        }
        Ok(Message::Notification(notification)) => {
            if let Ok(core) = &core {
                let params = notification.params.map(|params| params.get());
                let method = notification.method.clone();
                assert_eq!(*core, Envelope::Notification { method, params }, "{text}");
            }
        }
        Ok(Message::Response) => {
            if let Ok(core) = &core {
                assert!(matches!(core, Envelope::Response { .. }), "{text} is {core:?}");
            }
        }
        Err(_) => {}
    }
}

/// `only1mcp stdio` repeats in headers what a modern message says; our front must agree.
fn relayed(text: &str, method: &str, params: &Params<'_>) {
    let plain = method.bytes().all(|byte| byte.is_ascii_graphic()) && !method.starts_with("=?");
    let modern = era::string(params.protocol.version).is_some();
    // A method is a word of the protocol: others have no header form that both sides know.
    let Some(relayed) = Relayed::parse(text.to_owned()).filter(|_| plain && modern) else { return };
    assert_ne!(relayed.kind, Kind::Other, "{text}");
    let verdict = headers::repeat_body(&relayed.headers(), method, params);
    assert!(verdict.is_ok(), "{text}: {verdict:?}");
}
