//! The table for people: one line per attempt; profiles that answer alike share it.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::machine;
use super::trial::Row;
use crate::catalogue::{Attempt, Mode};

/// All rows of one mode.
pub struct Table {
    mode: Mode,
    order: Vec<(&'static str, &'static str)>,
    rows: BTreeMap<&'static str, Vec<(String, Row)>>,
}

impl Table {
    /// An empty table.
    #[must_use]
    pub const fn new(mode: Mode) -> Self {
        Self { mode, order: Vec::new(), rows: BTreeMap::new() }
    }

    /// Adds what came of one attempt under one profile.
    pub fn add(&mut self, attempt: &Attempt, profile: &str, row: Row) {
        if !self.rows.contains_key(attempt.id) {
            self.order.push((attempt.id, attempt.what));
        }
        self.rows.entry(attempt.id).or_default().push((profile.to_owned(), row));
    }

    /// What was answered inside, one attempt a line: number, what was tried, the answers.
    #[must_use]
    pub fn answers(&self) -> String {
        let mut text = String::new();
        for (id, what) in &self.order {
            let rows = self.rows.get(id).map(Vec::as_slice).unwrap_or_default();
            let _ = writeln!(text, "{id}\t{what}\t{}", merged(rows, |row| &row.inside));
        }
        text
    }

    /// The whole table.
    #[must_use]
    pub fn in_words(&self) -> String {
        let mut text = format!(
            "\n{} mode\n{:<13} {:<60} {:<46} {:<26} {}\n",
            machine::name_of(self.mode),
            "id",
            "attempt",
            "outside",
            "inside",
            "twin"
        );
        for (id, what) in &self.order {
            let rows = self.rows.get(id).map(Vec::as_slice).unwrap_or_default();
            let what: String = what.chars().take(60).collect();
            let _ = writeln!(
                text,
                "{id:<13} {what:<60} {:<46} {:<26} {}",
                merged(rows, |row| &row.outside),
                merged(rows, |row| &row.inside),
                merged(rows, |row| &row.twin)
            );
        }
        let count: usize = self.rows.values().map(Vec::len).sum();
        let failed: usize = self.rows.values().flatten().filter(|(_, row)| !row.failures.is_empty()).count();
        let _ = writeln!(text, "{count} triples, {failed} not as they must be");
        text
    }
}

/// One cell: what all profiles say, or who says what.
fn merged(rows: &[(String, Row)], cell: impl Fn(&Row) -> &String) -> String {
    let mut answers: Vec<(&String, Vec<&str>)> = Vec::new();
    for (profile, row) in rows {
        match answers.iter_mut().find(|(answer, _)| *answer == cell(row)) {
            Some((_, profiles)) => profiles.push(profile),
            None => answers.push((cell(row), vec![profile])),
        }
    }
    match answers.as_slice() {
        [(answer, _)] => (*answer).clone(),
        several => {
            let parts: Vec<String> = several
                .iter()
                .map(|(answer, profiles)| format!("{}: {answer}", profiles.join(",")))
                .collect();
            parts.join("; ")
        }
    }
}
