//! The lists of one server, fetched page by page and kept as raw entries.

use crate::context::flags::{FlagKind, Flags, flags};
use crate::context::raw::Held;
use crate::core::gate;
use crate::exchange::{Era, List};
use crate::limits::{LIST_BYTES_MAX, LIST_ITEMS_MAX, LIST_PAGES_MAX, QUOTED_BYTES_MAX};
use crate::mcp::method::Method;
use crate::mcp::normalise;
use crate::mcp::object::{Keys, Object, cut, elements, quote};
use crate::mcp::request::Asked;
use crate::servers::pending::ReplyKind;
use crate::servers::server::{Answered, Ready, Server};
use only1mcp_policy::view::ToolRules;
use std::collections::HashSet;
use std::sync::Arc;

/// All lists of one server, as it wrote them, refused tools left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lists {
    /// Its tools.
    pub tools: Vec<Item>,
    /// Its prompts.
    pub prompts: Vec<Item>,
    /// Its resources.
    pub resources: Vec<Item>,
    /// Its templates of resources.
    pub templates: Vec<Item>,
    /// What is odd about its tools.
    pub flags: Arc<Flags>,
    /// Entries of its list of tools that are not among them, for they cannot be called by a name.
    pub left_out: usize,
    /// Its tools as the aggregate last showed them to a client that shares no process.
    pub in_aggregate: Held,
    /// Its tools as its own endpoint last showed them to such a client.
    pub at_its_own: Held,
}

/// One entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What it is called by: name, URI or template.
    pub key: String,
    /// The whole entry, raw.
    pub raw: String,
}

/// A set of lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Which(u8);

impl Which {
    /// None.
    pub const NONE: Self = Self(0);
    /// All.
    pub const ALL: Self = Self(7);
    const LISTS: [(List, u8); 3] = [(List::Tools, 1), (List::Prompts, 2), (List::Resources, 4)];

    /// The set as bits.
    #[must_use]
    pub fn bits(self) -> u8 {
        self.0
    }

    /// The set with these bits.
    #[must_use]
    pub fn from_bits(bits: u8) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// Both sets.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether a list is in the set.
    #[must_use]
    pub fn has(self, list: List) -> bool {
        self.0 & Self::from(list).0 != 0
    }

    /// Whether no list is in the set.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The lists in the set.
    pub fn iter(self) -> impl Iterator<Item = List> {
        Self::LISTS.into_iter().filter(move |(_, bit)| self.0 & bit != 0).map(|(list, _)| list)
    }
}

impl From<List> for Which {
    fn from(list: List) -> Self {
        let bits = Self::LISTS.iter().find(|(known, _)| *known == list).map_or(0, |(_, bit)| *bit);
        Self(bits)
    }
}

impl Lists {
    /// The lists whose bytes differ.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Which {
        let mut which = Which::NONE;
        if self.tools != other.tools {
            which = which.and(List::Tools.into());
        }
        if self.prompts != other.prompts {
            which = which.and(List::Prompts.into());
        }
        if self.resources != other.resources || self.templates != other.templates {
            which = which.and(List::Resources.into());
        }
        which
    }

    /// The same lists without the tools these rules refuse.
    #[must_use]
    pub fn allowed(&self, rules: &ToolRules) -> Self {
        let mut lists = self.clone();
        lists.tools.retain(|tool| gate::is_listed(rules, &tool.key));
        if lists.tools.len() < self.tools.len() {
            lists.flag();
        }
        lists
    }

    /// Looks anew at what is odd.
    fn flag(&mut self) {
        let mut flags = flags(&self.tools);
        if self.left_out > 0 {
            flags.add("", FlagKind::LeftOut(self.left_out));
        }
        self.flags = Arc::new(flags);
    }

    /// The tools that say of themselves that they may be called twice.
    #[must_use]
    pub fn repeatable(&self) -> HashSet<String> {
        let says_so = |item: &&Item| {
            let object = Object::parse(&item.raw, Keys::Exact).ok();
            let annotations = object.as_ref().and_then(|object| object.get_object("annotations"));
            annotations.is_some_and(|annotations| {
                ["readOnlyHint", "idempotentHint"]
                    .into_iter()
                    .any(|hint| annotations.get(hint) == Some("true"))
            })
        };
        self.tools.iter().filter(says_so).map(|item| item.key.clone()).collect()
    }

    /// The entries a list method lists.
    #[must_use]
    pub fn of(&self, method: Method) -> &[Item] {
        match method {
            Method::ToolsList => &self.tools,
            Method::PromptsList => &self.prompts,
            Method::ResourcesList => &self.resources,
            Method::TemplatesList => &self.templates,
            _ => &[],
        }
    }
}

