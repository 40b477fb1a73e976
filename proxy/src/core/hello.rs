//! The first answers to a client: `initialize` of legacy clients, `server/discover` of modern ones.

use crate::context::meta;
use crate::core::catalogue::Catalogue;
use crate::core::member::Member;
use crate::core::tasks;
use crate::exchange::Era;
use crate::limits::{INSTRUCTIONS_BYTES_MAX, LIST_TTL_MS};
use crate::mcp::object::{Keys, Object, cut, quote};
use crate::mcp::request::{IMPLEMENTATION, SERVER_INFO};
use crate::mcp::version;
use crate::servers::era::{Facts, Offers};
use only1mcp_policy::view::{Expose, ToolView};
use std::sync::Arc;

/// What a client is told of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    capabilities: String,
    info: String,
    instructions: Option<String>,
}

impl Hello {
    /// Of all servers: the union of what they offer, under our own name. What servers say at length is cut shorter where
    /// definitions are, too, and left to `list_servers` where tools are searched for.
    #[must_use]
    pub fn aggregate(catalogue: &Catalogue, client: Era, view: ToolView) -> Self {
        let facts: Vec<_> =
            catalogue.members.iter().map(|member| (member.name(), member.server.facts())).collect();
        let known: Vec<Arc<Facts>> = facts.iter().filter_map(|(_, facts)| facts.clone()).collect();
        // Whoever has not spoken yet may still offer anything, and capabilities cannot be added later.
        let unknown = facts.iter().any(|(_, facts)| facts.is_none());
        let mut union = Offers { tools: unknown, prompts: unknown, resources: unknown, ..Offers::default() };
        for (_, facts) in &facts {
            if let Some(facts) = facts {
                union = union.with(&facts.offers);
            }
        }
        let bytes_max = match view {
            ToolView::Compact | ToolView::Brief => INSTRUCTIONS_BYTES_MAX / 4,
            _ => INSTRUCTIONS_BYTES_MAX,
        };
        let headed = facts.iter().filter_map(|(name, facts)| {
            let facts = facts.as_ref()?;
            let text = cut(facts.instructions.as_deref()?, bytes_max).trim();
            (!text.is_empty()).then(|| format!("# {name}\n\n{text}"))
        });
        let instructions = if view == ToolView::Search {
            let can_be_found = |member: &&Arc<Member>| {
                !matches!(member.server.view().expose, Some(Expose::Hidden | Expose::Listed))
            };
            let names = catalogue.members.iter().filter(can_be_found).map(|member| member.name().as_str());
            meta::instructions(&names.collect::<Vec<_>>())
        } else {
            headed.collect::<Vec<_>>().join("\n\n")
        };
        Self {
            capabilities: capabilities(&union, client, &known),
            info: IMPLEMENTATION.to_owned(),
            instructions: (!instructions.is_empty()).then_some(instructions),
        }
    }

    /// Of one server: what it says itself, less what cannot be bridged to a client of the other era.
    #[must_use]
    pub fn single(facts: &Facts, client: Era) -> Self {
        Self {
            capabilities: bridged(&facts.capabilities, facts.era, client),
            info: facts.info.clone(),
            instructions: facts.instructions.clone(),
        }
    }

    /// The same, with a word on how its tools are found if they are not listed.
    #[must_use]
    pub fn searching(mut self, member: &Member, view: ToolView) -> Self {
        if view == ToolView::Search {
            let first = meta::instructions(&[member.name().as_str()]);
            let own = self.instructions.take().map(|own| format!("\n\n{own}")).unwrap_or_default();
            self.instructions = Some(format!("{first}{own}"));
        }
        self
    }

    /// The result of `initialize`, in the revision negotiated with the client.
    #[must_use]
    pub fn initialize(&self, version: &str) -> String {
        format!(
            "{{\"protocolVersion\":{},\"capabilities\":{},\"serverInfo\":{}{}}}",
            quote(version),
            self.capabilities,
            self.info,
            self.instructions_member()
        )
    }

    /// The result of `server/discover`.
    #[must_use]
    pub fn discover(&self) -> String {
        format!(
            "{{\"supportedVersions\":[\"{}\"],\"capabilities\":{}{},\"resultType\":\"complete\",\"ttlMs\":{LIST_TTL_MS},\
             \"cacheScope\":\"private\",\"_meta\":{{\"{SERVER_INFO}\":{}}}}}",
            version::MODERN,
            self.capabilities,
            self.instructions_member(),
            self.info
        )
    }

