//! Tasks on the aggregate endpoint: work that outlives the call which began it. The id of a task says whose it is, so
//! nothing is remembered here. Old tasks are part of the core (2025-11-25), new ones an extension; neither crosses eras.

use crate::core::Core;
use crate::core::aggregate;
use crate::core::asking::{Asking, Heard};
use crate::core::catalogue::Catalogue;
use crate::core::member::Member;
use crate::exchange::{Answer, Era, STREAM_MESSAGES_MAX};
use crate::limits::LIST_PAGES_MAX;
use crate::mcp::error::RpcError;
use crate::mcp::method::Method;
use crate::mcp::object::{Keys, Object, elements, quote, text_of};
use crate::mcp::within::{array, in_member};
use crate::servers::era::Facts;
use crate::servers::pending::ReplyKind;
use bytes::Bytes;
use std::borrow::Cow;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Between the server's name, which holds none, and its own id.
const SEPARATOR: char = ':';
/// Where a message says which task it belongs to.
const RELATED: &str = "io.modelcontextprotocol/related-task";

/// Answers a request about tasks.
///
/// # Errors
/// [`RpcError`] if there is no such task, or its server does not answer.
pub async fn answer(core: &Core, asking: &Asking<'_>) -> Result<Answer, RpcError> {
    let catalogue = core.catalogue_for(asking.caller)?;
    if asking.method == Method::TasksList {
        return list(asking, &catalogue).await;
    }
    let params = asking.object()?;
    let id = asking.text(&params, "taskId")?;
    let (index, own) = route(&catalogue, asking.caller.era, &id).ok_or_else(|| {
        RpcError::invalid_params(format!(
            "unknown task: {id}; help: a task's id begins with its server's name"
        ))
    })?;
    let mut edit = params.edit();
    edit.set("taskId", quote(own));
    aggregate::pass(core, asking, &catalogue, index, &edit.finish()).await
}

/// Whose task it is, and how its server calls it.
fn route<'a>(catalogue: &Catalogue, client: Era, id: &'a str) -> Option<(usize, &'a str)> {
    let (server, own) = id.split_once(SEPARATOR)?;
    let is_owner = |member: &Arc<Member>| member.name().as_str() == server && has_tasks(member, client);
    Some((catalogue.members.iter().position(is_owner)?, own))
}

/// Whether a client of this era may know of tasks of this server.
pub fn has_tasks(member: &Member, client: Era) -> bool {
    member.server.facts().is_some_and(|facts| facts.era == client && facts.offers.tasks)
}

/// The tasks of all servers that run: one that does not has none.
async fn list(asking: &Asking<'_>, catalogue: &Catalogue) -> Result<Answer, RpcError> {
    if asking.params.is_some() && asking.object()?.get("cursor").is_some_and(|cursor| cursor != "null") {
        return Err(RpcError::invalid_params("invalid cursor: the whole list is one page"));
    }
    let owners = catalogue.members.iter().filter(|member| has_tasks(member, asking.caller.era));
    let lists = owners.map(async |member| {
        let own = if member.server.is_ready() { tasks_of(asking, member).await } else { vec![] };
        own.iter().map(|task| in_task(member.name().as_str(), task)).collect::<Vec<_>>()
    });
    let lists = futures_util::future::join_all(lists).await;
    let all = array(lists.iter().flatten().map(String::as_str));
    Ok(asking.result(&format!("{{\"tasks\":{all}}}")))
}

/// Page by page; what cannot be had is left out.
async fn tasks_of(asking: &Asking<'_>, member: &Member) -> Vec<String> {
    let mut tasks = Vec::new();
    let mut params = "{}".to_owned();
    for _ in 0..LIST_PAGES_MAX {
        let Ok(answered) = asking.ask_plainly(&member.server, Some(&params), None).await else { break };
        if answered.reply.kind() != ReplyKind::Result {
            break;
        }
        let Ok(result) = Object::parse(answered.reply.body(), Keys::Exact) else { break };
        let page = result.get("tasks").and_then(elements).unwrap_or_default();
        tasks.extend(page.into_iter().map(str::to_owned));
        let Some(cursor) = result.get("nextCursor").filter(|cursor| cursor.starts_with('"')) else { break };
        params = format!("{{\"cursor\":{cursor}}}");
    }
    tasks
}

/// Asks a server that has tasks, with every id in what it says meanwhile as clients of the aggregate know it.
///
/// # Errors
/// [`RpcError`] if there is no answer.
pub async fn ask(asking: &Asking<'_>, core: &Core, member: &Member, params: &str) -> Result<Heard, RpcError> {
    let (sender, mut messages) = mpsc::channel(STREAM_MESSAGES_MAX);
    let inner = Asking { stream: &sender, method_name: asking.method_name.clone(), ..*asking };
    let name = member.name().as_str();
    let level = core.sessions.level(asking.caller.session);
    let mut answer = std::pin::pin!(inner.ask(core, &member.server, Some(params), level));
    let heard = loop {
        tokio::select! {
            biased;
            Some(message) = messages.recv() => drop(asking.stream.send(in_message(name, message)).await),
            heard = &mut answer => break heard,
        }
    };
    while let Ok(message) = messages.try_recv() {
        let _ = asking.stream.send(in_message(name, message)).await;
    }
    heard
}

