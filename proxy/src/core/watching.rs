//! Who watches which resources of one server. A legacy server is told with `resources/subscribe`, a
//! modern one with one `subscriptions/listen` that also carries the changes of its lists.

use crate::core::listing;
use crate::exchange::Era;
use crate::limits::{
    LISTEN_AGAIN_WAIT, LISTEN_OVERLAP, LISTEN_TIME_MAX, QUOTED_BYTES_MAX, SUBSCRIPTIONS_MAX,
};
use crate::mcp::object::{cut, quote};
use crate::mcp::request::{message, modern_meta};
use crate::servers::connection::{Call, Connection, OnDrop};
use crate::servers::era::Facts;
use crate::servers::pending::ReplyKind;
use crate::servers::server::{Ready, Server};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

/// Who watches which resources of one server, by the server's own URIs.
#[derive(Clone, Debug, Default)]
pub struct Watching {
    sessions: Arc<Mutex<BTreeMap<String, BTreeSet<u64>>>>,
    /// What servers are being asked to watch: an update may follow the answer at once.
    expected: Arc<Mutex<Vec<String>>>,
    changed: Arc<Notify>,
}

impl Watching {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, BTreeSet<u64>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anybody watches this resource.
    #[must_use]
    pub fn is_watched(&self, uri: &str) -> bool {
        self.lock().contains_key(uri)
    }

    /// Whether anybody watches this resource, or is about to.
    #[must_use]
    pub fn is_awaited(&self, uri: &str) -> bool {
        self.is_watched(uri) || self.expected().iter().any(|expected| expected == uri)
    }

    /// Has updates of this resource taken for watched until the guard is dropped.
    #[must_use]
    pub fn expect(&self, uri: &str) -> Expected<'_> {
        self.expected().push(uri.to_owned());
        Expected { watching: self, uri: uri.to_owned() }
    }

    fn expected(&self) -> MutexGuard<'_, Vec<String>> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a watcher. False if this session watches too much already.
    #[must_use]
    pub fn add(&self, uri: &str, session: u64) -> bool {
        let mut sessions = self.lock();
        if sessions.values().filter(|watchers| watchers.contains(&session)).count() >= SUBSCRIPTIONS_MAX {
            return false;
        }
        let is_new = !sessions.contains_key(uri);
        sessions.entry(uri.to_owned()).or_default().insert(session);
        if is_new {
            self.changed.notify_one();
        }
        true
    }

    /// Takes a watcher away. True if it was the last one of this resource.
    pub fn remove(&self, uri: &str, session: u64) -> bool {
        let mut sessions = self.lock();
        let Some(watchers) = sessions.get_mut(uri) else { return false };
        let was_last = watchers.remove(&session) && watchers.is_empty();
        if was_last {
            sessions.remove(uri);
            self.changed.notify_one();
        }
        was_last
    }

    /// Takes a session away. Returns what nobody watches any more.
    #[must_use]
    pub fn remove_session(&self, session: u64) -> Vec<String> {
        let watched: Vec<String> = {
            let sessions = self.lock();
            sessions
                .iter()
                .filter(|(_, watchers)| watchers.contains(&session))
                .map(|(uri, _)| uri.clone())
                .collect()
        };
        watched.into_iter().filter(|uri| self.remove(uri, session)).collect()
    }

    /// Whether anybody watches anything.
    #[must_use]
    pub fn is_any(&self) -> bool {
        !self.lock().is_empty()
    }

    fn uris(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// Tells a fresh process what is watched, and goes on telling a modern one until the task is dropped.
    pub fn begin(&self, server: &Arc<Server>, ready: &Ready) -> AbortOnDropHandle<()> {
        let (watching, server, ready) = (self.clone(), server.clone(), ready.clone());
        AbortOnDropHandle::new(tokio::spawn(async move {
            match ready.facts.era {
                Era::Legacy => watching.subscribe_again(&server, &ready).await,
                Era::Modern => watching.listen(&server, &ready).await,
            }
        }))
    }

    async fn subscribe_again(&self, server: &Server, ready: &Ready) {
        for uri in self.uris() {
            let params = format!("{{\"uri\":{}}}", quote(&uri));
            if let Err(reason) = listing::ask(server, ready, "resources/subscribe", Some(&params)).await {
                let reason = cut(&reason, QUOTED_BYTES_MAX);
                tracing::warn!(server = %server.name, uri, reason, "a resource could not be watched again");
            }
        }
    }

    /// Keeps one `subscriptions/listen` open, and another one when what is watched has changed.
    async fn listen(&self, server: &Arc<Server>, ready: &Ready) {
        let mut open: Option<AbortOnDropHandle<Ended>> = None;
        loop {
            let request = listen_request(server, &ready.facts, &self.uris());
            let connection = ready.connection.clone();
            let fresh =
                AbortOnDropHandle::new(tokio::spawn(async move { listen_once(&connection, request).await }));
            if open.is_some() {
                // The old one ends only when the new one can be expected to be heard.
                tokio::time::sleep(LISTEN_OVERLAP).await;
            }
            let current = open.insert(fresh);
            tokio::select! {
                () = self.changed.notified() => {}
                ended = current => match ended {
                    Ok(Ended::Refused(reason)) => {
                        let reason = cut(&reason, QUOTED_BYTES_MAX);
                        tracing::info!(server = %server.name, reason, "it does not announce changes");
                        return;
                    }
                    Ok(Ended::Closed) | Err(_) => tokio::time::sleep(LISTEN_AGAIN_WAIT).await,
                }
            }
        }
    }
}

