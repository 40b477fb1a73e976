//! How tools and results are shown: every key reaches the view, and every bad value is told with its place.

use super::*;
use crate::view::{Expose, PrincipalName, PrincipalView, ResultsView, ServerView, Tables, ToolView, View};

/// The rest of a server's entry stands in line 5, from column 3; what follows it from line 6.
const SERVER: &str = "servers:\n- id: a\n  command: node\n  policy: node\n";

fn view_of(rest: &str) -> View {
    let run = run(&format!("{SERVER}{rest}\n"));
    assert_eq!(said(&run), "", "{rest}");
    plan::view(&run.checked, &plan::plans(&run.checked))
}

fn server_of(rest: &str) -> ServerView {
    view_of(&format!("  {rest}")).servers.remove(0)
}

/// All that is said of this, and that it is an error.
fn refused(rest: &str) -> String {
    let run = run(&format!("{SERVER}{rest}\n"));
    assert!(run.findings.has_errors(), "{rest}");
    said(&run)
}

fn is_refused_as(rest: &str, place: &str, message: &str, help: &str) {
    assert_eq!(refused(rest), format!("error: config.yaml:{place}: {message}\nhelp: {help}\n"), "{rest}");
}

#[test]
fn a_configuration_that_says_nothing_shows_every_tool_in_full_and_leaves_results_alone() {
    let view = view_of("");
    assert_eq!((view.proxy.view, view.proxy.auto_threshold), (ToolView::Full, 10_000));
    assert!(view.proxy.views.is_empty());
    let server = &view.servers[0];
    assert_eq!((server.expose, server.results), (None, ResultsView::default()));
    assert!(!server.only_reads("read"));
}

#[test]
fn every_word_for_a_view_reaches_the_proxy() {
    for word in ToolView::ALL {
        assert_eq!(view_of(&format!("proxy: {{view: {}}}", word.word())).proxy.view, word);
    }
}

#[test]
fn a_view_that_does_not_exist_is_refused() {
    let words = "write one of: full, compact, brief, search, auto";
    is_refused_as("proxy: {view: short}", "5:15", "`view` cannot be `short`", words);
    is_refused_as("proxy: {view: Full}", "5:15", "`view` cannot be `Full`", words);
    assert!(refused("proxy: {view: 1}").contains("config.yaml:5:15: expected text, found a whole number"));
}

#[test]
fn the_threshold_of_auto_reaches_the_proxy_whatever_the_view() {
    for (view, tokens) in [("", 100), ("view: full, ", 20_000), ("view: auto, ", 1_000_000)] {
        let view = view_of(&format!("proxy: {{{view}auto_threshold: {tokens}}}"));
        assert_eq!(view.proxy.auto_threshold, tokens);
    }
}

#[test]
fn a_threshold_out_of_range_is_refused() {
    for tokens in ["0", "99", "1000001", "-1", "4294967396"] {
        is_refused_as(
            &format!("proxy: {{auto_threshold: {tokens}}}"),
            "5:25",
            &format!("`auto_threshold: {tokens}` is out of range"),
            "write a whole number from 100 to 1000000",
        );
    }
    let text = refused("proxy: {auto_threshold: 10k}");
    assert!(text.contains("config.yaml:5:25: expected a whole number, found text"), "{text}");
}

#[test]
fn views_of_principals_reach_the_proxy_in_their_order() {
    let view = view_of(
        "proxy:\n  views:\n  - {principal: uid:1000, view: search}\n  - {principal: token, view: brief}\n  \
         - {principal: uid:0, view: full}",
    );
    let of = |principal, view| PrincipalView { principal, view };
    assert_eq!(
        view.proxy.views,
        [
            of(PrincipalName::User(1000), ToolView::Search),
            of(PrincipalName::Token, ToolView::Brief),
            of(PrincipalName::User(0), ToolView::Full),
        ]
    );
    assert!(view_of("proxy: {views: []}").proxy.views.is_empty());
}

#[test]
fn a_principal_of_an_unknown_form_is_refused() {
    for principal in ["Token", "uid:", "uid:-1", "uid:01", "uid:ann", "uid:4294967295", "ann", ""] {
        is_refused_as(
            &format!("proxy: {{views: [{{principal: '{principal}', view: full}}]}}"),
            "5:29",
            &format!("`{principal}` is not a principal"),
            "write token for bearers of the token, or uid:N such as uid:1000 for processes of one user",
        );
    }
    let text = refused("proxy: {views: [{principal: 1000, view: full}]}");
    assert!(text.contains("config.yaml:5:29: expected text, found a whole number"), "{text}");
}

#[test]
fn a_principal_with_two_views_is_refused_where_the_second_stands() {
    for principal in ["token", "uid:1000"] {
        is_refused_as(
            &format!(
                "proxy:\n  views:\n  - {{principal: {principal}, view: full}}\n  - {{principal: uid:7, view: full}}\n  \
                 - {{principal: {principal}, view: full}}"
            ),
            "9:17",
            &format!("there are two views for `{principal}`"),
            "remove one of them",
        );
    }
}

