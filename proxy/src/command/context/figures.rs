//! All that is counted: what `only1mcp context --json` prints, and what the table is made of.

use super::advice::{self, Advice};
use super::count::{Cost, VOCABULARY_SOURCE, Vocabulary};
use super::source::{Offer, ServerTools};
use crate::context::definition::Definition;
use crate::context::raw::shortened;
use only1mcp_policy::view::{Expose, ToolView};
use serde::Serialize;
use serde_json::value::RawValue;
use std::cmp::Reverse;
use std::ops::Add;

/// The whole answer.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What tokens are counted by.
    pub vocabularies: Vocabularies,
    /// The view in force at the daemon; `null` for files.
    pub view: Option<ToolView>,
    /// Tokens (`o200k_base`, about) below which the view `auto` shows all in full.
    pub auto_threshold: u32,
    /// Each server, the most expensive first.
    pub servers: Vec<ServerFigures>,
    /// What our own tools cost in each view.
    pub own: PerView<Cost>,
    /// What all that is listed costs in each view, our own tools included.
    pub total: PerView<Cost>,
    /// How much less `o200k_base` tokens that is than in full, in percent with one decimal; negative if it is more.
    pub saved_percent: PerView<f64>,
    /// Which view fits, and why.
    pub recommendation: Advice,
}

/// What tokens are counted by.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Vocabularies {
    /// The name of the vocabulary of the members `o200k`.
    pub o200k: &'static str,
    /// The name of the vocabulary of the members `cl100k`.
    pub cl100k: &'static str,
    /// The crate that has both, and its version.
    pub source: &'static str,
}

/// A figure for each view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct PerView<T> {
    /// Every tool as its server describes it.
    pub full: T,
    /// Every tool, shortened.
    pub compact: T,
    /// Every tool by its signature.
    pub brief: T,
    /// Our own tools, and those that are always listed.
    pub search: T,
}

/// One server.
#[derive(Clone, Debug, Serialize)]
pub struct ServerFigures {
    /// Its name.
    pub id: String,
    /// Where its tools can be seen: `listed`, `found`, `hidden`; `null` if the view decides.
    pub expose: Option<Expose>,
    /// Whether its tools were seen: else they are not counted.
    pub seen: bool,
    /// What its tools cost in each view, where they are listed there.
    pub views: PerView<Cost>,
    /// Each of its tools, the most expensive first.
    pub tools: Vec<ToolFigures>,
}

/// One tool, listed or not.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ToolFigures {
    /// Its name on `/mcp`.
    pub name: String,
    /// As its server describes it.
    pub full: Cost,
    /// Shortened.
    pub compact: Cost,
    /// By its signature.
    pub brief: Cost,
}

impl Vocabularies {
    /// Those we count by.
    pub const OURS: Self = Self {
        o200k: Vocabulary::O200k.name(),
        cl100k: Vocabulary::Cl100k.name(),
        source: VOCABULARY_SOURCE,
    };
}

impl<T> PerView<T> {
    /// The figure `of` gives for each view.
    pub fn of(of: impl Fn(ToolView) -> T) -> Self {
        Self {
            full: of(ToolView::Full),
            compact: of(ToolView::Compact),
            brief: of(ToolView::Brief),
            search: of(ToolView::Search),
        }
    }

    /// Another figure for each view.
    pub fn map<U>(&self, change: impl Fn(&T) -> U) -> PerView<U> {
        PerView {
            full: change(&self.full),
            compact: change(&self.compact),
            brief: change(&self.brief),
            search: change(&self.search),
        }
    }

    /// In the order of the columns.
    pub fn all(&self) -> [&T; 4] {
        [&self.full, &self.compact, &self.brief, &self.search]
    }
}

impl<T: Add<Output = T> + Copy> Add for PerView<T> {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            full: self.full + other.full,
            compact: self.compact + other.compact,
            brief: self.brief + other.brief,
            search: self.search + other.search,
        }
    }
}

impl Report {
    /// Counts what is offered.
    #[must_use]
    pub fn of(offer: &Offer) -> Self {
        let mut servers: Vec<ServerFigures> = offer.servers.iter().map(ServerFigures::of).collect();
        servers.sort_by_key(|server| Reverse(server.views.full.o200k));
        let sum = |own: &[Box<RawValue>]| own.iter().map(|raw| Cost::of(raw.get())).sum::<Cost>();
        let (search, listed) = (sum(&offer.own.search), sum(&offer.own.listed));
        let own = PerView { full: listed, compact: listed, brief: listed, search };
        let total = servers.iter().fold(own, |total, server| total + server.views);
        Self {
            vocabularies: Vocabularies::OURS,
            view: offer.view,
            auto_threshold: offer.auto_threshold,
            own,
            saved_percent: total.map(|cost| saved_percent(cost.o200k, total.full.o200k)),
            recommendation: advice::of(&total, advice::Now::of(offer)),
            servers,
            total,
        }
    }

    /// Tools of all servers, whether listed or not.
    #[must_use]
    pub fn tools(&self) -> usize {
        self.servers.iter().map(|server| server.tools.len()).sum()
    }
}

