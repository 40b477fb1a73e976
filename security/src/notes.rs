//! A built-in server that keeps notes: something useful to call in the first minute, with state worth confining.

pub mod store;

use serde_json::{Map, Value, json};

use crate::server::{About, Effect, Failed, Fault, Service, text, tool, tool_call, tool_result};
use store::{Note, Problem, Store};

/// The one resource: all notes as text.
const ALL_NOTES: &str = "notes://all";
/// The one prompt.
const SUMMARISE: &str = "summarise_notes";
/// Code of the legacy protocol for a resource that is not there.
const RESOURCE_NOT_FOUND_TEXT: &str = "resource not found";

/// The notes as a server.
#[derive(Debug)]
pub struct NotesServer {
    store: Store,
}

impl NotesServer {
    /// Serves the notes kept in `store`.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store }
    }
}

/// What a tool says: words, and the same as data.
type Said = Result<(String, Value), Problem>;

impl Service for NotesServer {
    fn about(&self) -> About {
        About {
            name: "only1mcp-notes",
            title: "Notes",
            instructions: "Keeps short notes between sessions. They are files of this server alone.",
            capabilities: json!({"tools": {}, "resources": {}, "prompts": {}}),
        }
    }

    fn answer(&mut self, method: &str, params: &Map<String, Value>) -> Result<Value, Fault> {
        match method {
            "tools/list" => Ok(json!({"tools": tools()})),
            "tools/call" => {
                let (name, arguments) = tool_call(params)?;
                Ok(worded(self.call(name, &arguments)?))
            }
            "resources/list" => Ok(json!({"resources": [resource()]})),
            "resources/templates/list" => Ok(json!({"resourceTemplates": []})),
            "resources/read" => self.read(text(params, "uri")?),
            "prompts/list" => Ok(json!({"prompts": [prompt()]})),
            "prompts/get" => self.prompt(params),
            _ => Err(Fault::Method),
        }
    }
}

impl NotesServer {
    fn call(&mut self, name: &str, arguments: &Map<String, Value>) -> Result<Said, Fault> {
        Ok(match name {
            "add_note" => self.store.add(text(arguments, "text")?).map(|note| one("kept", &note)),
            "list_notes" => self.store.all().map(|notes| many(&notes)),
            "search_notes" => {
                let wanted = text(arguments, "text")?.to_lowercase();
                let found = |notes: Vec<Note>| -> Vec<Note> {
                    notes.into_iter().filter(|note| note.text.to_lowercase().contains(&wanted)).collect()
                };
                self.store.all().map(|notes| many(&found(notes)))
            }
            "delete_note" => self.store.remove(number(arguments, "id")?).map(|note| one("removed", &note)),
            _ => return Err(Fault::Params(format!("unknown tool: {name}"))),
        })
    }

    fn read(&self, uri: &str) -> Result<Value, Fault> {
        if uri != ALL_NOTES {
            return Err(Fault::Params(format!("{RESOURCE_NOT_FOUND_TEXT}: {uri}")));
        }
        let notes = self.store.all().map_err(|problem| Fault::Internal(problem.to_string()))?;
        Ok(json!({"contents": [{"uri": ALL_NOTES, "mimeType": "text/plain", "text": lines(&notes)}]}))
    }

    fn prompt(&self, params: &Map<String, Value>) -> Result<Value, Fault> {
        let name = text(params, "name")?;
        if name != SUMMARISE {
            return Err(Fault::Params(format!("unknown prompt: {name}")));
        }
        let notes = self.store.all().map_err(|problem| Fault::Internal(problem.to_string()))?;
        let request =
            format!("Summarise these notes in a few sentences, the most urgent first.\n\n{}", lines(&notes));
        let message = json!({"role": "user", "content": {"type": "text", "text": request}});
        Ok(json!({"description": "Summarise all notes", "messages": [message]}))
    }
}

fn worded(said: Said) -> Value {
    match said {
        Ok((words, data)) => tool_result(&words, Some(data), Failed::No),
        Err(problem) => tool_result(&problem.to_string(), None, Failed::Yes),
    }
}

