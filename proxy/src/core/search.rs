//! Our own tools at work: what clients find, call by name and read on in, and what the views ask of calls.

use crate::context::definition::Definition;
use crate::context::meta::{self, FOUND_DEFAULT, FOUND_MAX, LISTED_DEFAULT, MetaTool, Question};
use crate::context::tools::Tools;
use crate::context::{arguments, results, sentences};
use crate::core::asking::Asking;
use crate::core::catalogue::Catalogue;
use crate::core::listing::Item;
use crate::core::member::Member;
use crate::core::{Core, aggregate, single};
use crate::exchange::{Answer, Caller, Era};
use crate::limits::{CHECKED_ARGUMENTS_BYTES_MAX, FIRST_LIST_WAIT, SERVER_ABOUT_BYTES};
use crate::mcp::error::{INVALID_PARAMS, LEGACY_RESOURCE_NOT_FOUND, RpcError};
use crate::mcp::method::Method;
use crate::mcp::object::{Keys, Object, cut, quote, text_of};
use crate::mcp::request::IMPLEMENTATION;
use crate::mcp::within::in_member;
use crate::servers::server::Server;
use only1mcp_policy::view::{Expose, ToolView};
use serde::Deserialize;
use std::borrow::Cow;
use std::sync::Arc;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// Names that stand for a server that says nothing of itself.
const NAMES_MAX: usize = 6;
/// Bytes of each.
const NAME_BYTES_MAX: usize = 40;

/// What a client is told whose search has no answer.
const SEARCH_FAILED: &str = "the search failed; list_servers() says which servers there are, and find_tools with an \
                             empty query and a server lists its tools";

/// Where a call was made.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// `/mcp`.
    Aggregate,
    /// `/mcp/SERVER`.
    Server(&'a Arc<Member>),
}

/// Whether the arguments of a call are held against the tool's schema before it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The client knows the schema, and the server judges.
    No,
    /// The client has seen a signature only.
    BySchema,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Find<'a> {
    #[serde(borrow)]
    query: Cow<'a, str>,
    #[serde(borrow)]
    server: Option<Cow<'a, str>>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Describe {
    names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    page: usize,
}

/// The view a client of these tools is shown, once [`ToolView::Auto`] is decided.
#[must_use]
pub fn view(core: &Core, caller: &Caller, tools: &Tools) -> ToolView {
    tools.decide(core.view_of(caller), core.in_force().view.proxy.auto_threshold)
}

/// Answers `tools/call`: by one of our own tools if the client is offered it, else by a server's.
///
/// # Errors
/// [`RpcError`] if there is no answer.
pub async fn call(
    core: &Core,
    asking: &Asking<'_>,
    place: &Place<'_>,
    name: &str,
    params: &Object<'_>,
) -> Result<Answer, RpcError> {
    if let Some(own) = MetaTool::of(name) {
        let offered = Offered::to(core, asking, place).await?;
        if offered.tools.offers(own, view(core, asking.caller, &offered.tools)) {
            return offered.answer(own, params).await;
        }
    }
    let has_seen = core.view_of(asking.caller) != ToolView::Brief;
    place.call(core, asking, name, params, if has_seen { Check::No } else { Check::BySchema }).await
}

impl Place<'_> {
    async fn call(
        &self,
        core: &Core,
        asking: &Asking<'_>,
        name: &str,
        params: &Object<'_>,
        check: Check,
    ) -> Result<Answer, RpcError> {
        match self {
            Self::Aggregate => aggregate::call_tool(core, asking, name, params, check).await,
            Self::Server(member) => single::call_tool(core, asking, member, name, params, check).await,
        }
    }
}

/// Our own tools, and what they are about.
struct Offered<'a> {
    core: &'a Core,
    asking: &'a Asking<'a>,
    place: &'a Place<'a>,
    tools: Arc<Tools>,
    /// The servers of [`Place::Aggregate`].
    catalogue: Option<Arc<Catalogue>>,
}

impl<'a> Offered<'a> {
    async fn to(core: &'a Core, asking: &'a Asking<'a>, place: &'a Place<'a>) -> Result<Self, RpcError> {
        let (tools, catalogue) = match place {
            Place::Aggregate => {
                let catalogue = core.listed_for(asking.caller).await?;
                (catalogue.shown.clone(), Some(catalogue))
            }
            Place::Server(member) => {
                // As the aggregate waits for those that were never seen.
                let _ = timeout(FIRST_LIST_WAIT, member.settled()).await;
                (member.shown(), None)
            }
        };
        Ok(Self { core, asking, place, tools, catalogue })
    }

