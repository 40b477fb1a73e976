//! Results that would take too much of a context: cut, never silently, and the rest kept for a while to be read on.

use crate::context::tables;
use crate::context::tokens::{estimate, front};
use crate::exchange::Principal;
use crate::limits::{RESULT_TIME_MAX, RESULTS_BYTES_MAX, RESULTS_KEPT_MAX};
use crate::mcp::object::{Keys, Object, elements, quote, text_of};
use crate::mcp::within::{array, in_elements};
use only1mcp_policy::view::{ResultsView, Tables};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;

/// How the URI of what was cut off begins.
pub const SCHEME: &str = "only1mcp://result/";

/// What was cut off of results, until it is forgotten.
#[derive(Debug, Default)]
pub struct Results {
    kept: Mutex<VecDeque<Kept>>,
}

#[derive(Debug)]
struct Kept {
    id: String,
    principal: Principal,
    pages: Arc<Vec<String>>,
    until: Instant,
}

impl Kept {
    fn bytes(&self) -> usize {
        self.pages.iter().map(String::len).sum()
    }
}

/// One page of what was cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its text.
    pub text: String,
    /// Its number, from 2 on.
    pub number: usize,
    /// The number of the last one.
    pub last: usize,
}

impl Results {
    /// A result of `tools/call` as its server's settings want it; what is cut off is kept for this principal.
    #[must_use]
    pub fn fitted<'a>(&self, principal: &Principal, view: ResultsView, result: &'a str) -> Cow<'a, str> {
        let is_short = |max: u32| estimate(result) <= max as usize;
        if view.tables.is_none() && view.max_tokens.is_none_or(is_short) {
            return Cow::Borrowed(result);
        }
        let Ok(object) = Object::parse(result, Keys::Exact) else { return Cow::Borrowed(result) };
        let Some(content) = object.get("content") else { return Cow::Borrowed(result) };
        let tabled = view.tables.and_then(|form| in_elements(content, |block| in_table(block, form)));
        let content = tabled.map_or(Cow::Borrowed(content), Cow::Owned);
        let cut = view.max_tokens.and_then(|max| self.cut(principal, max as usize, &content));
        let mut edit = object.edit();
        edit.set("content", cut.map_or(content, Cow::Owned));
        Cow::Owned(edit.finish().into_owned())
    }

    /// The blocks with texts of this many tokens at most, all together; nothing if they have no more.
    fn cut(&self, principal: &Principal, tokens_max: usize, content: &str) -> Option<String> {
        let blocks = elements(content)?;
        let texts: Vec<Option<Cow<'_, str>>> = blocks.iter().map(|block| text_in(block)).collect();
        let total: usize = texts.iter().flatten().map(|text| estimate(text)).sum();
        if total <= tokens_max {
            return None;
        }
        let (mut left, mut shown, mut rest) = (tokens_max, Vec::new(), String::new());
        for (block, text) in blocks.iter().zip(texts) {
            let Some(text) = text else {
                shown.push((*block).to_owned());
                continue;
            };
            let kept = if rest.is_empty() { front(&text, left) } else { "" };
            left = left.saturating_sub(estimate(kept));
            rest.push_str(text.get(kept.len()..).unwrap_or_default());
            if !kept.is_empty() {
                shown.push(with_text(block, kept));
            }
        }
        let (id, last) = self.keep(principal, pages(&rest, tokens_max))?;
        let mut note = format!(
            "[cut here: about {} of {total} tokens are shown. The rest, pages 2 to {last}, is kept for {} minutes: ",
            tokens_max - left,
            RESULT_TIME_MAX.as_secs() / 60
        );
        // Writing to a String cannot fail.
        let _ = write!(note, "read_result(id: \"{id}\", page: 2), or the resource {SCHEME}{id}/2 and so on]");
        shown.push(format!("{{\"type\":\"text\",\"text\":{}}}", quote(&note)));
        Some(array(shown.iter().map(String::as_str)))
    }

    fn keep(&self, principal: &Principal, pages: Vec<String>) -> Option<(String, usize)> {
        let mut random = [0_u8; 8];
        // Fails only where the kernel has no random numbers, and then nothing may be guessable: so nothing is cut.
        getrandom::fill(&mut random).ok()?;
        let id: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let (last, until) = (pages.len() + 1, Instant::now() + RESULT_TIME_MAX);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|kept| kept.until > Instant::now());
        // Who asks for the same again and again, as for a task that has ended, drives nobody else's out.
        let same = kept.iter().position(|kept| kept.principal == *principal && *kept.pages == pages);
        let new = match same.and_then(|at| kept.remove(at)) {
            Some(same) => Kept { until, ..same },
            None => Kept { id, principal: principal.clone(), pages: Arc::new(pages), until },
        };
        let id = new.id.clone();
        kept.push_back(new);
        while kept.len() > 1
            && (kept.len() > RESULTS_KEPT_MAX
                || kept.iter().map(Kept::bytes).sum::<usize>() > RESULTS_BYTES_MAX)
        {
            kept.pop_front();
        }
        Some((id, last))
    }

    /// A page of what was cut off of a result of this principal's.
    ///
    /// # Errors
    /// In words, if it is not there.
    pub fn page(&self, principal: &Principal, id: &str, number: usize) -> Result<Page, String> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it =
            |kept: &&Kept| kept.id == id && kept.principal == *principal && kept.until > Instant::now();
        let kept = kept.iter().find(is_it).ok_or_else(|| {
            format!("no result \"{id}\" is kept: it may be too old; call its tool again, and ask it for less")
        })?;
        let last = kept.pages.len() + 1;
        let text = number.checked_sub(2).and_then(|index| kept.pages.get(index));
        let text = text.ok_or_else(|| format!("the result has pages 2 to {last}, not {number}"))?;
        Ok(Page { text: text.clone(), number, last })
    }
}

