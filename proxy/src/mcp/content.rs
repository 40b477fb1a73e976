//! Content of kinds that came with a later revision, as a client of an earlier one can read it. Its own parser would
//! refuse the whole answer for one block it does not know.

use super::method::Method;
use super::object::{Keys, Object, quote, text_of};
use super::within::in_blocks;
use std::borrow::Cow;

/// The kinds of content that the first revision did not have, and since when there are.
const KINDS: [(&str, &str); 2] = [("audio", "2025-03-26"), ("resource_link", "2025-06-18")];

/// A result whose every block of content a client of this revision knows.
#[must_use]
pub fn known_to<'a>(version: &str, method: Method, result: &'a str) -> Cow<'a, str> {
    let is_later = |(kind, since): &&(&str, &str)| {
        version < *since && memchr::memmem::find(result.as_bytes(), kind.as_bytes()).is_some()
    };
    if KINDS.iter().find(is_later).is_none() {
        return Cow::Borrowed(result);
    }
    let changed = in_blocks(result, method, |raw| {
        let block = Object::parse(raw, Keys::Exact).ok()?;
        let kind = text_of(block.get("type")?)?;
        KINDS.iter().find(|(known, since)| kind == *known && version < *since)?;
        Some(if kind == "audio" { embedded(&block) } else { spelt_out(&block) })
    });
    changed.map_or(Cow::Borrowed(result), Cow::Owned)
}

/// Sound as an embedded resource: the same bytes under the same type.
fn embedded(audio: &Object<'_>) -> String {
    let raw = |key| audio.get(key).unwrap_or("\"\"");
    let (kind, data) = (raw("mimeType"), raw("data"));
    let resource = format!("{{\"uri\":\"urn:only1mcp:audio\",\"mimeType\":{kind},\"blob\":{data}}}");
    let mut edit = audio.edit();
    edit.set("type", "\"resource\"").set("resource", resource).remove("mimeType").remove("data");
    edit.finish().into_owned()
}

/// A link as text that holds it as it came.
fn spelt_out(link: &Object<'_>) -> String {
    let annotations = link.get("annotations").map(|raw| format!(",\"annotations\":{raw}"));
    format!("{{\"type\":\"text\",\"text\":{}{}}}", quote(link.text()), annotations.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_gets_only_kinds_of_content_that_its_revision_has() {
        let link = r#"{"type":"resource_link","uri":"a:1","name":"n"}"#;
        let audio = r#"{"type":"audio","data":"AA==","mimeType":"audio/wav","vendor":1.0}"#;
        let spelt = r#"{"type":"text","text":"{\"type\":\"resource_link\",\"uri\":\"a:1\",\"name\":\"n\"}"}"#;
        let embedded = r#"{"type":"resource","vendor":1.0,"resource":{"uri":"urn:only1mcp:audio","mimeType":"audio/wav","blob":"AA=="}}"#;
        for (version, as_link, as_audio) in [
            ("2024-11-05", spelt, embedded),
            ("2025-03-26", spelt, audio),
            ("2025-06-18", link, audio),
            ("2025-11-25", link, audio),
            ("2026-07-28", link, audio),
        ] {
            let result = format!(r#"{{"content":[{link},{audio}],"x":1.0}}"#);
            let expected = format!(r#"{{"content":[{as_link},{as_audio}],"x":1.0}}"#);
            assert_eq!(known_to(version, Method::ToolsCall, &result), expected, "{version}");
            let prompt = format!(r#"{{"messages":[{{"role":"user","content":{link}}}]}}"#);
            let expected = format!(r#"{{"messages":[{{"role":"user","content":{as_link}}}]}}"#);
            assert_eq!(known_to(version, Method::PromptsGet, &prompt), expected, "{version}");
        }
    }

    #[test]
    fn text_that_only_speaks_of_them_is_left_alone() {
        let result = r#"{ "content":[{"type":"text","text":"audio or resource_link?"}] }"#;
        assert_eq!(known_to("2024-11-05", Method::ToolsCall, result), result);
    }
}
