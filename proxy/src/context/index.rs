//! Which tools a question in plain words means: BM25 over the fields of a definition, each with a weight of its own
//! (BM25F), what question and tool are about ([`Vector`]), and a look for misspelt words where no word is known.
//!
//! Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009, section 3.6.

use crate::context::vectors::{self, Vector};
use crate::context::words::{alike, each_word, terms};
use crate::limits::{
    ABOUT_BYTES_MAX, RESPELT_WORDS_MAX, SEARCH_TERMS_MAX, SEARCHED_BYTES_MAX, TERM_BYTES_MAX,
};
use crate::mcp::names::nearest;
use crate::mcp::object::cut;
use std::collections::HashMap;
use std::sync::Arc;

/// The parts of a definition, as they are weighed.
pub const FIELDS: usize = 6;

/// What counts how much. [`Weights::TUNED`] is what `cargo bench --bench retrieval -- DATA tune` found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights {
    /// Of a term in its name, description, parameters' names, their descriptions, their values, and its server's name.
    pub fields: [f32; FIELDS],
    /// How much the length of each counts against it, from 0 to 1.
    pub lengths: [f32; FIELDS],
    /// How soon the same term once more counts for nothing.
    pub saturation: f32,
    /// How much a word counts that people use for the one that was asked for.
    pub alike: f32,
    /// How much it counts that the words of its name were asked for, all of them.
    pub coverage: f32,
    /// How much it counts that both are about the same, beside the best of all scores of words.
    pub about: f32,
    /// How much they must be for a tool to be found of which no word was asked for.
    pub about_min: f32,
}

impl Weights {
    /// Found on questions that the published figures are not measured with.
    pub const TUNED: Self = Self {
        fields: [2.37, 0.89, 1.0, 0.5, 0.38, 0.5],
        lengths: [0.3, 0.87, 0.6, 0.7, 0.7, 0.0],
        saturation: 1.2,
        alike: 0.1,
        coverage: 0.0,
        about: 0.75,
        about_min: 0.35,
    };
}

/// What a tool can be found by.
#[derive(Clone, Debug, Default)]
pub struct Texts<'a> {
    /// Its name at its server.
    pub name: &'a str,
    /// Title and description.
    pub description: String,
    /// The names of its parameters, at all depths.
    pub parameters: String,
    /// What is said of them.
    pub about_parameters: String,
    /// The values they may have.
    pub values: String,
    /// Its server's name.
    pub server: &'a str,
}

/// A tool as the index keeps it. Made once for each definition, however often the index is built anew.
#[derive(Debug)]
pub struct Document {
    /// How often each term is in which field.
    counts: Vec<(String, [u16; FIELDS])>,
    lengths: [u32; FIELDS],
    /// The terms of its name.
    name: Vec<String>,
    /// What it is about.
    about: Option<Vector>,
}

impl Document {
    /// Looks at these texts, at the first [`SEARCHED_BYTES_MAX`] bytes of each.
    #[must_use]
    pub fn new(texts: &Texts<'_>) -> Self {
        let all = [
            texts.name,
            &texts.description,
            &texts.parameters,
            &texts.about_parameters,
            &texts.values,
            texts.server,
        ];
        let mut counts: HashMap<String, [u16; FIELDS]> = HashMap::new();
        let mut lengths = [0_u32; FIELDS];
        let mut name = Vec::new();
        for (field, text) in all.into_iter().enumerate() {
            let terms = terms(cut(text, SEARCHED_BYTES_MAX));
            for term in &terms {
                if let Some(count) = counts.entry(term.clone()).or_default().get_mut(field) {
                    *count = count.saturating_add(1);
                }
            }
            if let Some(length) = lengths.get_mut(field) {
                *length = u32::try_from(terms.len()).unwrap_or(u32::MAX);
            }
            if field == 0 {
                name = terms;
                name.sort_unstable();
                name.dedup();
            }
        }
        Self { counts: counts.into_iter().collect(), lengths, name, about: about(texts) }
    }
}

/// What a tool is about: its name in words, its server's, and the beginning of its description.
fn about(texts: &Texts<'_>) -> Option<Vector> {
    let mut text = String::new();
    each_word(texts.name, |word| {
        text.push_str(word);
        text.push(' ');
    });
    text.push_str(texts.server);
    text.push(' ');
    text.push_str(cut(texts.description.trim(), ABOUT_BYTES_MAX));
    Vector::of(&text)
}

/// A tool that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// Its number among the documents.
    pub document: usize,
    /// How well it fits: comparable within one answer only.
    pub score: f32,
}

/// What an index answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The best first.
    pub hits: Vec<Hit>,
    /// Words that nobody knows, and the terms that were looked for instead.
    pub respelt: Vec<(String, String)>,
    /// Whether no word of the question is there: what was found is only about something like it.
    pub is_vague: bool,
}