    fn instructions_member(&self) -> String {
        self.instructions
            .as_deref()
            .map(|text| format!(",\"instructions\":{}", quote(text)))
            .unwrap_or_default()
    }
}

impl Offers {
    fn with(self, other: &Self) -> Self {
        Self {
            tools: self.tools || other.tools,
            prompts: self.prompts || other.prompts,
            resources: self.resources || other.resources,
            subscribe: self.subscribe || other.subscribe,
            logging: self.logging || other.logging,
            completions: self.completions || other.completions,
            tasks: self.tasks || other.tasks,
        }
    }
}

/// The aggregate's own capabilities. Changes of its lists are always announced: servers come and go.
fn capabilities(offers: &Offers, client: Era, servers: &[Arc<Facts>]) -> String {
    let mut members = Vec::new();
    if offers.tools {
        members.push(r#""tools":{"listChanged":true}"#.to_owned());
    }
    if offers.prompts {
        members.push(r#""prompts":{"listChanged":true}"#.to_owned());
    }
    if offers.resources {
        members.push(format!(r#""resources":{{"listChanged":true,"subscribe":{}}}"#, offers.subscribe));
    }
    // A modern client asks for log lines with each request; a server that has none sends none.
    if offers.logging && client == Era::Legacy {
        members.push(r#""logging":{}"#.to_owned());
    }
    if offers.completions {
        members.push(r#""completions":{}"#.to_owned());
    }
    match client {
        Era::Legacy => members.extend(tasks::capability(servers.iter().map(Arc::as_ref))),
        Era::Modern => members.extend(extensions(servers)),
    }
    format!("{{{}}}", members.join(","))
}

/// What any modern server says of its extensions; the first that names one says how it is set.
fn extensions(servers: &[Arc<Facts>]) -> Option<String> {
    let mut all: Vec<(String, &str)> = Vec::new();
    for (name, value) in servers.iter().flat_map(|facts| facts.extensions()) {
        if all.iter().all(|(known, _)| *known != name) {
            all.push((name, value));
        }
    }
    let members: Vec<String> = all.iter().map(|(key, value)| format!("{}:{value}", quote(key))).collect();
    (!members.is_empty()).then(|| format!("\"extensions\":{{{}}}", members.join(",")))
}

/// One server's capabilities for a client of the other era: unchanged but for what the other era has not.
fn bridged(capabilities: &str, server: Era, client: Era) -> String {
    let not_there: &[&str] = match (server, client) {
        (Era::Legacy, Era::Modern) => &["tasks"],
        (Era::Modern, Era::Legacy) => &["extensions"],
        _ => &[],
    };
    let Ok(object) = Object::parse(capabilities, Keys::Exact) else { return "{}".to_owned() };
    let mut edit = object.edit();
    for key in not_there {
        edit.remove(key);
    }
    edit.finish().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(era: Era, capabilities: &str) -> Facts {
        Facts {
            era,
            version: "2025-11-25".into(),
            capabilities: capabilities.into(),
            offers: Offers::default(),
            info: r#"{"name":"s","x":1.0}"#.into(),
            instructions: Some("be \"kind\"".into()),
        }
    }

    #[test]
    fn one_server_speaks_for_itself() {
        let hello =
            Hello::single(&facts(Era::Legacy, r#"{"tools":{},"vendor":{"a":1.0},"tasks":{}}"#), Era::Legacy);
        assert_eq!(
            hello.initialize("2025-06-18"),
            r#"{"protocolVersion":"2025-06-18","capabilities":{"tools":{},"vendor":{"a":1.0},"tasks":{}},"serverInfo":{"name":"s","x":1.0},"instructions":"be \"kind\""}"#
        );
    }

    #[test]
    fn what_the_other_era_has_not_is_left_out() {
        let hello = Hello::single(&facts(Era::Legacy, r#"{"tools":{},"tasks":{}}"#), Era::Modern);
        assert_eq!(
            hello.discover(),
            r#"{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"instructions":"be \"kind\"","resultType":"complete","ttlMs":5000,"cacheScope":"private","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s","x":1.0}}}"#
        );
        let hello = Hello::single(&facts(Era::Modern, r#"{"extensions":{},"tools":{}}"#), Era::Legacy);
        assert_eq!(hello.capabilities, r#"{"tools":{}}"#);
    }

    #[test]
    fn with_no_server_nothing_is_offered() {
        let hello = Hello::aggregate(&Catalogue::default(), Era::Legacy, ToolView::Full);
        assert_eq!(hello.capabilities, "{}");
        assert!(hello.initialize("2025-11-25").contains("\"only1mcp\""));
    }
}