/// The id and the page that a URI names.
#[must_use]
pub fn named(uri: &str) -> Option<(&str, usize)> {
    let (id, page) = uri.strip_prefix(SCHEME)?.split_once('/')?;
    Some((id, page.parse().ok()?))
}

fn pages(text: &str, tokens_max: usize) -> Vec<String> {
    let (mut rest, mut pages) = (text, Vec::new());
    while !rest.is_empty() {
        let page = match front(rest, tokens_max) {
            "" => rest,
            page => page,
        };
        pages.push(page.to_owned());
        rest = rest.get(page.len()..).unwrap_or_default();
    }
    pages
}

fn text_in(block: &str) -> Option<Cow<'_, str>> {
    let block = Object::parse(block, Keys::Exact).ok()?;
    if block.get_text("type")? == "text" { text_of(block.get("text")?) } else { None }
}

fn with_text(block: &str, text: &str) -> String {
    let Ok(object) = Object::parse(block, Keys::Exact) else { return block.to_owned() };
    let mut edit = object.edit();
    edit.set("text", quote(text));
    edit.finish().into_owned()
}

fn in_table(block: &str, form: Tables) -> Option<String> {
    let text = text_in(block)?;
    Some(with_text(block, &tables::written(&text, form)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const ME: Principal = Principal::TokenBearer;

    fn cut_at(tokens: u32) -> ResultsView {
        ResultsView { max_tokens: Some(tokens), tables: None }
    }

    fn result(text: &str) -> String {
        let image = json!({"type": "image", "data": "A".repeat(4000), "mimeType": "image/png"});
        let last = json!({"type": "text", "text": "last"});
        let blocks =
            json!([{"type": "text", "text": "first\n"}, image, {"type": "text", "text": text, "x": 1}, last]);
        json!({"content": blocks, "structuredContent": {"a": "B".repeat(4000)}, "vendor": 1}).to_string()
    }

    #[test]
    fn a_long_text_is_cut_said_so_and_can_be_read_to_its_end() {
        let results = Results::default();
        let text: String = (0..400)
            .map(|line| format!("line {line} of a long result that goes on and on and on\n"))
            .collect();
        let fitted = results.fitted(&ME, cut_at(200), &result(&text)).into_owned();
        let fitted: Value = serde_json::from_str(&fitted).unwrap();
        assert_eq!((&fitted["vendor"], &fitted["content"][2]["x"]), (&json!(1), &json!(1)));
        assert_eq!(fitted["structuredContent"]["a"].as_str().unwrap().len(), 4000);
        assert_eq!(fitted["content"][1]["data"].as_str().unwrap().len(), 4000);
        let note = fitted["content"][3]["text"].as_str().unwrap();
        assert!(note.starts_with("[cut here: about "), "{note}");
        let id = note.split('"').nth(1).unwrap();
        let mut whole = fitted["content"][2]["text"].as_str().unwrap().to_owned();
        let mut number = 2;
        loop {
            let page = results.page(&ME, id, number).unwrap();
            assert!(estimate(&page.text) <= 200);
            whole.push_str(&page.text);
            if number == page.last {
                break;
            }
            number += 1;
        }
        assert_eq!(whole, format!("{text}last"), "what comes behind the cut is cut off, too");
        assert!(results.page(&ME, id, number + 1).unwrap_err().contains("pages 2 to"));
        assert!(results.page(&Principal::LocalUser(7), id, 2).unwrap_err().contains("is kept"));
        assert_eq!(named(&format!("{SCHEME}{id}/2")), Some((id, 2)));
    }

    #[test]
    fn what_is_short_enough_keeps_its_bytes() {
        let results = Results::default();
        let short = "{ \"content\" : [ {\"type\":\"text\",\"text\":\"a\"} ] }";
        assert!(matches!(results.fitted(&ME, cut_at(100), short), Cow::Borrowed(_)));
        let text = result("short");
        let fitted = results.fitted(&ME, cut_at(100), &text);
        assert_eq!(
            serde_json::from_str::<Value>(&fitted).unwrap(),
            serde_json::from_str::<Value>(&text).unwrap()
        );
        assert!(results.kept.lock().unwrap().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_kept_is_bounded_in_number_and_time() {
        let results = Results::default();
        let text = "word ".repeat(1000);
        for number in 0..RESULTS_KEPT_MAX + 5 {
            drop(results.fitted(&ME, cut_at(100), &result(&format!("{text}{number}"))));
        }
        assert_eq!(results.kept.lock().unwrap().len(), RESULTS_KEPT_MAX);
        let id = results.kept.lock().unwrap()[0].id.clone();
        assert!(results.page(&ME, &id, 2).is_ok());
        tokio::time::advance(RESULT_TIME_MAX).await;
        assert!(results.page(&ME, &id, 2).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_result_once_more_is_kept_once_and_longer() {
        let results = Results::default();
        let text = result(&"word ".repeat(1000));
        let first = results.fitted(&ME, cut_at(100), &text).into_owned();
        tokio::time::advance(RESULT_TIME_MAX / 2).await;
        assert_eq!(results.fitted(&ME, cut_at(100), &text), first);
        assert_ne!(results.fitted(&Principal::LocalUser(7), cut_at(100), &text), first);
        assert_eq!(results.kept.lock().unwrap().len(), 2);
        let id = results.kept.lock().unwrap()[0].id.clone();
        tokio::time::advance(RESULT_TIME_MAX / 2).await;
        assert!(results.page(&ME, &id, 2).is_ok());
    }
}
