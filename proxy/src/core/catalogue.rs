//! All servers' lists as clients of the aggregate see them: merged in the order of the configuration, each
//! entry as its server wrote it but for its name or URI. Built anew when a list changes, never edited.

use crate::context::raw::Raw;
use crate::context::tools::{Entry, Tools};
use crate::core::listing::{Item, Lists};
use crate::core::member::Member;
use crate::core::resources::Uris;
use crate::core::search::says_it_reads;
use crate::limits::QUOTED_BYTES_MAX;
use crate::mcp::error::RpcError;
use crate::mcp::method::Method;
use crate::mcp::names::{aggregate_name, nearest};
use crate::mcp::object::{Keys, Object, cut, quote};
use crate::mcp::within::array;
use only1mcp_policy::view::{ServerView, ToolView};
use only1mcp_wire::ServerName;
use std::collections::HashMap;
use std::sync::Arc;

/// What is offered at one moment.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// The servers, in the order of the configuration.
    pub members: Vec<Arc<Member>>,
    /// Who owns which URI.
    pub uris: Uris,
    /// The tools as clients see them.
    pub shown: Arc<Tools>,
    tools: Names,
    prompts: Names,
    prompt_list: String,
    resources: String,
    templates: String,
}

/// Tools or prompts, merged.
#[derive(Debug, Default)]
struct Names {
    /// Each under its name here, raw.
    entries: Vec<(String, String)>,
    targets: HashMap<String, Target>,
    /// By their own names; nothing where two servers have the same.
    bare: HashMap<String, Option<Target>>,
}

/// Whose a name is, and what it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The server's number among [`Catalogue::members`].
    pub index: usize,
    /// The server's own name for it.
    pub name: String,
}

impl Catalogue {
    /// What these servers offer now. What `before` knows of the same tools is taken over.
    #[must_use]
    pub fn new(members: Vec<Arc<Member>>, name_characters_max: usize, before: Option<&Self>) -> Self {
        let lists: Vec<(String, Arc<Lists>)> =
            members.iter().map(|member| (member.name().as_str().to_owned(), member.lists())).collect();
        let uris = Uris::new(&lists);
        let mut tools = Names::merge(
            &lists,
            |lists| &lists.tools,
            name_characters_max,
            |index, raw| uris.in_tool(index, raw).into_owned(),
        );
        let prompts =
            Names::merge(&lists, |lists| &lists.prompts, name_characters_max, |_, raw| raw.to_owned());
        let resources = merge_uris(
            &lists,
            |lists| &lists.resources,
            "uri",
            |index, uri| uris.outward(index, uri).into_owned(),
        );
        let templates = merge_uris(
            &lists,
            |lists| &lists.templates,
            "uriTemplate",
            |index, template| uris.outward_template(index, template).into_owned(),
        );
        let shown = Arc::new(shown(&members, &mut tools, before.map(|before| &*before.shown)));
        hold(&members, &lists, &shown);
        let prompt_list = array(prompts.entries.iter().map(|(_, raw)| raw.as_str()));
        Self { members, uris, shown, tools, prompts, prompt_list, resources, templates }
    }

    /// The merged list a list method lists, tools as this view shows them, as a raw array.
    #[must_use]
    pub fn list(&self, method: Method, view: ToolView) -> &str {
        match method {
            Method::ToolsList => self.shown.list(view),
            Method::PromptsList => &self.prompt_list,
            Method::ResourcesList => &self.resources,
            _ => &self.templates,
        }
    }

    /// The server with this name.
    #[must_use]
    pub fn member(&self, name: &ServerName) -> Option<&Arc<Member>> {
        self.members.iter().find(|member| member.name() == name)
    }

    /// Whose tool this is: by its name on the aggregate, or by its own if only one server has it.
    #[must_use]
    pub fn tool(&self, name: &str) -> Option<&Target> {
        self.tools.find(name)
    }

    /// What a tool is called on the aggregate.
    #[must_use]
    pub fn full_name(&self, target: &Target) -> Option<&str> {
        let is_it = |entry: &&Entry| entry.server == target.index && entry.own_name == target.name;
        self.shown.entries().iter().find(is_it).map(|entry| entry.name.as_str())
    }

    /// Whose prompt this is.
    #[must_use]
    pub fn prompt(&self, name: &str) -> Option<&Target> {
        self.prompts.find(name)
    }

    /// What a client is told that asks for a tool that is not there.
    #[must_use]
    pub fn unknown_tool(&self, name: &str) -> RpcError {
        self.tools
            .unknown("tool", name, &self.members, |near| self.shown.get(near).is_none_or(Entry::can_be_found))
    }

    /// What a client is told that asks for a prompt that is not there.
    #[must_use]
    pub fn unknown_prompt(&self, name: &str) -> RpcError {
        self.prompts.unknown("prompt", name, &self.members, |_| true)
    }
}

