//! The doctor's answer for a person. Pure: findings in, text out.

use super::finding::{Finding, Group, Outcome};
use crate::command::paint::{Paint, Tone};

const GROUPS: [(Group, &str); 4] = [
    (Group::Walls, "Walls, required around every server"),
    (Group::Limits, "Limits, required only where a policy says `requires: {cgroup: true}`"),
    (Group::Kernel, "Kernel settings"),
    (Group::Installation, "Installation"),
];

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
    let mut text = format!("  {}  {:width$}  {}\n", paint.tone(tone, word), finding.name, finding.detail);
    if let Some(help) = &finding.help {
        text += &format!("           {:width$}  {} {help}\n", "", paint.tone(Tone::Help, "help:"));
    }
    text
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
    use crate::command::golden;

    fn findings() -> Vec<Finding> {
        vec![
            Finding::ok(Group::Walls, "namespaces", "refused: Operation not permitted (EPERM)")
                .but(Outcome::Missing)
                .help("allow user namespaces"),
            Finding::ok(Group::Walls, "Landlock", "ABI 7 in force, errata mended: 1, 2, 3"),
            Finding::ok(Group::Limits, "controllers", "memory, pids not offered in /sys/fs/cgroup")
                .but(Outcome::Absent)
                .help("run under systemd"),
            Finding::ok(Group::Kernel, "dev.tty.legacy_tiocsti", "1: on").but(Outcome::Note),
            Finding::ok(Group::Installation, "programs", "all 6 in /usr/lib/only1mcp"),
        ]
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
