//! Tools that clients see together, on `/mcp` all of them, on `/mcp/SERVER` those of one server: shown by a view,
//! and found by search. Never changed: a list that changes means another one, made of the same documents.

use crate::context::definition::Definition;
use crate::context::index::{Document, Found, Index, Weights};
use crate::context::meta::MetaTool;
use crate::context::{arguments, compact, signature, tokens};
use crate::limits::VALIDATORS_KEPT_MAX;
use crate::mcp::object::{Keys, Object};
use crate::mcp::within::array;
use jsonschema::Validator;
use only1mcp_policy::view::{Expose, ToolView};
use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// One tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What clients call it by.
    pub name: String,
    /// Its definition under that name, raw.
    pub raw: String,
    /// What its server calls it by.
    pub own_name: String,
    /// Whose it is: a number its maker gives.
    pub server: usize,
    /// Its server's name.
    pub server_name: String,
    /// Where it can be seen; nothing if the view decides.
    pub expose: Option<Expose>,
    /// Whether it is held to only read.
    pub only_reads: bool,
}

impl Entry {
    /// Whether search may give it.
    #[must_use]
    pub fn can_be_found(&self) -> bool {
        self.expose != Some(Expose::Hidden)
    }
}

/// Tools that clients see together.
#[derive(Debug, Default)]
pub struct Tools {
    entries: Vec<Entry>,
    by_name: HashMap<String, usize>,
    /// Whether texts of results are cut, and must be read on by a tool.
    cuts_results: bool,
    /// About how many tokens it takes in full.
    tokens: OnceLock<usize>,
    /// What each view lists.
    lists: [OnceLock<String>; 4],
    index: OnceLock<Searchable>,
    /// Of tools of before whose definition may be the same.
    known: Arc<Known>,
    validators: Mutex<HashMap<usize, Option<Arc<Validator>>>>,
}

/// Documents by a hash of what they were made of.
type Known = HashMap<u64, Arc<Document>>;

#[derive(Debug)]
struct Searchable {
    index: Index,
    documents: Arc<Known>,
}

impl Tools {
    /// These tools. What `before` knows of the same definitions is taken over.
    #[must_use]
    pub fn new(entries: Vec<Entry>, cuts_results: bool, before: Option<&Self>) -> Self {
        let known = before.map(|before| match before.index.get() {
            Some(searchable) => searchable.documents.clone(),
            None => before.known.clone(),
        });
        let by_name =
            entries.iter().enumerate().rev().map(|(number, entry)| (entry.name.clone(), number)).collect();
        Self { entries, by_name, cuts_results, known: known.unwrap_or_default(), ..Self::default() }
    }

    /// All of them, in their order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The tool of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.number(name).and_then(|number| self.entries.get(number))
    }

    fn number(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// About how many tokens those that a full view lists take in it.
    #[must_use]
    pub fn tokens(&self) -> usize {
        let listed = || self.entries.iter().filter(|entry| shows(entry, ToolView::Full));
        *self.tokens.get_or_init(|| listed().map(|entry| counted(&entry.raw)).sum())
    }

    /// What [`ToolView::Auto`] stands for: in full while that takes fewer than this many tokens, about.
    #[must_use]
    pub fn decide(&self, view: ToolView, threshold: u32) -> ToolView {
        let is_small = || self.tokens() < threshold as usize;
        match view {
            ToolView::Auto if is_small() => ToolView::Full,
            ToolView::Auto => ToolView::Search,
            view => view,
        }
    }

    /// Whether one of our own tools is offered beside them.
    #[must_use]
    pub fn offers(&self, tool: MetaTool, view: ToolView) -> bool {
        match tool {
            // Unless a server has one of that name.
            MetaTool::ReadResult => self.cuts_results && self.number(tool.name()).is_none(),
            _ => {
                view == ToolView::Search
                    || self.entries.iter().any(|entry| entry.expose == Some(Expose::Found))
            }
        }
    }

    /// What a client of this view is shown, as a raw array; made when it is first asked for.
    #[must_use]
    pub fn list(&self, view: ToolView) -> &str {
        let list = match view {
            ToolView::Full | ToolView::Auto => self.lists.first(),
            ToolView::Compact => self.lists.get(1),
            ToolView::Brief => self.lists.get(2),
            ToolView::Search => self.lists.get(3),
        };
        list.map_or("[]", |list| list.get_or_init(|| self.make_list(view)))
    }

    fn make_list(&self, view: ToolView) -> String {
        let shown = self.entries.iter().filter(|entry| shows(entry, view));
        let mut all: Vec<Cow<'_, str>> = shown.map(|entry| shortened(&entry.raw, view)).collect();
        let own = MetaTool::ALL.into_iter().filter(|tool| self.offers(*tool, view));
        all.extend(own.map(|tool| Cow::Borrowed(tool.definition())));
        array(all.iter().map(AsRef::as_ref))
    }

    /// The tools that fit a question, but for those that are not to be found; those of one server, if it is named.
    #[must_use]
    pub fn find(&self, question: &str, server: Option<&str>, limit: usize) -> Found {
        let may = |number: usize| {
            let is_its = |entry: &&Entry| {
                entry.can_be_found() && server.is_none_or(|server| entry.server_name == server)
            };
            self.entries.get(number).as_ref().is_some_and(is_its)
        };
        self.searchable().index.find(question, limit, may)
    }

    fn searchable(&self) -> &Searchable {
        self.index.get_or_init(|| {
            let mut documents = Known::with_capacity(self.entries.len());
            let mut all = Vec::with_capacity(self.entries.len());
            for entry in &self.entries {
                let hash = HASHER.hash_one((&entry.server_name, &entry.own_name, &entry.raw));
                let known = documents.get(&hash).or_else(|| self.known.get(&hash)).cloned();
                let document = known.unwrap_or_else(|| Arc::new(document(entry)));
                documents.insert(hash, document.clone());
                all.push(document);
            }
            Searchable { index: Index::new(all, Weights::TUNED), documents: Arc::new(documents) }
        })
    }

    /// What checks a tool's arguments; nothing if only its server can.
    #[must_use]
    pub fn validator(&self, name: &str) -> Option<Arc<Validator>> {
        let number = self.number(name)?;
        let kept = || self.validators.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept().get(&number) {
            return known.clone();
        }
        let definition = Definition::parse(&self.entries.get(number)?.raw);
        let schema = definition.as_ref().and_then(Definition::input_schema);
        let made = schema.and_then(arguments::validator).map(Arc::new);
        let mut kept = kept();
        if kept.len() >= VALIDATORS_KEPT_MAX {
            kept.clear();
        }
        kept.insert(number, made.clone());
        made
    }
}

