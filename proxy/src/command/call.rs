//! `only1mcp call SERVER.TOOL [JSON]`: one call from the shell, for trying things.

use super::arguments::CallArguments;
use super::compile::not_written;
use super::directories::Directories;
use super::exit_code::Exit;
use super::failure::Failure;
use super::relay::{Conversation, Outcome};
use crate::mcp::names::distance;
use only1mcp_policy::printable::printable;
use serde_json::{Map, Value, json};
use std::io::Write;

/// How many similar names are offered for an unknown one.
const SUGGESTIONS: usize = 3;

/// Calls and prints.
///
/// # Errors
/// When the argument is no JSON object, no daemon runs or no such tool exists.
pub fn run(arguments: &CallArguments) -> Result<Exit, Failure> {
    let input = parse(&arguments.arguments)?;
    let mut conversation = Conversation::open(&Directories::resolve(&arguments.places)?)?;
    let names = conversation.tool_names()?;
    // What is in no list may be called all the same.
    let unlisted = arguments.tool.replacen('.', "__", 1);
    let found = find(&arguments.tool, &names);
    let name = found.as_ref().map_or(unlisted.as_str(), |name| name);
    let result = match conversation.request("tools/call", json!({"name": name, "arguments": input}))? {
        Outcome::Result(result) => result,
        Outcome::Error(code, message) => {
            found?;
            return Err(Failure::new(Exit::No, format!("{name}: {} ({code})", printable(&message, &[]))));
        }
    };
    let shown = if arguments.json { format!("{result}\n") } else { readable(&result) };
    std::io::stdout().write_all(shown.as_bytes()).map_err(|cause| not_written(&cause))?;
    let refused = result.get("isError").and_then(Value::as_bool).unwrap_or(false);
    Ok(if refused { Exit::No } else { Exit::Ok })
}

fn parse(text: &str) -> Result<Map<String, Value>, Failure> {
    serde_json::from_str(text).map_err(|cause| {
        Failure::new(Exit::Data, format!("the arguments are no JSON object: {cause}"))
            .help("such as '{\"path\": \"notes.txt\"}', in single quotes for the shell")
    })
}

/// The name under which the daemon lists what was typed as `SERVER.TOOL`.
fn find<'a>(typed: &'a str, names: &'a [String]) -> Result<&'a str, Failure> {
    let prefixed = typed.replacen('.', "__", 1);
    let replaced: String = prefixed.chars().map(|c| if fits(c) { c } else { '_' }).collect();
    let exact = |wanted: &str| names.iter().find(|name| *name == wanted);
    if let Some(name) = exact(typed).or_else(|| exact(&prefixed)).or_else(|| exact(&replaced)) {
        return Ok(name);
    }
    let ending = format!("__{typed}");
    let mut owners = names.iter().filter(|name| name.ends_with(&ending));
    if let (Some(name), None) = (owners.next(), owners.next()) {
        return Ok(name);
    }
    Err(unknown(typed, &prefixed, names))
}

/// Characters that every client accepts in a tool's name.
fn fits(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

fn unknown(typed: &str, prefixed: &str, names: &[String]) -> Failure {
    let failure = Failure::new(Exit::Data, format!("no tool {typed}"));
    let mut near: Vec<(usize, String)> = names
        .iter()
        .map(|name| (distance(prefixed, name, usize::MAX), name.replacen("__", ".", 1)))
        .collect();
    near.sort();
    let near: Vec<String> = near.into_iter().take(SUGGESTIONS).map(|(_, name)| name).collect();
    if near.is_empty() {
        return failure.help("no server offers a tool yet; see `only1mcp status`");
    }
    failure.help(format!("the nearest are {}; `only1mcp status` says which servers run", near.join(", ")))
}

/// Texts as they are but for what steers a terminal; other contents by a line that names them.
fn readable(result: &Value) -> String {
    let contents = result.get("content").and_then(Value::as_array);
    let mut text: String = contents.into_iter().flatten().map(content).collect();
    if text.is_empty() {
        text = match result.get("structuredContent") {
            Some(structured) => format!("{structured:#}\n"),
            None => "(no content)\n".into(),
        };
    }
    // A person reads this; a program reads --json.
    printable(&text, &['\n', '\t'])
}

fn content(content: &Value) -> String {
    let field = |name: &str| content.get(name).and_then(Value::as_str);
    let mut text = match (field("type"), field("text")) {
        (Some("text"), Some(text)) => text.to_owned(),
        (Some("resource_link"), _) => format!("[link {}]", field("uri").unwrap_or("without URI")),
        (Some(kind), _) => format!("[{kind} {}, see --json]", field("mimeType").unwrap_or("content")),
        (None, _) => content.to_string(),
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        ["files__read_file", "files__write_file", "notes__list", "git__status_all"]
            .map(str::to_owned)
            .to_vec()
    }

    #[test]
    fn server_and_tool_are_joined_as_the_daemon_joins_them() {
        assert_eq!(find("files.read_file", &names()).unwrap(), "files__read_file");
        assert_eq!(find("files__read_file", &names()).unwrap(), "files__read_file");
    }

    #[test]
    fn characters_that_clients_refuse_are_replaced() {
        assert_eq!(find("git.status.all", &names()).unwrap(), "git__status_all");
    }

    #[test]
    fn a_tool_of_one_server_alone_needs_no_server() {
        assert_eq!(find("list", &names()).unwrap(), "notes__list");
    }

    #[test]
    fn an_unknown_tool_is_answered_with_the_nearest() {
        let failure = find("file.read_fil", &names()).unwrap_err();
        assert_eq!(failure.exit, Exit::Data);
        assert!(
            failure.to_string().contains("the nearest are files.read_file, files.write_file"),
            "{failure}"
        );
    }

    #[test]
    fn arguments_must_be_an_object() {
        for bad in ["", "[]", "1", "{"] {
            assert_eq!(parse(bad).unwrap_err().exit, Exit::Data, "{bad}");
        }
    }

    #[test]
    fn texts_are_printed_plainly_and_others_named() {
        let result = json!({"content": [
            {"type": "text", "text": "one"},
            {"type": "image", "mimeType": "image/png", "data": "AA=="},
            {"type": "resource_link", "uri": "file:///x"},
        ]});
        assert_eq!(readable(&result), "one\n[image image/png, see --json]\n[link file:///x]\n");
        assert_eq!(readable(&json!({"structuredContent": {"a": 1}})), "{\n  \"a\": 1\n}\n");
        assert_eq!(readable(&json!({})), "(no content)\n");
        let hostile = json!({"content": [{"type": "text", "text": "\u{1b}]0;x\u{7}\r\u{202e}"}]});
        assert_eq!(readable(&hostile), "\\u{1b}]0;x\\u{7}\\u{d}\\u{202e}\n");
    }
}
