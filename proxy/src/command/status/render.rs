//! The table of `only1mcp status`. Pure: a report in, text out.

use super::report::{Decided, Flags, Principal, Replica, Report, Server, View};
use crate::command::limits::STATUS_FLAGS_MAX;
use crate::command::paint::{Paint, Tone};
use only1mcp_policy::printable::printable;
use only1mcp_policy::view::ToolView;

const HEADINGS: [&str; 8] = ["SERVER", "STATE", "PROTOCOL", "PID", "TOOLS", "CALLS", "RESTARTS", "WALLS"];
/// Columns of numbers are flush right.
const NUMBERS: [bool; 8] = [false, false, false, true, true, true, true, true];
const STATE_COLUMN: usize = 1;

/// The whole answer for a person.
#[must_use]
pub fn table(report: &Report, paint: Paint) -> String {
    let rows: Vec<[String; 8]> = report.servers.iter().map(row).collect();
    let widths: Vec<usize> = HEADINGS
        .iter()
        .enumerate()
        .map(|(column, heading)| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain([heading.len()]).max().unwrap_or(0)
        })
        .collect();
    let mut text = head(report);
    if report.servers.is_empty() {
        return text + "\nno servers are configured\n";
    }
    text.push('\n');
    text += &paint.tone(
        Tone::Heading,
        line(&HEADINGS.map(str::to_owned), &widths, Paint::Plain, Tone::Heading).trim_end(),
    );
    text.push('\n');
    for (server, row) in report.servers.iter().zip(&rows) {
        text += line(row, &widths, paint, tone(&server.state)).trim_end();
        text.push('\n');
        text += &notes(server, paint);
    }
    text
}

fn head(report: &Report) -> String {
    let urls: Vec<String> = report.listen.iter().map(|address| format!("http://{address}/mcp")).collect();
    let landlock = match report.landlock_abi {
        0 => "no Landlock".to_owned(),
        abi => format!("Landlock ABI {abi}"),
    };
    let cgroup = if report.cgroup_limits { "cgroup limits" } else { "no cgroup limits" };
    let mut text = format!(
        "only1mcp {}, {} mode, configuration generation {}, {landlock}, {cgroup}\n",
        report.version, report.mode, report.generation
    );
    for url in urls {
        text += &format!("{url}\n");
    }
    if report.reloads.last_errors > 0 {
        text += &format!(
            "the configuration has {} errors since it was changed, and the one before stays in force; help: `only1mcp \
             config check` names them\n",
            report.reloads.last_errors
        );
    }
    text += &report.view.as_ref().map_or_else(String::new, view);
    if let Some(limit) = report.rate_limit {
        text += &format!(
            "rate limit: {} calls per minute of one client to one server, {} at once; {} refused\n",
            limit.requests_per_minute, limit.burst, report.rate_limited
        );
    }
    text
}

/// How tools are shown, what `auto` stands for, what has no effect, and who sees them otherwise.
fn view(view: &View) -> String {
    let mut text = format!("view: {}", view.in_force);
    if let Some(Decided { shown, tokens, threshold }) = &view.decided {
        let side = if tokens < threshold { "below" } else { "not below" };
        text +=
            &format!(", at present {shown}: all listed tools take about {tokens} tokens, {side} {threshold}");
    } else if view.in_force == ToolView::Auto.word() {
        text += ", decided for each client by the tools it sees";
    }
    if view.said.is_some() {
        let configured = &view.configured;
        text +=
            &format!("; `start --view` says so, and `proxy.view`, which says {configured}, has no effect");
    }
    for Principal { principal, view } in &view.principals {
        text += &format!("; for {principal}: {view}");
    }
    text + "\n"
}

fn row(server: &Server) -> [String; 8] {
    let protocol = match (&server.era, &server.version) {
        (Some(era), Some(version)) => format!("{era} {}", printable(version, &[])),
        (Some(era), None) => era.clone(),
        (None, _) => "-".to_owned(),
    };
    let all = server.walls.len() + server.walls_missing.len();
    [
        server.id.clone(),
        server.state.clone(),
        protocol,
        server.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
        server.tools.to_string(),
        server.calls.to_string(),
        server.restarts.to_string(),
        if all == 0 { "-".to_owned() } else { format!("{}/{all}", server.walls.len()) },
    ]
}

fn line(cells: &[String; 8], widths: &[usize], paint: Paint, state: Tone) -> String {
    let mut text = String::new();
    for (column, ((cell, width), number)) in cells.iter().zip(widths).zip(NUMBERS).enumerate() {
        let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
        let shown = if column == STATE_COLUMN { paint.tone(state, cell) } else { cell.clone() };
        text += &if number { format!("{padding}{shown}  ") } else { format!("{shown}{padding}  ") };
    }
    text
}

fn tone(state: &str) -> Tone {
    match state {
        "ready" => Tone::Good,
        "failed" | "quarantined" => Tone::Bad,
        _ => Tone::Doubtful,
    }
}

