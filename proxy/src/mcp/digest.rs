//! What a request asks, in 32 bytes: the same for the same request however its members are ordered, another one
//! for any other argument. Numbers count as written, so that none is rounded into another.

use super::object::{Keys, Object, elements, text_of};
use sha2::{Digest as _, Sha256};

/// Members of `params` that change from one round of a request to the next.
const CHANGING: [&str; 3] = ["_meta", "inputResponses", "requestState"];

/// The digest of a request to this server.
#[must_use]
pub fn of_request(server: &str, method: &str, params: Option<&str>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for text in [server, method] {
        put(&mut hash, b's', text.as_bytes());
    }
    if let Some(object) = params.and_then(|params| Object::parse(params, Keys::Exact).ok()) {
        put_members(&mut hash, &object, |key| !CHANGING.contains(&key));
    }
    hash.finalize().into()
}

/// Each part with its kind and length, so that no two sequences of parts read alike.
fn put(hash: &mut Sha256, kind: u8, bytes: &[u8]) {
    hash.update([kind]);
    hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
    hash.update(bytes);
}

fn put_members(hash: &mut Sha256, object: &Object<'_>, counts: impl Fn(&str) -> bool) {
    let mut members: Vec<_> = object.members().iter().filter(|member| counts(&member.key)).collect();
    members.sort_by(|one, other| one.key.cmp(&other.key));
    hash.update(b"{");
    for member in members {
        put(hash, b'k', member.key.as_bytes());
        put_value(hash, member.value);
    }
    hash.update(b"}");
}

/// Depth is bounded where the message came in.
fn put_value(hash: &mut Sha256, raw: &str) {
    if let Ok(object) = Object::parse(raw, Keys::Exact) {
        put_members(hash, &object, |_| true);
    } else if let Some(elements) = elements(raw) {
        hash.update(b"[");
        elements.into_iter().for_each(|element| put_value(hash, element));
        hash.update(b"]");
    } else if let Some(text) = text_of(raw) {
        put(hash, b's', text.as_bytes());
    } else {
        put(hash, b'r', raw.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(params: &str) -> [u8; 32] {
        of_request("files", "tools/call", Some(params))
    }

    #[test]
    fn order_spelling_and_the_rounds_of_a_request_do_not_count() {
        let first = digest(r#"{"name":"a","arguments":{"x":[1,{"y":"é"}],"z":null}}"#);
        let again = r#"{ "requestState":"s","arguments":{"z":null, "x":[1, {"y":"\u00e9"}]},"_meta":{"a":1},"name":"a","inputResponses":{}}"#;
        assert_eq!(first, digest(again));
    }

    #[test]
    fn every_other_argument_counts() {
        let all = [
            r#"{"name":"a","arguments":{"x":9007199254740993}}"#,
            r#"{"name":"a","arguments":{"x":9007199254740992}}"#,
            r#"{"name":"a","arguments":{"x":"9007199254740992"}}"#,
            r#"{"name":"a","arguments":{"x":[9007199254740992]}}"#,
            r#"{"name":"a","arguments":{"x":[],"y":{}}}"#,
            r#"{"name":"a","arguments":{"x":{},"y":[]}}"#,
            r#"{"name":"a","arguments":{"x":{"_meta":1}}}"#,
            r#"{"name":"a","arguments":{"x":{}}}"#,
            r#"{"name":"b","arguments":{"x":{}}}"#,
            "{}",
        ];
        let digests: std::collections::HashSet<[u8; 32]> = all.iter().map(|params| digest(params)).collect();
        assert_eq!(digests.len(), all.len());
        assert_ne!(of_request("a", "b", None), of_request("ab", "", None));
    }
}
