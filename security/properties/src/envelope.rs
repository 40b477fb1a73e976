//! JSON-RPC messages as the core reads and rewrites them, with `serde_json` as the second opinion.

use crate::bounds;
use only1mcp::exchange::Era;
use only1mcp::limits::NESTING_MAX;
use only1mcp::mcp::envelope::{Envelope, Outcome, check_nesting};
use only1mcp::mcp::level::Level;
use only1mcp::mcp::method::Method;
use only1mcp::mcp::normalise;
use only1mcp::mcp::object::{Keys, Member, Object, elements, quote, text_of};
use only1mcp::mcp::request::Asked;
use serde::de::IgnoredAny;
use serde_json::Value;

/// Members of one object that are edited one by one; each edit copies the whole.
const EDITED_MEMBERS_MAX: usize = 16;
/// Heap for each byte of a message: two raw slices and a member for the shortest member `"":0,`, while lists double.
const HEAP_PER_BYTE_MAX: usize = 96;
/// All pairs of eras.
const ERAS: [(Era, Era); 4] = [
    (Era::Legacy, Era::Legacy),
    (Era::Legacy, Era::Modern),
    (Era::Modern, Era::Legacy),
    (Era::Modern, Era::Modern),
];

/// What is read is a slice of what was sent; what is edited keeps all else byte for byte and stays JSON.
///
/// # Panics
/// If not.
pub fn holds(bytes: &[u8]) {
    nesting_is_counted(bytes);
    let heap = bounds::HEAP_BASE_BYTES + bytes.len() * HEAP_PER_BYTE_MAX;
    let envelope = bounds::holding(heap, || Envelope::parse(bytes));
    if let Ok(envelope) = envelope {
        says_what_serde_reads(bytes, &envelope);
        goes_on(&envelope);
    }
    // Unbounded depth is nobody's to edit: the core checks it first.
    if let (Ok(()), Ok(text)) = (check_nesting(bytes), std::str::from_utf8(bytes)) {
        if let Ok(object) = Object::parse(text, Keys::Exact) {
            edits_touch_one_member(&object);
        }
        if let Some(parts) = elements(text) {
            assert!(parts.iter().all(|part| is_json(part)), "{text}");
        }
        assert_eq!(text_of(&quote(text)).as_deref(), Some(text), "a text is quoted and read");
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// What passes the count is shallow enough for a parser that recurses.
fn nesting_is_counted(bytes: &[u8]) {
    let Ok(Value::Object(_) | Value::Array(_)) = serde_json::from_slice::<Value>(bytes) else { return };
    // `serde_json` refuses above 128 levels, so all it reads is within the limit.
    const _: () = assert!(NESTING_MAX == 128);
    assert!(check_nesting(bytes).is_ok(), "serde_json read what is counted as too deep");
}

fn says_what_serde_reads(bytes: &[u8], envelope: &Envelope<'_>) {
    assert!(serde_json::from_slice::<IgnoredAny>(bytes).is_ok(), "a message is JSON");
    // What `Value` cannot hold (half a surrogate pair, 1e999) passes byte for byte all the same.
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return };
    let raw = |text: &str| serde_json::from_str::<Value>(text).ok();
    match envelope {
        Envelope::Request { id, method, params } => {
            assert_eq!(raw(id).as_ref(), value.get("id"));
            assert_eq!(value.get("method").and_then(Value::as_str), Some(method.as_ref()));
            assert_eq!(
                params.map_or(Some(Value::Null), raw),
                Some(value.get("params").cloned().unwrap_or_default())
            );
        }
        Envelope::Notification { method, params } => {
            assert!(value.get("id").is_none(), "a notification has no id");
            assert_eq!(value.get("method").and_then(Value::as_str), Some(method.as_ref()));
            assert_eq!(
                params.map_or(Some(Value::Null), raw),
                Some(value.get("params").cloned().unwrap_or_default())
            );
        }
        Envelope::Response { id, outcome } => {
            assert!(value.get("method").is_none(), "a response has no method");
            assert_eq!(id.map_or(Some(Value::Null), raw), Some(value.get("id").cloned().unwrap_or_default()));
            match outcome {
                Outcome::Result(result) => assert_eq!(raw(result).as_ref(), value.get("result")),
                Outcome::Error(error) => assert_eq!(raw(error).as_ref(), value.get("error")),
                Outcome::Invalid => {}
            }
        }
    }
}

/// The message as the other side gets it, whatever the eras: one line of JSON that means the same.
fn goes_on(envelope: &Envelope<'_>) {
    match envelope {
        Envelope::Request { method, params, .. } | Envelope::Notification { method, params } => {
            for (client, server) in ERAS {
                let log_level = Level::of("info");
                let asked = Asked { method, params: *params, client, log_level, capabilities: "{}" };
                let Ok(line) = asked.line(7, server) else { continue };
                let text = String::from_utf8_lossy(&line.bytes).into_owned();
                let ends = text.matches(['\n', '\r']).count();
                assert!(
                    ends == 1 && text.ends_with('\n') && is_json(&text),
                    "not one line of JSON: {text:?}"
                );
                let sent = Object::parse(text.trim_end(), Keys::Exact).map(|sent| sent.members().len());
                assert!(sent.is_ok(), "a server would find a member twice: {text:?}");
                if let (Some(before), Some(after)) = (*params, member(text.trim_end(), "params")) {
                    // Rounds of a request exist in modern revisions only.
                    kept_but(&["_meta", "inputResponses", "requestState"], before, &after);
                }
            }
        }
        Envelope::Response { outcome: Outcome::Result(result), .. } => {
            for (server, client) in ERAS {
                for method in [Method::ToolsCall, Method::ToolsList] {
                    let Ok(after) = normalise::result(result, method, server, client, "{}") else { continue };
                    assert!(is_json(&after), "{result} became {after}");
                    kept_but(&["_meta", "resultType", "ttlMs", "cacheScope"], result, &after);
                }
            }
        }
        Envelope::Response { outcome: Outcome::Error(error), .. } => {
            for (server, client) in ERAS {
                let after = normalise::error(error, server, client);
                assert!(is_json(&after), "{error} became {after}");
                kept_but(&["code"], error, &after);
            }
        }
        Envelope::Response { .. } => {}
    }
}

fn member(text: &str, key: &str) -> Option<String> {
    Object::parse(text, Keys::Exact).ok()?.get(key).map(str::to_owned)
}

/// All members but these keep their keys' and values' bytes and their order; line ends between tokens are blanks.
fn kept_but(changed: &[&str], before: &str, after: &str) {
    let (Ok(before), Ok(after)) = (Object::parse(before, Keys::Exact), Object::parse(after, Keys::Exact))
    else {
        let unfolded = |text: &str| text.replace(['\n', '\r'], " ");
        assert_eq!(unfolded(before), unfolded(after), "what is not read is not changed");
        return;
    };
    let kept = |object: &Object<'_>| -> Vec<(String, String)> {
        let kept = object.members().iter().filter(|member| !changed.contains(&member.key.as_ref()));
        kept.map(|member| (member.key_text.to_owned(), member.value.replace(['\n', '\r'], " "))).collect()
    };
    assert_eq!(kept(&before), kept(&after), "other members changed");
}

