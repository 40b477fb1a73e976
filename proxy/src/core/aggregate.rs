//! `/mcp`: all servers as one. Names say whose a tool or prompt is, URIs are routed to their owners.

use crate::core::Core;
use crate::core::asking::Asking;
use crate::core::catalogue::{Catalogue, Target};
use crate::core::gate;
use crate::core::hello::Hello;
use crate::core::listing::members_of;
use crate::core::search::{self, Check, Place};
use crate::core::{single, tasks};
use crate::exchange::{Answer, Era};
use crate::limits::LIST_TTL_MS;
use crate::mcp::error::{INVALID_PARAMS, LEGACY_RESOURCE_NOT_FOUND, RpcError};
use crate::mcp::method::Method;
use crate::mcp::names::split;
use crate::mcp::object::{Keys, Object, quote};
use crate::mcp::request::IMPLEMENTATION;
use std::sync::Arc;
use std::time::Duration;

/// Answers one request at the aggregate endpoint.
///
/// # Errors
/// [`RpcError`] if it cannot be answered.
pub async fn answer(core: &Core, asking: &Asking<'_>) -> Result<Answer, RpcError> {
    match asking.method {
        Method::Initialize => {
            let hello = hello(core, asking, Era::Legacy).await?;
            Ok(asking.result(&hello.initialize(asking.caller.version)))
        }
        Method::Discover => Ok(asking.result(&hello(core, asking, Era::Modern).await?.discover())),
        Method::Ping => Ok(asking.result("{}")),
        Method::ToolsList | Method::PromptsList | Method::ResourcesList | Method::TemplatesList => {
            list(core, asking).await
        }
        Method::ToolsCall | Method::PromptsGet => call(core, asking).await,
        Method::ResourcesRead => read(core, asking).await,
        Method::Subscribe | Method::Unsubscribe => {
            let params = asking.object()?;
            let (catalogue, index, uri) = route(core, asking, &asking.text(&params, "uri")?).await?;
            match catalogue.members.get(index) {
                Some(member) => single::watch(asking, member, &uri).await,
                None => Err(not_found(asking, &uri)),
            }
        }
        Method::Complete => complete(core, asking).await,
        Method::SetLevel => {
            single::set_level(core, asking, &core.catalogue_for(asking.caller)?.members).await
        }
        method if method.is_of_tasks() => tasks::answer(core, asking).await,
        Method::Other => extension(core, asking).await,
        _ => Err(asking.not_found()),
    }
}

async fn hello(core: &Core, asking: &Asking<'_>, era: Era) -> Result<Hello, RpcError> {
    let catalogue = core.listed_for(asking.caller).await?;
    Ok(Hello::aggregate(&catalogue, era, search::view(core, asking.caller, &catalogue.shown)))
}

/// One page always holds everything, so no cursor of ours exists.
async fn list(core: &Core, asking: &Asking<'_>) -> Result<Answer, RpcError> {
    if asking.params.is_some() && asking.object()?.get("cursor").is_some_and(|cursor| cursor != "null") {
        return Err(RpcError::invalid_params("invalid cursor: the whole list is one page"));
    }
    let Some((key, _)) = members_of(asking.method) else { return Err(asking.not_found()) };
    let catalogue = core.listed_for(asking.caller).await?;
    let view = search::view(core, asking.caller, &catalogue.shown);
    if asking.method == Method::ToolsList {
        search::prepare(&catalogue.shown, view).await;
    }
    let list = catalogue.list(asking.method, view);
    Ok(match asking.caller.era {
        Era::Legacy => asking.result(&format!("{{\"{key}\":{list}}}")),
        Era::Modern => {
            asking.own_result(&format!("{{\"{key}\":{list},\"ttlMs\":{LIST_TTL_MS}}}"), IMPLEMENTATION)
        }
    })
}

