//! One legacy MCP conversation with the daemon over its relay socket: lines of JSON-RPC, synchronous.

use super::admin::{self, AskError};
use super::directories::Directories;
use super::exit_code::Exit;
use super::failure::Failure;
use super::limits::{CALL_ANSWER, CALL_LINE_BYTES_MAX, CALL_PAGES_MAX, DAEMON_START};
use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// The revision `call` speaks.
const VERSION: &str = "2025-11-25";

/// A conversation past its handshake.
#[derive(Debug)]
pub struct Conversation {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
    requests: u64,
    patience: Duration,
}

/// What became of a request.
#[derive(Debug)]
pub enum Outcome {
    /// Its result.
    Result(Value),
    /// Its error: code and message.
    Error(i64, String),
}

impl Conversation {
    /// Connects and shakes hands.
    ///
    /// # Errors
    /// When no daemon runs, or it refuses us.
    pub fn open(directories: &Directories) -> Result<Self, Failure> {
        let path = directories.relay_socket();
        let stream = UnixStream::connect(&path).map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => directories.no_daemon(),
            io::ErrorKind::PermissionDenied => admin::failure(&AskError::NotOurs, directories),
            _ => broken(&cause),
        })?;
        Self::shake_hands(stream).map_err(|failure| match failure.exit {
            Exit::TemporaryFailure => failure.help(directories.where_it_says_more()),
            _ => failure,
        })
    }

    fn shake_hands(stream: UnixStream) -> Result<Self, Failure> {
        let writer = stream.try_clone().map_err(|cause| broken(&cause))?;
        let reader = BufReader::new(stream);
        let mut conversation = Self { reader, writer, requests: 0, patience: Duration::ZERO };
        // systemd's socket takes connections even where no daemon comes to serve them.
        conversation.be_patient_for(DAEMON_START)?;
        let hello = json!({
            "protocolVersion": VERSION,
            "capabilities": {},
            "clientInfo": {"name": "only1mcp call", "version": env!("CARGO_PKG_VERSION")},
            // Whatever other clients are shown, a person may name any tool.
            "_meta": {"only1mcp/view": "full"},
        });
        match conversation.request("initialize", hello)? {
            Outcome::Result(_) => {}
            Outcome::Error(code, message) => {
                return Err(Failure::new(
                    Exit::Unavailable,
                    format!("the daemon refuses: {message} ({code})"),
                ));
            }
        }
        conversation.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
        conversation.be_patient_for(CALL_ANSWER)?;
        Ok(conversation)
    }

    fn be_patient_for(&mut self, patience: Duration) -> Result<(), Failure> {
        self.patience = patience;
        self.writer.set_read_timeout(Some(patience)).map_err(|cause| broken(&cause))
    }

    /// Sends one request and waits for its answer; notifications in between are passed over.
    ///
    /// # Errors
    /// When the daemon goes away, or is silent for too long.
    pub fn request(&mut self, method: &str, params: Value) -> Result<Outcome, Failure> {
        self.requests += 1;
        let id = self.requests;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))?;
        loop {
            let message = self.receive()?;
            if message.get("method").is_some() {
                self.refuse(&message)?;
            } else if message.get("id").and_then(Value::as_u64) == Some(id) {
                return Ok(outcome(message));
            }
        }
    }

    /// We offered no capability, so all a server may ask of us is a ping.
    fn refuse(&mut self, message: &Value) -> Result<(), Failure> {
        let Some(id) = message.get("id") else { return Ok(()) };
        if message.get("method").and_then(Value::as_str) == Some("ping") {
            return self.send(&json!({"jsonrpc": "2.0", "id": id, "result": {}}));
        }
        let error = json!({"code": -32601, "message": "not offered by this client"});
        self.send(&json!({"jsonrpc": "2.0", "id": id, "error": error}))
    }

    /// All names of `tools/list`, page by page.
    ///
    /// # Errors
    /// As [`Self::request`], and when the daemon refuses.
    pub fn tool_names(&mut self) -> Result<Vec<String>, Failure> {
        let mut names = Vec::new();
        let mut params = json!({});
        for _ in 0..CALL_PAGES_MAX {
            let page = match self.request("tools/list", params)? {
                Outcome::Result(page) => page,
                Outcome::Error(code, message) => {
                    return Err(Failure::new(
                        Exit::Unavailable,
                        format!("cannot list tools: {message} ({code})"),
                    ));
                }
            };
            let tools = page.get("tools").and_then(Value::as_array).into_iter().flatten();
            names.extend(tools.filter_map(|tool| Some(tool.get("name")?.as_str()?.to_owned())));
            match page.get("nextCursor") {
                Some(cursor) if !cursor.is_null() => params = json!({"cursor": cursor}),
                _ => break,
            }
        }
        Ok(names)
    }

    fn send(&mut self, message: &Value) -> Result<(), Failure> {
        self.writer.write_all(format!("{message}\n").as_bytes()).map_err(|cause| broken(&cause))
    }

    fn receive(&mut self) -> Result<Value, Failure> {
        let mut line = String::new();
        let read = (&mut self.reader).take(CALL_LINE_BYTES_MAX).read_line(&mut line);
        match read {
            Ok(0) => Err(gone()),
            Ok(_) => serde_json::from_str(&line).map_err(|cause| {
                Failure::new(
                    Exit::Internal,
                    format!("the daemon answered something that is no JSON: {cause}"),
                )
            }),
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                let text = format!("no answer within {:?}", self.patience);
                Err(Failure::new(Exit::TemporaryFailure, text))
            }
            Err(cause) => Err(broken(&cause)),
        }
    }
}

