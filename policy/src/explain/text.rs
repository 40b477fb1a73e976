//! An explanation in plain words.

use super::Explanation;
use crate::printable::printable;
use std::fmt::Write as _;

/// So many names fit on a line of a terminal.
const CALLS_PER_LINE: usize = 6;

impl Explanation {
    /// As text for a terminal.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = Text(String::new());
        out.line(&format!("Server {}: policy {}, profile {}", self.server, self.policy, self.profile));
        self.executed(&mut out);
        self.visible(&mut out);
        self.allowed(&mut out);
        self.limited(&mut out);
        // Paths, arguments and names are others' words.
        printable(&out.0, &['\n'])
    }

    fn executed(&self, out: &mut Text) {
        out.heading("What is executed");
        out.pair("program", &self.program.path);
        out.pair("arguments", &format!("{:?}", self.program.arguments));
        out.pair("directory", &self.program.working_directory);
        for step in &self.program.chain {
            out.pair("because", step);
        }
        out.heading("Environment; nothing else is inherited");
        let rows = self.environment.iter().map(|variable| [variable.name.as_str(), &variable.source]);
        out.table(rows);
    }

    fn visible(&self, out: &mut Text) {
        out.heading("What it sees; nothing else of this machine");
        out.table(
            self.mounts
                .iter()
                .map(|mount| [mount.path.as_str(), mount.access.as_str(), mount.reason.as_str()]),
        );
        let elsewhere = self.mounts.iter().filter(|mount| mount.path != mount.source);
        for mount in elsewhere {
            out.line(&format!("  {} is {} of the host", mount.path, mount.source));
        }
        out.heading("What exists only inside");
        out.table(self.files.iter().map(|file| [file.as_str(), "file, read-only"]));
        let links: Vec<_> = self.links.iter().map(|(path, to)| (path, format!("link to {to}"))).collect();
        out.table(links.iter().map(|(path, to)| [path.as_str(), to.as_str()]));
        for scratch in &self.scratch {
            let execute = if scratch.executable { "may" } else { "may not" };
            out.line(&format!(
                "  {}  empty at every start, {} and {} files, which {execute} be executed",
                scratch.path, scratch.size, scratch.files
            ));
        }
        out.line("  /opt/only1mcp/init  the first process of the sandbox, which starts the server and ends with it");
        out.line("  /proc  its own processes and nothing else");
        out.line("  /state  its own directory: HOME, kept between starts");
        out.heading("Landlock rules; everything else is refused a second time");
        out.table(self.landlock.iter().map(|(path, rights)| [path.as_str(), rights.as_str()]));
    }

    fn allowed(&self, out: &mut Text) {
        let count: usize = self.system_calls.iter().map(|group| group.calls.len()).sum();
        out.heading(&format!(
            "System calls: {count}, in {} groups; every other one fails",
            self.system_calls.len()
        ));
        let rows: Vec<_> =
            self.system_calls.iter().map(|group| (group, group.calls.len().to_string())).collect();
        out.table(
            rows.iter().map(|(group, count)| [group.name.as_str(), count.as_str(), group.reason.as_str()]),
        );
        out.line("  No policy can grant:");
        for line in self.never.chunks(CALLS_PER_LINE) {
            out.line(&format!("    {}", line.join(" ")));
        }
        let jit = if self.jit { "may" } else { "may not" };
        out.line(&format!("  memory {jit} be written and executed at once, as just-in-time compilers need"));
        out.heading("Network");
        out.line("  none: the only interface is a loopback of its own");
        out.heading("Tools that clients may call");
        let all = |list: &[String]| if list.is_empty() { "none".to_owned() } else { list.join(", ") };
        out.pair("allow", &all(&self.tools.allow));
        out.pair("deny", &all(&self.tools.deny));
    }

    fn limited(&self, out: &mut Text) {
        out.heading("Limits");
        let rows = self.limits.iter().chain(&self.timeouts);
        out.table(rows.map(|(name, value)| [name.as_str(), value.as_str()]));
        out.line(
            "  memory, processes and cpu as a whole need cgroup v2: `only1mcp status` says what is in force",
        );
        out.heading("Walls that must stand, or it is not started");
        for wall in &self.walls_required {
            out.line(&format!("  {wall}"));
        }
    }
}

/// Text under construction.
struct Text(String);

impl Text {
    fn line(&mut self, line: &str) {
        let _ = writeln!(self.0, "{}", line.trim_end());
    }

    fn heading(&mut self, heading: &str) {
        self.line("");
        self.line(heading);
    }

    fn pair(&mut self, name: &str, value: &str) {
        self.line(&format!("  {name:<10} {value}"));
    }

    /// Rows whose columns stand below each other.
    fn table<'a, const N: usize>(&mut self, rows: impl Iterator<Item = [&'a str; N]>) {
        let rows: Vec<[&str; N]> = rows.collect();
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..N).map(width).collect();
        for row in &rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                let _ = write!(line, "  {cell:<width$}");
            }
            self.line(&line);
        }
    }
}
