//! How often the right tool is found: the questions of the leaderboard, over all their tools as those of one server.

use crate::{daemon_of, in_view, listed, told};
use harness::mcp::Endpoint;
use harness::parts;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;

/// Tools that are looked at.
const DEPTH: usize = 10;

#[derive(Deserialize)]
struct Question {
    category: String,
    question: String,
    answers: Vec<String>,
}

/// How often the right tool was at which place.
#[derive(Default)]
struct Ranks {
    asked: usize,
    at: [usize; DEPTH],
}

impl Ranks {
    fn add(&mut self, rank: Option<usize>) {
        self.asked += 1;
        if let Some(count) = rank.and_then(|rank| self.at.get_mut(rank)) {
            *count += 1;
        }
    }

    fn recall(&self, places: usize) -> f64 {
        self.at.iter().take(places).sum::<usize>() as f64 / self.asked as f64
    }

    fn reciprocal(&self) -> f64 {
        let sum: f64 = self.at.iter().zip(1..).map(|(count, place)| *count as f64 / f64::from(place)).sum();
        sum / self.asked as f64
    }

    fn row(&self, name: &str) -> String {
        let [one, five, ten] = [1, 5, 10].map(|places| self.recall(places));
        format!("{name:<16} {:>9} {one:>9.3} {five:>9.3} {ten:>9.3} {:>9.3}", self.asked, self.reciprocal())
    }
}

fn questions() -> Vec<Question> {
    let text = std::fs::read_to_string(parts::part("bfcl/measured.questions.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn found(endpoint: &Endpoint, question: &str) -> Vec<String> {
    let text = told(endpoint, "find_tools", &json!({"query": question, "limit": DEPTH}));
    let name = |line: &str| line.split(['(', ' ']).next().unwrap_or_default().to_owned();
    text.lines().skip(1).map(name).collect()
}

fn measure(tools: &Path) -> Ranks {
    let daemon = daemon_of(std::iter::once(("huge", tools)));
    let endpoint = in_view(&daemon.endpoint().server("huge"), "search");
    let mut categories: BTreeMap<String, Ranks> = BTreeMap::new();
    let mut all = Ranks::default();
    for question in questions() {
        let names = found(&endpoint, &question.question);
        let rank = names.iter().position(|name| question.answers.contains(name));
        categories.entry(question.category).or_default().add(rank);
        all.add(rank);
    }
    println!(
        "{:<16} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "", "questions", "recall@1", "recall@5", "recall@10", "MRR"
    );
    categories.iter().for_each(|(category, ranks)| println!("{}", ranks.row(category)));
    println!("{}", all.row("all"));
    all
}

#[test]
fn the_right_tool_is_found_as_often_as_readme_says_and_no_less_by_compact_descriptions() {
    let tools = parts::part("bfcl/measured.tools.json");
    let full = measure(&tools);
    assert!(full.asked > 1900 && full.recall(5) >= 0.85 && full.recall(1) >= 0.60);
    let daemon = daemon_of(std::iter::once(("huge", tools.as_path())));
    let compact = listed(&in_view(&daemon.endpoint().server("huge"), "compact"));
    assert!(compact.len() > 1000);
    let file = daemon.scratch.write("compact.json", &format!("{}\n", json!({"tools": compact})));
    println!("by the compact descriptions:");
    let short = measure(&file);
    assert!((full.recall(5) - short.recall(5)).abs() <= 0.02);
}