impl ServerFigures {
    fn of(server: &ServerTools) -> Self {
        let raws = || server.tools.iter().map(|raw| raw.get());
        let mut tools: Vec<ToolFigures> = raws().map(ToolFigures::of).collect();
        tools.sort_by_key(|tool| Reverse(tool.full.o200k));
        let views = PerView::of(|view| match (server.expose, view) {
            (Some(Expose::Found | Expose::Hidden), _) | (None, ToolView::Search) => Cost::default(),
            (_, ToolView::Full) => tools.iter().map(|tool| tool.full).sum(),
            (_, ToolView::Compact) => tools.iter().map(|tool| tool.compact).sum(),
            (_, ToolView::Brief) => tools.iter().map(|tool| tool.brief).sum(),
            (Some(Expose::Listed), view) => raws().map(|raw| Cost::of(&shortened(raw, view))).sum(),
            (None, ToolView::Auto) => Cost::default(),
        });
        Self { id: server.id.clone(), expose: server.expose, seen: server.seen, views, tools }
    }

    /// Whether views other than `search` list its tools.
    #[must_use]
    pub fn is_listed(&self) -> bool {
        !matches!(self.expose, Some(Expose::Found | Expose::Hidden))
    }
}

impl ToolFigures {
    fn of(raw: &str) -> Self {
        let cost = |view| Cost::of(&shortened(raw, view));
        let definition = Definition::parse(raw);
        Self {
            name: definition.as_ref().map(Definition::name).unwrap_or_default().to_owned(),
            full: Cost::of(raw),
            compact: cost(ToolView::Compact),
            brief: cost(ToolView::Brief),
        }
    }
}

/// How much less `part` is than `whole`, in percent with one decimal.
#[must_use]
pub fn saved_percent(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    ((1.0 - part as f64 / whole as f64) * 1000.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(expose: &str) -> Offer {
        let text = format!(
            r#"{{"listen":[],"view":null,"auto_threshold":10000,"servers":[
            {{"id":"small","expose":null,"tools":[{{"name":"small__a","description":"x"}}]}},
            {{"id":"large","expose":{expose},"tools":[{{"name":"large__a","annotations":{{}}}},
                {{"name":"large__b","description":"some more words"}}]}}],
            "own":{{"search":[{{"name":"find_tools"}},{{"name":"read_result"}}],"listed":[{{"name":"read_result"}}]}}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn servers_and_their_tools_come_with_the_most_expensive_first() {
        let report = Report::of(&offer("null"));
        let ids: Vec<&str> = report.servers.iter().map(|server| server.id.as_str()).collect();
        assert_eq!(ids, ["large", "small"]);
        let names: Vec<&str> = report.servers[0].tools.iter().map(|tool| tool.name.as_str()).collect();
        assert_eq!((names, report.tools()), (vec!["large__b", "large__a"], 3));
    }

    #[test]
    fn a_total_is_what_its_view_lists_with_our_own_tools() {
        let report = Report::of(&offer("null"));
        let [large, small] = [&report.servers[0], &report.servers[1]];
        assert_eq!(large.views.full, large.tools[0].full + large.tools[1].full);
        assert_eq!(report.own.full, Cost::of(r#"{"name":"read_result"}"#));
        assert_eq!(report.total.full, large.views.full + small.views.full + report.own.full);
        assert_eq!(report.total.search, Cost::of(r#"{"name":"find_tools"}"#) + report.own.full);
        assert_eq!(large.views.search, Cost::default());
        assert_eq!(report.saved_percent.full, 0.0);
    }

    #[test]
    fn what_is_always_listed_costs_in_each_view_and_what_is_never_in_none() {
        let listed = Report::of(&offer("\"listed\""));
        assert!(listed.servers[0].views.search.o200k > 0);
        assert_eq!(listed.total.search, listed.servers[0].views.search + listed.own.search);
        for expose in ["\"found\"", "\"hidden\""] {
            let report = Report::of(&offer(expose));
            let large = report.servers.iter().find(|server| server.id == "large").unwrap();
            assert_eq!((large.views, large.is_listed()), (PerView::default(), false), "{expose}");
            assert!(large.tools[0].full.o200k > 0, "{expose}");
        }
    }

    #[test]
    fn savings_have_one_decimal_and_a_sign() {
        assert_eq!(saved_percent(1, 3), 66.7);
        assert_eq!(saved_percent(450, 300), -50.0);
        assert_eq!(saved_percent(5, 0), 0.0);
    }

    #[test]
    fn the_members_of_the_json_are_those_that_are_told_of() {
        let json = serde_json::to_value(Report::of(&offer("\"found\""))).unwrap();
        assert_eq!(json["vocabularies"]["o200k"], "o200k_base");
        assert_eq!(json["servers"][1]["expose"], "found");
        for place in
            ["/total/full/o200k", "/total/search/cl100k", "/servers/0/views/brief/bytes", "/own/search/bytes"]
        {
            assert!(
                json.pointer(place).is_some_and(|figure| figure.as_u64() > Some(0)),
                "{place} in {json:#}"
            );
        }
        assert!(json["servers"][0]["tools"][0]["brief"]["o200k"].is_u64());
        assert_eq!(json["recommendation"]["view"], "full");
    }
}