fn outcome(mut message: Value) -> Outcome {
    if let Some(error) = message.get("error") {
        let text = error.get("message").and_then(Value::as_str).unwrap_or("no message").to_owned();
        return Outcome::Error(error.get("code").and_then(Value::as_i64).unwrap_or_default(), text);
    }
    Outcome::Result(message.get_mut("result").map(Value::take).unwrap_or_default())
}

fn gone() -> Failure {
    Failure::new(Exit::Unavailable, "the daemon closed the connection")
        .help("its log says why; try again once it runs")
}

fn broken(cause: &io::Error) -> Failure {
    if matches!(cause.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) {
        return gone();
    }
    Failure::new(Exit::InputOutput, format!("the conversation with the daemon broke: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A daemon that answers each request with the next of `answers`, notifications thrown in.
    fn scripted(answers: Vec<Value>) -> (UnixStream, std::thread::JoinHandle<Vec<Value>>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let daemon = std::thread::spawn(move || {
            let mut writer = theirs.try_clone().unwrap();
            let mut lines = BufReader::new(theirs).lines();
            let mut seen = Vec::new();
            for answer in answers {
                let request = loop {
                    let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
                    seen.push(line.clone());
                    if line.get("id").is_some() {
                        break line;
                    }
                };
                let noise = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {}});
                let mut response = json!({"jsonrpc": "2.0", "id": request["id"]});
                response.as_object_mut().unwrap().extend(answer.as_object().unwrap().clone());
                writer.write_all(format!("{noise}\n{response}\n").as_bytes()).unwrap();
            }
            seen
        });
        (ours, daemon)
    }

    #[test]
    fn names_are_gathered_over_all_pages() {
        let (stream, daemon) = scripted(vec![
            json!({"result": {"protocolVersion": VERSION}}),
            json!({"result": {"tools": [{"name": "a__x"}], "nextCursor": "2"}}),
            json!({"result": {"tools": [{"name": "b__y"}]}}),
        ]);
        let names = Conversation::shake_hands(stream).unwrap().tool_names().unwrap();
        assert_eq!(names, ["a__x", "b__y"]);
        let seen = daemon.join().unwrap();
        assert_eq!(seen[1]["method"], "notifications/initialized");
        assert_eq!(seen[3]["params"]["cursor"], "2");
    }

    #[test]
    fn a_refused_handshake_is_told_with_its_code() {
        let (stream, _daemon) = scripted(vec![json!({"error": {"code": -32001, "message": "full"}})]);
        let failure = Conversation::shake_hands(stream).unwrap_err();
        assert!(failure.to_string().contains("full (-32001)"), "{failure}");
    }

    #[test]
    fn a_daemon_that_goes_away_is_no_answer() {
        let (stream, _daemon) = scripted(Vec::new());
        assert_eq!(Conversation::shake_hands(stream).unwrap_err().exit, Exit::Unavailable);
    }
}
