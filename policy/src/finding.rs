//! Findings: what is wrong with a document, where, and what to do about it.

use crate::limits::FINDINGS_MAX;
use crate::printable::printable;
use serde::Serialize;
use std::fmt::Write as _;
use std::sync::Arc;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The configuration cannot come into force.
    Error,
    /// It can, but somebody should look.
    Warning,
    /// Worth knowing.
    Note,
}

/// A place in a document. Line 0 means the document as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The file's path, or a name in angle brackets for a document of our own.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl Place {
    /// The document as a whole.
    #[must_use]
    pub fn whole(file: &str) -> Self {
        Self { file: file.into(), line: 0, column: 0 }
    }
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub place: Place,
}

impl<T> Spot<T> {
    /// `value`, standing at `place`.
    pub fn new(value: T, place: &Place) -> Self {
        Self { value, place: place.clone() }
    }
}

/// One thing a person should know about a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it weighs.
    pub severity: Severity,
    /// The file.
    pub file: String,
    /// Line, from 1; 0 for the file as a whole.
    pub line: u32,
    /// Column in characters, from 1; 0 for the file as a whole.
    pub column: u32,
    /// What is the matter.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// All findings of one run, in the order of their discovery.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    list: Vec<Finding>,
    dropped: usize,
    errors: usize,
}

impl Findings {
    /// Adds an error.
    pub fn error(&mut self, place: &Place, message: impl Into<String>, help: impl Into<String>) {
        self.errors += 1;
        self.add(Severity::Error, place, message.into(), help.into());
    }

    /// Adds a warning.
    pub fn warning(&mut self, place: &Place, message: impl Into<String>, help: impl Into<String>) {
        self.add(Severity::Warning, place, message.into(), help.into());
    }

    /// Adds a note.
    pub fn note(&mut self, place: &Place, message: impl Into<String>, help: impl Into<String>) {
        self.add(Severity::Note, place, message.into(), help.into());
    }

    fn add(&mut self, severity: Severity, place: &Place, message: String, help: String) {
        if self.list.len() >= FINDINGS_MAX {
            self.dropped += 1;
            return;
        }
        // All three quote what others wrote.
        let [file, message, help] = [place.file.as_ref(), &message, &help].map(|text| printable(text, &[]));
        let finding = Finding { severity, file, line: place.line, column: place.column, message, help };
        // Two servers with one policy would report each of its findings twice.
        if !self.list.contains(&finding) {
            self.list.push(finding);
        }
    }

    /// Takes over the findings of `other`.
    pub fn append(&mut self, other: Self) {
        self.dropped += other.dropped;
        self.errors += other.errors;
        for finding in other.list {
            if !self.list.contains(&finding) {
                self.list.push(finding);
            }
        }
    }

    /// Whether any of them is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// How many errors have been added so far.
    #[must_use]
    pub fn error_count(&self) -> usize {
        self.errors
    }

    /// The findings, by file, line and column.
    #[must_use]
    pub fn sorted(&self) -> Vec<&Finding> {
        let mut all: Vec<&Finding> = self.list.iter().collect();
        all.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        all
    }

    /// All of them as text for a terminal: one block each.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        for finding in self.sorted() {
            finding.write(&mut out);
        }
        if self.dropped > 0 {
            let _ = writeln!(out, "note: {} more findings are not shown", self.dropped);
        }
        out
    }
}

impl Finding {
    fn write(&self, out: &mut String) {
        let kind = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        let _ = write!(out, "{kind}: {}", self.file);
        if self.line > 0 {
            let _ = write!(out, ":{}:{}", self.line, self.column);
        }
        let _ = writeln!(out, ": {}\nhelp: {}", self.message, self.help);
    }

    /// The finding on one line.
    #[must_use]
    pub fn to_line(&self) -> String {
        if self.line == 0 {
            return format!("{}: {}", self.file, self.message);
        }
        format!("{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_shown_in_the_order_of_the_file_and_only_once() {
        let mut findings = Findings::default();
        let place = |line| Place { file: "a.yaml".into(), line, column: 2 };
        findings.warning(&place(9), "late", "do");
        findings.error(&place(3), "early", "do");
        findings.error(&place(3), "early", "do");
        assert_eq!(
            findings.to_text(),
            "error: a.yaml:3:2: early\nhelp: do\nwarning: a.yaml:9:2: late\nhelp: do\n"
        );
    }

    #[test]
    fn more_findings_than_fit_are_counted() {
        let mut findings = Findings::default();
        for line in 0..=u32::try_from(FINDINGS_MAX).unwrap() {
            findings.error(&Place { file: "a".into(), line, column: 1 }, "bad", "do");
        }
        assert!(findings.to_text().ends_with("note: 1 more findings are not shown\n"));
    }
}