/// Where a list method keeps its entries, and what an entry is called by.
#[must_use]
pub fn members_of(method: Method) -> Option<(&'static str, &'static str)> {
    match method {
        Method::ToolsList => Some(("tools", "name")),
        Method::PromptsList => Some(("prompts", "name")),
        Method::ResourcesList => Some(("resources", "uri")),
        Method::TemplatesList => Some(("resourceTemplates", "uriTemplate")),
        _ => None,
    }
}

/// The entries of a raw array that may be listed. Entries without a key are left out.
#[must_use]
pub fn items(array: &str, key: &str, rules: Option<&ToolRules>) -> Vec<Item> {
    keyed(array, key, rules).0
}

/// [`items`], and how many entries have no key.
fn keyed(array: &str, key: &str, rules: Option<&ToolRules>) -> (Vec<Item>, usize) {
    let entries = elements(array).unwrap_or_default();
    let item = |raw: &str| {
        let key = Object::parse(raw, Keys::Folded).ok()?.get_text(key)?.into_owned();
        Some(Item { key, raw: raw.to_owned() })
    };
    let (all, mut keyed) = (entries.len(), 0);
    let listed = |item: &Item| rules.is_none_or(|rules| gate::is_listed(rules, &item.key));
    let items = entries.into_iter().filter_map(item).inspect(|_| keyed += 1).filter(listed).collect();
    (items, all - keyed)
}

/// What a server answered when it was asked for its lists.
#[derive(Debug)]
pub struct Fetched {
    /// The lists; those that were not asked for, and those that failed, as they were before.
    pub lists: Lists,
    /// What could not be fetched.
    pub failed: Which,
    /// Why not, in words.
    pub error: Option<String>,
}

/// Fetches the lists in `which`.
pub async fn fetch(server: &Server, ready: &Ready, which: Which, before: &Lists) -> Fetched {
    let offers = &ready.facts.offers;
    let mut lists = before.clone();
    let (mut failed, mut errors) = (Which::NONE, Vec::new());
    let wanted = [
        (List::Tools, offers.tools, Method::ToolsList, &mut lists.tools),
        (List::Prompts, offers.prompts, Method::PromptsList, &mut lists.prompts),
        (List::Resources, offers.resources, Method::ResourcesList, &mut lists.resources),
        (List::Resources, offers.resources, Method::TemplatesList, &mut lists.templates),
    ];
    for (list, offered, method, into) in wanted {
        if !which.has(list) {
            continue;
        }
        match if offered { fetch_one(server, ready, method).await } else { Ok((Vec::new(), 0)) } {
            Ok((items, left_out)) => {
                *into = items;
                if method == Method::ToolsList {
                    lists.left_out = left_out;
                }
            }
            Err(reason) => {
                let reason = cut(&reason, QUOTED_BYTES_MAX);
                tracing::warn!(server = %server.name, ?method, reason, "a list could not be fetched");
                failed = failed.and(list.into());
                let name = method_name(method).unwrap_or_default();
                errors.push(format!("{name} could not be fetched: {reason}"));
            }
        }
    }
    if lists.tools != before.tools || lists.left_out != before.left_out {
        lists.flag();
    }
    Fetched { lists, failed, error: (!errors.is_empty()).then(|| errors.join("; ")) }
}

