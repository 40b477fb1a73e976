//! How tools and results are shown: whose view is whose.

use super::pool::small;
use crate::document::context::{ContextDocument, PrincipalViewDocument};
use crate::finding::Findings;
use crate::view::{Expose, PrincipalName, PrincipalView, ResultsView};

/// How a server's tools and results are shown.
#[derive(Clone, Debug)]
pub struct Context {
    /// Where its tools can be seen; nothing if as the view says.
    pub expose: Option<Expose>,
    /// Tools that only read.
    pub read_only: Vec<String>,
    /// What becomes of its results.
    pub results: ResultsView,
}

/// Takes over what one server asks for; the reader has refused all that is wrong by itself.
pub fn check(document: &ContextDocument) -> Context {
    Context {
        expose: document.expose,
        read_only: document.read_only.clone(),
        results: ResultsView { max_tokens: document.max_tokens.map(small), tables: document.tables },
    }
}

/// Checks whose view is whose: nobody has two.
pub fn check_views(documents: &[PrincipalViewDocument], findings: &mut Findings) -> Vec<PrincipalView> {
    let mut views: Vec<PrincipalView> = Vec::new();
    for PrincipalViewDocument { principal: written, view } in documents {
        let Some(principal) = PrincipalName::of(&written.value) else {
            findings.error(
                &written.place,
                format!("`{}` is not a principal", written.value),
                "write token for bearers of the token, or uid:N such as uid:1000 for processes of one user",
            );
            continue;
        };
        if views.iter().any(|other| other.principal == principal) {
            findings.error(
                &written.place,
                format!("there are two views for `{}`", written.value),
                "remove one of them",
            );
            continue;
        }
        views.push(PrincipalView { principal, view: *view });
    }
    views
}