    async fn answer(&self, own: MetaTool, params: &Object<'_>) -> Result<Answer, RpcError> {
        let arguments = params.get("arguments").unwrap_or("{}");
        let said = match own {
            MetaTool::FindTools => match read_arguments(own, arguments) {
                Ok(find) => self.find(&find).await,
                Err(why) => Err(why),
            },
            MetaTool::DescribeTools => match read_arguments(own, arguments) {
                Ok(Describe { names }) if names.is_empty() => Err(misused(own, "\"names\" is empty")),
                Ok(Describe { names }) => self.described(names).await,
                Err(why) => Err(why),
            },
            MetaTool::ListServers => Ok(self.servers()),
            MetaTool::ReadResult => read_arguments(own, arguments).and_then(|read| self.read(&read)),
            MetaTool::CallTool | MetaTool::CallReadTool => match self.inner(own, arguments) {
                Ok((name, inner)) => {
                    let mut edit = params.edit();
                    edit.set("name", quote(&name)).set("arguments", inner);
                    let inner = edit.finish().into_owned();
                    let inner = Object::parse(&inner, Keys::Folded)
                        .map_err(|error| RpcError::invalid_params(format!("params: {error}")))?;
                    return self.place.call(self.core, self.asking, &name, &inner, Check::BySchema).await;
                }
                Err(why) => Err(why),
            },
        };
        Ok(match said {
            Ok(text) => told(self.asking, &text, false),
            Err(why) => told(self.asking, &why, true),
        })
    }

    /// Full names of tools that were named by their own.
    async fn described(&self, names: Vec<String>) -> Result<String, String> {
        let names = names.into_iter().map(|name| self.full_name(&name).unwrap_or(name)).collect::<Vec<_>>();
        let tools = self.tools.clone();
        apart(move || meta::described(&tools, &names)).await
    }

    fn full_name(&self, name: &str) -> Option<String> {
        let catalogue = self.catalogue.as_ref().filter(|_| self.tools.get(name).is_none())?;
        catalogue.full_name(catalogue.tool(name)?).map(str::to_owned)
    }

    async fn find(&self, find: &Find<'_>) -> Result<String, String> {
        if let (Some(server), Some(_)) = (&find.server, &self.catalogue)
            && !self.servers_found().any(|(name, _)| name == server.as_ref())
        {
            let known: Vec<&str> = self.servers_found().map(|(name, _)| name).collect();
            return Err(format!("no server is called \"{server}\"; there are {}", known.join(", ")));
        }
        let server = find.server.clone().filter(|_| self.catalogue.is_some()).map(Cow::into_owned);
        let default = if find.query.trim().is_empty() { LISTED_DEFAULT } else { FOUND_DEFAULT };
        let limit = find.limit.unwrap_or(default).clamp(1, FOUND_MAX);
        let (tools, query) = (self.tools.clone(), find.query.clone().into_owned());
        let mut found =
            apart(move || meta::found(&tools, &Question { query: &query, server: server.as_deref(), limit }))
                .await?;
        let members = self.catalogue.iter().flat_map(|catalogue| &catalogue.members);
        let starting: Vec<&str> =
            members.filter(|member| !member.is_settled()).map(|member| member.name().as_str()).collect();
        if !starting.is_empty() {
            found.push_str(&format!("\nStill starting, and not searched: {}.", starting.join(", ")));
        }
        Ok(found)
    }

    /// The servers whose tools can be found, and what they are.
    fn servers_found(&self) -> impl Iterator<Item = (&str, &Arc<Member>)> {
        let members: &[Arc<Member>] = match (self.place, &self.catalogue) {
            (Place::Server(member), _) => std::slice::from_ref(member),
            (Place::Aggregate, Some(catalogue)) => &catalogue.members,
            (Place::Aggregate, None) => &[],
        };
        let can_be_found = |member: &&Arc<Member>| member.server.view().expose != Some(Expose::Hidden);
        members.iter().filter(can_be_found).map(|member| (member.name().as_str(), member))
    }

    fn servers(&self) -> String {
        let line = |(name, member): (&str, &Arc<Member>)| {
            let facts = member.server.facts();
            let about = facts.as_ref().and_then(|facts| facts.instructions.as_deref()).unwrap_or_default();
            let about = sentences::first_sentence(about, SERVER_ABOUT_BYTES);
            let about = if about.is_empty() { some_of(&member.lists().tools) } else { format!(". {about}") };
            let state = match member.server.state().word() {
                "ready" | "idle" => String::new(),
                word => format!(", {word}"),
            };
            format!("{name}: {} tools{state}{about}", member.lists().tools.len())
        };
        self.servers_found().map(line).collect::<Vec<_>>().join("\n")
    }