fn number(arguments: &Map<String, Value>, key: &str) -> Result<u64, Fault> {
    let value = arguments.get(key).and_then(Value::as_u64);
    value.ok_or_else(|| Fault::Params(format!("{key} must be given, as a whole number")))
}

fn one(done: &str, note: &Note) -> (String, Value) {
    (format!("{done} note {}: {}", note.id, note.text), json!({"note": note}))
}

fn many(notes: &[Note]) -> (String, Value) {
    let words = if notes.is_empty() { "no notes".to_owned() } else { lines(notes) };
    (words, json!({"notes": notes}))
}

fn lines(notes: &[Note]) -> String {
    let lines: Vec<String> = notes.iter().map(|note| format!("{}. {}", note.id, note.text)).collect();
    lines.join("\n")
}

fn resource() -> Value {
    json!({"uri": ALL_NOTES, "name": "all", "title": "All notes", "mimeType": "text/plain"})
}

fn prompt() -> Value {
    json!({"name": SUMMARISE, "title": "Summarise notes", "description": "Summarise all notes", "arguments": []})
}

fn tools() -> Vec<Value> {
    let noted = json!({"text": {"type": "string", "description": "The note"}});
    let sought = json!({"text": {"type": "string", "description": "Words to look for, in any case"}});
    let id = json!({"id": {"type": "integer", "minimum": 1, "description": "The note's number"}});
    vec![
        tool("add_note", "Keep a note.", noted, &["text"], Effect::Adds),
        tool("list_notes", "List all notes.", json!({}), &[], Effect::Reads),
        tool("search_notes", "Find the notes that contain a text.", sought, &["text"], Effect::Reads),
        tool("delete_note", "Remove one note.", id, &["id"], Effect::Destroys),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> NotesServer {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("only1mcp-notes-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        NotesServer::new(Store::in_directory(directory))
    }

    fn ask(server: &mut NotesServer, method: &str, params: Value) -> Result<Value, Fault> {
        server.answer(method, params.as_object().unwrap())
    }

    fn call(server: &mut NotesServer, name: &str, arguments: Value) -> Value {
        ask(server, "tools/call", json!({"name": name, "arguments": arguments})).unwrap()
    }

    #[test]
    fn notes_are_kept_found_and_removed() {
        let mut server = server();
        for text in ["buy milk", "call Ada"] {
            assert_eq!(call(&mut server, "add_note", json!({"text": text}))["isError"], false);
        }
        let found = call(&mut server, "search_notes", json!({"text": "ADA"}));
        assert_eq!(found["structuredContent"]["notes"][0]["id"], 2);
        call(&mut server, "delete_note", json!({"id": 1}));
        assert_eq!(call(&mut server, "list_notes", json!({}))["content"][0]["text"], "2. call Ada");
    }

    #[test]
    fn a_note_that_is_not_there_is_an_error_of_the_tool() {
        let result = call(&mut server(), "delete_note", json!({"id": 7}));
        assert_eq!(
            (&result["isError"], &result["content"][0]["text"]),
            (&json!(true), &json!("there is no note 7"))
        );
    }

    #[test]
    fn wrong_arguments_are_errors_of_the_parameters() {
        let mut server = server();
        for (name, arguments) in
            [("add_note", json!({"text": 1})), ("delete_note", json!({"id": "1"})), ("no_tool", json!({}))]
        {
            let answer = ask(&mut server, "tools/call", json!({"name": name, "arguments": arguments}));
            assert!(matches!(answer, Err(Fault::Params(_))), "{name}");
        }
    }

    #[test]
    fn the_resource_and_the_prompt_hold_all_notes() {
        let mut server = server();
        call(&mut server, "add_note", json!({"text": "buy milk"}));
        let resource = ask(&mut server, "resources/read", json!({"uri": "notes://all"})).unwrap();
        assert_eq!(resource["contents"][0]["text"], "1. buy milk");
        let prompt = ask(&mut server, "prompts/get", json!({"name": "summarise_notes"})).unwrap();
        assert!(prompt["messages"][0]["content"]["text"].as_str().unwrap().ends_with("1. buy milk"));
        assert!(ask(&mut server, "resources/read", json!({"uri": "notes://none"})).is_err());
    }
}