/// All tools of one catalogue.
#[derive(Debug, Default)]
pub struct Index {
    documents: Vec<Arc<Document>>,
    /// In which documents a term is, and how much it counts there.
    postings: HashMap<String, Vec<(u32, f32)>>,
    weights: Option<Weights>,
}

impl Index {
    /// An index of these documents.
    #[must_use]
    pub fn new(documents: Vec<Arc<Document>>, weights: Weights) -> Self {
        let count = documents.len().max(1) as f32;
        let mut average = [1.0_f32; FIELDS];
        for (field, average) in average.iter_mut().enumerate() {
            let total: u64 = documents
                .iter()
                .filter_map(|document| document.lengths.get(field))
                .map(|n| u64::from(*n))
                .sum();
            *average = (total as f32 / count).max(f32::MIN_POSITIVE);
        }
        let mut postings: HashMap<String, Vec<(u32, f32)>> = HashMap::new();
        for (number, document) in (0_u32..).zip(&documents) {
            let factors: Vec<f32> = weights
                .fields
                .iter()
                .zip(weights.lengths)
                .zip(document.lengths.iter().zip(average))
                .map(|((weight, b), (length, average))| weight / (1.0 - b + b * *length as f32 / average))
                .collect();
            for (term, counts) in &document.counts {
                let weight: f32 =
                    counts.iter().zip(&factors).map(|(count, factor)| f32::from(*count) * factor).sum();
                match postings.get_mut(term) {
                    Some(list) => list.push((number, weight)),
                    None => drop(postings.insert(term.clone(), vec![(number, weight)])),
                }
            }
        }
        Self { documents, postings, weights: Some(weights) }
    }

    /// Whether these are its documents, in this order.
    #[must_use]
    pub fn is_of(&self, documents: &[Arc<Document>]) -> bool {
        let mut pairs = self.documents.iter().zip(documents);
        self.documents.len() == documents.len() && pairs.all(|(one, other)| Arc::ptr_eq(one, other))
    }

    /// One of its documents.
    #[must_use]
    pub fn document(&self, number: usize) -> Option<&Arc<Document>> {
        self.documents.get(number)
    }

    /// The tools that fit a question, the best first; only those `may` allows, at most `limit`.
    #[must_use]
    pub fn find(&self, question: &str, limit: usize, may: impl Fn(usize) -> bool) -> Found {
        let Some(weights) = &self.weights else { return Found::default() };
        let mut asked: HashMap<String, f32> = HashMap::new();
        for term in terms(question).into_iter().take(SEARCH_TERMS_MAX) {
            asked.insert(term, 1.0);
        }
        let mut others: Vec<&'static str> = asked.keys().flat_map(|term| alike(term)).collect();
        others.sort_unstable();
        for term in others {
            asked.entry(term.to_owned()).or_insert(weights.alike);
        }
        let mut scores = self.scores(&asked, weights);
        let mut found = Found::default();
        if scores.iter().all(|score| *score <= 0.0) {
            let mut instead = HashMap::new();
            for (word, near) in self.respelt(question) {
                instead.insert(near.clone(), 1.0);
                found.respelt.push((word, near));
            }
            scores = self.scores(&instead, weights);
        }
        found.is_vague = scores.iter().all(|score| *score <= 0.0);
        self.add_what_it_is_about(question, &mut scores, weights);
        let mut hits: Vec<Hit> = scores
            .into_iter()
            .enumerate()
            .filter(|(document, score)| *score > 0.0 && may(*document))
            .map(|(document, score)| Hit { document, score })
            .collect();
        let best_first = |one: &Hit, other: &Hit| {
            other.score.total_cmp(&one.score).then(one.document.cmp(&other.document))
        };
        if hits.len() > limit && limit > 0 {
            hits.select_nth_unstable_by(limit - 1, best_first);
            hits.truncate(limit);
        }
        hits.sort_unstable_by(best_first);
        hits.truncate(limit);
        found.hits = hits;
        found
    }

    /// Brings scores to 1 at most, and adds how much question and tool are about the same.
    fn add_what_it_is_about(&self, question: &str, scores: &mut [f32], weights: &Weights) {
        let best = scores.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
        let asked = Vector::of(cut(question, SEARCHED_BYTES_MAX));
        for (score, document) in scores.iter_mut().zip(&self.documents) {
            let likeness =
                asked.as_ref().zip(document.about.as_ref()).map_or(0.0, |(one, other)| one.likeness(other));
            let counts = *score > 0.0 || likeness >= weights.about_min;
            *score =
                if counts { (*score / best + weights.about * likeness).max(f32::MIN_POSITIVE) } else { 0.0 };
        }
    }