/// About how many tokens of a definition a host puts before a model.
fn counted(raw: &str) -> usize {
    let Ok(object) = Object::parse(raw, Keys::Exact) else { return tokens::estimate(raw) };
    let parts = ["name", "description", "inputSchema"];
    parts.into_iter().filter_map(|part| object.get(part)).map(tokens::estimate).sum()
}

/// Whether a view lists a tool.
fn shows(entry: &Entry, view: ToolView) -> bool {
    match entry.expose {
        Some(Expose::Listed) => true,
        Some(Expose::Found | Expose::Hidden) => false,
        None => view != ToolView::Search,
    }
}

/// A definition as a view shows it; unchanged if it cannot be read. What is always listed is not to be most of a list
/// that is short otherwise.
#[must_use]
pub fn shortened(raw: &str, view: ToolView) -> Cow<'_, str> {
    let short = match view {
        ToolView::Compact | ToolView::Search => compact::compact(raw),
        ToolView::Brief => signature::brief(raw),
        ToolView::Full | ToolView::Auto => None,
    };
    short.map_or(Cow::Borrowed(raw), Cow::Owned)
}

/// A tool is found by its own name and its server's: the two joined would only be words twice.
fn document(entry: &Entry) -> Document {
    match Definition::parse(&entry.raw) {
        Some(definition) => definition.named(&entry.own_name).document(&entry.server_name),
        None => Document::new(&Default::default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, description: &str) -> Entry {
        Entry {
            name: format!("s__{name}"),
            raw: format!(
                r#"{{"name":"s__{name}","description":"{description}","inputSchema":{{"type":"object"}}}}"#
            ),
            own_name: name.to_owned(),
            server: 0,
            server_name: "s".to_owned(),
            expose: None,
            only_reads: false,
        }
    }

    #[test]
    fn a_changed_list_is_searched_with_the_documents_it_has_in_common_with_the_one_before() {
        let before = Tools::new(vec![entry("one", "First."), entry("two", "Second.")], false, None);
        assert_eq!(before.find("second", None, 5).hits.first().map(|hit| hit.document), Some(1));
        // Not asked for anything, and still it hands on what it was given.
        let between = Tools::new(vec![entry("one", "First.")], false, Some(&before));
        let after =
            Tools::new(vec![entry("two", "Second."), entry("one", "Another.")], false, Some(&between));
        assert_eq!(after.find("second", None, 5).hits.first().map(|hit| hit.document), Some(0));
        let document =
            |tools: &Tools, number: usize| tools.searchable().index.document(number).unwrap().clone();
        assert!(Arc::ptr_eq(&document(&before, 1), &document(&after, 0)));
        assert!(!Arc::ptr_eq(&document(&before, 0), &document(&after, 1)), "its description is another");
    }

    #[test]
    fn auto_is_decided_by_what_is_listed_in_full() {
        let long = "word ".repeat(1000);
        let decide = |expose, threshold| {
            let entries = vec![Entry { expose, ..entry("one", &long) }];
            Tools::new(entries, false, None).decide(ToolView::Auto, threshold)
        };
        assert_eq!(decide(None, 10_000), ToolView::Full);
        assert_eq!(decide(None, 1_000), ToolView::Search);
        assert_eq!(decide(Some(Expose::Found), 1_000), ToolView::Full);
    }

    #[test]
    fn a_schema_is_made_ready_once_and_one_that_cannot_be_followed_is_none() {
        let mut elsewhere = entry("two", "x");
        elsewhere.raw = r#"{"name":"s__two","inputSchema":{"$ref":"http://127.0.0.1:9/x"}}"#.to_owned();
        let tools = Tools::new(vec![entry("one", "x"), elsewhere], false, None);
        let (one, again) = (tools.validator("s__one").unwrap(), tools.validator("s__one").unwrap());
        assert!(Arc::ptr_eq(&one, &again));
        assert!(tools.validator("s__two").is_none() && tools.validator("s__three").is_none());
    }
}
