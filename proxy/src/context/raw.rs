//! Definitions as their servers wrote them, and what is made of them: once for each text, when it is first asked for,
//! however many lists have it. Lists that share a [`Known`] share what is made; nothing is shared but what is made of
//! the same bytes.

use crate::context::definition::Definition;
use crate::context::index::{Document, Index, Weights};
use crate::context::{compact, signature};
use only1mcp_policy::view::ToolView;
use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::ops::Deref;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

/// A definition as it was written.
#[derive(Debug)]
pub struct Raw {
    text: String,
    /// Its server's name, and the tool's name there: by these it is found, whatever its list calls it.
    server_name: String,
    own_name: String,
    /// Nothing inside where it is no shorter.
    compact: OnceLock<Option<String>>,
    brief: OnceLock<Option<String>>,
    document: OnceLock<Arc<Document>>,
}

impl Raw {
    /// The definition `text` of a server's tool.
    #[must_use]
    pub fn new(server_name: &str, own_name: &str, text: String) -> Self {
        Self {
            text,
            server_name: server_name.to_owned(),
            own_name: own_name.to_owned(),
            compact: OnceLock::new(),
            brief: OnceLock::new(),
            document: OnceLock::new(),
        }
    }

    /// As a view shows it.
    #[must_use]
    pub fn shown_in(&self, view: ToolView) -> &str {
        let made = match view {
            ToolView::Compact | ToolView::Search => &self.compact,
            ToolView::Brief => &self.brief,
            ToolView::Full | ToolView::Auto => return &self.text,
        };
        let make = || match shortened(&self.text, view) {
            Cow::Owned(short) if short != self.text => Some(short),
            _ => None,
        };
        made.get_or_init(make).as_deref().unwrap_or(&self.text)
    }

    /// As the index keeps it.
    #[must_use]
    pub fn document(&self) -> &Arc<Document> {
        self.document.get_or_init(|| Arc::new(self.make_document()))
    }

    /// A tool is found by its own name and its server's: the two joined would only be words twice.
    fn make_document(&self) -> Document {
        match Definition::parse(&self.text) {
            Some(definition) => definition.named(&self.own_name).document(&self.server_name),
            None => Document::new(&Default::default()),
        }
    }

    #[cfg(test)]
    pub(crate) fn is_made_for(&self, view: ToolView) -> bool {
        if view == ToolView::Brief { self.brief.get().is_some() } else { self.compact.get().is_some() }
    }

    /// All that something is made of.
    fn made_of(&self) -> [&str; 3] {
        [&self.server_name, &self.own_name, &self.text]
    }
}

impl Deref for Raw {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Raw {
    fn eq(&self, other: &Self) -> bool {
        self.made_of() == other.made_of()
    }
}

impl Eq for Raw {}

/// Definitions that are in some list now, and the indexes that are made of them.
#[derive(Debug, Default)]
pub struct Known {
    /// By a hash of each.
    raws: Mutex<HashMap<u64, Weak<Raw>>>,
    hashes: RandomState,
    indexes: Mutex<Vec<Weak<Index>>>,
}

impl Known {
    /// The one that equals `new` and is in a list already; else `new`, and it is known from now on.
    #[must_use]
    pub fn same(&self, new: Arc<Raw>) -> Arc<Raw> {
        // While nothing is locked: a definition may be long.
        let hash = self.hashes.hash_one(new.made_of());
        let mut known = self.raws.lock().unwrap_or_else(PoisonError::into_inner);
        // A hash alone would let somebody's definition be another's, if two ever had the same.
        if let Some(same) = known.get(&hash).and_then(Weak::upgrade).filter(|known| *known == new) {
            return same;
        }
        if known.len() == known.capacity() {
            known.retain(|_, raw| raw.strong_count() > 0);
            // Room for as many again: else a full table would be looked through for each.
            let count = known.len();
            known.reserve(count + 1);
        }
        known.insert(hash, Arc::downgrade(&new));
        new
    }

