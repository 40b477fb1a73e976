//! URIs on the aggregate endpoint. The first configured owner of a URI keeps it; the others' get a wrapper
//! that keeps the scheme (`ui://only1mcp/SERVER/rest`) and is always accepted back, also where it stands in
//! results.

use crate::core::listing::Lists;
use crate::core::template::Template;
use crate::mcp::method::Method;
use crate::mcp::object::{Keys, Object, quote, text_of};
use crate::mcp::within::{in_blocks, in_elements, in_member};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// What marks a wrapped URI, behind its scheme.
const MARK: &str = "only1mcp/";

/// Who owns which URI. Servers are numbered in the order of the configuration.
#[derive(Debug, Default)]
pub struct Uris {
    names: Vec<String>,
    owners: HashMap<String, usize>,
    template_owners: HashMap<String, usize>,
    templates: Vec<(usize, Template)>,
    /// Servers with any resource or template.
    offering: Vec<usize>,
}

impl Uris {
    /// The owners among servers of these names with these lists.
    #[must_use]
    pub fn new(servers: &[(String, Arc<Lists>)]) -> Self {
        let mut uris =
            Self { names: servers.iter().map(|(name, _)| name.clone()).collect(), ..Self::default() };
        for (index, (_, lists)) in servers.iter().enumerate() {
            for resource in &lists.resources {
                uris.owners.entry(resource.key.clone()).or_insert(index);
            }
            for template in &lists.templates {
                uris.template_owners.entry(template.key.clone()).or_insert(index);
                uris.templates.push((index, Template::new(&template.key)));
            }
            if !lists.resources.is_empty() || !lists.templates.is_empty() {
                uris.offering.push(index);
            }
        }
        uris
    }

    /// Whose a URI of the aggregate is, and how its owner names it.
    #[must_use]
    pub fn route(&self, uri: &str) -> Option<(usize, String)> {
        if let Some(unwrapped) = self.unwrap(uri) {
            return Some(unwrapped);
        }
        let owner = self.owners.get(uri).or_else(|| {
            self.templates.iter().find(|(_, template)| template.matches(uri)).map(|(index, _)| index)
        });
        match (owner, self.offering.as_slice()) {
            (Some(&index), _) | (None, &[index]) => Some((index, uri.to_owned())),
            _ => None,
        }
    }

    /// Whose a template of the aggregate is, and how its owner writes it.
    #[must_use]
    pub fn route_template(&self, template: &str) -> Option<(usize, String)> {
        self.unwrap(template)
            .or_else(|| self.template_owners.get(template).map(|&index| (index, template.to_owned())))
            .or_else(|| self.route(template))
    }

