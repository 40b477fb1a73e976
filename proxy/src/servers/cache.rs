//! Answers of one modern process that it allows to be kept: as long as it says, for whom it says, and no longer
//! than what they are about stays the same. It ends with the process.

use crate::exchange::{List, Principal};
use crate::limits::{CACHE_BYTES_MAX, CACHE_ENTRIES_MAX, CACHE_TIME_MAX};
use crate::mcp::digest;
use crate::mcp::input::{RESPONSES, STATE};
use crate::mcp::method::Method;
use crate::mcp::object::{Keys, Object};
use crate::servers::pending::{Reply, ReplyKind};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// What is kept of one process.
#[derive(Debug, Default)]
pub struct Cache(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    entries: HashMap<[u8; 32], Vec<Entry>>,
    count: usize,
    bytes: usize,
    /// Counts what made entries void: an answer to a request from before says nothing of after.
    changes: u64,
}

#[derive(Debug)]
struct Entry {
    reply: Reply,
    until: Instant,
    /// Whose it is; nothing if it is everybody's.
    owner: Option<Principal>,
    method: Method,
    uri: Option<String>,
}

/// A request whose answer may be kept.
#[derive(Debug)]
pub struct Key {
    digest: [u8; 32],
    method: Method,
    uri: Option<String>,
    changes: u64,
}

impl Cache {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key of a request of a client with these raw capabilities, if its answer may be kept at all. A round of a
    /// longer request never is.
    #[must_use]
    pub fn key(&self, method: &str, params: Option<&str>, capabilities: &str) -> Option<Key> {
        let kind = Method::of(method);
        if !kind.is_cacheable() || kind == Method::Discover {
            return None;
        }
        let object = Object::parse(params.unwrap_or("{}"), Keys::Folded).ok()?;
        if object.get(RESPONSES).is_some() || object.get(STATE).is_some() {
            return None;
        }
        let uri = object.get_text("uri").map(std::borrow::Cow::into_owned);
        let digest = digest::of_request(capabilities, method, params);
        Some(Key { digest, method: kind, uri, changes: self.lock().changes })
    }

    /// What is kept for this principal, and how long it may still be.
    #[must_use]
    pub fn find(&self, key: &Key, principal: &Principal) -> Option<(Reply, Duration)> {
        let now = Instant::now();
        let kept = self.lock();
        let entries = kept.entries.get(&key.digest)?.iter();
        let mut own = entries.filter(|entry| entry.owner.as_ref().is_none_or(|owner| owner == principal));
        let entry = own.find(|entry| entry.until > now)?;
        Some((entry.reply.clone(), entry.until - now))
    }

    /// Keeps an answer if its server allows it and nothing has changed since it was asked for.
    pub fn keep(&self, key: Key, principal: &Principal, reply: &Reply) {
        let Some((time, owner)) = allowance(reply, principal) else { return };
        let mut kept = self.lock();
        let bytes = reply.bytes();
        if kept.changes != key.changes || bytes > CACHE_BYTES_MAX {
            return;
        }
        if kept.bytes + bytes > CACHE_BYTES_MAX || kept.count >= CACHE_ENTRIES_MAX {
            let now = Instant::now();
            kept.retain(|entry| entry.until > now);
        }
        if kept.bytes + bytes > CACHE_BYTES_MAX || kept.count >= CACHE_ENTRIES_MAX {
            // Nobody can say what is asked for next: all of it goes, and the rest begins anew.
            kept.retain(|_| false);
        }
        let until = Instant::now() + time;
        let entry = Entry { reply: reply.apart(), until, owner, method: key.method, uri: key.uri };
        kept.put(key.digest, entry);
    }

    /// A list is another now.
    pub fn list_changed(&self, list: List) {
        self.change(|entry| match entry.method {
            Method::ToolsList => list == List::Tools,
            Method::PromptsList => list == List::Prompts,
            Method::ResourcesList | Method::TemplatesList => list == List::Resources,
            _ => false,
        });
    }

