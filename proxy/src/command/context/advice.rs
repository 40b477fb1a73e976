//! Which view fits, argued from what the views cost. Pure.

use super::count::Cost;
use super::figures::{PerView, saved_percent};
use super::render::grouped;
use super::source::Offer;
use only1mcp_policy::view::ToolView;
use serde::Serialize;

/// A recommendation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// The view that fits.
    pub view: ToolView,
    /// Why, in a sentence or two.
    pub text: String,
    /// What to write into the configuration; `null` if nothing needs to be changed.
    pub configuration: Option<String>,
    /// Where a client can try it; without an address if none is known; `null` if nothing needs to be changed.
    pub url: Option<String>,
}

/// How things are.
#[derive(Clone, Copy, Debug)]
pub struct Now<'a> {
    /// The view in force, if one is.
    pub view: Option<ToolView>,
    /// What `start --view` says of it.
    pub said: Option<ToolView>,
    /// Tokens below which the view `auto` shows all in full.
    pub threshold: u32,
    /// Addresses of the daemon.
    pub listen: &'a [String],
}

impl<'a> Now<'a> {
    /// At this daemon, or with these files.
    #[must_use]
    pub fn of(offer: &'a Offer) -> Self {
        Self { view: offer.view, said: offer.said, threshold: offer.auto_threshold, listen: &offer.listen }
    }
}

/// The advice for these totals.
#[must_use]
pub fn of(total: &PerView<Cost>, now: Now<'_>) -> Advice {
    let Now { view: in_force, said, threshold, listen } = now;
    let [full, compact, _, search] = total.all().map(|cost| cost.o200k);
    let below = |tokens: usize| tokens < threshold as usize;
    let view = if below(full) {
        ToolView::Full
    } else if below(compact) || search >= compact {
        ToolView::Compact
    } else {
        ToolView::Search
    };
    let decided = match in_force {
        // It counts in another way, but for the same threshold.
        Some(ToolView::Auto) => view != ToolView::Compact,
        Some(in_force) => in_force == view,
        None => view == ToolView::Full,
    };
    let why = why(view, total, threshold);
    if decided {
        let kept = in_force.unwrap_or(view).word();
        return Advice { view, text: format!("Keep `{kept}`: {why}."), configuration: None, url: None };
    }
    let configuration = format!("proxy: {{view: {}}}", view.word());
    let path = format!("/view/{}/mcp", view.word());
    let url = listen.first().map_or_else(|| path.clone(), |address| format!("http://{address}{path}"));
    // What is written has no effect beside it, and may stand there already.
    let typed = said.map_or_else(String::new, |said| {
        format!(" and start without `--view {}`, which goes before it", said.word())
    });
    let text = format!("Write `{configuration}`{typed}: {why}. To try it first, point a client at {url}.");
    Advice { view, text, configuration: Some(configuration), url: Some(url) }
}

fn why(view: ToolView, total: &PerView<Cost>, threshold: u32) -> String {
    let [full, compact, _, search] = total.all().map(|cost| cost.o200k);
    let limit = grouped(threshold as usize);
    let less = |tokens: usize| format!("{:.1} % less than in full", saved_percent(tokens, full));
    match view {
        ToolView::Full | ToolView::Auto | ToolView::Brief => {
            format!("all definitions take {} tokens, below {limit}", grouped(full))
        }
        ToolView::Compact if compact < threshold as usize => format!(
            "models still see every tool, in {} tokens, {}, which is below {limit}; `search` would take {}",
            grouped(compact),
            less(compact),
            grouped(search)
        ),
        ToolView::Compact => format!(
            "it takes {} tokens, {}, and `search` no fewer with all that is always listed",
            grouped(compact),
            less(compact)
        ),
        ToolView::Search => format!(
            "it takes {} tokens, {}, and tools are found when they are needed; `compact` still takes {}, not below \
             {limit}",
            grouped(search),
            less(search),
            grouped(compact)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advice(full: usize, compact: usize, search: usize, in_force: Option<ToolView>) -> Advice {
        advice_beside(None, full, compact, search, in_force)
    }

    fn advice_beside(
        said: Option<ToolView>,
        full: usize,
        compact: usize,
        search: usize,
        in_force: Option<ToolView>,
    ) -> Advice {
        let total = PerView { full, compact, brief: compact, search };
        let cost = |tokens: &usize| Cost { o200k: *tokens, cl100k: 1, bytes: 1 };
        let listen = ["127.0.0.1:8080".to_owned()];
        of(&total.map(cost), Now { view: in_force, said, threshold: 10_000, listen: &listen })
    }

    #[test]
    fn few_definitions_stay_as_they_are() {
        let few = advice(9_999, 5_000, 400, None);
        assert_eq!((few.view, few.configuration, few.url), (ToolView::Full, None, None));
        assert_eq!(few.text, "Keep `full`: all definitions take 9,999 tokens, below 10,000.");
        assert_eq!(advice(9_999, 1, 1, Some(ToolView::Auto)).configuration, None);
        let changed = advice(9_999, 1, 1, Some(ToolView::Search)).configuration;
        assert_eq!(changed.as_deref(), Some("proxy: {view: full}"));
    }

    #[test]
    fn what_fits_when_shortened_is_shortened() {
        let compact = advice(10_000, 9_999, 400, Some(ToolView::Full));
        assert_eq!(compact.configuration.as_deref(), Some("proxy: {view: compact}"));
        assert_eq!(compact.url.as_deref(), Some("http://127.0.0.1:8080/view/compact/mcp"));
        assert!(compact.text.contains("`search` would take 400"), "{}", compact.text);
        assert!(advice(10_000, 9_999, 400, Some(ToolView::Compact)).text.starts_with("Keep `compact`: "));
    }

    #[test]
    fn what_is_too_much_even_so_is_searched() {
        let search = advice(40_000, 10_000, 400, Some(ToolView::Full));
        assert_eq!(
            search.text,
            "Write `proxy: {view: search}`: it takes 400 tokens, 99.0 % less than in full, and tools are found when they \
             are needed; `compact` still takes 10,000, not below 10,000. To try it first, point a client at \
             http://127.0.0.1:8080/view/search/mcp."
        );
        assert_eq!(advice(40_000, 10_000, 400, Some(ToolView::Auto)).configuration, None);
    }

    #[test]
    fn a_key_that_start_goes_before_is_not_advised_alone() {
        let full = Some(ToolView::Full);
        let search = advice_beside(full, 40_000, 10_000, 400, full);
        assert!(
            search.text.starts_with(
                "Write `proxy: {view: search}` and start without `--view full`, which goes before it: it takes 400"
            ),
            "{}",
            search.text
        );
        let kept = advice_beside(full, 9_999, 5_000, 400, full);
        assert_eq!(kept.text, "Keep `full`: all definitions take 9,999 tokens, below 10,000.");
    }

    #[test]
    fn search_is_no_way_out_where_everything_is_always_listed() {
        let listed = advice(40_000, 30_000, 30_400, None);
        assert_eq!(listed.view, ToolView::Compact);
        assert!(listed.text.contains("`search` no fewer"), "{}", listed.text);
    }
}
