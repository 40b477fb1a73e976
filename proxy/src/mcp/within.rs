//! Changes far inside raw JSON; all around keeps its bytes and its order.

use super::method::Method;
use super::object::{Keys, Object, elements};
use std::borrow::Cow;

/// Entries as a raw array.
#[must_use]
pub fn array<'a>(entries: impl Iterator<Item = &'a str>) -> String {
    let mut out = String::from("[");
    for (index, entry) in entries.enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(entry);
    }
    out.push(']');
    out
}

/// The object with `key` changed; nothing if `change` changes nothing.
#[must_use]
pub fn in_member(object: &str, key: &str, change: impl Fn(&str) -> Option<String>) -> Option<String> {
    let object = Object::parse(object, Keys::Exact).ok()?;
    let changed = change(object.get(key)?)?;
    let mut edit = object.edit();
    edit.set(key, changed);
    Some(edit.finish().into_owned())
}

/// The array with its elements changed; nothing if `change` changes none.
#[must_use]
pub fn in_elements(raw: &str, change: impl Fn(&str) -> Option<String>) -> Option<String> {
    let entries = elements(raw)?;
    let changed: Vec<Cow<'_, str>> =
        entries.iter().map(|entry| change(entry).map_or(Cow::Borrowed(*entry), Cow::Owned)).collect();
    if changed.iter().all(|entry| matches!(entry, Cow::Borrowed(_))) {
        return None;
    }
    Some(array(changed.iter().map(AsRef::as_ref)))
}

/// The result of a call, of the task it began, or of a prompt with its blocks of content changed; nothing if `change`
/// changes none.
#[must_use]
pub fn in_blocks(result: &str, method: Method, change: impl Fn(&str) -> Option<String>) -> Option<String> {
    let blocks =
        |blocks: &str| if blocks.starts_with('[') { in_elements(blocks, &change) } else { change(blocks) };
    let message = |message: &str| in_member(message, "content", blocks);
    match method {
        Method::ToolsCall | Method::TasksResult => message(result),
        // A task of 2026-07-28 that is completed holds its result.
        Method::TasksGet => in_member(result, "result", message),
        Method::PromptsGet => in_member(result, "messages", |messages| in_elements(messages, message)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_changed_keeps_its_bytes_and_what_nothing_changes_is_nothing() {
        let to_two = |raw: &str| (raw == "1").then(|| "2".to_owned());
        assert_eq!(in_member(r#"{ "z":1.0, "a":1 }"#, "a", to_two).unwrap(), r#"{"z":1.0,"a":2}"#);
        assert_eq!(in_elements("[1.0, 1]", to_two).unwrap(), "[1.0,2]");
        assert_eq!((in_member(r#"{"a":1.0}"#, "a", to_two), in_elements("[3]", to_two)), (None, None));
        assert_eq!((in_member("[]", "a", to_two), in_elements("{}", to_two)), (None, None));
    }

    #[test]
    fn blocks_are_found_where_each_method_has_them() {
        let to_two = |raw: &str| (raw == "1").then(|| "2".to_owned());
        let call = in_blocks(r#"{"content":[1,3]}"#, Method::ToolsCall, to_two);
        assert_eq!(call.unwrap(), r#"{"content":[2,3]}"#);
        let task = in_blocks(r#"{"content":[1]}"#, Method::TasksResult, to_two);
        assert_eq!(task.unwrap(), r#"{"content":[2]}"#);
        let task = r#"{"taskId":"1","status":"completed","result":{"content":[1]},"content":[1]}"#;
        let changed = task.replacen("[1]", "[2]", 1);
        assert_eq!(in_blocks(task, Method::TasksGet, to_two), Some(changed));
        let prompt = in_blocks(r#"{"messages":[{"content":1},{"content":[1]}]}"#, Method::PromptsGet, to_two);
        assert_eq!(prompt.unwrap(), r#"{"messages":[{"content":2},{"content":[2]}]}"#);
        assert_eq!(in_blocks(r#"{"content":[1]}"#, Method::Other, to_two), None);
    }
}