/// `tools/call` and `prompts/get`.
async fn call(core: &Core, asking: &Asking<'_>) -> Result<Answer, RpcError> {
    let params = asking.object()?;
    let name = asking.text(&params, "name")?;
    if asking.method == Method::ToolsCall {
        return search::call(core, asking, &Place::Aggregate, &name, &params).await;
    }
    let (catalogue, target) = find(core, asking, asking.method, &name).await?;
    let mut edit = params.edit();
    edit.set("name", quote(&target.name));
    pass(core, asking, &catalogue, target.index, &edit.finish()).await
}

/// `tools/call` of a server's tool, with `params` as the client names it.
///
/// # Errors
/// [`RpcError`] if there is no answer.
pub async fn call_tool(
    core: &Core,
    asking: &Asking<'_>,
    name: &str,
    params: &Object<'_>,
    check: Check,
) -> Result<Answer, RpcError> {
    let (catalogue, target) = find(core, asking, Method::ToolsCall, name).await?;
    let member = catalogue.members.get(target.index).ok_or_else(|| catalogue.unknown_tool(name))?;
    gate::check(&member.server, &target.name)?;
    if check == Check::BySchema {
        let full_name = catalogue.full_name(&target).unwrap_or(name);
        if let Some(answer) = search::refused(asking, &catalogue.shown, full_name, params, check) {
            return Ok(answer);
        }
    }
    let mut edit = params.edit();
    edit.set("name", quote(&target.name));
    pass(core, asking, &catalogue, target.index, &edit.finish()).await
}

async fn read(core: &Core, asking: &Asking<'_>) -> Result<Answer, RpcError> {
    let params = asking.object()?;
    if let Some(answer) = search::read(core, asking, &params) {
        return answer;
    }
    let (catalogue, index, uri) = route(core, asking, &asking.text(&params, "uri")?).await?;
    let mut edit = params.edit();
    edit.set("uri", quote(&uri));
    pass(core, asking, &catalogue, index, &edit.finish()).await
}

/// `completion/complete` goes where its reference leads.
async fn complete(core: &Core, asking: &Asking<'_>) -> Result<Answer, RpcError> {
    let params = asking.object()?;
    let reference = params
        .get("ref")
        .and_then(|raw| Object::parse(raw, Keys::Folded).ok())
        .ok_or_else(|| RpcError::invalid_params("params.ref must be an object"))?;
    let mut edit = reference.edit();
    let (catalogue, index) = match asking.text(&reference, "type")?.as_ref() {
        "ref/prompt" => {
            let name = asking.text(&reference, "name")?;
            let (catalogue, target) = find(core, asking, Method::PromptsGet, &name).await?;
            edit.set("name", quote(&target.name));
            (catalogue, target.index)
        }
        "ref/resource" => {
            let uri = asking.text(&reference, "uri")?;
            let catalogue = core.listed_for(asking.caller).await?;
            let (index, own) = catalogue.uris.route_template(&uri).ok_or_else(|| not_found(asking, &uri))?;
            edit.set("uri", quote(&own));
            (catalogue, index)
        }
        other => return Err(RpcError::invalid_params(format!("unknown kind of reference: {other}"))),
    };
    let mut outer = params.edit();
    outer.set("ref", edit.finish());
    pass(core, asking, &catalogue, index, &outer.finish()).await
}

/// A method we do not know goes to its owner if there can be only one: the one modern server with extensions.
async fn extension(core: &Core, asking: &Asking<'_>) -> Result<Answer, RpcError> {
    let catalogue = core.catalogue_for(asking.caller)?;
    let mut owners = (0..)
        .zip(&catalogue.members)
        .filter(|(_, member)| member.server.facts().is_some_and(|facts| !facts.extensions().is_empty()));
    match (asking.caller.era, owners.next(), owners.next()) {
        (Era::Modern, Some((index, _)), None) => {
            pass(core, asking, &catalogue, index, asking.params.unwrap_or("{}")).await
        }
        _ => Err(asking.not_found()),
    }
}

