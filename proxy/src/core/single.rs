//! `/mcp/SERVER`: one server, nothing prefixed, as transparent as the eras allow.

use crate::context::meta::MetaTool;
use crate::core::Core;
use crate::core::asking::Asking;
use crate::core::gate;
use crate::core::hello::Hello;
use crate::core::listing::{self, items, members_of};
use crate::core::member::Member;
use crate::core::search::{self, Check, Place};
use crate::exchange::{Answer, Caller, Era};
use crate::limits::{SUBSCRIPTIONS_MAX, WATCHED_URI_BYTES_MAX};
use crate::mcp::error::RpcError;
use crate::mcp::level::Level;
use crate::mcp::method::Method;
use crate::mcp::object::{Keys, Object, elements, quote};
use crate::mcp::request::without_view;
use crate::mcp::within::{array, in_member};
use crate::servers::era::Facts;
use crate::servers::pending::ReplyKind;
use crate::servers::server::Ready;
use only1mcp_policy::view::{ToolRules, ToolView};
use only1mcp_wire::ServerName;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What a legacy client says when its roots are others.
pub const ROOTS_CHANGED: &str = "notifications/roots/list_changed";

/// Answers one request at one server's own endpoint.
///
/// # Errors
/// [`RpcError`] if it cannot be answered.
pub async fn answer(core: &Core, asking: &Asking<'_>, member: &Arc<Member>) -> Result<Answer, RpcError> {
    match asking.method {
        Method::Initialize => {
            let hello = Hello::single(&*facts(member).await?, Era::Legacy);
            let hello = hello.searching(member, search::view(core, asking.caller, &member.shown()));
            Ok(asking.result(&hello.initialize(asking.caller.version)))
        }
        Method::Discover => {
            let hello = Hello::single(&*facts(member).await?, Era::Modern);
            let hello = hello.searching(member, search::view(core, asking.caller, &member.shown()));
            Ok(asking.result(&hello.discover()))
        }
        Method::Ping => Ok(asking.result("{}")),
        Method::SetLevel => set_level(core, asking, std::slice::from_ref(member)).await,
        Method::Subscribe | Method::Unsubscribe => {
            let params = asking.object()?;
            watch(asking, member, &asking.text(&params, "uri")?).await
        }
        Method::ToolsList | Method::PromptsList | Method::ResourcesList | Method::TemplatesList => {
            list(core, asking, member).await
        }
        Method::ToolsCall => {
            let params = asking.object()?;
            let name = asking.text(&params, "name")?;
            search::call(core, asking, &Place::Server(member), &name, &params).await
        }
        Method::ResourcesRead if let Some(answer) = search::read(core, asking, &asking.object()?) => answer,
        method if method.stays_in_its_era() && facts(member).await?.era != asking.caller.era => {
            Err(asking.not_found())
        }
        Method::Listen => Err(asking.not_found()),
        _ => pass(core, asking, member, asking.params).await,
    }
}

/// `tools/call` of a tool, with `params` as the client names it.
///
/// # Errors
/// [`RpcError`] if there is no answer.
pub async fn call_tool(
    core: &Core,
    asking: &Asking<'_>,
    member: &Arc<Member>,
    name: &str,
    params: &Object<'_>,
    check: Check,
) -> Result<Answer, RpcError> {
    gate::check(&member.server, name)?;
    if let Some(answer) = search::refused(asking, &member.shown(), name, params, check) {
        return Ok(answer);
    }
    pass(core, asking, member, Some(params.text())).await
}

async fn pass(
    core: &Core,
    asking: &Asking<'_>,
    member: &Member,
    params: Option<&str>,
) -> Result<Answer, RpcError> {
    let level = core.sessions.level(asking.caller.session);
    let heard = asking.ask(core, &member.server, params, level).await?;
    let info = member.server.facts().map_or_else(String::new, |facts| facts.info.clone());
    asking.pass_on(&member.server, &heard, &info, |result| {
        search::fitted(core, asking, &member.server, result.into())
    })
}