    /// The index of these documents: one that is in use already, or a new one.
    #[must_use]
    pub fn index_of(&self, documents: Vec<Arc<Document>>) -> Arc<Index> {
        let indexes = || self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        let same = indexes().iter().filter_map(Weak::upgrade).find(|index| index.is_of(&documents));
        if let Some(same) = same {
            return same;
        }
        // While nothing is locked: it takes long, and that two make the same does no harm.
        let new = Arc::new(Index::new(documents, Weights::TUNED));
        let mut indexes = indexes();
        indexes.retain(|index| index.strong_count() > 0);
        indexes.push(Arc::downgrade(&new));
        new
    }
}

/// Keeps definitions known as long as the list that has them, while catalogues that show it come and go. Whoever holds
/// this reads none of them.
#[derive(Clone, Debug, Default)]
pub struct Held(Arc<Mutex<Vec<Arc<Raw>>>>);

impl Held {
    /// Keeps these in place of those of before.
    pub fn hold(&self, raws: Vec<Arc<Raw>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = raws;
    }
}

/// What is held is no part of what a list says.
impl PartialEq for Held {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Held {}

/// A definition as a view shows it, made anew; unchanged if it cannot be read. What is always listed is not to be most
/// of a list that is short otherwise.
#[must_use]
pub fn shortened(raw: &str, view: ToolView) -> Cow<'_, str> {
    let short = match view {
        ToolView::Compact | ToolView::Search => compact::compact(raw),
        ToolView::Brief => signature::brief(raw),
        ToolView::Full | ToolView::Auto => None,
    };
    short.map_or(Cow::Borrowed(raw), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(server: &str, name: &str, description: &str) -> Arc<Raw> {
        Arc::new(Raw::new(
            server,
            name,
            format!(r#"{{"name":"{name}","title":"T","description":"{description}"}}"#),
        ))
    }

    #[test]
    fn only_what_is_asked_for_is_made_and_only_once() {
        let one = raw("s", "one", "First.");
        assert!(one.compact.get().is_none() && one.brief.get().is_none() && one.document.get().is_none());
        let short = one.shown_in(ToolView::Compact);
        assert_eq!(short, r#"{"name":"one","description":"First."}"#);
        assert_eq!(one.shown_in(ToolView::Search).as_ptr(), short.as_ptr());
        assert!(one.brief.get().is_none() && one.document.get().is_none());
        assert_eq!(one.shown_in(ToolView::Brief).as_ptr(), one.shown_in(ToolView::Brief).as_ptr());
        let as_short = Raw::new("s", "t", r#"{"name":"t"}"#.to_owned());
        assert_eq!(
            as_short.shown_in(ToolView::Compact).as_ptr(),
            as_short.text.as_ptr(),
            "and not kept twice"
        );
    }

    #[test]
    fn the_same_bytes_of_the_same_tool_are_one_and_what_no_list_has_is_forgotten() {
        let known = Known::default();
        let one = known.same(raw("s", "one", "First."));
        assert!(Arc::ptr_eq(&one, &known.same(raw("s", "one", "First."))));
        assert!(!Arc::ptr_eq(&one, &known.same(raw("t", "one", "First."))));
        assert!(!Arc::ptr_eq(&one, &known.same(raw("s", "one", "First"))));
        for number in 0..10_000 {
            drop(known.same(raw("s", &number.to_string(), "Gone at once.")));
        }
        assert!(known.raws.lock().unwrap().len() < 10);
        assert!(Arc::ptr_eq(&one, &known.same(raw("s", "one", "First."))));
    }

    #[test]
    fn two_definitions_of_one_hash_stay_two() {
        let known = Known::default();
        let (mine, theirs) = (raw("s", "one", "Mine."), raw("s", "one", "Theirs."));
        let hash = known.hashes.hash_one(mine.made_of());
        known.raws.lock().unwrap().insert(hash, Arc::downgrade(&theirs));
        assert!(Arc::ptr_eq(&mine, &known.same(mine.clone())));
    }
}
