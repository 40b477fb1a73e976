//! One server as the catalogue knows it: its lists, kept while it is ill, and who watches its resources.

use crate::context::tools::{Entry, Tools};
use crate::core::Core;
use crate::core::asked::ToClient;
use crate::core::catalogue::entry_of;
use crate::core::instances::Owner;
use crate::core::listing::{self, Fetched, Item, Lists, Which};
use crate::core::rounds;
use crate::core::watching::Watching;
use crate::exchange::{Audience, Era, List};
use crate::limits::{LIST_CHANGE_QUIET, LIST_RETRY_WAIT};
use crate::mcp::level::Level;
use crate::servers::connection::{Connection, Notices};
use crate::servers::server::{Ready, Server, State};
use crate::servers::server_request::ServerRequest;
use bytes::Bytes;
use futures_util::future::join_all;
use only1mcp_policy::view::{ServerView, ToolRules};
use only1mcp_wire::ServerName;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// Tools as a server's own endpoint shows them, and what they were made of.
type Shown = (Arc<Lists>, Arc<ServerView>, Arc<Tools>);

/// One server as the catalogue knows it.
#[derive(Debug)]
pub struct Member {
    /// The server.
    pub server: Arc<Server>,
    /// Who watches which of its resources.
    pub watching: Watching,
    /// Whose it is; nothing if all share it.
    pub owner: Option<Owner>,
    bell: Arc<Bell>,
    lists: RwLock<Arc<Lists>>,
    shown: Mutex<Option<Shown>>,
    /// Why lists could not be fetched the last time.
    list_error: RwLock<Option<String>>,
    /// Whether its lists were fetched, or it failed, at least once.
    settled: watch::Sender<bool>,
}

/// Hears what a server says unasked. Apart from [`Member`] because the server needs it first.
#[derive(Debug)]
pub struct Bell {
    name: ServerName,
    core: Weak<Core>,
    owner: Option<Owner>,
    dirty: AtomicU8,
    ring: Notify,
}

impl Bell {
    /// A bell of this server.
    #[must_use]
    pub fn new(name: ServerName, core: Weak<Core>, owner: Option<Owner>) -> Arc<Self> {
        Arc::new(Self { name, core, owner, dirty: AtomicU8::new(0), ring: Notify::new() })
    }

    fn session(&self) -> Option<u64> {
        self.owner.as_ref().and_then(Owner::session)
    }

    fn audience(&self) -> Audience {
        self.owner.as_ref().map_or(Audience::Everybody, |owner| owner.audience.clone())
    }
}

impl Notices for Bell {
    fn list_changed(&self, list: List) {
        self.dirty.fetch_or(Which::from(list).bits(), Ordering::AcqRel);
        self.ring.notify_one();
    }

    /// Only a process of one session says whom it means.
    fn asked(&self, request: ServerRequest) {
        let (Some(core), Some(session), Some(owner)) = (self.core.upgrade(), self.session(), &self.owner)
        else {
            return request
                .decline("nobody can say which client is meant: the process is not one client's alone");
        };
        match request.unable(&owner.capabilities) {
            Some(why) => request.decline(&why),
            None => drop(tokio::spawn(rounds::put_to(ToClient::new(&core.asked, session, None), request))),
        }
    }

    fn said(&self, message: Bytes) {
        if let (Some(core), Some(session)) = (self.core.upgrade(), self.session()) {
            core.tell_session(session, message);
        }
    }

    fn resource_updated(&self, uri: &str) {
        if let Some(core) = self.core.upgrade() {
            core.resource_updated(&self.name, uri, self.owner.as_ref(), self.audience());
        }
    }
}

