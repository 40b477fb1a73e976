//! Single words of documents: quantities, paths, names, variables. Documents reach them too rarely to try them well.

use only1mcp_policy::document::units::{duration_ms, percent, show_duration, show_size, size};
use only1mcp_policy::{interpolate, path, redact};
use only1mcp_wire::ServerName;
use std::collections::BTreeMap;

/// What is accepted is read as written, and written as read.
///
/// # Panics
/// If not.
pub fn holds(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(bytes) = size(text) {
        assert_eq!(size(&show_size(bytes)), Ok(bytes), "{text}");
    }
    if let Ok(milliseconds) = duration_ms(text) {
        assert_eq!(duration_ms(&show_duration(milliseconds)), Ok(milliseconds), "{text}");
    }
    if let Ok(hundredths) = percent(text) {
        assert_eq!(format!("{hundredths}%"), text);
    }
    if let Ok(name) = ServerName::new(text) {
        assert!(name.as_str() == text && path::form_error(&format!("/{text}")).is_none(), "{text}");
    }
    a_path(text);
    a_value(text);
    let shown = redact::variable("API_TOKEN", text);
    assert_eq!(redact::variable("API_TOKEN", &shown), shown, "what is redacted stays so");
}

/// A path that a document may name is in the one form that all comparisons of paths rely on.
fn a_path(text: &str) {
    let normal = path::normalise(text);
    assert_eq!(path::normalise(&normal), normal);
    assert!(path::is_within(&normal, "/"), "{normal}");
    if path::form_error(text).is_none() {
        assert_eq!(normal, text);
        assert!(!text.split('/').any(|part| part == "..") && text.starts_with('/'), "{text}");
        let joined = path::join(path::parent(text), path::name(text));
        assert!(text == "/" || joined == text, "{text} is cut and joined to {joined}");
    }
}

/// Variables are put in once: what their values hold is text.
fn a_value(text: &str) {
    let environment = BTreeMap::from([("A".to_owned(), "${B}$${".to_owned())]);
    match interpolate::expand(text, &environment) {
        Ok(expanded) if !text.contains("${") => assert_eq!(expanded, text),
        Ok(expanded) => {
            let expected = text.replace("$${", "\0").replace("${A}", "${B}$${").replace('\0', "${");
            assert!(expanded == expected || text.contains('\0') || text.contains("$$"), "{text}: {expanded}");
        }
        Err((message, help)) => assert!(!message.is_empty() && !help.is_empty(), "{text}"),
    }
}