/// Setting, removing and adding one member leaves all others as they were.
fn edits_touch_one_member(object: &Object<'_>) {
    assert_eq!(object.edit().finish(), object.text(), "without a change the text is the very same");
    for member in object.members().iter().take(EDITED_MEMBERS_MAX) {
        let mut edit = object.edit();
        edit.set(&member.key, "[7]");
        after(object, &edit.finish(), &member.key, Some("[7]"));
        let mut edit = object.edit();
        edit.remove(&member.key);
        after(object, &edit.finish(), &member.key, None);
    }
    let new = "a \"new\" member";
    let mut edit = object.edit();
    edit.set(new, "{}").set_absent(new, "1");
    after(object, &edit.finish(), new, Some("{}"));
}

fn after(before: &Object<'_>, text: &str, key: &str, value: Option<&str>) {
    assert!(is_json(text), "an edit made {text}");
    let read = Object::parse(text, Keys::Exact);
    assert!(read.is_ok(), "an edit made {text}");
    let Ok(edited) = read else { return };
    assert_eq!(edited.get(key), value, "{key} in {text}");
    let others = |object: &Object<'_>| -> Vec<(String, String)> {
        let others = object.members().iter().filter(|member| member.key != key);
        others.map(|Member { key_text, value, .. }| ((*key_text).to_owned(), (*value).to_owned())).collect()
    };
    assert_eq!(others(before), others(&edited), "an edit of {key} changed more");
}