    /// A URI of the server with this number, as clients of the aggregate shall name it.
    #[must_use]
    pub fn outward<'a>(&self, index: usize, uri: &'a str) -> Cow<'a, str> {
        match self.route(uri) {
            Some((owner, own)) if owner == index && own == uri => Cow::Borrowed(uri),
            _ => self.wrap(index, uri),
        }
    }

    /// A template of the server with this number, as clients of the aggregate shall see it.
    #[must_use]
    pub fn outward_template<'a>(&self, index: usize, template: &'a str) -> Cow<'a, str> {
        match self.template_owners.get(template) {
            Some(&owner) if owner == index && self.unwrap(template).is_none() => Cow::Borrowed(template),
            _ => self.wrap(index, template),
        }
    }

    fn wrap<'a>(&self, index: usize, uri: &'a str) -> Cow<'a, str> {
        let Some(name) = self.names.get(index) else { return Cow::Borrowed(uri) };
        let (scheme, slashes, rest) = parts(uri);
        Cow::Owned(format!("{scheme}{slashes}{MARK}{name}/{rest}"))
    }

    fn unwrap(&self, uri: &str) -> Option<(usize, String)> {
        let (scheme, slashes, rest) = parts(uri);
        let (name, inner) = rest.strip_prefix(MARK)?.split_once('/')?;
        let index = self.names.iter().position(|known| known == name)?;
        Some((index, format!("{scheme}{slashes}{inner}")))
    }

    /// A result of the server with this number, with every URI in it as clients of the aggregate shall name it.
    #[must_use]
    pub fn in_result<'a>(&self, index: usize, method: Method, result: &'a str) -> Cow<'a, str> {
        if memchr::memmem::find(result.as_bytes(), b"\"uri\"").is_none() {
            return Cow::Borrowed(result);
        }
        let uri = |raw: &str| self.outward_raw(index, raw);
        let holder = |object: &str| in_member(object, "uri", uri);
        let block = |block: &str| {
            let linked = in_member(block, "resource", holder);
            match text_of(Object::parse(block, Keys::Exact).ok()?.get("type")?)?.as_ref() {
                "resource_link" => holder(block),
                "resource" => linked,
                _ => None,
            }
        };
        let changed = match method {
            Method::ResourcesRead => in_member(result, "contents", |contents| in_elements(contents, holder)),
            _ => in_blocks(result, method, block),
        };
        changed.map_or(Cow::Borrowed(result), Cow::Owned)
    }

    /// A tool's entry with the URI of its user interface as clients of the aggregate shall name it.
    #[must_use]
    pub fn in_tool<'a>(&self, index: usize, tool: &'a str) -> Cow<'a, str> {
        if memchr::memmem::find(tool.as_bytes(), b"resourceUri").is_none() {
            return Cow::Borrowed(tool);
        }
        let ui = |ui: &str| in_member(ui, "resourceUri", |raw| self.outward_raw(index, raw));
        let meta = |meta: &str| in_member(meta, "ui", ui);
        in_member(tool, "_meta", meta).map_or(Cow::Borrowed(tool), Cow::Owned)
    }

    fn outward_raw(&self, index: usize, raw: &str) -> Option<String> {
        let uri = text_of(raw)?;
        match self.outward(index, &uri) {
            Cow::Borrowed(_) => None,
            Cow::Owned(wrapped) => Some(quote(&wrapped)),
        }
    }
}