#[test]
fn half_a_view_of_a_principal_is_refused_where_it_begins() {
    is_refused_as(
        "proxy:\n  views:\n  - view: full",
        "7:5",
        "the view has no `principal`",
        "say whose it is: principal: token, or uid:N such as uid:1000",
    );
    is_refused_as(
        "proxy: {views: [{principal: token}]}",
        "5:17",
        "the principal has no `view`",
        "say how it sees the tools: view: full, compact, brief, search or auto",
    );
    assert_eq!(refused("proxy: {views: [{}]}").matches("error: config.yaml:5:17: ").count(), 2);
    // What is there but wrong is told once.
    is_refused_as(
        "proxy: {views: [{principal: token, view: none}]}",
        "5:42",
        "`view` cannot be `none`",
        "write one of: full, compact, brief, search, auto",
    );
}

#[test]
fn views_must_be_a_list_of_mappings() {
    for (rest, what) in [
        ("proxy: {views: {token: full}}", "config.yaml:5:16: expected a list, found a mapping"),
        ("proxy: {views: [token]}", "config.yaml:5:17: expected a mapping, found text"),
        (
            "proxy: {views: [{principal: token, view: full, until: 5}]}",
            "config.yaml:5:48: there is no key `until`",
        ),
    ] {
        let text = refused(rest);
        assert!(text.contains(what), "{rest}: {text}");
    }
}

#[test]
fn where_tools_can_be_seen_reaches_the_view() {
    for expose in Expose::ALL {
        assert_eq!(server_of(&format!("expose: {}", expose.word())).expose, Some(expose));
    }
}

#[test]
fn another_word_for_where_tools_can_be_seen_is_refused() {
    is_refused_as(
        "  expose: none",
        "5:11",
        "`expose` cannot be `none`",
        "write one of: listed, found, hidden",
    );
}

#[test]
fn what_only_reads_is_known_by_name_and_by_prefix() {
    let server = server_of("read_only: [get_*, find]");
    let only_reads = ["get_file", "get_", "find"].map(|tool| server.only_reads(tool));
    assert_eq!(only_reads, [true; 3]);
    let others = ["get", "found", "find_all", "delete", ""].map(|tool| server.only_reads(tool));
    assert_eq!(others, [false; 5]);
    // One promise is not the other.
    assert!(!server.may_repeat("find") && !server_of("retry: [find]").only_reads("find"));
}

#[test]
fn what_is_no_pattern_for_tools_is_refused() {
    for pattern in ["*x*", "a*b", "**", ""] {
        is_refused_as(
            &format!("  read_only: ['{pattern}']"),
            "5:15",
            &format!("`{pattern}` is not a pattern for tools"),
            "write a tool's name, or the beginning of names followed by one *",
        );
    }
    let text = refused("  read_only: find");
    assert!(text.contains("config.yaml:5:14: expected a list of texts, found text"), "{text}");
}

#[test]
fn what_becomes_of_results_reaches_the_view() {
    let results = |rest: &str| server_of(&format!("results: {rest}")).results;
    assert_eq!(results("{max_tokens: 100}"), ResultsView { max_tokens: Some(100), tables: None });
    for tables in Tables::ALL {
        let word = tables.word();
        assert_eq!(
            results(&format!("{{tables: {word}}}")),
            ResultsView { max_tokens: None, tables: Some(tables) }
        );
        assert_eq!(
            results(&format!("{{tables: {word}, max_tokens: 1000000}}")),
            ResultsView { max_tokens: Some(1_000_000), tables: Some(tables) }
        );
    }
}

#[test]
fn nonsense_about_results_is_refused() {
    let range = "write a whole number from 100 to 1000000";
    is_refused_as("  results: {max_tokens: 99}", "5:25", "`max_tokens: 99` is out of range", range);
    is_refused_as("  results: {max_tokens: 1000001}", "5:25", "`max_tokens: 1000001` is out of range", range);
    is_refused_as("  results: {max_tokens: -1}", "5:25", "`max_tokens: -1` is out of range", range);
    is_refused_as("  results: {max_tokens: all}", "5:25", "expected a whole number, found text", range);
    is_refused_as(
        "  results: {tables: json}",
        "5:21",
        "`tables` cannot be `json`",
        "write one of: csv, toon",
    );
    let text = refused("  results: {max_token: 100, tables: csv}");
    assert!(text.contains("config.yaml:5:13: there is no key `max_token`"), "{text}");
    assert!(text.contains("did you mean `max_tokens`?"), "{text}");
}

#[test]
fn results_of_which_nothing_is_said_are_refused() {
    is_refused_as(
        "  results: {}",
        "5:12",
        "`results` does not say what becomes of results",
        "write it such as {max_tokens: 10000, tables: csv}, or remove it to leave them as they are",
    );
    assert!(refused("  results:").contains("config.yaml:5:"));
    let misspelt = refused("  results: {max_tokns: 1000}");
    assert!(
        misspelt.contains("there is no key `max_tokns`") && !misspelt.contains("does not say"),
        "{misspelt}"
    );
}

#[test]
fn how_tools_and_results_are_shown_is_no_reason_for_a_new_process() {
    let plan = |rest: &str| plan::plan(only_server(&run(&format!("{SERVER}{rest}\n"))));
    let base = plan("");
    for rest in [
        "  expose: listed",
        "  expose: hidden",
        "  read_only: [find, get_*]",
        "  results: {max_tokens: 1000}",
        "  results: {tables: toon}",
        "proxy: {view: search}",
        "proxy: {auto_threshold: 500}",
        "proxy: {views: [{principal: token, view: auto}]}",
    ] {
        // Not only the digest: the launcher is told nothing of it.
        assert_eq!(plan(rest), base, "{rest}");
    }
}
