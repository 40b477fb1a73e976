//! The doctor's answer for a person. Pure: findings in, text out.

use super::finding::{Finding, Group, Outcome};
use crate::command::paint::{Paint, Tone};

const GROUPS: [(Group, &str); 4] = [
    (Group::Walls, "Walls, required around every server"),
    (Group::Limits, "Limits, required only where a policy says `requires: {cgroup: true}`"),
    (Group::Kernel, "Kernel settings"),
    (Group::Installation, "Installation"),
];

/// Columns of the page: help wraps there, whatever the terminal.
const PAGE_COLUMNS: usize = 100;
/// Columns of an outcome's word.
const WORD_COLUMNS: usize = 7;
/// Columns of `help: `.
const HELP_COLUMNS: usize = 6;

/// The whole page.
#[must_use]
pub fn page(machine: &str, findings: &[Finding], paint: Paint) -> String {
    let mut text = format!("only1mcp {} on {machine}\n", env!("CARGO_PKG_VERSION"));
    for (group, heading) in GROUPS {
        let of_group: Vec<&Finding> = findings.iter().filter(|finding| finding.group == group).collect();
        let width = of_group.iter().map(|finding| finding.name.len()).max().unwrap_or(0);
        text += &format!("\n{}\n", paint.tone(Tone::Heading, heading));
        for finding in of_group {
            text += &line(finding, width, paint);
        }
    }
    text + "\n" + &verdict(findings, paint)
}

fn line(finding: &Finding, width: usize, paint: Paint) -> String {
    let (word, tone) = match finding.outcome {
        Outcome::Ok => ("ok     ", Tone::Good),
        Outcome::Note => ("note   ", Tone::Doubtful),
        Outcome::Absent => ("absent ", Tone::Doubtful),
        Outcome::Missing => ("MISSING", Tone::Bad),
    };
    let indent = " ".repeat(WORD_COLUMNS + width + 6);
    let room = PAGE_COLUMNS.saturating_sub(indent.len());
    let mut text = format!("  {}  {:width$}  ", paint.tone(tone, word), finding.name);
    text += &(wrapped(&finding.detail, room).join(&format!("\n{indent}")) + "\n");
    if let Some(help) = &finding.help {
        let label = paint.tone(Tone::Help, "help:");
        let indent = " ".repeat(WORD_COLUMNS + 4);
        let lines = wrapped(help, PAGE_COLUMNS.saturating_sub(indent.len() + HELP_COLUMNS));
        text += &format!("{indent}{label} {}\n", lines.join(&format!("\n{indent}{:HELP_COLUMNS$}", "")));
    }
    text
}

/// Whole words, as many as fit; a word that is too long gets a line of its own.
fn wrapped(text: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn verdict(findings: &[Finding], paint: Paint) -> String {
    let missing: Vec<&str> = findings
        .iter()
        .filter(|finding| finding.outcome == Outcome::Missing)
        .map(|finding| finding.name)
        .collect();
    if missing.is_empty() {
        return paint.tone(Tone::Good, "All that is required stands.") + "\n";
    }
    paint.tone(Tone::Bad, &format!("Missing: {}.", missing.join(", "))) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    fn findings() -> Vec<Finding> {
        vec![
            Finding::ok(Group::Walls, "namespaces", "refused: Operation not permitted (EPERM)")
                .but(Outcome::Missing)
                .help("allow user namespaces in this kernel or container, or start with fewer walls by --allow-degraded"),
            Finding::ok(Group::Walls, "Landlock", "ABI 7 in force, errata mended: 1, 2, 3"),
            Finding::ok(Group::Limits, "controllers", "memory, pids not offered in /sys/fs/cgroup")
                .but(Outcome::Absent)
                .help("run under systemd"),
            Finding::ok(Group::Kernel, "dev.tty.legacy_tiocsti", "1: on").but(Outcome::Note),
            Finding::ok(Group::Installation, "programs", "all 6 in /usr/lib/only1mcp"),
        ]
    }

    #[test]
    fn long_lines_are_broken_between_words() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("incomprehensible", 7), ["incomprehensible"]);
    }

    #[test]
    fn the_page_reads_as_its_golden_file() {
        golden::check("doctor.txt", &page("Linux 6.12.0 x86_64, as uid 1000", &findings(), Paint::Plain));
    }

    #[test]
    fn findings_read_by_programs_have_their_golden_file_too() {
        golden::check("doctor.json", &(serde_json::to_string_pretty(&findings()).unwrap() + "\n"));
    }
}
