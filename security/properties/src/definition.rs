//! Definitions of tools: servers write them, and models read what the views make of them.

use only1mcp::context::arguments::{mistakes, validator};
use only1mcp::context::compact::compact;
use only1mcp::context::definition::Definition;
use only1mcp::context::signature::{brief, signature};
use only1mcp::limits::SIGNATURE_BYTES_MAX;
use serde_json::Value;

/// The bytes are a definition and, on the last line, arguments. Shown shorter it is still a definition of the same
/// name, and its schema takes these arguments if the whole one does; its signature is one line.
///
/// # Panics
/// If not.
pub fn holds(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (raw, arguments) = text.rsplit_once('\n').unwrap_or((&text, "{}"));
    let Some(definition) = Definition::parse(raw) else { return };
    let read = |made: Option<String>| made.as_deref().and_then(Definition::parse);
    let (shown, called) = (read(compact(raw)), read(brief(raw)));
    let name = Some(definition.name());
    let names = [&shown, &called].map(|made| made.as_ref().map(Definition::name));
    assert_eq!(names, [name, name], "{raw}");
    let line = signature(&definition, "");
    assert!(line.len() <= SIGNATURE_BYTES_MAX && !line.contains(char::is_control), "{line:?}");
    let _ = definition.document("server");
    let Ok(arguments @ Value::Object(_)) = serde_json::from_str::<Value>(arguments) else { return };
    if let Some(fit) = takes(&definition, &arguments) {
        let still = shown.as_ref().and_then(|shown| takes(shown, &arguments));
        assert_eq!(still, Some(fit), "{arguments} as {raw}");
    }
}

/// Whether these arguments fit; nothing if the schema cannot be followed.
fn takes(definition: &Definition, arguments: &Value) -> Option<bool> {
    let validator = validator(definition.input_schema()?)?;
    Some(mistakes(&validator, arguments).is_empty())
}