    /// A resource is another now.
    pub fn resource_updated(&self, uri: &str) {
        self.change(|entry| entry.uri.as_deref() == Some(uri));
    }

    fn change(&self, is_void: impl Fn(&Entry) -> bool) {
        let mut kept = self.lock();
        kept.changes += 1;
        kept.retain(|entry| !is_void(entry));
    }
}

impl Kept {
    fn retain(&mut self, keep: impl Fn(&Entry) -> bool) {
        self.entries.retain(|_, entries| {
            entries.retain(&keep);
            !entries.is_empty()
        });
        self.count = self.entries.values().map(Vec::len).sum();
        self.bytes = self.entries.values().flatten().map(|entry| entry.reply.bytes()).sum();
    }

    /// In the place of what was kept of the same request for the same principal.
    fn put(&mut self, digest: [u8; 32], entry: Entry) {
        self.bytes += entry.reply.bytes();
        let entries = self.entries.entry(digest).or_default();
        match entries.iter_mut().find(|kept| kept.owner == entry.owner) {
            Some(kept) => self.bytes -= std::mem::replace(kept, entry).reply.bytes(),
            None => {
                self.count += 1;
                entries.push(entry);
            }
        }
    }
}

/// How long an answer may be kept and for whom, if its server allows it. What says nothing is nobody else's.
fn allowance(reply: &Reply, principal: &Principal) -> Option<(Duration, Option<Principal>)> {
    if reply.kind() != ReplyKind::Result {
        return None;
    }
    let result = Object::parse(reply.body(), Keys::Exact).ok()?;
    if result.get_text("resultType").is_some_and(|kind| kind != "complete") {
        return None;
    }
    let time: u64 = result.get("ttlMs")?.parse().ok().filter(|time| *time > 0)?;
    let is_public = result.get_text("cacheScope").as_deref() == Some("public");
    let time = Duration::from_millis(time).min(CACHE_TIME_MAX);
    Some((time, (!is_public).then(|| principal.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const ME: Principal = Principal::LocalUser(1);
    const YOU: Principal = Principal::LocalUser(2);

    fn reply(body: &str) -> Reply {
        let line = Bytes::from(body.to_owned());
        let body = std::str::from_utf8(&line).unwrap();
        Reply::new(&line, body, ReplyKind::Result)
    }

    fn read(cache: &Cache) -> Key {
        cache.key("resources/read", Some(r#"{"uri":"a:1"}"#), "{}").unwrap()
    }

    fn keep(cache: &Cache, body: &str) {
        cache.keep(read(cache), &ME, &reply(body));
    }

    const PUBLIC: &str = r#"{"ttlMs":1000,"cacheScope":"public","resultType":"complete"}"#;

    #[tokio::test(start_paused = true)]
    async fn what_is_public_is_everybodys_and_what_is_not_is_its_askers() {
        let cache = Cache::default();
        keep(&cache, PUBLIC);
        assert!(cache.find(&read(&cache), &YOU).is_some());
        for private in [r#"{"ttlMs":1000,"cacheScope":"private"}"#, r#"{"ttlMs":1000}"#] {
            let cache = Cache::default();
            keep(&cache, private);
            assert!(cache.find(&read(&cache), &ME).is_some() && cache.find(&read(&cache), &YOU).is_none());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_kept_longer_than_its_server_says() {
        let cache = Cache::default();
        keep(&cache, PUBLIC);
        tokio::time::advance(Duration::from_millis(400)).await;
        assert_eq!(cache.find(&read(&cache), &ME).unwrap().1, Duration::from_millis(600));
        tokio::time::advance(Duration::from_millis(600)).await;
        assert!(cache.find(&read(&cache), &ME).is_none());
        for body in [
            "{}",
            r#"{"ttlMs":0}"#,
            r#"{"ttlMs":-1}"#,
            r#"{"ttlMs":"x"}"#,
            r#"{"ttlMs":9,"resultType":"input_required"}"#,
        ] {
            keep(&cache, body);
            assert!(cache.find(&read(&cache), &ME).is_none(), "{body}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_changed_is_asked_for_again_even_if_the_answer_was_under_way() {
        let cache = Cache::default();
        keep(&cache, PUBLIC);
        cache.list_changed(List::Resources);
        cache.resource_updated("a:2");
        assert!(cache.find(&read(&cache), &ME).is_some());
        let under_way = read(&cache);
        cache.resource_updated("a:1");
        assert!(cache.find(&read(&cache), &ME).is_none());
        cache.keep(under_way, &ME, &reply(PUBLIC));
        assert!(cache.find(&read(&cache), &ME).is_none());
        let list = || cache.key("tools/list", None, "{}").unwrap();
        cache.keep(list(), &ME, &reply(PUBLIC));
        cache.list_changed(List::Prompts);
        assert!(cache.find(&list(), &ME).is_some());
        cache.list_changed(List::Tools);
        assert!(cache.find(&list(), &ME).is_none());
    }

    #[test]
    fn calls_and_rounds_are_never_kept() {
        let cache = Cache::default();
        let key = |method: &str, params: &str| cache.key(method, Some(params), "{}");
        assert!(key("tools/call", "{}").is_none() && key("server/discover", "{}").is_none());
        assert!(key("resources/read", r#"{"uri":"a","requestState":"s"}"#).is_none());
        assert!(key("resources/read", r#"{"uri":"a","inputResponses":{}}"#).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_request_takes_one_place_and_places_are_bounded() {
        let cache = Cache::default();
        for _ in 0..3 {
            keep(&cache, PUBLIC);
            keep(&cache, r#"{"ttlMs":1000}"#);
        }
        let (count, bytes) = {
            let kept = cache.lock();
            (kept.count, kept.bytes)
        };
        assert_eq!((count, bytes), (2, PUBLIC.len() + r#"{"ttlMs":1000}"#.len()));
        for n in 0..2 * CACHE_ENTRIES_MAX {
            let key = cache.key("resources/read", Some(&format!(r#"{{"uri":"{n}"}}"#)), "{}").unwrap();
            cache.keep(key, &ME, &reply(PUBLIC));
            assert!((1..=CACHE_ENTRIES_MAX).contains(&cache.lock().count));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_small_answer_does_not_hold_the_large_buffer_it_was_read_into() {
        let cache = Cache::default();
        let buffer = Bytes::from(format!("{PUBLIC}{}", "x".repeat(100_000)));
        let line = buffer.slice(..PUBLIC.len());
        let small = Reply::new(&line, std::str::from_utf8(&line).unwrap(), ReplyKind::Result);
        cache.keep(read(&cache), &ME, &small);
        drop((line, small));
        assert!(buffer.is_unique(), "what is kept is a copy");
        assert_eq!(cache.find(&read(&cache), &ME).unwrap().0.body(), PUBLIC);
    }

    #[tokio::test(start_paused = true)]
    async fn its_size_is_bounded() {
        let cache = Cache::default();
        let big = format!(r#"{{"ttlMs":100000,"x":"{}"}}"#, "x".repeat(CACHE_BYTES_MAX / 3));
        for uri in 0..10 {
            let key = cache.key("resources/read", Some(&format!(r#"{{"uri":"{uri}"}}"#)), "{}").unwrap();
            cache.keep(key, &ME, &reply(&big));
            assert!(cache.lock().bytes <= CACHE_BYTES_MAX && cache.lock().bytes > 0);
        }
        keep(&cache, &format!(r#"{{"ttlMs":1,"x":"{}"}}"#, "x".repeat(CACHE_BYTES_MAX)));
        assert!(cache.find(&read(&cache), &ME).is_none());
    }
}