    fn scores(&self, asked: &HashMap<String, f32>, weights: &Weights) -> Vec<f32> {
        let count = self.documents.len() as f32;
        let mut scores = vec![0.0_f32; self.documents.len()];
        let rarity = |documents: usize| {
            let documents = documents as f32;
            (1.0 + (count - documents + 0.5) / (documents + 0.5)).ln()
        };
        // In one order, so that sums of the same numbers are the same.
        let mut sorted: Vec<(&String, &f32)> = asked.iter().collect();
        sorted.sort_unstable_by(|one, other| one.0.cmp(other.0));
        for (term, weight) in sorted {
            let Some(list) = self.postings.get(term) else { continue };
            let rarity = weight * rarity(list.len());
            for (document, x) in list {
                if let Some(score) = scores.get_mut(*document as usize) {
                    *score += rarity * x * (weights.saturation + 1.0) / (x + weights.saturation);
                }
            }
        }
        if weights.coverage > 0.0 {
            for (score, document) in scores.iter_mut().zip(&self.documents).filter(|(score, _)| **score > 0.0)
            {
                let asked_for = document.name.iter().filter_map(|term| asked.get(term)).sum::<f32>();
                *score *= 1.0 + weights.coverage * asked_for / document.name.len().max(1) as f32;
            }
        }
        scores
    }

    /// Words of a question that are in no language we know, and the terms that were meant.
    fn respelt(&self, question: &str) -> Vec<(String, String)> {
        let mut respelt: Vec<(String, String)> = Vec::new();
        each_word(question, |word| {
            let is_new = !respelt.iter().any(|(known, _)| known == word);
            let may_be_misspelt = (4..=TERM_BYTES_MAX / 2).contains(&word.len()) && !vectors::is_word(word);
            if respelt.len() < RESPELT_WORDS_MAX && is_new && may_be_misspelt {
                let term = terms(word).pop().unwrap_or_default();
                let near =
                    nearest(&term, self.postings.keys().map(String::as_str).filter(|known| known.len() > 2));
                respelt.extend(near.map(|near| (word.to_owned(), near.to_owned())));
            }
        });
        respelt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(tools: &[(&str, &str)]) -> Index {
        let document = |(name, description): &(&str, &str)| {
            let texts = Texts { name, description: (*description).to_owned(), ..Texts::default() };
            Arc::new(Document::new(&texts))
        };
        Index::new(tools.iter().map(document).collect(), Weights::TUNED)
    }

    fn order(index: &Index, question: &str) -> Vec<usize> {
        index.find(question, 10, |_| true).hits.iter().map(|hit| hit.document).collect()
    }

    #[test]
    fn a_name_counts_more_than_a_description_and_what_does_not_fit_is_not_found() {
        let index = index(&[
            ("log", "What happened in a repository, such as commits."),
            ("list_commits", "Everything on a branch."),
            ("delete_file", "Removes it."),
        ]);
        assert_eq!(order(&index, "show me the commits"), [1, 0]);
        assert_eq!(order(&index, "listing commits"), [1, 0]);
        assert_eq!(order(&index, "remove a file"), [2]);
        assert_eq!(order(&index, "the and of"), [0; 0]);
        assert_eq!(index.find("commits", 1, |document| document != 1).hits.len(), 1);
    }

    #[test]
    fn a_misspelt_word_is_respelt_if_nothing_else_is_found() {
        let index = index(&[("create_issue", "Open an issue."), ("merge", "Join branches.")]);
        let found = index.find("isue", 5, |_| true);
        assert_eq!(found.respelt, [("isue".to_owned(), "issu".to_owned())]);
        assert_eq!(index.find("film", 5, |_| true).respelt, [], "a word of the language is not misspelt");
        assert_eq!(found.hits.first().map(|hit| hit.document), Some(0));
        assert_eq!(index.find("qqqqqqqq", 5, |_| true).hits, []);
    }

    #[test]
    fn other_words_for_the_same_find_a_tool_by_what_it_is_about_or_by_known_pairs() {
        let tools = [("weather", "Forecast of temperature and rain."), ("merge", "Join two branches.")];
        assert_eq!(order(&index(&tools), "how hot and humid is the climate")[..1], [0]);
        let alike = [("open_it", "Open a file of music."), ("open_it", "Open a file of sales.")];
        assert_eq!(order(&index(&alike), "open the file with songs"), [0, 1]);
        assert_eq!(order(&index(&[alike[1], alike[0]]), "open the file with songs"), [1, 0]);
        let mut words_alone = Weights::TUNED;
        (words_alone.about, words_alone.about_min) = (0.0, 2.0);
        let document = Arc::new(Document::new(&Texts { name: "remove_it", ..Texts::default() }));
        assert_eq!(order(&Index::new(vec![document.clone()], words_alone), "delete"), [0]);
        words_alone.alike = 0.0;
        assert_eq!(order(&Index::new(vec![document], words_alone), "delete"), [0; 0]);
    }

    #[test]
    fn an_empty_index_finds_nothing() {
        assert_eq!(Index::default().find("anything", 5, |_| true), Found::default());
        assert_eq!(order(&index(&[]), "anything"), [0; 0]);
    }
}
