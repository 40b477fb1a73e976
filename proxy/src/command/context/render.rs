//! The table of `only1mcp context`. Pure: figures in, text out.

use super::figures::{PerView, Report, ServerFigures, ToolFigures};
use crate::command::paint::{Paint, Tone};
use only1mcp_policy::printable::printable;
use std::cmp::Reverse;

const HEADINGS: [&str; 6] = ["SERVER", "TOOLS", "FULL", "COMPACT", "BRIEF", "SEARCH"];
/// How many tools are named.
const BIGGEST_MAX: usize = 5;
/// No server can have this name.
const OWN: &str = "(own tools)";

/// What a row says, besides its figures.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Total,
    Saved,
}

struct Row {
    kind: Kind,
    cells: [String; 6],
}

/// The whole answer for a person.
#[must_use]
pub fn table(report: &Report, paint: Paint) -> String {
    let in_force =
        report.view.map_or_else(String::new, |view| format!("; the view in force is `{}`", view.word()));
    let names = report.vocabularies;
    let mut text = format!("Tokens of all definitions of tools, by {}{in_force}\n", names.o200k);
    if report.tools() == 0 {
        return text + "\nno server offers a tool yet; `only1mcp status` says which servers run\n";
    }
    text.push('\n');
    text += &rows(&all_rows(report), paint);
    for server in report.servers.iter().filter(|server| !server.is_listed()) {
        let why = server.expose.map_or("", |expose| expose.word());
        text += &format!("{}: in no list, as `expose: {why}` says\n", printable(&server.id, &[]));
    }
    for server in report.servers.iter().filter(|server| !server.seen) {
        let name = printable(&server.id, &[]);
        text +=
            &format!("{name}: not counted, its tools were not seen yet; `only1mcp status` says how it is\n");
    }
    text += &biggest(report, paint);
    text += &format!("\n{} {}\n", paint.tone(Tone::Help, "Recommendation:"), report.recommendation.text);
    text
}

/// A number with a comma between thousands.
#[must_use]
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let comma = |at: usize| at > 0 && (digits.len() - at).is_multiple_of(3);
    digits
        .chars()
        .enumerate()
        .flat_map(|(at, digit)| comma(at).then_some(',').into_iter().chain([digit]))
        .collect()
}

fn all_rows(report: &Report) -> Vec<Row> {
    let o200k = |views: &PerView<_>| views.map(|cost: &super::count::Cost| grouped(cost.o200k));
    let row = |kind, name: &str, tools: String, views: &PerView<String>| {
        let [full, compact, brief, search] = views.all().map(String::clone);
        Row { kind, cells: [name.to_owned(), tools, full, compact, brief, search] }
    };
    let server = |server: &ServerFigures| {
        let name = printable(&server.id, &[]);
        row(Kind::Plain, &name, grouped(server.tools.len()), &o200k(&server.views))
    };
    let mut rows: Vec<Row> = report.servers.iter().map(server).collect();
    let tools = grouped(report.tools());
    rows.push(row(Kind::Plain, OWN, String::new(), &o200k(&report.own)));
    rows.push(row(Kind::Total, "total", tools, &o200k(&report.total)));
    let mut saved = report.saved_percent.map(|percent| format!("{percent:.1} %"));
    saved.full.clear();
    rows.push(row(Kind::Saved, "saved", String::new(), &saved));
    let cl100k = report.total.map(|cost| grouped(cost.cl100k));
    rows.push(row(Kind::Plain, &format!("total, {}", report.vocabularies.cl100k), String::new(), &cl100k));
    rows
}

fn rows(rows: &[Row], paint: Paint) -> String {
    let mut widths = HEADINGS.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(&row.cells) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let heading = Row { kind: Kind::Total, cells: HEADINGS.map(str::to_owned) };
    let lines = [&heading].into_iter().chain(rows).map(|row| {
        let line = line(&row.cells, &widths);
        match row.kind {
            Kind::Plain => line,
            Kind::Total => paint.tone(Tone::Heading, &line),
            Kind::Saved => paint.tone(Tone::Good, &line),
        }
    });
    lines.map(|line| line + "\n").collect()
}

/// The first cell flush left, numbers flush right.
fn line(cells: &[String; 6], widths: &[usize; 6]) -> String {
    let mut text = String::new();
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
        text += &if column == 0 { format!("{cell}{padding}") } else { format!("  {padding}{cell}") };
    }
    text.trim_end().to_owned()
}

