//! What a configuration says of how tools and results are shown.

use super::keys::{PRINCIPAL_VIEW, RESULTS};
use super::policy::check_pattern;
use super::reader::Fields;
use crate::finding::{Findings, Spot};
use crate::limits;
use crate::view::{Expose, Tables, ToolView};

/// What one server says.
#[derive(Debug, Default)]
pub struct ContextDocument {
    /// `expose`.
    pub expose: Option<Expose>,
    /// `read_only`.
    pub read_only: Vec<String>,
    /// `results.max_tokens`.
    pub max_tokens: Option<u64>,
    /// `results.tables`.
    pub tables: Option<Tables>,
}

/// What the proxy's settings say.
#[derive(Debug, Default)]
pub struct ViewsDocument {
    /// `view`.
    pub view: ToolView,
    /// `auto_threshold`.
    pub auto_threshold: Option<u64>,
    /// `views`, in the order written, but for entries that lack a part.
    pub views: Vec<PrincipalViewDocument>,
}

/// One entry of `views`.
#[derive(Debug)]
pub struct PrincipalViewDocument {
    /// `principal`.
    pub principal: Spot<String>,
    /// `view`.
    pub view: ToolView,
}

/// Reads the keys of one server.
pub fn read(fields: &Fields<'_>, findings: &mut Findings) -> ContextDocument {
    // Other words are refused with the keys.
    let expose = fields.text("expose", findings).and_then(|word| Expose::of(&word.value));
    let read_only = fields.texts("read_only", findings).unwrap_or_default();
    read_only.iter().for_each(|pattern| check_pattern(pattern, findings));
    let results = fields.fields("results", RESULTS, findings);
    if let Some(results) = results.as_ref().filter(|results| results.is_empty()) {
        findings.error(
            &results.place,
            "`results` does not say what becomes of results",
            "write it such as {max_tokens: 10000, tables: csv}, or remove it to leave them as they are",
        );
    }
    let results = results.as_ref();
    ContextDocument {
        expose,
        read_only: read_only.into_iter().map(|pattern| pattern.value).collect(),
        max_tokens: results
            .and_then(|results| results.count("max_tokens", &limits::TOKENS, findings))
            .map(|tokens| tokens.value),
        tables: results
            .and_then(|results| results.text("tables", findings))
            .and_then(|word| Tables::of(&word.value)),
    }
}

/// Reads the keys of the proxy.
pub fn read_views(fields: &Fields<'_>, findings: &mut Findings) -> ViewsDocument {
    let threshold = fields.count("auto_threshold", &limits::TOKENS, findings);
    let views = fields.mappings("views", PRINCIPAL_VIEW, findings);
    ViewsDocument {
        view: read_view(fields, findings).unwrap_or_default(),
        auto_threshold: threshold.map(|threshold| threshold.value),
        views: views.iter().filter_map(|view| read_principal_view(view, findings)).collect(),
    }
}

fn read_principal_view(fields: &Fields<'_>, findings: &mut Findings) -> Option<PrincipalViewDocument> {
    // Of a wrong value it has been told already.
    if fields.get("principal").is_none() {
        findings.error(
            &fields.place,
            "the view has no `principal`",
            "say whose it is: principal: token, or uid:N such as uid:1000",
        );
    }
    if fields.get("view").is_none() {
        findings.error(
            &fields.place,
            "the principal has no `view`",
            "say how it sees the tools: view: full, compact, brief, search or auto",
        );
    }
    let (principal, view) = (fields.text("principal", findings), read_view(fields, findings));
    Some(PrincipalViewDocument { principal: principal?, view: view? })
}

/// Other words are refused with the keys.
fn read_view(fields: &Fields<'_>, findings: &mut Findings) -> Option<ToolView> {
    fields.text("view", findings).and_then(|word| ToolView::of(&word.value))
}
