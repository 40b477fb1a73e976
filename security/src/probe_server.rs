//! The probe as an MCP server: its tools try forbidden acts and report what the kernel said.

use std::fs;
use std::io::Read;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::errno::Errno;
use serde_json::{Map, Value, json};

use crate::attempts::privileges::status_line;
use crate::catalogue;
use crate::probe::{self, Half, Targets};
use crate::server::{About, Effect, Failed, Fault, Service, text, tool, tool_call, tool_result};

/// How long `connect` waits.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Bytes of a file that `read_file` shows.
const READ_BYTES_MAX: u64 = 64 * 1024;
/// Processes that `list_processes` shows.
const PROCESSES_MAX: usize = 1000;

/// The probe as a server.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProbeServer;

/// What a tool says: words, and the same as data; `Err` if it did not work.
type Said = Result<(String, Value), String>;

impl Service for ProbeServer {
    fn about(&self) -> About {
        About {
            name: "only1mcp-probe",
            title: "only1mcp probe",
            instructions: "Tries forbidden acts from inside the sandbox and reports what the kernel said. \
                Start with show_walls; then read_file, connect and list_processes; attempts lists all attacks.",
            capabilities: json!({"tools": {}}),
        }
    }

    fn answer(&mut self, method: &str, params: &Map<String, Value>) -> Result<Value, Fault> {
        match method {
            "tools/list" => Ok(json!({"tools": tools()})),
            "tools/call" => {
                let (name, arguments) = tool_call(params)?;
                Ok(worded(call(name, &arguments)?))
            }
            _ => Err(Fault::Method),
        }
    }
}

fn worded(said: Said) -> Value {
    match said {
        Ok((words, data)) => tool_result(&words, Some(data), Failed::No),
        Err(words) => tool_result(&words, None, Failed::Yes),
    }
}

fn tools() -> Vec<Value> {
    let aimed = json!({
        "id": {"type": "string", "description": "The attempt, for example F01.ssh"},
        "targets": {"type": "object", "additionalProperties": {"type": "string"},
            "description": "What it is aimed at, for example {\"secret\": \"/home/me/.ssh/id_rsa\"}"},
    });
    let path = json!({"path": {"type": "string", "description": "An absolute path"}});
    let address =
        json!({"address": {"type": "string", "description": "HOST:PORT, or the path of a Unix socket"}});
    vec![
        tool(
            "show_walls",
            "Show what the kernel enforces around this server: ids, capabilities, system call \
            filters, namespaces, mounts.",
            json!({}),
            &[],
            Effect::Reads,
        ),
        tool(
            "read_file",
            "Try to read any file and report what the kernel said.",
            path,
            &["path"],
            Effect::Reads,
        ),
        tool(
            "connect",
            "Try to connect anywhere, by TCP or to a Unix socket, and report what the kernel said.",
            address,
            &["address"],
            Effect::Reads,
        ),
        tool(
            "list_processes",
            "List every process that can be seen from here.",
            json!({}),
            &[],
            Effect::Reads,
        ),
        tool("attempts", "List the attack catalogue.", json!({}), &[], Effect::Reads),
        tool("attempt", "Run one attack of the catalogue.", aimed.clone(), &["id"], Effect::Destroys),
        tool("twin", "Run the legitimate neighbour of one attack.", aimed, &["id"], Effect::Adds),
    ]
}

fn call(name: &str, arguments: &Map<String, Value>) -> Result<Said, Fault> {
    Ok(match name {
        "attempt" => run(arguments, Half::Attempt)?,
        "twin" => run(arguments, Half::Twin)?,
        "attempts" => Ok(list()),
        "read_file" => read_file(text(arguments, "path")?),
        "connect" => connect(text(arguments, "address")?),
        "list_processes" => list_processes(),
        "show_walls" => show_walls(),
        _ => return Err(Fault::Params(format!("unknown tool: {name}"))),
    })
}

fn run(arguments: &Map<String, Value>, half: Half) -> Result<Said, Fault> {
    let id = text(arguments, "id")?;
    let mut targets = Targets::default();
    match arguments.get("targets") {
        None | Some(Value::Null) => {}
        Some(Value::Object(given)) => {
            for key in given.keys() {
                targets.set(key, text(given, key)?);
            }
        }
        Some(_) => return Err(Fault::Params("targets must be an object of strings".to_owned())),
    }
    let report = probe::run(id, half, &targets).map_err(Fault::Params)?;
    let data = serde_json::to_value(&report).map_err(|error| Fault::Internal(error.to_string()))?;
    Ok(Ok((data.to_string(), data)))
}

fn list() -> (String, Value) {
    let lines: Vec<String> =
        catalogue::all().map(|attempt| format!("{}: {}", attempt.id, attempt.what)).collect();
    let attempts: Vec<Value> = catalogue::all().map(crate::ledger::as_json).collect();
    (lines.join("\n"), json!({"attempts": attempts}))
}

fn said(errno: Option<i32>) -> String {
    let errno = Errno::from_raw(errno.unwrap_or(0));
    format!("the kernel said {errno:?}: {}", errno.desc())
}

fn failure(subject: &str, error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(errno) => format!("{subject}: {}", said(Some(errno))),
        None => format!("{subject}: {error}"),
    }
}

fn read_file(path: &str) -> Said {
    let mut content = Vec::new();
    let file = fs::File::open(path).map_err(|error| failure(&format!("open {path}"), &error))?;
    file.take(READ_BYTES_MAX)
        .read_to_end(&mut content)
        .map_err(|error| failure(&format!("read {path}"), &error))?;
    let content = String::from_utf8_lossy(&content).into_owned();
    Ok((content.clone(), json!({"path": path, "content": content})))
}

