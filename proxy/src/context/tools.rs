//! Tools that clients see together, on `/mcp` all of them, on `/mcp/SERVER` those of one server: shown by a view,
//! and found by search. Never changed: a list that changes means another one, made of the same definitions.

use crate::context::definition::Definition;
use crate::context::index::{Found, Index};
use crate::context::meta::MetaTool;
use crate::context::raw::{Known, Raw, shortened};
use crate::context::{arguments, tokens};
use crate::limits::VALIDATORS_KEPT_MAX;
use crate::mcp::object::{Keys, Object};
use crate::mcp::within::array;
use jsonschema::Validator;
use only1mcp_policy::view::{Expose, ToolView};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// One tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What clients call it by.
    pub name: String,
    /// Its definition under that name.
    pub raw: Arc<Raw>,
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
    index: OnceLock<Arc<Index>>,
    /// What these, those of before and those of others are made of.
    known: Arc<Known>,
    validators: Mutex<HashMap<usize, Option<Arc<Validator>>>>,
}

impl Tools {
    /// These tools. What was made of the same definitions in `before`, or in others made after it, is taken over.
    #[must_use]
    pub fn new(mut entries: Vec<Entry>, cuts_results: bool, before: Option<&Self>) -> Self {
        let known = before.map(|before| before.known.clone()).unwrap_or_default();
        for entry in &mut entries {
            entry.raw = known.same(entry.raw.clone());
        }
        let by_name =
            entries.iter().enumerate().rev().map(|(number, entry)| (entry.name.clone(), number)).collect();
        Self { entries, by_name, cuts_results, known, ..Self::default() }
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
        let mut all: Vec<&str> = shown.map(|entry| entry.raw.shown_in(view)).collect();
        let own = MetaTool::ALL.into_iter().filter(|tool| self.offers(*tool, view));
        own.for_each(|tool| all.push(tool.definition()));
        array(all.into_iter())
    }

    /// Makes what a view shows of each of them, where that was not made yet.
    pub fn shorten_all(&self, view: ToolView) {
        self.entries.iter().for_each(|entry| {
            _ = entry.raw.shown_in(view);
        });
    }

    /// The definition `raw` as a view shows it, made anew only if it is not one of these.
    #[must_use]
    pub fn shortened<'a>(&'a self, raw: &'a str, view: ToolView) -> Cow<'a, str> {
        let object = Object::parse(raw, Keys::Folded).ok();
        let name = object.and_then(|object| object.get_text("name"));
        match name.and_then(|name| self.get(&name)).filter(|entry| **entry.raw == *raw) {
            Some(entry) => Cow::Borrowed(entry.raw.shown_in(view)),
            None => shortened(raw, view),
        }
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
        self.index().find(question, limit, may)
    }

    /// What they are found by; made when it is first asked for, and shared by all who see the same definitions.
    #[must_use]
    pub fn index(&self) -> &Arc<Index> {
        self.index.get_or_init(|| {
            let documents = self.entries.iter().map(|entry| entry.raw.document().clone());
            self.known.index_of(documents.collect())
        })
    }

    /// The definitions of one server's.
    #[must_use]
    pub fn raws_of(&self, server: usize) -> Vec<Arc<Raw>> {
        let its = self.entries.iter().filter(|entry| entry.server == server);
        its.map(|entry| entry.raw.clone()).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(name: &str, members: &str) -> Arc<Raw> {
        Arc::new(Raw::new("s", name, format!(r#"{{"name":"s__{name}",{members}}}"#)))
    }

    fn entry(name: &str, description: &str) -> Entry {
        Entry {
            name: format!("s__{name}"),
            raw: raw(name, &format!(r#""description":"{description}","inputSchema":{{"type":"object"}}"#)),
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
        let document = |tools: &Tools, number: usize| tools.index().document(number).unwrap().clone();
        assert!(Arc::ptr_eq(&document(&before, 1), &document(&after, 0)));
        assert!(!Arc::ptr_eq(&document(&before, 0), &document(&after, 1)), "its description is another");
    }

    #[test]
    fn who_sees_the_same_definitions_in_the_same_order_shares_an_index_and_nobody_else_does() {
        let all = || vec![entry("one", "First."), entry("two", "Second.")];
        let shared = Tools::new(Vec::new(), false, None);
        let mine = Tools::new(all(), false, Some(&shared));
        let hidden = |entry: Entry| Entry { expose: Some(Expose::Hidden), ..entry };
        let yours = Tools::new(all().into_iter().map(hidden).collect(), false, Some(&shared));
        assert!(Arc::ptr_eq(mine.index(), yours.index()));
        let finds = |tools: &Tools| !tools.find("second", None, 5).hits.is_empty();
        assert!(finds(&mine) && !finds(&yours), "what is hidden stays so");
        let fewer = Tools::new(vec![entry("one", "First.")], false, Some(&shared));
        let turned = Tools::new(all().into_iter().rev().collect(), false, Some(&shared));
        for other in [&fewer, &turned] {
            assert!(!Arc::ptr_eq(mine.index(), other.index()));
        }
    }

    #[test]
    fn a_definition_is_shortened_once_for_all_lists_that_have_it_and_for_whoever_brings_its_bytes() {
        let before = Tools::new(vec![entry("one", "First."), entry("two", "Second.")], false, None);
        let after = Tools::new(vec![entry("two", "Second."), entry("one", "Else.")], false, Some(&before));
        let place = |tools: &Tools, number: usize, view| tools.entries[number].raw.shown_in(view).as_ptr();
        for view in [ToolView::Compact, ToolView::Brief] {
            assert_eq!(place(&before, 1, view), place(&after, 0, view));
            assert_ne!(place(&before, 0, view), place(&after, 1, view), "its description is another");
            let bytes = String::from(&**after.entries[0].raw);
            assert_eq!(after.shortened(&bytes, view).as_ptr(), place(&after, 0, view));
            let other = bytes.replace("Second", "Third");
            assert_eq!(after.shortened(&other, view), shortened(&other, view));
            assert_eq!(after.shortened("7", view), "7");
        }
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
        elsewhere.raw = raw("two", r#""inputSchema":{"$ref":"http://127.0.0.1:9/x"}"#);
        let tools = Tools::new(vec![entry("one", "x"), elsewhere], false, None);
        let (one, again) = (tools.validator("s__one").unwrap(), tools.validator("s__one").unwrap());
        assert!(Arc::ptr_eq(&one, &again));
        assert!(tools.validator("s__two").is_none() && tools.validator("s__three").is_none());
    }
}