impl Names {
    fn merge<'a>(
        servers: &'a [(String, Arc<Lists>)],
        pick: impl Fn(&'a Lists) -> &'a [Item],
        characters_max: usize,
        mend: impl Fn(usize, &str) -> String,
    ) -> Self {
        let mut names = Self::default();
        for (index, (server, lists)) in servers.iter().enumerate() {
            let mut warned = false;
            for item in pick(lists) {
                let name = aggregate_name(server, &item.key, characters_max);
                let target = Target { index, name: item.key.clone() };
                if names.targets.contains_key(&name) {
                    if !std::mem::replace(&mut warned, true) {
                        let tool = cut(&item.key, QUOTED_BYTES_MAX);
                        tracing::warn!(server, tool, "its server lists it twice; the first is kept");
                    }
                    continue;
                }
                names.entries.push((name.clone(), with_member(&mend(index, &item.raw), "name", &name)));
                names.targets.insert(name, target.clone());
                names.bare.entry(item.key.clone()).and_modify(|owner| *owner = None).or_insert(Some(target));
            }
        }
        names
    }

    fn find(&self, name: &str) -> Option<&Target> {
        self.targets.get(name).or_else(|| self.bare.get(name)?.as_ref())
    }

    fn unknown(
        &self,
        kind: &str,
        name: &str,
        members: &[Arc<Member>],
        may_be_told: impl Fn(&str) -> bool,
    ) -> RpcError {
        let mut message = format!("unknown {kind}: {name}");
        if self.bare.get(name).is_some_and(Option::is_none) {
            let owners: Vec<&str> = self
                .targets
                .iter()
                .filter(|(_, target)| target.name == name)
                .map(|(full, _)| full.as_str())
                .collect();
            message.push_str(&format!("; several servers have it: {}", sorted(owners).join(", ")));
        } else if let Some(near) =
            nearest(name, self.targets.keys().map(String::as_str).filter(|near| may_be_told(near)))
        {
            message.push_str(&format!("; did you mean {near}?"));
        }
        let missing: Vec<&str> = members
            .iter()
            .filter(|member| !member.is_settled())
            .map(|member| member.name().as_str())
            .collect();
        if !missing.is_empty() {
            message.push_str(&format!("; still starting: {}", missing.join(", ")));
        }
        RpcError::invalid_params(message)
    }
}

/// The tools of all servers as clients see them.
fn shown(members: &[Arc<Member>], names: &mut Names, before: Option<&Tools>) -> Tools {
    let views: Vec<Arc<ServerView>> = members.iter().map(|member| member.server.view()).collect();
    // Kept once: lists may have many MiB.
    let all = std::mem::take(&mut names.entries);
    let entry = |(name, raw): (String, String)| {
        let target = names.targets.get(&name)?;
        Some(entry_of(views.get(target.index)?, target.index, &target.name, name, raw))
    };
    let entries = all.into_iter().filter_map(entry).collect();
    Tools::new(entries, views.iter().any(|view| view.results.max_tokens.is_some()), before)
}

/// Where processes are not shared a list that changes ends all clients' catalogues before others are built: what was
/// made of definitions must outlast them. What all share is taken over from the catalogue before.
fn hold(members: &[Arc<Member>], lists: &[(String, Arc<Lists>)], shown: &Tools) {
    for (index, (member, (_, lists))) in members.iter().zip(lists).enumerate() {
        if member.owner.is_some() {
            lists.in_aggregate.hold(shown.raws_of(index));
        }
    }
}

/// A tool as its server's settings have it.
#[must_use]
pub fn entry_of(view: &ServerView, server: usize, own_name: &str, name: String, raw: String) -> Entry {
    Entry {
        name,
        own_name: own_name.to_owned(),
        server,
        server_name: view.id.clone(),
        expose: view.expose,
        only_reads: view.only_reads(own_name) || (view.trust_annotations && says_it_reads(&raw)),
        raw: Arc::new(Raw::new(&view.id, own_name, raw)),
    }
}

fn sorted(mut texts: Vec<&str>) -> Vec<&str> {
    texts.sort_unstable();
    texts
}

fn merge_uris<'a>(
    servers: &'a [(String, Arc<Lists>)],
    pick: impl Fn(&'a Lists) -> &'a [Item],
    key: &str,
    outward: impl Fn(usize, &str) -> String,
) -> String {
    let mut entries = Vec::new();
    for (index, (_, lists)) in servers.iter().enumerate() {
        for item in pick(lists) {
            entries.push(with_member(&item.raw, key, &outward(index, &item.key)));
        }
    }
    array(entries.iter().map(String::as_str))
}

/// The entry with the text `value` as its member `key`; unchanged if it has that already.
fn with_member(raw: &str, key: &str, value: &str) -> String {
    let Ok(object) = Object::parse(raw, Keys::Exact) else { return raw.to_owned() };
    if object.get_text(key).as_deref() == Some(value) {
        return raw.to_owned();
    }
    let mut edit = object.edit();
    edit.set(key, quote(value));
    edit.finish().into_owned()
}