/// A resource that a server is being asked to watch.
#[derive(Debug)]
pub struct Expected<'a> {
    watching: &'a Watching,
    uri: String,
}

impl Drop for Expected<'_> {
    fn drop(&mut self) {
        let mut expected = self.watching.expected();
        if let Some(at) = expected.iter().position(|uri| *uri == self.uri) {
            expected.swap_remove(at);
        }
    }
}

/// How one `subscriptions/listen` ended.
enum Ended {
    Refused(String),
    Closed,
}

async fn listen_once(connection: &Connection, call: Call) -> Ended {
    match connection.call(call).await {
        Ok(reply) if reply.kind() == ReplyKind::Error => Ended::Refused(reply.body().to_owned()),
        _ => Ended::Closed,
    }
}

fn listen_request(server: &Server, facts: &Facts, uris: &[String]) -> Call {
    let flag = |name: &str, offered: bool| format!("\"{name}\":{offered}");
    let uris: Vec<String> = uris.iter().map(|uri| quote(uri)).collect();
    let params = format!(
        "{{\"notifications\":{{{},{},{},\"resourceSubscriptions\":[{}]}},\"_meta\":{}}}",
        flag("toolsListChanged", facts.offers.tools),
        flag("promptsListChanged", facts.offers.prompts),
        flag("resourcesListChanged", facts.offers.resources),
        uris.join(","),
        modern_meta(None)
    );
    let id = server.next_id();
    let line = message(Some(id), "subscriptions/listen", Some(&params));
    Call { id, line, stream: None, timeout: LISTEN_TIME_MAX, on_drop: OnDrop::TellServer }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_watcher_to_leave_ends_the_watch() {
        let watching = Watching::default();
        assert!(watching.add("a", 1) && watching.add("a", 2) && watching.add("b", 2));
        assert!(!watching.remove("a", 1));
        assert!(!watching.remove("a", 1), "a second time changes nothing");
        assert_eq!(watching.remove_session(2), ["a", "b"]);
        assert!(!watching.is_watched("a"));
    }

    #[test]
    fn what_is_expected_is_awaited_until_each_who_expects_it_has_gone() {
        let watching = Watching::default();
        let (first, second) = (watching.expect("a"), watching.expect("a"));
        drop(first);
        assert!(watching.is_awaited("a") && !watching.is_watched("a"));
        drop(second);
        assert!(!watching.is_awaited("a"));
    }

    #[test]
    fn a_session_watches_only_so_much() {
        let watching = Watching::default();
        for n in 0..SUBSCRIPTIONS_MAX {
            assert!(watching.add(&n.to_string(), 1));
        }
        assert!(!watching.add("one more", 1));
        assert!(watching.add("one more", 2));
    }
}