/// The tools that cost the most of those that a full view lists.
fn biggest(report: &Report, paint: Paint) -> String {
    let listed = report.servers.iter().filter(|server| server.is_listed());
    let mut tools: Vec<&ToolFigures> = listed.flat_map(|server| &server.tools).collect();
    tools.sort_by_key(|tool| Reverse(tool.full.o200k));
    tools.truncate(BIGGEST_MAX);
    if tools.is_empty() {
        return String::new();
    }
    let named: Vec<(String, String, String)> = tools
        .iter()
        .map(|tool| (printable(&tool.name, &[]), grouped(tool.full.o200k), grouped(tool.compact.o200k)))
        .collect();
    let name_width = named.iter().map(|(name, ..)| name.chars().count()).max().unwrap_or(0);
    let width = named.iter().map(|(_, full, _)| full.len()).max().unwrap_or(0);
    named.iter().fold(
        format!("\n{}\n", paint.tone(Tone::Heading, "Biggest tools:")),
        |text, (name, full, compact)| {
            let padding = " ".repeat(name_width.saturating_sub(name.chars().count()));
            format!("{text}  {name}{padding}  {full:>width$}, compact {compact:>width$}\n")
        },
    )
}

#[cfg(test)]
mod tests {
    use super::super::advice;
    use super::super::count::Cost;
    use super::super::figures::{Vocabularies, saved_percent};
    use super::*;
    use crate::golden;
    use only1mcp_policy::view::{Expose, ToolView};

    fn cost(o200k: usize) -> Cost {
        Cost { o200k, cl100k: o200k + o200k / 50, bytes: o200k * 4 }
    }

    fn tool(name: &str, full: usize) -> ToolFigures {
        ToolFigures {
            name: name.to_owned(),
            full: cost(full),
            compact: cost(full / 2),
            brief: cost(full / 9),
        }
    }

    fn server(id: &str, expose: Option<Expose>, tools: Vec<ToolFigures>) -> ServerFigures {
        let sum = |of: fn(&ToolFigures) -> Cost| tools.iter().map(of).sum::<Cost>();
        let search = if expose.is_some() { sum(|tool| tool.compact) } else { Cost::default() };
        let mut views = PerView {
            full: sum(|tool| tool.full),
            compact: sum(|tool| tool.compact),
            brief: sum(|tool| tool.brief),
            search,
        };
        if expose == Some(Expose::Found) {
            views = PerView::default();
        }
        ServerFigures { id: id.to_owned(), expose, seen: true, views, tools }
    }

    /// Figures that are made up: what the views really save is not this file's to say.
    fn report() -> Report {
        let servers = vec![
            server("issues", None, vec![tool("issues__create", 21_400), tool("issues__list", 800)]),
            server("files", Some(Expose::Listed), vec![tool("files__read", 310), tool("files__x", 90)]),
            server("archive", Some(Expose::Found), vec![tool("archive__find", 99_999)]),
            server("clock", None, vec![tool("clock__now", 60), tool("clock__zone", 50)]),
        ];
        let own = PerView { search: cost(520), ..PerView::default() };
        let total = servers.iter().fold(own, |total, server| total + server.views);
        let listen = ["127.0.0.1:8080".to_owned()];
        let now = advice::Now { view: Some(ToolView::Full), said: None, threshold: 10_000, listen: &listen };
        Report {
            vocabularies: Vocabularies::OURS,
            view: Some(ToolView::Full),
            auto_threshold: 10_000,
            own,
            saved_percent: total.map(|cost| saved_percent(cost.o200k, total.full.o200k)),
            recommendation: advice::of(&total, now),
            servers,
            total,
        }
    }

    #[test]
    fn the_table_reads_as_its_golden_file() {
        golden::check("context.txt", &table(&report(), Paint::Plain));
    }

    #[test]
    fn colour_changes_no_column() {
        let coloured = table(&report(), Paint::Colour);
        assert_ne!(coloured, table(&report(), Paint::Plain));
        assert_eq!(golden::without_colour(&coloured), table(&report(), Paint::Plain));
    }

    #[test]
    fn where_there_is_no_tool_yet_it_is_said() {
        let empty = Report { servers: Vec::new(), ..report() };
        assert!(table(&empty, Paint::Plain).contains("no server offers a tool yet"));
    }

    #[test]
    fn the_name_of_a_file_or_a_tool_cannot_steer_the_terminal() {
        let mut report = report();
        report.servers[0].id = "a\x1b[2Jb\nc".into();
        report.servers[0].tools[0].name = "\x1b]0;title\x07".into();
        let table = table(&report, Paint::Plain);
        assert!(table.contains("a\\u{1b}[2Jb\\u{a}c ") && !table.contains('\x1b'), "{table}");
    }

    #[test]
    fn thousands_are_set_apart() {
        let shown = [0, 999, 1_000, 12_345, 1_234_567].map(grouped);
        assert_eq!(shown, ["0", "999", "1,000", "12,345", "1,234,567"]);
    }
}