impl Member {
    /// A server. What is known of its lists and its watchers from before stays until its process has spoken.
    #[must_use]
    pub fn new(
        server: Arc<Server>,
        bell: Arc<Bell>,
        lists: Option<Lists>,
        watching: Watching,
        owner: Option<Owner>,
    ) -> Arc<Self> {
        let watched = watching.clone();
        server.awaited_while(move || watched.is_any());
        let rests = matches!(server.state(), State::Idle);
        Arc::new(Self {
            server,
            watching,
            owner,
            bell,
            lists: RwLock::new(Arc::new(lists.unwrap_or_default())),
            shown: Mutex::default(),
            list_error: RwLock::default(),
            settled: watch::Sender::new(rests),
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

    /// Its tools as its own endpoint shows them: under their own names, and all of them.
    #[must_use]
    pub fn shown(&self) -> Arc<Tools> {
        let (lists, view) = (self.lists(), self.server.view());
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, by, tools)) = &*shown
            && Arc::ptr_eq(of, &lists)
            && Arc::ptr_eq(by, &view)
        {
            return tools.clone();
        }
        let entry = |item: &Item| {
            let entry = entry_of(&view, 0, &item.key, item.key.clone(), item.raw.clone());
            Entry { expose: None, ..entry }
        };
        let entries = lists.tools.iter().map(entry).collect();
        let of_all = || self.bell.core.upgrade().map(|core| core.catalogue().shown.clone());
        let before = shown.as_ref().map(|(_, _, before)| before.clone()).or_else(of_all);
        let tools = Arc::new(Tools::new(entries, view.results.max_tokens.is_some(), before.as_deref()));
        if self.owner.is_some() {
            lists.at_its_own.hold(tools.raws_of(0));
        }
        *shown = Some((lists, view, tools.clone()));
        tools
    }

    /// Why lists could not be fetched the last time; nothing if they were.
    #[must_use]
    pub fn list_error(&self) -> Option<String> {
        self.list_error.read().unwrap_or_else(PoisonError::into_inner).clone()
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

    /// Leaves out of its lists what these rules refuse. True if that was anything.
    pub fn forget_refused(&self, rules: &ToolRules) -> bool {
        let mut lists = self.lists.write().unwrap_or_else(PoisonError::into_inner);
        let allowed = lists.allowed(rules);
        let is_less = allowed.tools.len() < lists.tools.len();
        *lists = Arc::new(allowed);
        is_less
    }

    /// Has its tools gone through the gate again, after its rules changed.
    pub fn rules_changed(&self) {
        self.bell.list_changed(List::Tools);
    }

    /// Keeps its lists fresh until the server is stopped.
    pub async fn tend(self: Arc<Self>, core: Weak<Core>) {
        let mut changes = self.server.changes();
        loop {
            changes.borrow_and_update();
            match (self.server.lead(), self.server.state()) {
                (Some(ready), _) => {
                    self.while_leading(&ready, &core).await;
                    continue;
                }
                (None, State::Failed(_) | State::Quarantined(_)) => drop(self.settled.send_replace(true)),
                (None, State::Stopped) => return,
                (None, _) => {}
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// While one process is the one that is asked for lists and told what is watched.
    async fn while_leading(&self, ready: &Ready, core: &Weak<Core>) {
        let mut changes = self.server.changes();
        let mut told = Vec::new();
        self.greet_others(&mut told, core);
        let _listening = self.watching.begin(&self.server, ready);
        self.bell.dirty.store(0, Ordering::Release);
        let mut failed = self.refresh(Which::ALL, ready, core).await;
        self.settled.send_replace(true);
        // The first change is told at once, those that follow it closely together.
        let mut quiet_until = Instant::now();
        loop {
            tokio::select! {
                () = ready.connection.closed() => return,
                Ok(()) = changes.changed() => {
                    if !self.server.lead().is_some_and(|lead| Arc::ptr_eq(&lead.connection, &ready.connection)) {
                        return;
                    }
                    self.greet_others(&mut told, core);
                    continue;
                }
                () = self.bell.ring.notified() => tokio::time::sleep_until(quiet_until).await,
                () = tokio::time::sleep(LIST_RETRY_WAIT), if !failed.is_empty() => {}
            }
            quiet_until = Instant::now() + LIST_CHANGE_QUIET;
            let which = Which::from_bits(self.bell.dirty.swap(0, Ordering::AcqRel)).and(failed);
            failed = self.refresh(which, ready, core).await;
        }
    }

    /// Tells processes that were not told yet how much to log.
    fn greet_others(&self, told: &mut Vec<Arc<Connection>>, core: &Weak<Core>) {
        told.retain(|connection| !connection.is_closed());
        let level = core.upgrade().and_then(|core| self.level(&core));
        for ready in self.server.running() {
            if !told.iter().any(|connection| Arc::ptr_eq(connection, &ready.connection)) {
                told.push(ready.connection.clone());
                let server = self.server.clone();
                // One that does not answer holds up nobody.
                tokio::spawn(async move { tell_level_to(&server, &ready, level).await });
            }
        }
    }

    /// How much it shall log: what its session has set, or the most talkative of all.
    #[must_use]
    pub fn level(&self, core: &Core) -> Option<Level> {
        match self.bell.session() {
            Some(session) => core.sessions.level(Some(session)),
            None => core.sessions.most_talkative(),
        }
    }

    /// Tells a legacy server how much to log.
    pub async fn tell_level(&self, level: Option<Level>) {
        let all = self.server.running();
        join_all(all.iter().map(|ready| tell_level_to(&self.server, ready, level))).await;
    }

    /// Fetches lists and announces what changed. Returns those that could not be fetched.
    async fn refresh(&self, which: Which, ready: &Ready, core: &Weak<Core>) -> Which {
        let before = self.lists();
        let Fetched { lists, failed, error } = listing::fetch(&self.server, ready, which, &before).await;
        *self.list_error.write().unwrap_or_else(PoisonError::into_inner) = error;
        self.server.set_repeatable(lists.repeatable());
        let lists = Arc::new(lists);
        if let Some(core) = core.upgrade().filter(|_| self.owner.is_some() && failed.is_empty()) {
            core.instances.remember(&self.server, &lists);
        }
        if lists.flags != before.flags {
            self.warn_of_flags(&lists);
        }
        let changed = before.difference(&lists);
        if lists != before {
            *self.lists.write().unwrap_or_else(PoisonError::into_inner) = lists;
        }
        if let Some(core) = core.upgrade().filter(|_| !changed.is_empty()) {
            core.lists_changed(self.name(), changed, &self.bell.audience());
        }
        failed
    }

    /// Says in the log what `status` shows.
    fn warn_of_flags(&self, lists: &Lists) {
        let flags = lists.flags.total;
        if let Some(first) = lists.flags.shown.first() {
            tracing::warn!(server = %self.name(), flags, %first, "its list of tools is odd; help: `only1mcp status --json` says how");
        }
    }
}

async fn tell_level_to(server: &Server, ready: &Ready, level: Option<Level>) {
    let Some(level) = level else { return };
    if ready.facts.era == Era::Legacy && ready.facts.offers.logging {
        let params = format!("{{\"level\":\"{}\"}}", level.name());
        let _ = listing::ask(server, ready, "logging/setLevel", Some(&params)).await;
    }
}