/// A list: asked of the server if it runs, so that its cursors and unknown members pass; else as last seen.
async fn list(core: &Core, asking: &Asking<'_>, member: &Member) -> Result<Answer, RpcError> {
    let Some((list, key)) = members_of(asking.method) else { return Err(asking.not_found()) };
    let shown = match asking.method {
        Method::ToolsList => search::view(core, asking.caller, &member.shown()),
        _ => ToolView::Full,
    };
    if shown == ToolView::Search {
        let facts = facts(member).await?;
        let tools = member.shown();
        search::prepare(&tools, shown).await;
        let tools = tools.list(shown);
        return Ok(asking.own_result(&format!("{{\"{list}\":{tools}}}"), &facts.info));
    }
    search::prepare_each(&member.shown(), shown).await;
    if let (false, true, Some(facts)) = (member.server.is_ready(), member.is_settled(), member.server.facts())
    {
        let lists = member.lists();
        let entries = array(lists.of(asking.method).iter().map(|item| item.raw.as_str()));
        let mut result = Cow::Owned(format!("{{\"{list}\":{entries}}}"));
        if asking.method == Method::ToolsList {
            result = as_shown(result, list, shown, member);
        }
        return Ok(asking.own_result(&result, &facts.info));
    }
    let view = member.server.view();
    let level = core.sessions.level(asking.caller.session);
    let answered = asking.ask_plainly(&member.server, asking.params, level).await?;
    asking.pass_on_answer(&member.server, &answered, &answered.facts.info, |result| {
        if asking.method == Method::ToolsList {
            as_shown(without_refused(result, list, key, &view.tools), list, shown, member)
        } else {
            result.into()
        }
    })
}

/// The result without the tools the policy refuses.
fn without_refused<'a>(result: &'a str, list: &str, key: &str, rules: &ToolRules) -> Cow<'a, str> {
    if rules.deny.is_empty() && rules.allow.iter().any(|pattern| pattern == "*") {
        return result.into();
    }
    let Ok(object) = Object::parse(result, Keys::Exact) else { return result.into() };
    let allowed = items(object.get(list).unwrap_or("[]"), key, Some(rules));
    let mut edit = object.edit();
    edit.set(list, array(allowed.iter().map(|item| item.raw.as_str())));
    edit.finish()
}

/// The result as a view shows it, with what of ours it lists beside the server's tools.
fn as_shown<'a>(result: Cow<'a, str>, list: &str, view: ToolView, member: &Member) -> Cow<'a, str> {
    let result = in_view(result, list, view, member);
    let reads_on = member.shown().offers(MetaTool::ReadResult, view);
    if reads_on { with_own(result, list, MetaTool::ReadResult) } else { result }
}

/// The result with the tools as a view shows them.
fn in_view<'a>(result: Cow<'a, str>, list: &str, view: ToolView, member: &Member) -> Cow<'a, str> {
    if view == ToolView::Full {
        return result;
    }
    let known = member.shown();
    let changed = in_member(&result, list, |tools| Some(search::shortened(view, tools, &known)));
    changed.map_or(result, Cow::Owned)
}

/// The result with one of our own tools at its end, on its last page.
fn with_own<'a>(result: Cow<'a, str>, list: &str, own: MetaTool) -> Cow<'a, str> {
    let is_last = Object::parse(&result, Keys::Exact).is_ok_and(|object| object.get("nextCursor").is_none());
    let added = is_last.then(|| {
        in_member(&result, list, |tools| {
            let all = elements(tools)?;
            Some(array(all.into_iter().chain(std::iter::once(own.definition()))))
        })
    });
    added.flatten().map_or(result, Cow::Owned)
}

/// What a server says of itself: of the running process, or of the last one.
async fn facts(member: &Member) -> Result<Arc<Facts>, RpcError> {
    match (running(member).await, member.server.facts()) {
        (Ok(ready), _) => Ok(ready.facts),
        (Err(_), Some(facts)) => Ok(facts),
        (Err(error), None) => Err(error),
    }
}

/// The process that is asked for lists and told what is watched.
async fn running(member: &Member) -> Result<Ready, RpcError> {
    // A start may take two processes: one that is silent, and one that is greeted as legacy.
    let limit = Duration::from_millis(member.server.view().startup_timeout_ms) * 2;
    member.server.ready(Instant::now() + limit).await
}

/// `logging/setLevel`: remembered for this session; servers shared by several get the most talkative level.
///
/// # Errors
/// [`RpcError`] if there is no such level.
pub async fn set_level(
    core: &Core,
    asking: &Asking<'_>,
    members: &[Arc<Member>],
) -> Result<Answer, RpcError> {
    let params = asking.object()?;
    let level = asking.text(&params, "level")?;
    let level =
        Level::of(&level).ok_or_else(|| RpcError::invalid_params(format!("unknown log level: {level}")))?;
    if let Some(session) = asking.caller.session {
        core.sessions.set_level(session, level);
    }
    for member in members {
        member.tell_level(member.level(core)).await;
    }
    Ok(asking.result("{}"))
}

