//! A proof for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Answer, Proof};
use crate::catalogue::Control;
use crate::runner::verdict::Verdict;

/// Columns of the text that says what is tried.
const WHAT_COLUMNS: usize = 58;
/// Columns of the text that says which walls stop it.
const WALL_COLUMNS: usize = 40;
/// Columns of the answer.
const ANSWER_COLUMNS: usize = 20;

impl Answer {
    /// The word for programs.
    const fn word(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Broken => "broken",
            Self::Unproven => "unproven",
        }
    }
}

impl Proof {
    /// The table and what it comes to.
    #[must_use]
    pub fn in_words(&self) -> String {
        let mut text = self.heading();
        let _ = writeln!(
            text,
            "\n{:<13} {:<WHAT_COLUMNS$} {:<WALL_COLUMNS$} {:<ANSWER_COLUMNS$} verdict",
            "id", "attempt", "stopped by", "answer"
        );
        for (attempt, row) in &self.rows {
            let _ = writeln!(
                text,
                "{:<13} {:<WHAT_COLUMNS$} {:<WALL_COLUMNS$} {:<ANSWER_COLUMNS$} {}",
                attempt.id,
                short(attempt.what, WHAT_COLUMNS),
                short(attempt.wall, WALL_COLUMNS),
                short(&row.inside, ANSWER_COLUMNS),
                row.verdict.in_words()
            );
        }
        self.tell_failures(&mut text);
        self.tell_sum(&mut text);
        text
    }

    fn heading(&self) -> String {
        let word = |key: &str| self.explanation.get(key).and_then(Value::as_str).unwrap_or_default();
        let mut text = format!(
            "Server {}: policy {}, profile {}; {} mode, landlock {}, Linux {}\n",
            self.server,
            word("policy"),
            word("profile"),
            self.mode.name(),
            self.landlock_abi,
            kernel()
        );
        let missing = self.words("walls_missing");
        if !missing.is_empty() {
            let _ = writeln!(text, "Walls this machine lacks: {}", missing.join(", "));
        }
        let granted = self.granted();
        text.push_str("What the policy grants:\n");
        if granted.is_empty() {
            text.push_str("  nothing\n");
        }
        for grant in granted {
            let _ = writeln!(text, "  {grant}");
        }
        text
    }

    /// What the operator has granted, in words.
    fn granted(&self) -> Vec<String> {
        let list =
            |key: &str| self.explanation.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        let text =
            |entry: &Value, key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut words: Vec<String> = list("mounts")
            .iter()
            .filter(|mount| text(mount, "reason").starts_with("granted by"))
            .map(|mount| format!("{} {}", text(mount, "access"), text(mount, "path")))
            .collect();
        let told = |source: &str| source == "configuration" || source.starts_with("credential ");
        words.extend(
            list("environment")
                .iter()
                .filter(|variable| told(&text(variable, "source")))
                .map(|variable| format!("the variable {}", text(variable, "name"))),
        );
        if self.explanation.get("jit").and_then(Value::as_bool) == Some(true) {
            words.push("memory that is written and executed (jit)".to_owned());
        }
        words.extend(
            list("network").iter().filter_map(Value::as_str).map(|place| format!("connecting to {place}")),
        );
        words
    }

    fn tell_failures(&self, text: &mut String) {
        let told = [Verdict::Through, Verdict::Untried, Verdict::HeldOtherwise];
        for (attempt, row) in self.rows.iter().filter(|(_, row)| told.contains(&row.verdict)) {
            let _ = writeln!(text, "\n{} {}:", attempt.id, row.verdict.in_words());
            for failure in &row.failures {
                let _ = writeln!(text, "  {failure}");
            }
        }
        for harm in &self.aftermath {
            let _ = writeln!(text, "\nafterwards: {harm}");
        }
    }

    fn tell_sum(&self, text: &mut String) {
        let counts: Vec<String> = Verdict::ALL
            .into_iter()
            .filter(|&verdict| self.count(verdict) > 0)
            .map(|verdict| format!("{} {}", self.count(verdict), verdict.in_words()))
            .collect();
        let _ = writeln!(text, "\n{} attempts: {}", self.rows.len(), counts.join(", "));
        let left: Vec<&str> = self
            .rows
            .iter()
            .filter(|(_, row)| row.verdict == Verdict::LeftOpen)
            .map(|(attempt, _)| attempt.id)
            .collect();
        if !left.is_empty() {
            let _ = writeln!(text, "No policy stops these: {}", left.join(" "));
        }
        let uncontrolled: Vec<&str> = self
            .rows
            .iter()
            .filter(|(attempt, row)| {
                attempt.control(self.mode) == Control::Root && row.outside.starts_with("not run")
            })
            .map(|(attempt, _)| attempt.id)
            .collect();
        if !uncontrolled.is_empty() {
            let _ = writeln!(
                text,
                "Only root may do these outside, so that they could not be shown to work there: {}",
                uncontrolled.join(" ")
            );
        }
        text.push_str(match self.answer() {
            Answer::Hold => "The walls hold: nothing got through that the policy does not grant.\n",
            Answer::Broken => "THE WALLS DO NOT HOLD: see above what got through.\n",
            Answer::Unproven => "Nothing got through, but some of it could not be tried: this is no proof.\n",
        });
    }

    /// One JSON document.
    #[must_use]
    pub fn as_json(&self) -> Value {
        let attempts: Vec<Value> = self
            .rows
            .iter()
            .map(|(attempt, row)| {
                json!({
                    "id": attempt.id, "attempt": attempt.what, "stopped_by": attempt.wall,
                    "outside": row.outside, "answer": row.inside, "twin": row.twin,
                    "verdict": verdict_word(row.verdict), "remarks": row.failures,
                })
            })
            .collect();
        let part = |key: &str| self.explanation.get(key).cloned().unwrap_or_default();
        json!({
            "server": self.server, "policy": part("policy"), "profile": part("profile"),
            "mode": self.mode.name(), "landlock_abi": self.landlock_abi, "kernel": kernel(),
            "walls": self.words("walls"), "walls_missing": self.words("walls_missing"),
            "granted": self.granted(), "attempts": attempts, "afterwards": self.aftermath,
            "answer": self.answer().word(),
        })
    }

    fn words(&self, key: &str) -> Vec<String> {
        let list = self.status.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        list.iter().filter_map(|word| word.as_str().map(str::to_owned)).collect()
    }
}

const fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Held => "held",
        Verdict::HeldOtherwise => "held_otherwise",
        Verdict::Granted => "granted",
        Verdict::LeftOpen => "left_open",
        Verdict::Open => "open",
        Verdict::Untried => "untried",
        Verdict::Through => "through",
    }
}

fn kernel() -> String {
    nix::sys::utsname::uname().map_or_else(
        |_| "of an unknown release".to_owned(),
        |name| name.release().to_string_lossy().into_owned(),
    )
}

/// The beginning of a text that is too long for its column.
fn short(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let kept: String = text.chars().take(columns.saturating_sub(1)).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_with_a_sign() {
        assert_eq!((short("abc", 3), short("abcd", 3)), ("abc".to_owned(), "ab…".to_owned()));
    }
}