/// The entries of one list, and how many are left out.
async fn fetch_one(server: &Server, ready: &Ready, method: Method) -> Result<(Vec<Item>, usize), String> {
    let (name, (list, key)) = match (method_name(method), members_of(method)) {
        (Some(name), Some(members)) => (name, members),
        _ => return Ok((Vec::new(), 0)),
    };
    let view = server.view();
    let rules = (method == Method::ToolsList).then_some(&view.tools);
    let (mut all, mut left_out, mut bytes, mut cursor) = (Vec::new(), 0, 0, None::<String>);
    for _ in 0..LIST_PAGES_MAX {
        let params = cursor.as_deref().map(|cursor| format!("{{\"cursor\":{cursor}}}"));
        let answered = ask(server, ready, name, params.as_deref()).await?;
        let body = answered.reply.body();
        if answered.reply.kind() != ReplyKind::Result {
            // What a server does not have it has none of.
            let absent = normalise::code(body) == Some(crate::mcp::error::METHOD_NOT_FOUND);
            return if absent { Ok((Vec::new(), 0)) } else { Err(body.to_owned()) };
        }
        let result = Object::parse(body, Keys::Exact).map_err(|error| error.to_string())?;
        bytes += body.len();
        let (listed, without_key) = keyed(result.get(list).unwrap_or("[]"), key, rules);
        all.extend(listed);
        left_out += without_key;
        if let Some(reason) = too_long(all.len(), bytes) {
            return Err(reason);
        }
        let next = result.get_text("nextCursor").map(|next| quote(&next));
        if next.is_none() {
            return Ok((all, left_out));
        }
        if next == cursor {
            return Err("it returns the same cursor again and again".to_owned());
        }
        cursor = next;
    }
    Err(format!("it has more than {LIST_PAGES_MAX} pages"))
}

/// Why nothing more of a list is read, if so.
fn too_long(entries: usize, bytes: usize) -> Option<String> {
    if entries > LIST_ITEMS_MAX {
        return Some(format!("it is too long: {entries} entries so far, and {LIST_ITEMS_MAX} are the limit"));
    }
    (bytes > LIST_BYTES_MAX)
        .then(|| format!("it is too long: {bytes} bytes so far, and {LIST_BYTES_MAX} are the limit"))
}

fn method_name(method: Method) -> Option<&'static str> {
    match method {
        Method::ToolsList => Some("tools/list"),
        Method::PromptsList => Some("prompts/list"),
        Method::ResourcesList => Some("resources/list"),
        Method::TemplatesList => Some("resources/templates/list"),
        _ => None,
    }
}

/// Asks a process of a server for ourselves.
///
/// # Errors
/// In words, if there is no answer.
pub async fn ask(
    server: &Server,
    ready: &Ready,
    method: &str,
    params: Option<&str>,
) -> Result<Answered, String> {
    // As a legacy client, so that a modern server gets our own `_meta`.
    let asked = Asked { method, params, client: Era::Legacy, log_level: None, capabilities: "{}" };
    server.ask_at(ready, &asked).await.map_err(|error| error.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_entries_as_written_and_leaves_out_what_may_not_be_listed() {
        let rules = ToolRules { allow: vec!["*".into()], deny: vec!["delete_*".into()] };
        let array = r#"[{"name":"read","x":1.0},{"name":"delete_all"},{"title":"nameless"},7]"#;
        let (listed, left_out) = keyed(array, "name", Some(&rules));
        assert_eq!(left_out, 2, "the nameless one, and what is no object");
        assert_eq!(listed, [Item { key: "read".into(), raw: r#"{"name":"read","x":1.0}"#.into() }]);
    }

    #[test]
    fn a_tool_with_a_name_in_two_spellings_is_not_listed() {
        assert_eq!(keyed(r#"[{"name":"a","Name":"b"}]"#, "name", None), (Vec::new(), 1));
    }

    #[test]
    fn tells_which_lists_differ() {
        let item = |key: &str| vec![Item { key: key.into(), raw: String::new() }];
        let before = Lists { tools: item("a"), ..Lists::default() };
        let after = Lists { templates: item("t"), ..Lists::default() };
        let lists: Vec<List> = before.difference(&after).iter().collect();
        assert_eq!(lists, [List::Tools, List::Resources]);
        assert!(before.difference(&before).is_empty());
    }
}