/// Scheme with its colon, the two slashes if there are any, and the rest. A text without a scheme is all rest.
fn parts(uri: &str) -> (&str, &str, &str) {
    let is_scheme = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    };
    let Some((scheme, _)) = uri.split_once(':').filter(|(scheme, _)| is_scheme(scheme)) else {
        return ("", "", uri);
    };
    let (scheme, rest) = uri.split_at(scheme.len() + 1);
    match rest.strip_prefix("//") {
        Some(rest) => (scheme, "//", rest),
        None => (scheme, "", rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::listing::Item;

    fn uris(servers: &[(&str, &[&str], &[&str])]) -> Uris {
        let items =
            |keys: &[&str]| keys.iter().map(|key| Item { key: (*key).into(), raw: String::new() }).collect();
        let servers: Vec<(String, Arc<Lists>)> = servers
            .iter()
            .map(|(name, resources, templates)| {
                let lists =
                    Lists { resources: items(resources), templates: items(templates), ..Lists::default() };
                ((*name).to_owned(), Arc::new(lists))
            })
            .collect();
        Uris::new(&servers)
    }

    #[test]
    fn the_first_owner_keeps_a_uri_and_the_others_are_wrapped() {
        let uris = uris(&[("a", &["test://x"], &[]), ("b", &["test://x", "test://y"], &[])]);
        assert_eq!(uris.outward(0, "test://x"), "test://x");
        assert_eq!(uris.outward(1, "test://x"), "test://only1mcp/b/x");
        assert_eq!(uris.outward(1, "test://y"), "test://y");
        assert_eq!(uris.route("test://only1mcp/b/x"), Some((1, "test://x".into())));
        assert_eq!(uris.route("test://y"), Some((1, "test://y".into())));
    }

    #[test]
    fn a_wrapped_uri_is_always_accepted_back() {
        let uris = uris(&[("a", &["u:1"], &[]), ("b", &["u:1"], &[])]);
        for uri in
            ["file:///etc/x", "ui://w/i.html", "urn:a:b", "mailto:x", "no scheme", "x://only1mcp/a/y", ""]
        {
            for index in [0, 1] {
                let wrapped = uris.wrap(index, uri);
                assert_eq!(uris.route(&wrapped), Some((index, uri.to_owned())), "{uri} as {wrapped}");
                assert_eq!(parts(&wrapped).0, parts(uri).0, "the scheme stays");
            }
        }
    }

    #[test]
    fn an_unlisted_uri_goes_where_a_template_matches_or_to_the_only_server() {
        let two = uris(&[("a", &["x://1"], &[]), ("b", &[], &["t://{id}/data"])]);
        assert_eq!(two.route("t://7/data"), Some((1, "t://7/data".into())));
        assert_eq!(two.route("t://7/other"), None);
        let one = uris(&[("a", &[], &[]), ("b", &["x://1"], &[])]);
        assert_eq!(one.route("any://thing"), Some((1, "any://thing".into())));
    }

    #[test]
    fn a_second_server_with_the_same_template_is_wrapped() {
        let uris = uris(&[("a", &[], &["t://{id}"]), ("b", &[], &["t://{id}"])]);
        assert_eq!(uris.outward_template(1, "t://{id}"), "t://only1mcp/b/{id}");
        assert_eq!(uris.route("t://only1mcp/b/5"), Some((1, "t://5".into())));
        assert_eq!(uris.route_template("t://only1mcp/b/{id}"), Some((1, "t://{id}".into())));
        assert_eq!(uris.outward(1, "t://5"), "t://only1mcp/b/5", "its own form would lead to the other");
    }

    #[test]
    fn uris_in_results_are_named_as_in_lists() {
        let uris = uris(&[("a", &["x:1"], &[]), ("b", &["x:1"], &[])]);
        let result = r#"{"content":[{"type":"text","text":"\"uri\": x:1"},{"type":"resource_link","uri":"x:1","n":1.0},{"type":"resource","resource":{"uri":"x:1","text":"t"}}]}"#;
        assert_eq!(
            uris.in_result(1, Method::ToolsCall, result),
            r#"{"content":[{"type":"text","text":"\"uri\": x:1"},{"type":"resource_link","uri":"x:only1mcp/b/1","n":1.0},{"type":"resource","resource":{"uri":"x:only1mcp/b/1","text":"t"}}]}"#
        );
        assert_eq!(uris.in_result(0, Method::ToolsCall, result), result);
        assert_eq!(
            uris.in_result(1, Method::TasksResult, result),
            uris.in_result(1, Method::ToolsCall, result)
        );
        let task = format!(r#"{{"taskId":"1","status":"completed","result":{result}}}"#);
        let inner = uris.in_result(1, Method::ToolsCall, result);
        assert_eq!(uris.in_result(1, Method::TasksGet, &task), task.replace(result, &inner));
        let read = r#"{"contents":[{"uri":"x:1"}]}"#;
        assert_eq!(
            uris.in_result(1, Method::ResourcesRead, read),
            r#"{"contents":[{"uri":"x:only1mcp/b/1"}]}"#
        );
        let prompt =
            r#"{"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":"x:1"}}}]}"#;
        assert!(uris.in_result(1, Method::PromptsGet, prompt).contains("x:only1mcp/b/1"));
        let tool = r#"{"name":"t","_meta":{"ui":{"resourceUri":"x:1"}}}"#;
        assert_eq!(uris.in_tool(1, tool), r#"{"name":"t","_meta":{"ui":{"resourceUri":"x:only1mcp/b/1"}}}"#);
    }
}