/// `resources/subscribe` and `resources/unsubscribe` of a URI as its server names it.
///
/// # Errors
/// [`RpcError`] if the server does not agree.
pub async fn watch(asking: &Asking<'_>, member: &Member, uri: &str) -> Result<Answer, RpcError> {
    let Some(session) = asking.caller.session else { return Err(asking.not_found()) };
    let ready = running(member).await?;
    let facts = ready.facts.clone();
    if !facts.offers.subscribe {
        return Err(asking.not_found());
    }
    if asking.method == Method::Unsubscribe {
        unwatch(member, uri, session);
        return Ok(asking.result("{}"));
    }
    if uri.len() > WATCHED_URI_BYTES_MAX {
        let message = format!("a watched URI may have {WATCHED_URI_BYTES_MAX} bytes at most");
        return Err(RpcError::invalid_params(message));
    }
    let _expected = member.watching.expect(uri);
    if facts.era == Era::Legacy && !member.watching.is_watched(uri) {
        let answered = listing::ask(&member.server, &ready, "resources/subscribe", Some(&uri_params(uri)))
            .await
            .map_err(|reason| RpcError::new(crate::mcp::error::SERVER_UNAVAILABLE, reason))?;
        if answered.reply.kind() != ReplyKind::Result {
            return asking.pass_on_answer(&member.server, &answered, &facts.info, |result| result.into());
        }
    }
    if !member.watching.add(uri, session) {
        let message = format!("a session may watch {SUBSCRIPTIONS_MAX} resources of one server at most");
        return Err(RpcError::new(crate::mcp::error::OVERLOADED, message));
    }
    Ok(asking.result("{}"))
}

/// Ends the watch of one session; tells the server if it was the last.
fn unwatch(member: &Member, uri: &str, session: u64) {
    if member.watching.remove(uri, session) {
        tell_unwatched(member, vec![uri.to_owned()]);
    }
}

/// Ends all watches of one session at one server.
pub fn unwatch_all(member: &Member, session: u64) {
    let uris = member.watching.remove_session(session);
    if !uris.is_empty() {
        tell_unwatched(member, uris);
    }
}

/// A modern server learns it from its next `subscriptions/listen`.
fn tell_unwatched(member: &Member, uris: Vec<String>) {
    let Some(ready) = member.server.lead().filter(|ready| ready.facts.era == Era::Legacy) else { return };
    let server = member.server.clone();
    tokio::spawn(async move {
        for uri in uris {
            let _ = listing::ask(&server, &ready, "resources/unsubscribe", Some(&uri_params(&uri))).await;
        }
    });
}

fn uri_params(uri: &str) -> String {
    format!("{{\"uri\":{}}}", quote(uri))
}

/// Passes on a notification we have no part in, to a server of the client's own era.
pub fn notification(core: &Core, caller: &Caller, name: &ServerName, method: &str, params: Option<&str>) {
    const OURS: [&str; 2] = ["notifications/initialized", "notifications/progress"];
    // A `tools/call` without an id would be a call that no gate has seen.
    if OURS.contains(&method) || !method.starts_with("notifications/") {
        return;
    }
    let catalogue = core.catalogue();
    let Some(Ok(member)) = catalogue.member(name).map(|member| core.instance_for(caller, member)) else {
        return;
    };
    // Of what a client's roots are, only a process of its own has been told.
    if method == ROOTS_CHANGED && member.owner.is_none() {
        return;
    }
    notify(&member, caller.era, method, params);
}

/// Tells all processes of a client's own that its roots are others now.
pub fn roots_changed(core: &Core, caller: &Caller) {
    let Ok(catalogue) = core.catalogue_for(caller) else { return };
    for member in catalogue.members.iter().filter(|member| member.owner.is_some()) {
        notify(member, caller.era, ROOTS_CHANGED, None);
    }
}

fn notify(member: &Member, era: Era, method: &str, params: Option<&str>) {
    let shown = params.and_then(without_view);
    let params = shown.as_deref().or(params);
    for ready in member.server.running().iter().filter(|ready| ready.facts.era == era) {
        ready.connection.notify(method, params);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_tools_vanish_and_all_else_stays() {
        let rules = ToolRules { allow: vec!["*".into()], deny: vec!["b".into()] };
        let result = r#"{"x":1.0,"tools":[{"name":"a","n":1.0},{"name":"b"}],"nextCursor":"c"}"#;
        assert_eq!(
            without_refused(result, "tools", "name", &rules),
            r#"{"x":1.0,"tools":[{"name":"a","n":1.0}],"nextCursor":"c"}"#
        );
        let open = ToolRules { allow: vec!["*".into()], deny: vec![] };
        assert!(matches!(without_refused(result, "tools", "name", &open), Cow::Borrowed(_)));
    }
}