/// A result with every id of a task as clients of the aggregate know it.
#[must_use]
pub fn in_result<'a>(server: &str, method: Method, result: Cow<'a, str>) -> Cow<'a, str> {
    if !has_ids(&result) {
        return result;
    }
    let is_task = method.is_of_tasks() || is_new_task(&result);
    let task = |text: &str| in_member(text, "task", |task| in_id(server, task));
    let change = |text: &str| if is_task { in_id(server, text) } else { task(text) };
    let changed = change(&result).map_or(result, Cow::Owned);
    in_member(&changed, "_meta", |meta| related(server, meta)).map_or(changed, Cow::Owned)
}

fn has_ids(text: &str) -> bool {
    memchr::memmem::find(text.as_bytes(), b"\"taskId\"").is_some()
}

/// Whether a call was answered by a new task of the extension.
fn is_new_task(result: &str) -> bool {
    let result = Object::parse(result, Keys::Exact).ok();
    result.is_some_and(|result| result.get_text("resultType").as_deref() == Some("task"))
}

fn in_task(server: &str, task: &str) -> String {
    in_id(server, task).unwrap_or_else(|| task.to_owned())
}

fn in_id(server: &str, object: &str) -> Option<String> {
    in_member(object, "taskId", |raw| Some(quote(&format!("{server}{SEPARATOR}{}", text_of(raw)?))))
}

fn related(server: &str, meta: &str) -> Option<String> {
    in_member(meta, RELATED, |task| in_id(server, task))
}

/// The same for a notification, or a request to the client.
fn in_message(server: &str, message: Bytes) -> Bytes {
    let Some(text) = std::str::from_utf8(&message).ok().filter(|text| has_ids(text)) else { return message };
    let is_status = Object::parse(text, Keys::Exact)
        .is_ok_and(|message| message.get_text("method").as_deref() == Some("notifications/tasks/status"));
    let changed = in_member(text, "params", |params| {
        let status = is_status.then(|| in_id(server, params)).flatten();
        let params = status.as_deref().unwrap_or(params);
        in_member(params, "_meta", |meta| related(server, meta)).or(status)
    });
    changed.map_or(message, Bytes::from)
}

/// The capability of the aggregate toward legacy clients: what any of these servers can do.
#[must_use]
pub fn capability<'a>(servers: impl Iterator<Item = &'a Facts>) -> Option<String> {
    let mut members = [("list", false), ("cancel", false), ("requests", false)];
    let mut offered = false;
    for facts in servers.filter(|facts| facts.era == Era::Legacy && facts.offers.tasks) {
        offered = true;
        let Ok(capabilities) = Object::parse(&facts.capabilities, Keys::Exact) else { continue };
        let Some(tasks) = capabilities.get_object("tasks") else { continue };
        members.iter_mut().for_each(|(key, is_there)| *is_there |= tasks.get(key).is_some());
    }
    let value = |key: &str| if key == "requests" { r#"{"tools":{"call":{}}}"# } else { "{}" };
    let members = members.iter().filter(|(_, is_there)| *is_there);
    let members: Vec<String> = members.map(|(key, _)| format!("\"{key}\":{}", value(key))).collect();
    offered.then(|| format!("\"tasks\":{{{}}}", members.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_of_tasks_are_changed_and_only_where_they_are_ids() {
        let outward = |method, text: &str| in_result("s", method, Cow::Borrowed(text)).into_owned();
        let table = [
            (Method::ToolsCall, r#"{"task":{"taskId":"1","z":1.0}}"#, r#"{"task":{"taskId":"s:1","z":1.0}}"#),
            (Method::ToolsCall, r#"{"content":[],"taskId":"x"}"#, r#"{"content":[],"taskId":"x"}"#),
            (
                Method::ToolsCall,
                r#"{"resultType":"task","taskId":"1"}"#,
                r#"{"resultType":"task","taskId":"s:1"}"#,
            ),
            (Method::TasksGet, r#"{"taskId":"a:b","ttl":1.0}"#, r#"{"taskId":"s:a:b","ttl":1.0}"#),
            (
                Method::TasksResult,
                r#"{"content":[],"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"1"}}}"#,
                r#"{"content":[],"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"s:1"}}}"#,
            ),
            (Method::TasksGet, r#"{"taskId":7}"#, r#"{"taskId":7}"#),
        ];
        for (method, before, after) in table {
            assert_eq!(outward(method, before), after);
        }
    }

    #[test]
    fn what_is_said_of_a_task_names_it_as_the_client_knows_it() {
        let outward =
            |text: &str| String::from_utf8(in_message("s", text.to_owned().into()).to_vec()).unwrap();
        assert_eq!(
            outward(r#"{"method":"notifications/tasks/status","params":{"taskId":"1","status":"working"}}"#),
            r#"{"method":"notifications/tasks/status","params":{"taskId":"s:1","status":"working"}}"#
        );
        let request = |id: &str| {
            format!(
                r#"{{"method":"elicitation/create","params":{{"taskId":"x","_meta":{{"{RELATED}":{{"taskId":"{id}"}}}}}}}}"#
            )
        };
        assert_eq!(outward(&request("1")), request("s:1"));
        let other = r#"{"method":"notifications/message","params":{"data":{"taskId":"1"}}}"#;
        assert_eq!(outward(other), other);
    }
}