/// What does not fit a column: missing walls, usage, what is odd about its tools, and the last errors.
fn notes(server: &Server, paint: Paint) -> String {
    let mut text = String::new();
    if let Some(processes) = server.processes {
        text += &format!("  processes: {processes}, each for one client\n");
    }
    if server.replicas.len() > 1 {
        server.replicas.iter().for_each(|replica| text += &one_replica(replica, paint));
    }
    if !server.walls_missing.is_empty() {
        text += &format!("  without: {}\n", server.walls_missing.join(", "));
    }
    if let Some(usage) = &server.usage {
        text += &format!("  uses: {}\n", usage.amounts());
        if let Some(reached) = usage.reached() {
            text += &format!("  {} {reached}\n", paint.tone(Tone::Doubtful, "limits reached:"));
        }
    }
    text += &flagged(&server.flags, paint);
    if let Some(error) = &server.list_error {
        text += &format!("  {} {}\n", paint.tone(Tone::Bad, "lists:"), printable(error, &[]));
    }
    if let Some(error) = &server.last_error {
        text += &format!(
            "  {} {}\n",
            paint.tone(Tone::Bad, "last error:"),
            printable(&error.replace('\n', " "), &[])
        );
    }
    text
}

fn flagged(flags: &Flags, paint: Paint) -> String {
    let mut text = String::new();
    let shown = flags.shown.iter().take(STATUS_FLAGS_MAX);
    for flag in shown.clone() {
        let tool = if flag.tool.is_empty() { String::new() } else { format!("tool {}: ", flag.tool) };
        let mark = paint.tone(Tone::Doubtful, "!");
        text += &format!("  {mark} {}\n", printable(&format!("{tool}{}", flag.what), &[]));
    }
    let more = flags.total.saturating_sub(shown.len());
    if more > 0 {
        text += &format!("  and {more} more: only1mcp status --json\n");
    }
    text
}

fn one_replica(replica: &Replica, paint: Paint) -> String {
    let Replica { number, state, pid, circuit, in_flight, calls, restarts } = replica;
    let pid = pid.map_or_else(String::new, |pid| format!(", pid {pid}"));
    let circuit = if circuit == "closed" { String::new() } else { format!(", circuit {circuit}") };
    let state = paint.tone(tone(state), state);
    format!(
        "  replica {number}: {state}{pid}{circuit}, {calls} calls, {in_flight} under way, {restarts} restarts\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    fn report() -> Report {
        serde_json::from_str(include_str!("../../../golden/status.json")).unwrap()
    }

    #[test]
    fn the_table_reads_as_its_golden_file() {
        golden::check("status.txt", &table(&report(), Paint::Plain));
    }

    #[test]
    fn colour_changes_no_column() {
        let coloured = table(&report(), Paint::Colour);
        assert_eq!(golden::without_colour(&coloured), table(&report(), Paint::Plain));
    }

    #[test]
    fn the_view_is_named_with_what_it_stands_for_and_what_it_goes_before() {
        let shown = |said: Option<&str>, decided: Option<(&str, u64)>, principals: Vec<Principal>| {
            let decided =
                decided.map(|(shown, tokens)| Decided { shown: shown.to_owned(), tokens, threshold: 10_000 });
            let in_force = said.unwrap_or("auto").to_owned();
            let said = said.map(str::to_owned);
            view(&View { in_force, configured: "full".into(), said, decided, principals })
        };
        let told = |said, decided| shown(said, decided, vec![]);
        assert!(told(Some("brief"), None).starts_with("view: brief; `start --view` says so"));
        assert_eq!(told(None, None), "view: auto, decided for each client by the tools it sees\n");
        assert_eq!(
            told(None, Some(("full", 9_999))),
            "view: auto, at present full: all listed tools take about 9999 tokens, below 10000\n"
        );
        assert_eq!(
            told(Some("auto"), Some(("search", 10_000))),
            "view: auto, at present search: all listed tools take about 10000 tokens, not below 10000; `start --view` says so, \
             and `proxy.view`, which says full, has no effect\n"
        );
        let own = |principal: &str, view: &str| Principal { principal: principal.into(), view: view.into() };
        assert_eq!(
            shown(None, None, vec![own("token", "full"), own("uid:1000", "brief")]),
            "view: auto, decided for each client by the tools it sees; for token: full; for uid:1000: brief\n"
        );
        let older = Report { view: None, ..report() };
        assert!(!table(&older, Paint::Plain).contains("view"), "an older daemon does not say it");
    }

    #[test]
    fn a_daemon_without_servers_says_so() {
        let empty = Report { servers: Vec::new(), ..report() };
        assert!(table(&empty, Paint::Plain).ends_with("no servers are configured\n"));
    }

    #[test]
    fn a_servers_error_cannot_steer_the_terminal() {
        let mut report = report();
        report.servers[0].last_error = Some("a\x1b[2Jb\nc\u{202e}".into());
        report.servers[0].version = Some("\x1b]0;title\x07".into());
        report.servers[0].list_error = Some("\x1b[2J".into());
        report.servers[0].flags.shown[0].tool = "\x1b[2J".into();
        report.servers[0].flags.shown[0].what = "\n".into();
        let table = table(&report, Paint::Plain);
        assert!(table.contains("a\\u{1b}[2Jb c\\u{202e}\n") && !table.contains('\x1b'), "{table}");
    }
}
