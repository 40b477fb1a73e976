//! Whose tools are counted: those of the running daemon, or of recorded answers to `tools/list`.

use crate::command::admin;
use crate::command::directories::Directories;
use crate::command::exit_code::Exit;
use crate::command::failure::Failure;
use crate::command::limits::{CONTEXT_ANSWER, CONTEXT_FILE_BYTES_MAX};
use crate::context::definition::Definition;
use crate::context::meta::MetaTool;
use crate::mcp::names::aggregate_name;
use crate::mcp::object::quote;
use crate::mcp::within::in_member;
use only1mcp_policy::limits::{AUTO_THRESHOLD_TOKENS_DEFAULT, NAME_CHARACTERS_DEFAULT};
use only1mcp_policy::view::{Expose, ToolView};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Tools as clients of `/mcp` could see them: what `GET /context` answers. A newer daemon may say more.
#[derive(Debug, Deserialize)]
pub struct Offer {
    /// Addresses the daemon serves MCP on; none for files.
    #[serde(default)]
    pub listen: Vec<String>,
    /// The view in force; nothing for files.
    pub view: Option<ToolView>,
    /// The same as `start --view` says it, which goes before the configuration; nothing if it does not.
    #[serde(default)]
    pub said: Option<ToolView>,
    /// Tokens below which the view `auto` shows all in full.
    pub auto_threshold: u32,
    /// The servers.
    pub servers: Vec<ServerTools>,
    /// Our own tools.
    pub own: OwnTools,
}

/// One server's tools.
#[derive(Debug, Deserialize)]
pub struct ServerTools {
    /// Its name.
    pub id: String,
    /// Where its tools can be seen; nothing if the view decides.
    pub expose: Option<Expose>,
    /// Whether they were ever seen.
    #[serde(default = "yes")]
    pub seen: bool,
    /// Its definitions in full, under the names of `/mcp`.
    pub tools: Vec<Box<RawValue>>,
}

/// Of files, and of a daemon that does not say.
const fn yes() -> bool {
    true
}

/// Our own tools that views list beside those of the servers.
#[derive(Debug, Default, Deserialize)]
pub struct OwnTools {
    /// In the view `search`.
    pub search: Vec<Box<RawValue>>,
    /// In each other view.
    pub listed: Vec<Box<RawValue>>,
}

/// A recorded answer: the result of `tools/list`, or the whole response with it.
#[derive(Deserialize)]
struct Recorded {
    tools: Option<Vec<Box<RawValue>>>,
    result: Option<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    tools: Vec<Box<RawValue>>,
}

/// What the running daemon offers.
///
/// # Errors
/// When none answers.
pub fn of_daemon(directories: &Directories) -> Result<Offer, Failure> {
    let answer = admin::context(&directories.admin_socket(), CONTEXT_ANSWER)
        .map_err(|error| admin::failure(&error, directories))?;
    serde_json::from_slice(&answer).map_err(|cause| {
        Failure::new(Exit::Internal, format!("cannot read the daemon's definitions of tools: {cause}"))
            .help("daemon and command line may be of different versions")
    })
}

/// What a daemon would offer whose servers gave these answers.
///
/// # Errors
/// When a file cannot be read, or is no answer to `tools/list`.
pub fn of_files(files: &[PathBuf]) -> Result<Offer, Failure> {
    // Nothing in a recorded answer says that results are cut.
    let own = MetaTool::ALL.into_iter().filter(|tool| *tool != MetaTool::ReadResult);
    let search = own.map(|tool| RawValue::from_string(tool.definition().to_owned()));
    Ok(Offer {
        listen: Vec::new(),
        view: None,
        said: None,
        auto_threshold: AUTO_THRESHOLD_TOKENS_DEFAULT,
        servers: files.iter().map(|file| of_file(file)).collect::<Result<_, _>>()?,
        own: OwnTools { search: search.filter_map(Result::ok).collect(), listed: Vec::new() },
    })
}

fn of_file(file: &Path) -> Result<ServerTools, Failure> {
    let text = read(file)?;
    let id = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let recorded: Recorded =
        serde_json::from_str(&text).map_err(|cause| no_list(file, &cause.to_string()))?;
    let tools = recorded.tools.or_else(|| recorded.result.map(|result| result.tools));
    let tools = tools.ok_or_else(|| no_list(file, "it has no `tools`"))?;
    let (mut names, mut named) = (HashSet::new(), Vec::new());
    for (number, raw) in (1..).zip(&tools) {
        let definition = Definition::parse(raw.get());
        let own_name = definition.as_ref().map(Definition::name).filter(|name| !name.is_empty());
        let own_name = own_name.ok_or_else(|| no_list(file, &format!("its tool {number} has no name")))?;
        let name = aggregate_name(&id, own_name, NAME_CHARACTERS_DEFAULT);
        let renamed = in_member(raw.get(), "name", |_| Some(quote(&name)));
        // Of two with one name the daemon keeps the first.
        if names.insert(name) {
            let raw = renamed.map_or_else(|| Ok(raw.clone()), RawValue::from_string);
            named.push(raw.map_err(|cause| no_list(file, &cause.to_string()))?);
        }
    }
    Ok(ServerTools { id, expose: None, seen: true, tools: named })
}

