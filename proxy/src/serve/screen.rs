//! The start screen: where to point a client, what runs behind which walls, what to type next.

use crate::core::status::{ServerStatus, Status, ViewStatus};
use only1mcp_policy::view::ToolView;
use only1mcp_wire::Mode;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

/// How clients get in.
#[derive(Debug)]
pub struct Access {
    /// Decides who needs a token.
    pub mode: Mode,
    /// Where it is.
    pub token_file: PathBuf,
    /// The token itself, if it may be shown.
    pub token: Option<String>,
}

/// Prints the screen. Whoever closed our standard output does not want it.
pub fn print(screen: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(screen.as_bytes()).and_then(|()| out.flush());
}

/// The screen for this state. Plain text: the supervisor decides where it goes.
pub fn render(status: &Status, access: &Access) -> String {
    let urls: Vec<String> = status.listen.iter().map(|address| format!("http://{address}/mcp")).collect();
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = fill(&mut out, status, &urls, access);
    out
}

fn fill(out: &mut String, status: &Status, urls: &[String], access: &Access) -> std::fmt::Result {
    let tools: usize = status.servers.iter().map(|server| server.tools).sum();
    let count = counted(status.servers.len(), "server");
    writeln!(out, "only1mcp {}: {count}, {} behind one URL\n", status.version, counted(tools, "tool"))?;
    for url in urls {
        writeln!(out, "  URL    {url}")?;
    }
    if let Some(url) = urls.first() {
        writeln!(out, "         {url}/SERVER for one server alone, its names unchanged")?;
    }
    writeln!(out, "  mode   {}: {}", access.mode, who(access))?;
    if let Some(view) = view(&status.view) {
        writeln!(out, "  view   {view}")?;
    }
    if let Some(limit) = status.rate_limit {
        let (per_minute, burst) = (limit.requests_per_minute, limit.burst);
        writeln!(
            out,
            "  limit  each client may call each server {per_minute} times per minute, {burst} at once"
        )?;
    }
    writeln!(out)?;
    status.servers.iter().try_for_each(|server| one_server(out, server))?;
    if !status.cgroup_limits {
        writeln!(out, "\n  help: `only1mcp doctor` says why limits by cgroup cannot be set here")?;
    }
    writeln!(out, "\nFor your client's settings:\n")?;
    snippet(out, urls.first().map_or("", String::as_str), access)?;
    writeln!(out, "\nNext: {}", next(status))
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

fn who(access: &Access) -> String {
    let token = format!("the token in {}", access.token_file.display());
    match access.mode {
        Mode::User | Mode::Minimal => format!("your own processes come in; others need {token}"),
        Mode::Root | Mode::System => format!("clients need {token}"),
    }
}

/// How clients are shown the tools, unless that is all of them in full.
fn view(view: &ViewStatus) -> Option<String> {
    match (&view.decided, view.in_force) {
        (None, ToolView::Full) => None,
        (None, ToolView::Auto) => {
            Some("auto: in full or by search, as the tools that a client sees decide".to_owned())
        }
        (None, view) => Some(format!("{}: how clients are shown the tools", view.word())),
        (Some(decided), _) if decided.shown == ToolView::Full => None,
        (Some(decided), _) => {
            let (shown, tokens, threshold) = (decided.shown.word(), decided.tokens, decided.threshold);
            Some(format!(
                "{shown}, chosen by auto: all listed tools take about {tokens} tokens, not below {threshold}"
            ))
        }
    }
}

fn one_server(out: &mut String, server: &ServerStatus) -> std::fmt::Result {
    let ServerStatus { id, state, tools, .. } = server;
    writeln!(out, "  {id:<12} {state:<10} {}", counted(*tools, "tool"))?;
    if let Some(error) = server.last_error.as_deref().filter(|_| *state != "ready") {
        return writeln!(out, "    error: {error}");
    }
    if server.walls.is_empty() {
        return Ok(());
    }
    let landlock = format!("landlock (level {})", server.landlock_abi);
    let walls = server.walls.iter().map(|&wall| if wall == "landlock" { landlock.as_str() } else { wall });
    wrapped(out, "    walls: ", &walls.collect::<Vec<_>>())?;
    if !server.walls_missing.is_empty() {
        wrapped(out, "    without: ", &server.walls_missing)?;
    }
    Ok(())
}

/// A list of words, in lines of at most 100 characters.
fn wrapped(out: &mut String, label: &str, words: &[&str]) -> std::fmt::Result {
    let mut line = label.to_owned();
    for (index, word) in words.iter().enumerate() {
        let comma = if index + 1 < words.len() { ", " } else { "" };
        if line.len() + word.len() + comma.len() > 100 {
            writeln!(out, "{}", line.trim_end())?;
            line = " ".repeat(label.len());
        }
        let _ = write!(line, "{word}{comma}");
    }
    writeln!(out, "{}", line.trim_end())
}

/// What most clients take, with the header where they need it.
fn snippet(out: &mut String, url: &str, access: &Access) -> std::fmt::Result {
    let mut entry = serde_json::json!({ "type": "http", "url": url });
    if matches!(access.mode, Mode::Root | Mode::System)
        && let Some(entry) = entry.as_object_mut()
    {
        let token = format!("Bearer {}", access.token.as_deref().unwrap_or("TOKEN"));
        entry.insert("headers".to_owned(), serde_json::json!({ "Authorization": token }));
    }
    let settings = serde_json::json!({ "mcpServers": { "only1mcp": entry } });
    let text = serde_json::to_string_pretty(&settings).unwrap_or_default();
    text.lines().try_for_each(|line| writeln!(out, "  {line}"))
}

/// A command worth trying: the probe shows the walls from inside.
fn next(status: &Status) -> &'static str {
    let probe = status.servers.iter().any(|server| server.id == "probe" && server.state == "ready");
    if probe {
        "only1mcp call probe.read_file '{\"path\": \"/etc/shadow\"}'   (the kernel says no)"
    } else {
        "only1mcp status"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::status::Decided;
    use crate::golden;

    fn server(id: &str, state: &'static str) -> ServerStatus {
        ServerStatus {
            processes: None,
            id: id.to_owned(),
            state,
            era: Some("modern"),
            version: Some("2026-07-28".to_owned()),
            pid: Some(123),
            instance: Some("0011223344556677".to_owned()),
            digest: "ab".repeat(32),
            walls: vec![
                "user namespace",
                "mount namespace",
                "pid namespace",
                "network namespace",
                "ipc namespace",
                "landlock",
                "seccomp",
                "no new privileges",
            ],
            walls_missing: vec!["memory limit", "process limit"],
            landlock_abi: 7,
            tools: 9,
            resources: 0,
            prompts: 1,
            flags: Default::default(),
            list_error: None,
            calls: 0,
            failures: 0,
            retries: 0,
            restarts: 0,
            in_flight: 0,
            queued: 0,
            durations: Default::default(),
            replicas: Vec::new(),
            usage: None,
            last_error: None,
        }
    }

    fn status() -> Status {
        let broken = ServerStatus {
            walls: vec![],
            tools: 0,
            last_error: Some("step landlock: errno 38".to_owned()),
            ..server("broken", "failed")
        };
        Status {
            version: "0.1.0",
            mode: "user",
            generation: 1,
            listen: vec!["127.0.0.1:8080".to_owned()],
            landlock_abi: 7,
            cgroup_limits: false,
            reloads: Default::default(),
            view: Default::default(),
            rate_limit: None,
            rate_limited: 0,
            parked_calls: 0,
            open_descriptors: 0,
            tasks: 0,
            servers: vec![
                server("probe", "ready"),
                ServerStatus { tools: 1, ..server("notes", "ready") },
                broken,
            ],
        }
    }

    fn access(mode: Mode, token: Option<&str>) -> Access {
        Access { mode, token_file: PathBuf::from("/state/token"), token: token.map(str::to_owned) }
    }

    #[test]
    fn a_person_reads_where_what_and_what_next() {
        golden::check("start-screen-user.txt", &render(&status(), &access(Mode::User, None)));
    }

    #[test]
    fn in_root_mode_the_snippet_carries_the_token() {
        let screen = render(&status(), &access(Mode::Root, Some("0123456789abcdef")));
        golden::check("start-screen-root.txt", &screen);
    }

    #[test]
    fn a_view_is_named_where_clients_do_not_see_all_in_full() {
        let line = |in_force, decided: Option<(ToolView, usize)>| {
            let decided = decided.map(|(shown, tokens)| Decided { shown, tokens, threshold: 10_000 });
            let view = ViewStatus { in_force, decided, ..Default::default() };
            let screen = render(&Status { view, ..status() }, &access(Mode::User, None));
            screen.lines().find(|line| line.starts_with("  view ")).map(str::to_owned)
        };
        assert_eq!(line(ToolView::Full, None), None);
        assert_eq!(
            line(ToolView::Auto, None).as_deref(),
            Some("  view   auto: in full or by search, as the tools that a client sees decide")
        );
        assert_eq!(line(ToolView::Auto, Some((ToolView::Full, 9_999))), None);
        assert_eq!(
            line(ToolView::Compact, None).as_deref(),
            Some("  view   compact: how clients are shown the tools")
        );
        assert_eq!(
            line(ToolView::Auto, Some((ToolView::Search, 24_810))).as_deref(),
            Some(
                "  view   search, chosen by auto: all listed tools take about 24810 tokens, not below 10000"
            )
        );
    }

    #[test]
    fn a_token_that_may_not_be_shown_is_not() {
        let screen = render(&status(), &access(Mode::Root, None));
        assert!(screen.contains("\"Authorization\": \"Bearer TOKEN\"") && screen.contains("/state/token"));
    }
}
