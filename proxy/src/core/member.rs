//! One server as the catalogue knows it: its lists, kept while it is ill, and who watches its resources.

use crate::core::Core;
use crate::core::listing::{self, Lists, Which};
use crate::core::watching::Watching;
use crate::exchange::{Era, List};
use crate::limits::{LIST_CHANGE_QUIET, LIST_RETRY_WAIT};
use crate::mcp::level::Level;
use crate::servers::connection::Notices;
use crate::servers::server::{Ready, Server, State};
use crate::servers::server_request::ServerRequest;
use only1mcp_wire::ServerName;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use tokio::sync::{Notify, watch};

/// One server as the catalogue knows it.
#[derive(Debug)]
pub struct Member {
    /// The server.
    pub server: Arc<Server>,
    /// Who watches which of its resources.
    pub watching: Watching,
    bell: Arc<Bell>,
    lists: RwLock<Arc<Lists>>,
    /// Whether its lists were fetched, or it failed, at least once.
    settled: watch::Sender<bool>,
}

/// Hears what a server says unasked. Apart from [`Member`] because the server needs it first.
#[derive(Debug)]
pub struct Bell {
    name: ServerName,
    core: Weak<Core>,
    dirty: AtomicU8,
    ring: Notify,
}

impl Bell {
    /// A bell of this server.
    #[must_use]
    pub fn new(name: ServerName, core: Weak<Core>) -> Arc<Self> {
        Arc::new(Self { name, core, dirty: AtomicU8::new(0), ring: Notify::new() })
    }
}

impl Notices for Bell {
    fn list_changed(&self, list: List) {
        self.dirty.fetch_or(Which::from(list).bits(), Ordering::AcqRel);
        self.ring.notify_one();
    }

    /// A shared process can mean anybody, so nobody is asked.
    fn asked(&self, request: ServerRequest) {
        request.decline("nobody can say which client is meant: the process is shared");
    }

    fn resource_updated(&self, uri: &str) {
        if let Some(core) = self.core.upgrade() {
            core.resource_updated(&self.name, uri);
        }
    }
}

impl Member {
    /// A server whose lists are not known yet. What is known of `before`, the same server under another plan,
    /// stays until the new process has spoken.
    #[must_use]
    pub fn new(server: Arc<Server>, bell: Arc<Bell>, before: Option<&Self>) -> Arc<Self> {
        let rules = server.view();
        let lists = before.map(|before| before.lists().allowed(&rules.tools)).unwrap_or_default();
        Arc::new(Self {
            server,
            watching: before.map(|before| before.watching.clone()).unwrap_or_default(),
            bell,
            lists: RwLock::new(Arc::new(lists)),
            settled: watch::Sender::new(false),
        })
    }

    /// The server's name.
    #[must_use]
    pub fn name(&self) -> &ServerName {
        &self.server.name
    }

    /// Its lists as last fetched, refused tools left out.
    #[must_use]
    pub fn lists(&self) -> Arc<Lists> {
        self.lists.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until its lists were fetched, or it failed, at least once.
    pub async fn settled(&self) {
        // The sender lives as long as `self`.
        let _ = self.settled.subscribe().wait_for(|settled| *settled).await;
    }

    /// Whether its lists were fetched, or it failed, at least once.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        *self.settled.borrow()
    }

    /// Has its tools gone through the gate again, after its rules changed.
    pub fn rules_changed(&self) {
        self.bell.list_changed(List::Tools);
    }

    /// Keeps its lists fresh until the server is stopped.
    pub async fn tend(self: Arc<Self>, core: Weak<Core>) {
        let mut state = self.server.state();
        loop {
            let now = state.borrow_and_update().clone();
            match now {
                State::Ready(ready) if !ready.connection.is_closed() => self.while_ready(&ready, &core).await,
                State::Failed(_) => drop(self.settled.send_replace(true)),
                State::Stopped => return,
                _ => {}
            }
            if state.changed().await.is_err() {
                return;
            }
        }
    }

    async fn while_ready(&self, ready: &Ready, core: &Weak<Core>) {
        let level = core.upgrade().and_then(|core| core.sessions.most_talkative());
        self.tell_level(level).await;
        let _listening = self.watching.begin(&self.server, ready);
        self.bell.dirty.store(0, Ordering::Release);
        let mut failed = self.refresh(Which::ALL, ready, core).await;
        self.settled.send_replace(true);
        loop {
            tokio::select! {
                () = ready.connection.closed() => return,
                () = self.bell.ring.notified() => tokio::time::sleep(LIST_CHANGE_QUIET).await,
                () = tokio::time::sleep(LIST_RETRY_WAIT), if !failed.is_empty() => {}
            }
            let which = Which::from_bits(self.bell.dirty.swap(0, Ordering::AcqRel)).and(failed);
            failed = self.refresh(which, ready, core).await;
        }
    }

    /// Tells a legacy server how much to log.
    pub async fn tell_level(&self, level: Option<Level>) {
        let (Some(level), Some(facts)) = (level, self.server.facts()) else { return };
        if facts.era == Era::Legacy && facts.offers.logging {
            let params = format!("{{\"level\":\"{}\"}}", level.name());
            let _ = listing::ask(&self.server, "logging/setLevel", Some(&params)).await;
        }
    }

    /// Fetches lists and announces what changed. Returns those that could not be fetched.
    async fn refresh(&self, which: Which, ready: &Ready, core: &Weak<Core>) -> Which {
        let before = self.lists();
        let (lists, failed) = listing::fetch(&self.server, &ready.facts.offers, which, &before).await;
        let changed = before.difference(&lists);
        if changed.is_empty() {
            return failed;
        }
        *self.lists.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(lists);
        if let Some(core) = core.upgrade() {
            core.lists_changed(self.name(), changed);
        }
        failed
    }
}