    fn read(&self, read: &Read<'_>) -> Result<String, String> {
        let page = self.core.results.page(&self.asking.caller.principal, &read.id, read.page)?;
        if page.number == page.last {
            return Ok(page.text);
        }
        let next = page.number + 1;
        Ok(format!(
            "{}\n[page {} of {}; the next: read_result(id: \"{}\", page: {next})]",
            page.text, page.number, page.last, read.id
        ))
    }

    /// The name and the arguments of the call that is meant.
    fn inner(&self, own: MetaTool, raw: &str) -> Result<(String, String), String> {
        let object = Object::parse(raw, Keys::Folded).map_err(|error| misused(own, &error.to_string()))?;
        let name =
            object.get_text("name").ok_or_else(|| misused(own, "\"name\" must be the name of a tool"))?;
        let name = name.into_owned();
        let inner = object.get("arguments").unwrap_or("{}");
        // Some models send them as text.
        let inner = text_of(inner).map_or_else(|| inner.to_owned(), Cow::into_owned);
        let inner = if inner == "null" { "{}".to_owned() } else { inner };
        if !inner.trim_start().starts_with('{') {
            return Err(misused(own, "\"arguments\" must be an object"));
        }
        Object::parse(&inner, Keys::Exact)
            .map_err(|error| misused(own, &format!("\"arguments\": {error}")))?;
        let full_name = self.full_name(&name);
        let full_name = full_name.as_deref().unwrap_or(&name);
        let reads = || self.tools.get(full_name).is_some_and(|entry| entry.only_reads);
        if own == MetaTool::CallReadTool && !reads() {
            return Err(format!("{name} is not marked [reads]; call it with call_tool"));
        }
        Ok((name, inner))
    }
}

/// Does what may take long where it holds up nobody else.
///
/// # Errors
/// In words for the client if it panicked: no answer is not the answer that there is nothing.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "looking through the tools failed");
        SEARCH_FAILED.to_owned()
    })
}

/// Makes what a view lists, if it was not made yet.
pub async fn prepare(tools: &Arc<Tools>, view: ToolView) {
    made(tools, view, |tools, view| _ = tools.list(view)).await;
}

/// Makes what a view shows of each tool, if it was not made yet.
pub async fn prepare_each(tools: &Arc<Tools>, view: ToolView) {
    made(tools, view, Tools::shorten_all).await;
}

async fn made(tools: &Arc<Tools>, view: ToolView, make: fn(&Tools, ToolView)) {
    if view != ToolView::Full {
        let tools = tools.clone();
        // If it failed, it is made, or fails, where it is asked for.
        drop(apart(move || make(&tools, view)).await);
    }
}

/// A few names, of a server that says nothing of itself.
fn some_of(tools: &[Item]) -> String {
    let name = |tool: &Item| sentences::on_one_line(cut(&tool.key, NAME_BYTES_MAX));
    let names: Vec<String> = tools.iter().take(NAMES_MAX).map(name).collect();
    let more = if tools.len() > names.len() { ", …" } else { "" };
    if names.is_empty() { String::new() } else { format!(": {}{more}", names.join(", ")) }
}

/// The arguments of one of our own tools.
///
/// # Errors
/// In words for the client: what does not fit the schema, as with every other tool.
fn read_arguments<'a, T: Deserialize<'a>>(own: MetaTool, raw: &'a str) -> Result<T, String> {
    serde_json::from_str(raw).map_err(|error| {
        // All mistakes are collected before the first is told: long arguments could have millions.
        let is_checked = raw.len() <= CHECKED_ARGUMENTS_BYTES_MAX;
        let mut mistakes = if is_checked { own.mistakes(raw) } else { Vec::new() };
        let error = error.to_string();
        if mistakes.is_empty() || error.starts_with("unknown field") {
            mistakes.push(error);
        }
        misused(own, &mistakes.join("; "))
    })
}

/// What a client is told that used one of our own tools otherwise than its definition says.
fn misused(own: MetaTool, why: &str) -> String {
    format!("{why}\nThe definition: {}", own.definition())
}

/// An answer in words.
fn told(asking: &Asking<'_>, text: &str, is_error: bool) -> Answer {
    let error = if is_error { ",\"isError\":true" } else { "" };
    asking.own_result(
        &format!("{{\"content\":[{{\"type\":\"text\",\"text\":{}}}]{error}}}", quote(text)),
        IMPLEMENTATION,
    )
}

