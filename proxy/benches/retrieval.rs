//! How often the right tool is found, how quickly, and what the weights of the search are tuned with.
//!
//! ```sh
//! cargo bench --bench retrieval -- DATA              # the table, of DATA/measured.*
//! cargo bench --bench retrieval -- DATA tune [SEED]  # looks for better weights, on DATA/tuning.* alone
//! ```
//!
//! `tests/parts/bfcl.py` makes DATA.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "as in tests: what goes wrong ends it"
)]

use only1mcp::context::definition::Definition;
use only1mcp::context::index::{Document, FIELDS, Index, Weights};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Rounds of tuning: as many random changes are tried.
const ROUNDS: usize = 1500;
const SEED: u64 = 20_261_125;
/// What a change must bring: less is chance.
const GAIN_MIN: f64 = 0.001;
/// The best tools that are looked at.
const DEPTH: usize = 100;

struct Question {
    category: String,
    text: String,
    answers: Vec<usize>,
}

struct Set {
    documents: Vec<Arc<Document>>,
    questions: Vec<Question>,
}

/// Ranks of right answers, from 0; `None` if not among the first [`DEPTH`].
#[derive(Default)]
struct Ranks(Vec<Option<usize>>);

impl Ranks {
    fn recall(&self, at: usize) -> f64 {
        self.share(|rank| if rank < at { 1.0 } else { 0.0 })
    }

    fn reciprocal(&self) -> f64 {
        self.share(|rank| 1.0 / (rank as f64 + 1.0))
    }

    fn share(&self, of: impl Fn(usize) -> f64) -> f64 {
        self.0.iter().flatten().map(|rank| of(*rank)).sum::<f64>() / self.0.len().max(1) as f64
    }

    fn row(&self, name: &str) -> String {
        format!(
            "{name:<24} {:>9} {:>9.3} {:>9.3} {:>9.3} {:>9.3}",
            self.0.len(),
            self.recall(1),
            self.recall(5),
            self.recall(10),
            self.reciprocal()
        )
    }
}

fn read(folder: &Path, name: &str) -> Set {
    let text =
        |file: String| std::fs::read_to_string(folder.join(&file)).unwrap_or_else(|e| panic!("{file}: {e}"));
    let tools: Value = serde_json::from_str(&text(format!("{name}.tools.json"))).unwrap();
    let tools: Vec<Definition> = tools["tools"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|tool| Definition::parse(&tool.to_string()))
        .collect();
    let names: Vec<&str> = tools.iter().map(Definition::name).collect();
    let question = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let answers = line["answers"].as_array().unwrap();
        Question {
            category: line["category"].as_str().unwrap().to_owned(),
            text: line["question"].as_str().unwrap().to_owned(),
            answers: answers
                .iter()
                .filter_map(|answer| names.iter().position(|name| answer == name))
                .collect(),
        }
    };
    Set {
        documents: tools.iter().map(|tool| Arc::new(tool.document(""))).collect(),
        questions: text(format!("{name}.questions.jsonl")).lines().map(question).collect(),
    }
}

fn ranks(set: &Set, weights: Weights) -> BTreeMap<&str, Ranks> {
    let index = Index::new(set.documents.clone(), weights);
    let mut ranks: BTreeMap<&str, Ranks> = BTreeMap::new();
    for question in &set.questions {
        let hits = index.find(&question.text, DEPTH, |_| true).hits;
        let rank = hits.iter().position(|hit| question.answers.contains(&hit.document));
        ranks.entry(&question.category).or_default().0.push(rank);
    }
    ranks
}

/// Over all questions alike: kinds of which there are few must not decide.
fn goodness(set: &Set, weights: Weights) -> f64 {
    let all = Ranks(ranks(set, weights).into_values().flat_map(|ranks| ranks.0).collect());
    all.reciprocal() + all.recall(5)
}

/// Xorshift: the same changes for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    /// From -1 to 1.
    fn step(&mut self) -> f32 {
        self.below(2001) as f32 / 1000.0 - 1.0
    }
}

fn changed(weights: Weights, random: &mut Random) -> Weights {
    let mut new = weights;
    for _ in 0..=random.below(2) {
        let (step, field) = (random.step(), random.below(FIELDS as u64 - 1) as usize);
        match random.below(6) {
            0 | 1 => new.fields[field] = (new.fields[field] * (1.0 + step * 0.6)).clamp(0.05, 5.0),
            2 => new.lengths[field] = (new.lengths[field] + step * 0.3).clamp(0.0, 1.0),
            5 => new.about = (new.about + step * 0.3).clamp(0.0, 3.0),
            3 => new.saturation = (new.saturation * (1.0 + step * 0.6)).clamp(0.4, 4.0),
            _ if step > 0.0 => new.alike = (new.alike + random.step() * 0.1).clamp(0.0, 1.0),
            _ => new.coverage = (new.coverage + random.step() * 0.2).clamp(0.0, 2.0),
        }
    }
    new
}

fn tune(set: &Set, seed: u64) {
    let mut random = Random(seed);
    let (mut best, mut weights) = (goodness(set, Weights::TUNED), Weights::TUNED);
    println!("at first {best:.4}");
    for round in 0..ROUNDS {
        let candidate = changed(weights, &mut random);
        let goodness = goodness(set, candidate);
        if goodness > best + GAIN_MIN {
            (best, weights) = (goodness, candidate);
            println!("round {round}: {best:.4} {weights:?}");
        }
    }
    table(set, weights);
}

fn table(set: &Set, weights: Weights) {
    let ranks = ranks(set, weights);
    println!(
        "{:<24} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "", "questions", "recall@1", "recall@5", "recall@10", "MRR"
    );
    for (category, ranks) in &ranks {
        println!("{}", ranks.row(category));
    }
    let all = Ranks(ranks.into_values().flat_map(|ranks| ranks.0).collect());
    println!("{}", all.row("all"));
}

fn time(set: &Set) {
    let times = 5000_usize.div_ceil(set.documents.len());
    let many: Vec<Arc<Document>> = (0..times).flat_map(|_| set.documents.clone()).take(5000).collect();
    let start = Instant::now();
    let index = Index::new(many, Weights::TUNED);
    println!("index of 5000 tools from kept documents: {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    let mut spent: Vec<f64> = set
        .questions
        .iter()
        .map(|question| {
            let start = Instant::now();
            std::hint::black_box(index.find(&question.text, 5, |_| true));
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    spent.sort_by(f64::total_cmp);
    let at = |share: f64| spent[((spent.len() - 1) as f64 * share) as usize];
    println!(
        "a query among 5000 tools: p50 {:.3} ms, p99 {:.3} ms, longest {:.3} ms",
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let Some(folder) = words.first() else { panic!("say where the data is: see the head of this file") };
    if words.get(1).is_some_and(|word| word == "tune") {
        let seed = words.get(2).map_or(SEED, |seed| seed.parse().unwrap());
        return tune(&read(Path::new(folder), "tuning"), seed);
    }
    let set = read(Path::new(folder), "measured");
    println!("{} tools", set.documents.len());
    table(&set, Weights::TUNED);
    time(&set);
}