fn read(file: &Path) -> Result<String, Failure> {
    let failed = |cause: &dyn std::fmt::Display| {
        Failure::new(Exit::InputOutput, format!("cannot read {}: {cause}", file.display()))
    };
    let mut bytes = Vec::new();
    let opened = File::open(file).map_err(|cause| failed(&cause))?;
    opened.take(CONTEXT_FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|cause| failed(&cause))?;
    if bytes.len() as u64 > CONTEXT_FILE_BYTES_MAX {
        return Err(no_list(file, &format!("it has more than {CONTEXT_FILE_BYTES_MAX} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| no_list(file, "it is no text in UTF-8"))
}

fn no_list(file: &Path, why: &str) -> Failure {
    Failure::new(Exit::Data, format!("{} is no list of tools: {why}", file.display())).help(
        "want what a server answers to tools/list, as JSON: {\"tools\": [...]}, or the whole response with it as `result`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(name: &str, text: &[u8]) -> PathBuf {
        let directory = std::env::temp_dir().join(format!("only1mcp-context-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let file = directory.join(name);
        std::fs::write(&file, text).unwrap();
        file
    }

    fn raws(server: &ServerTools) -> Vec<&str> {
        server.tools.iter().map(|raw| raw.get()).collect()
    }

    #[test]
    fn a_result_and_a_whole_response_give_the_same_tools_under_the_names_of_the_aggregate() {
        let result =
            r#"{"tools": [{"title":1.0,"name":"read.it"},{"name":"b"},{"name":"b","title":"again"}]}"#;
        let response = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#);
        let result = of_files(&[recorded("files.json", result.as_bytes())]).unwrap();
        let response = of_files(&[recorded("files.txt", response.as_bytes())]).unwrap();
        let [one, other] = [&result.servers[0], &response.servers[0]];
        assert_eq!(one.id, "files");
        let mended = aggregate_name("files", "read.it", NAME_CHARACTERS_DEFAULT);
        let first = format!(r#"{{"title":1.0,"name":"{mended}"}}"#);
        assert_eq!(raws(one), [first.as_str(), r#"{"name":"files__b"}"#]);
        assert_eq!(raws(one), raws(other));
        assert_eq!((result.own.search.len(), result.own.listed.len()), (MetaTool::ALL.len() - 1, 0));
    }

    #[test]
    fn what_is_no_list_of_tools_is_refused_by_name_with_what_it_should_be() {
        let bad: [(&str, &[u8], &str); 9] = [
            ("empty.json", b"", "EOF"),
            ("text.json", b"no JSON", "expected"),
            ("number.json", b"{\"tools\": 3}", "expected a sequence"),
            ("error.json", br#"{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"x"}}"#, "no `tools`"),
            ("other.json", br#"{"result":{"prompts":[]}}"#, "missing field `tools`"),
            ("nameless.json", br#"{"tools":[{"name":"a"},{"description":"b"}]}"#, "tool 2 has no name"),
            ("flat.json", br#"{"tools":["a"]}"#, "tool 1 has no name"),
            ("cut.json", br#"{"tools":[{"name":"a"}"#, "EOF"),
            ("bytes.json", b"{\"tools\":[\"\xff\"]}", "UTF-8"),
        ];
        for (name, text, why) in bad {
            let failure = of_files(&[recorded(name, text)]).unwrap_err();
            let told = failure.to_string();
            assert_eq!(failure.exit, Exit::Data, "{told}");
            assert!(told.contains(&format!("{name} is no list of tools: ")), "{told}");
            assert!(told.contains(why) && told.contains("help: want what a server answers"), "{told}");
        }
    }

    #[test]
    fn what_cannot_be_read_and_what_has_no_end_is_refused() {
        for place in ["/nowhere/tools.json", "/"] {
            let failure = of_files(&[place.into()]).unwrap_err();
            assert_eq!(failure.exit, Exit::InputOutput);
            assert!(failure.to_string().contains(&format!("cannot read {place}: ")), "{failure}");
        }
        let endless = of_files(&["/dev/zero".into()]).unwrap_err();
        assert!(endless.to_string().contains("more than"), "{endless}");
    }

    #[test]
    fn what_a_daemon_answers_is_read_though_it_says_more() {
        let offer: Offer = serde_json::from_str(
            r#"{"new":1,"listen":["[::1]:1"],"view":"auto","auto_threshold":5,"servers":[{"id":"a","expose":"listed",
            "tools":[{"name":"a__b"}]},{"id":"c","expose":null,"tools":[]}],"own":{"search":[{}],"listed":[]}}"#,
        )
        .unwrap();
        assert_eq!((offer.view, offer.servers[0].expose), (Some(ToolView::Auto), Some(Expose::Listed)));
        assert_eq!(raws(&offer.servers[0]), [r#"{"name":"a__b"}"#]);
    }
}
