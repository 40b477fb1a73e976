//! Tables in results, as fewer words: a JSON list of objects that have the same keys says each key once for each line.

use only1mcp_policy::view::Tables;
use serde_json::{Map, Value};

/// Lines below which a table is left as it is.
const LINES_MIN: usize = 2;

/// A text that is a list of flat objects with the same keys, written as a table; nothing if it is anything else, or
/// would not be shorter.
#[must_use]
pub fn written(text: &str, form: Tables) -> Option<String> {
    if !text.trim_start().starts_with('[') {
        return None;
    }
    let Ok(Value::Array(lines)) = serde_json::from_str(text) else { return None };
    let lines: Vec<&Map<String, Value>> = lines.iter().map(Value::as_object).collect::<Option<_>>()?;
    let keys: Vec<&String> = lines.first()?.keys().collect();
    let is_alike =
        |line: &&Map<String, Value>| line.keys().eq(keys.iter().copied()) && line.values().all(is_flat);
    if lines.len() < LINES_MIN || keys.is_empty() || !lines.iter().all(is_alike) {
        return None;
    }
    let write: fn(&str) -> String = match form {
        Tables::Csv => in_csv,
        Tables::Toon => in_toon,
    };
    let row = |values: &mut dyn Iterator<Item = String>| values.collect::<Vec<_>>().join(",");
    let head = row(&mut keys.iter().map(|key| write(key)));
    let mut table = match form {
        Tables::Csv => format!("{head}\n"),
        Tables::Toon => format!("[{}]{{{head}}}:\n", lines.len()),
    };
    for line in &lines {
        let indent = if form == Tables::Toon { "  " } else { "" };
        let cells = row(&mut line.values().map(|value| cell(value, form, write)));
        table.push_str(&format!("{indent}{cells}\n"));
    }
    (table.len() < text.len()).then_some(table)
}

fn is_flat(value: &Value) -> bool {
    !value.is_array() && !value.is_object()
}

fn cell(value: &Value, form: Tables, write: fn(&str) -> String) -> String {
    match value {
        Value::String(text) => write(text),
        // CSV has no word for it; what is empty is.
        Value::Null if form == Tables::Csv => String::new(),
        other => other.to_string(),
    }
}

/// As RFC 4180 has it.
fn in_csv(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) || text.trim() != text {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text.to_owned()
}

/// Quoted where it would be read as something else.
fn in_toon(text: &str) -> String {
    let is_other = matches!(text, "" | "true" | "false" | "null") || text.parse::<f64>().is_ok();
    let has_signs =
        text.contains([',', ':', '"', '\\', '[', ']', '{', '}']) || text.chars().any(char::is_control);
    if is_other || has_signs || text.trim() != text || text.starts_with('-') {
        return Value::from(text).to_string();
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        r#"[{"id":1,"name":"a, b","ok":true,"note":null},{"id":2,"name":"true","ok":false,"note":"x\"y"}]"#;

    #[test]
    fn lists_of_alike_objects_become_tables() {
        assert_eq!(
            written(TEXT, Tables::Csv).unwrap(),
            "id,name,ok,note\n1,\"a, b\",true,\n2,true,false,\"x\"\"y\"\n"
        );
        assert_eq!(
            written(TEXT, Tables::Toon).unwrap(),
            "[2]{id,name,ok,note}:\n  1,\"a, b\",true,null\n  2,\"true\",false,\"x\\\"y\"\n"
        );
    }

    #[test]
    fn anything_else_is_left_alone() {
        for text in [
            "",
            "no json",
            "[]",
            "[1,2]",
            r#"[{"a":1}]"#,
            r#"[{"a":1},{"b":1}]"#,
            r#"[{"a":{"b":1}},{"a":{"b":1}}]"#,
            r#"{"a":[{"b":1},{"b":2}]}"#,
            "[{},{}]",
        ] {
            assert_eq!(written(text, Tables::Csv), None, "{text}");
        }
    }
}
