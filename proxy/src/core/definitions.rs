//! What `only1mcp context` counts: the JSON of `GET /context` on the administration socket. Written as it is, without
//! looking into a definition: the proxy only tells what there is.

use crate::context::meta::MetaTool;
use crate::context::tools::{Entry, Tools};
use crate::core::Core;
use crate::core::catalogue::Catalogue;
use crate::core::member::Member;
use crate::mcp::object::quote;
use crate::mcp::within::array;
use only1mcp_policy::view::ToolView;
use std::sync::Arc;

/// The tools of all servers in full, and what decides who sees which of them:
///
/// - `listen`: addresses MCP is served on
/// - `view`: how clients see the tools that neither their URL nor a setting of their own speaks of
/// - `said`: the same as `start --view` says it, which goes before the configuration; `null` if it does not
/// - `auto_threshold`: tokens below which the view `auto` shows all in full
/// - `servers`: each with its `id`, `expose` (`null` if the view decides), its `tools` as they are listed in full, and
///   whether they were `seen`; of a server that clients do not share those of one of its processes
/// - `own`: our own tools, `search` those that the view lists, `listed` those that all other views list
pub async fn of(core: &Core, listen: &[String]) -> String {
    core.first_lists().await;
    let proxy = &core.in_force().view.proxy;
    let said = core.view_said.map_or_else(|| "null".to_owned(), |view| quote(view.word()));
    let view = core.view_said.unwrap_or(proxy.view);
    let (catalogue, known) = core.seen();
    let listen: Vec<String> = listen.iter().map(|address| quote(address)).collect();
    let servers = servers(&catalogue, &known);
    format!(
        "{{\"listen\":{},\"view\":\"{}\",\"said\":{said},\"auto_threshold\":{},\"servers\":{},\"own\":{{\"search\":{},\"listed\":{}}}}}",
        array(listen.iter().map(String::as_str)),
        view.word(),
        proxy.auto_threshold,
        array(servers.iter().map(String::as_str)),
        own(&catalogue.shown, ToolView::Search),
        own(&catalogue.shown, ToolView::Full),
    )
}

fn servers(catalogue: &Catalogue, known: &[bool]) -> Vec<String> {
    let server = |(number, member): (usize, &Arc<Member>)| {
        let its = |entry: &&Entry| entry.server == number;
        let tools = array(catalogue.shown.entries().iter().filter(its).map(|entry| &**entry.raw));
        let id = quote(member.name().as_str());
        let expose =
            member.server.view().expose.map_or_else(|| "null".to_owned(), |expose| quote(expose.word()));
        let seen = known.get(number).is_some_and(|known| *known);
        format!("{{\"id\":{id},\"expose\":{expose},\"seen\":{seen},\"tools\":{tools}}}")
    };
    catalogue.members.iter().enumerate().map(server).collect()
}

fn own(tools: &Tools, view: ToolView) -> String {
    array(MetaTool::ALL.into_iter().filter(|tool| tools.offers(*tool, view)).map(MetaTool::definition))
}