/// Has a server answer, everything in its answer as clients of the aggregate know it.
///
/// # Errors
/// [`RpcError`] if there is no answer, or none this client could understand.
pub async fn pass(
    core: &Core,
    asking: &Asking<'_>,
    catalogue: &Catalogue,
    index: usize,
    params: &str,
) -> Result<Answer, RpcError> {
    let Some(member) = catalogue.members.get(index) else { return Err(asking.not_found()) };
    let has_tasks = tasks::has_tasks(member, asking.caller.era);
    let heard = if has_tasks {
        tasks::ask(asking, core, member, params).await?
    } else {
        let level = core.sessions.level(asking.caller.session);
        asking.ask(core, &member.server, Some(params), level).await?
    };
    asking.pass_on(&member.server, &heard, IMPLEMENTATION, |result| {
        let result = catalogue.uris.in_result(index, asking.method, result);
        let result = search::fitted(core, asking, &member.server, result);
        if has_tasks { tasks::in_result(member.name().as_str(), asking.method, result) } else { result }
    })
}

/// Whose tool or prompt this is. A server that was never seen yet is waited for.
async fn find(
    core: &Core,
    asking: &Asking<'_>,
    method: Method,
    name: &str,
) -> Result<(Arc<Catalogue>, Target), RpcError> {
    let look = |catalogue: &Catalogue| match method {
        Method::ToolsCall => catalogue.tool(name).cloned(),
        _ => catalogue.prompt(name).cloned(),
    };
    let catalogue = core.catalogue_for(asking.caller)?;
    if let Some(target) = look(&catalogue) {
        return Ok((catalogue, target));
    }
    wait_for_owner(core, &catalogue, name).await;
    let catalogue = core.listed_for(asking.caller).await?;
    match look(&catalogue) {
        Some(target) => Ok((catalogue, target)),
        None => {
            why_missing(&catalogue, method, name)?;
            Err(match method {
                Method::ToolsCall => catalogue.unknown_tool(name),
                _ => catalogue.unknown_prompt(name),
            })
        }
    }
}

async fn wait_for_owner(core: &Core, catalogue: &Catalogue, name: &str) {
    let owner = split(name).and_then(|(server, _)| {
        catalogue.members.iter().find(|member| member.name().as_str() == server && !member.is_settled())
    });
    match owner {
        Some(member) => {
            let limit = Duration::from_millis(member.server.view().startup_timeout_ms) * 2;
            let _ = tokio::time::timeout(limit, member.settled()).await;
        }
        None => core.first_lists().await,
    }
}

/// Says more than "unknown" where more is known, so that nobody looks for a misspelling: the tool is hidden,
/// or its server has failed before its lists were seen.
fn why_missing(catalogue: &Catalogue, method: Method, name: &str) -> Result<(), RpcError> {
    let Some((server, rest)) = split(name) else { return Ok(()) };
    let Some(member) = catalogue.members.iter().find(|member| member.name().as_str() == server) else {
        return Ok(());
    };
    if method == Method::ToolsCall {
        gate::check(&member.server, rest)?;
    }
    match member.server.failure() {
        Some(error) if member.server.facts().is_none() => Err(error),
        _ => Ok(()),
    }
}

/// Whose URI this is, and how its owner names it.
async fn route(
    core: &Core,
    asking: &Asking<'_>,
    uri: &str,
) -> Result<(Arc<Catalogue>, usize, String), RpcError> {
    let catalogue = core.listed_for(asking.caller).await?;
    let (index, own) = catalogue.uris.route(uri).ok_or_else(|| not_found(asking, uri))?;
    Ok((catalogue, index, own))
}

fn not_found(asking: &Asking<'_>, uri: &str) -> RpcError {
    let code = match asking.caller.era {
        Era::Legacy => LEGACY_RESOURCE_NOT_FOUND,
        Era::Modern => INVALID_PARAMS,
    };
    RpcError::new(code, format!("resource not found: {uri}")).with_data(format!("{{\"uri\":{}}}", quote(uri)))
}