/// What a client is told whose arguments do not fit a tool it has seen the signature of only: all that it needs to
/// call it right. Nothing if they fit, or if only its server can judge.
#[must_use]
pub fn refused(
    asking: &Asking<'_>,
    tools: &Tools,
    name: &str,
    params: &Object<'_>,
    check: Check,
) -> Option<Answer> {
    if check == Check::No {
        return None;
    }
    let (entry, validator) = (tools.get(name)?, tools.validator(name)?);
    let given = params.get("arguments").filter(|given| *given != "null").unwrap_or("{}");
    if given.len() > CHECKED_ARGUMENTS_BYTES_MAX {
        return None;
    }
    let given = serde_json::from_str(given).ok()?;
    let mistakes = arguments::mistakes(&validator, &given);
    (!mistakes.is_empty()).then(|| told(asking, &meta::corrected(entry, &mistakes), true))
}

/// What came of a call, or of the task it began, as its server's settings want it.
#[must_use]
pub fn fitted<'a>(core: &Core, asking: &Asking<'_>, server: &Server, result: Cow<'a, str>) -> Cow<'a, str> {
    let view = server.view().results;
    if view.max_tokens.is_none() && view.tables.is_none() {
        return result;
    }
    let fit = |result: &str| match core.results.fitted(&asking.caller.principal, view, result) {
        Cow::Borrowed(_) => None,
        Cow::Owned(changed) => Some(changed),
    };
    let changed = match (asking.method, asking.caller.era) {
        (Method::ToolsCall | Method::TasksResult, _) => fit(&result),
        // A modern task that is completed holds its result.
        (Method::TasksGet, Era::Modern) => in_member(&result, "result", fit),
        _ => None,
    };
    changed.map_or(result, Cow::Owned)
}

/// Answers `resources/read` of what was cut off of a result; nothing if another resource is meant.
#[must_use]
pub fn read(core: &Core, asking: &Asking<'_>, params: &Object<'_>) -> Option<Result<Answer, RpcError>> {
    let uri = params.get_text("uri")?;
    if !uri.starts_with(results::SCHEME) {
        return None;
    }
    let page = results::named(&uri).ok_or_else(|| "such a URI ends with an id, a / and a page".to_owned());
    let page = page.and_then(|(id, page)| core.results.page(&asking.caller.principal, id, page));
    let code = match asking.caller.era {
        Era::Legacy => LEGACY_RESOURCE_NOT_FOUND,
        Era::Modern => INVALID_PARAMS,
    };
    Some(match page {
        Ok(page) => {
            let contents = format!(
                "{{\"uri\":{},\"mimeType\":\"text/plain\",\"text\":{}}}",
                quote(&uri),
                quote(&page.text)
            );
            Ok(asking.own_result(&format!("{{\"contents\":[{contents}]}}"), IMPLEMENTATION))
        }
        Err(why) => Err(RpcError::new(code, format!("resource not found: {uri}: {why}"))),
    })
}

/// The raw array `list` of one server's own endpoint as a view shows it; `tools` are those it had when last seen.
#[must_use]
pub fn shortened(view: ToolView, list: &str, tools: &Tools) -> String {
    let entries = crate::mcp::object::elements(list).unwrap_or_default();
    let short: Vec<Cow<'_, str>> = entries.into_iter().map(|raw| tools.shortened(raw, view)).collect();
    crate::mcp::within::array(short.iter().map(AsRef::as_ref))
}

/// Whether a definition says that its tool only reads.
#[must_use]
pub fn says_it_reads(raw: &str) -> bool {
    Definition::parse(raw).and_then(|tool| tool.hint("readOnlyHint")) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[tokio::test]
    async fn a_search_that_panics_is_an_error_that_says_what_to_do_and_is_logged_once() {
        let (mut read, write) = std::io::pipe().unwrap();
        let log = tracing_subscriber::fmt().with_writer(std::sync::Mutex::new(write)).finish();
        let logging = tracing::subscriber::set_default(log);
        let failed = apart(|| -> String { panic!("on purpose") }).await.unwrap_err();
        assert!(failed.starts_with("the search failed") && failed.contains("list_servers()"), "{failed}");
        assert_eq!(apart(|| 7).await, Ok(7));
        drop(logging);
        let mut logged = String::new();
        read.read_to_string(&mut logged).unwrap();
        assert_eq!(logged.lines().filter(|line| line.contains("ERROR")).count(), 1, "{logged}");
    }
}
