//! Configuration files as the tests need them, written as a person would write them.

use crate::programs;
use std::fmt::Write;

/// A configuration in the making.
#[derive(Clone, Debug, Default)]
pub struct Configuration {
    servers: String,
    proxy: String,
}

impl Configuration {
    /// Without any server yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a fixture server: its arguments as one line, the mark of its processes among them.
    #[must_use]
    pub fn fixture(self, id: &str, arguments: &str) -> Self {
        self.fixture_with(id, arguments, "")
    }

    /// Adds a fixture server with further lines of YAML, indented as keys of the server.
    #[must_use]
    pub fn fixture_with(self, id: &str, arguments: &str, more: &str) -> Self {
        let arguments: Vec<&str> = arguments.split_whitespace().chain(["--mark", "@MARK@"]).collect();
        let folder = programs::folder().display().to_string();
        let policy = format!("{{extends: native, filesystem: {{read: [{folder}]}}}}");
        self.server(id, &programs::fixture(), &arguments, &policy, more)
    }

    /// Adds a server: command, arguments, policy as YAML, and further keys as lines of YAML.
    #[must_use]
    pub fn server(mut self, id: &str, command: &str, arguments: &[&str], policy: &str, more: &str) -> Self {
        let quoted: Vec<String> = arguments.iter().map(|word| format!("{word:?}")).collect();
        let _ = writeln!(self.servers, "  - id: {id}\n    command: {command}");
        let _ = writeln!(self.servers, "    args: [{}]\n    policy: {policy}", quoted.join(", "));
        for line in more.lines() {
            let _ = writeln!(self.servers, "    {line}");
        }
        self
    }

    /// The same with a part of its servers written otherwise.
    #[must_use]
    pub fn with(mut self, part: &str, other: &str) -> Self {
        assert!(self.servers.contains(part), "there is no {part:?} in {}", self.servers);
        self.servers = self.servers.replace(part, other);
        self
    }

    /// Adds lines of YAML below `proxy:`.
    #[must_use]
    pub fn proxy(mut self, lines: &str) -> Self {
        for line in lines.lines() {
            let _ = writeln!(self.proxy, "  {line}");
        }
        self
    }

    /// The text of the file; `mark` is what each fixture's processes carry.
    #[must_use]
    pub fn text(&self, mark: &str) -> String {
        let proxy = if self.proxy.is_empty() { String::new() } else { format!("proxy:\n{}", self.proxy) };
        format!("servers:\n{}{proxy}", self.servers.replace("@MARK@", mark))
    }
}