fn connect(address: &str) -> Said {
    let subject = format!("connect to {address}");
    let connected = if address.starts_with('/') {
        UnixStream::connect(address).map(drop)
    } else {
        resolve(address)
            .map_err(|error| failure(&format!("look up {address}"), &error))
            .and_then(|found| found.ok_or_else(|| format!("look up {address}: no address")))
            .map(|found| TcpStream::connect_timeout(&found, CONNECT_TIMEOUT).map(drop))?
    };
    connected.map_err(|error| failure(&subject, &error))?;
    Ok((format!("{subject}: connected"), json!({"address": address, "connected": true})))
}

fn resolve(address: &str) -> std::io::Result<Option<SocketAddr>> {
    Ok(address.to_socket_addrs()?.next())
}

fn list_processes() -> Said {
    let entries = fs::read_dir("/proc").map_err(|error| failure("list /proc", &error))?;
    let mut processes = Vec::new();
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.bytes().all(|byte| byte.is_ascii_digit()) && processes.len() < PROCESSES_MAX {
            let command = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            processes.push(json!({"pid": name, "command": command.trim()}));
        }
    }
    let words: Vec<String> = processes
        .iter()
        .map(|process| format!("{} {}", word(process, "pid"), word(process, "command")))
        .collect();
    let count = if words.len() == 1 { "1 process".to_owned() } else { format!("{} processes", words.len()) };
    let words = format!("{count} can be seen:\n{}", words.join("\n"));
    Ok((words, json!({"processes": processes})))
}

fn word<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn show_walls() -> Said {
    let status =
        fs::read_to_string("/proc/self/status").map_err(|error| failure("read /proc/self/status", &error))?;
    let keys = [
        "Uid",
        "Gid",
        "Groups",
        "CapInh",
        "CapPrm",
        "CapEff",
        "CapBnd",
        "CapAmb",
        "NoNewPrivs",
        "Seccomp",
        "Seccomp_filters",
    ];
    let values: Map<String, Value> =
        keys.into_iter().map(|key| (key.to_owned(), status_line(&status, key).into())).collect();
    let namespaces: Map<String, Value> = ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"]
        .into_iter()
        .filter_map(|name| {
            let link = fs::read_link(format!("/proc/self/ns/{name}")).ok()?;
            Some((name.to_owned(), link.to_string_lossy().into()))
        })
        .collect();
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let map = map.split_whitespace().collect::<Vec<_>>().join(" ");
    let words = format!("{}uid map (inside, outside, count): {map}\nmounts:\n{mounts}", in_words(&values));
    Ok((
        words,
        json!({"status": values, "uid_map": map, "namespaces": namespaces,
        "mounts": mounts.lines().collect::<Vec<_>>()}),
    ))
}

/// What the numbers of /proc/self/status mean.
fn in_words(values: &Map<String, Value>) -> String {
    let value = |key: &str| values.get(key).and_then(Value::as_str).unwrap_or_default();
    let none = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]
        .into_iter()
        .all(|key| value(key).chars().all(|digit| digit == '0'));
    let capabilities = if none { "none at all" } else { "some" };
    let filter = match value("Seccomp") {
        "2" => format!("{} filters", value("Seccomp_filters")),
        _ => "not filtered".to_owned(),
    };
    let privileges = if value("NoNewPrivs") == "1" { "can never be gained" } else { "can be gained" };
    let mut words =
        format!("capabilities: {capabilities}\nnew privileges: {privileges}\nsystem calls: {filter}\n");
    for key in ["Uid", "Gid", "Groups"] {
        words.push_str(&format!("{key}: {}\n", value(key).replace('\t', " ")));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(name: &str, arguments: Value) -> Value {
        let params = json!({"name": name, "arguments": arguments});
        ProbeServer.answer("tools/call", params.as_object().unwrap()).unwrap()
    }

    #[test]
    fn a_refused_file_is_reported_in_words() {
        let result = called("read_file", json!({"path": "/no/such/file"}));
        assert_eq!(result["isError"], true);
        assert_eq!(
            result["content"][0]["text"],
            "open /no/such/file: the kernel said ENOENT: No such file or directory"
        );
    }

    #[test]
    fn an_attempt_gives_its_report_as_text_and_as_data() {
        let result = called("attempt", json!({"id": "F01.ssh", "targets": {"secret": "/no/such/key"}}));
        assert_eq!(result["structuredContent"]["errno"], "ENOENT");
        let line: Value = serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap();
        assert_eq!(line, result["structuredContent"]);
    }

    #[test]
    fn an_unknown_attempt_is_an_error_of_the_parameters() {
        let params = json!({"name": "attempt", "arguments": {"id": "Z99"}});
        let answer = ProbeServer.answer("tools/call", params.as_object().unwrap());
        assert!(matches!(answer, Err(Fault::Params(text)) if text.contains("Z99")));
    }

    #[test]
    fn the_walls_are_shown_even_where_there_are_none() {
        let result = called("show_walls", json!({}));
        assert!(result["content"][0]["text"].as_str().unwrap().contains("capabilities: "));
        assert!(result["structuredContent"]["namespaces"]["net"].as_str().unwrap().starts_with("net:["));
    }

    #[test]
    fn an_attempt_without_its_target_says_which_one() {
        let result = called("attempt", json!({"id": "N01"}));
        assert_eq!(result["structuredContent"]["outcome"], "error");
        assert!(result["structuredContent"]["detail"].as_str().unwrap().contains("needs the target tcp"));
    }
}
