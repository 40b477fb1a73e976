//! The core: answers one request. Everything between a front ([`crate::exchange`]) and the servers.
//!
//! Starting it, inside a tokio runtime and after the process has locked itself:
//!
//! ```ignore
//! let launcher = Launcher::connect(&path).await?;       // connects and says HELLO
//! let (generation, view) = launcher.view().await?;      // VIEW
//! let core = Core::start(view, generation, launcher, None);   // starts every server, returns at once
//! core.settled(limit).await;                            // optional: every server is ready or failed
//! let json = serde_json::to_vec(&core.status())?;       // GET /status
//! core.stop().await;                                    // ends every server
//! ```
//!
//! Reading order: [`asking`] (one request), [`rounds`] and [`parked`] (what servers ask back; [`call`], [`asked`],
//! [`sealed`]), [`single`] and [`aggregate`] (the two kinds of endpoint),
//! [`gate`], [`limiter`], [`catalogue`], [`listing`], [`member`], [`resources`], [`template`], [`hello`], [`watching`],
//! [`search`] (our own tools), [`instances`], [`sessions`], [`reload`], [`status`], [`definitions`], [`metrics`].

pub mod aggregate;
pub mod asked;
pub mod asking;
pub mod call;
pub mod catalogue;
pub mod definitions;
pub mod gate;
pub mod hello;
pub mod instances;
pub mod limiter;
pub mod listing;
pub mod member;
pub mod metrics;
pub mod parked;
pub mod reload;
pub mod resources;
pub mod rounds;
pub mod sealed;
pub mod search;
pub mod sessions;
pub mod single;
pub mod status;
pub mod tasks;
pub mod template;
pub mod watching;

#[cfg(test)]
mod scripted;
#[cfg(test)]
mod tests;

use crate::context::meta::MetaTool;
use crate::context::results::Results;
use crate::exchange::{Answer, Audience, Caller, Endpoint, Exchange, ListKind, Principal, ServerEvent};
use crate::limits::{EVENTS_MAX, EXIT_REPORT_WAIT, FIRST_LIST_WAIT};
use crate::mcp::envelope::Envelope;
use crate::mcp::error::{CANCELLED, INVALID_REQUEST, RpcError};
use crate::mcp::object::{Keys, Object};
use crate::servers::spawn::{InForce, Spawner};
use asked::AskedClients;
use asking::Asking;
use bytes::Bytes;
use catalogue::Catalogue;
use instances::{Instances, Owner};
use limiter::Limiter;
use listing::Which;
use member::Member;
use only1mcp_policy::view::{Expose, PrincipalName, ToolView, View};
use only1mcp_wire::ServerName;
use parked::Parked;
use sessions::Sessions;
use status::Status;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::Duration;
use tokio::sync::{broadcast, mpsc};
use tokio::time::{Instant, timeout_at};

/// Answers requests. One per proxy.
pub struct Core {
    /// Itself, for the tasks it starts.
    me: Weak<Self>,
    spawner: Arc<dyn Spawner>,
    in_force: RwLock<Arc<InForce>>,
    catalogue: RwLock<Arc<Catalogue>>,
    /// Held while the catalogue is built anew.
    building: Mutex<()>,
    pub(crate) sessions: Sessions,
    /// What clients were asked.
    pub(crate) asked: Arc<AskedClients>,
    pub(crate) parked: Parked,
    pub(crate) instances: Instances,
    pub(crate) limiter: Limiter,
    /// What was cut off of results.
    pub(crate) results: Results,
    /// What was said when the program was started, of how tools are shown.
    view_said: Option<ToolView>,
    events: broadcast::Sender<ServerEvent>,
    started_at: Instant,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").finish_non_exhaustive()
    }
}

impl Core {
    /// Starts every server of `view` and returns at once. Must run inside a tokio runtime. `view_said` is how tools are
    /// shown whatever the configuration says of all clients.
    #[must_use]
    pub fn start(
        view: View,
        generation: u64,
        launcher: impl Spawner,
        view_said: Option<ToolView>,
    ) -> Arc<Self> {
        let events = broadcast::channel(EVENTS_MAX).0;
        let core = Arc::new_cyclic(|me| Self {
            me: me.clone(),
            spawner: Arc::new(launcher),
            in_force: RwLock::new(Arc::new(InForce {
                generation: 0,
                view: View { servers: Vec::new(), ..view.clone() },
            })),
            catalogue: RwLock::default(),
            building: Mutex::default(),
            sessions: Sessions::default(),
            asked: AskedClients::new(events.clone()),
            parked: Parked::default(),
            instances: Instances::default(),
            limiter: Limiter::default(),
            results: Results::default(),
            view_said,
            events,
            started_at: Instant::now(),
        });
        core.apply(&InForce { generation, view });
        tokio::spawn(reload::follow(core.me.clone(), core.spawner.in_force()));
        core
    }

    /// Waits until every server has become ready or has failed once, at most `limit`.
    pub async fn settled(&self, limit: Duration) {
        self.settled_by(Instant::now() + limit).await;
    }

    /// What `GET /status` shows. `listen` is left empty for the front to fill.
    #[must_use]
    pub fn status(&self) -> Status {
        status::of(self, &self.in_force(), &self.spawner.machine(), self.spawner.reloads())
    }

    /// [`Core::status`], and what each server uses of its limits.
    pub async fn measured_status(&self) -> Status {
        let mut status = self.status();
        status::measure(&mut status, self).await;
        status
    }

    /// What `GET /context` shows, as JSON: all definitions of tools, and who sees which. `listen` is known to the front.
    pub async fn definitions(&self, listen: &[String]) -> String {
        definitions::of(self, listen).await
    }

    /// Has the configuration read again and waits until it is in force: its generation, and how many errors keep a
    /// newer one from it.
    ///
    /// # Errors
    /// In words, if it could not be read.
    pub async fn reload(&self) -> Result<(u64, u32), String> {
        let mut in_force = self.spawner.in_force();
        let (generation, errors) = self.spawner.reload().await.map_err(|error| error.to_string())?;
        let deadline = Instant::now() + FIRST_LIST_WAIT;
        let is_there = in_force.wait_for(|in_force| in_force.generation >= generation);
        timeout_at(deadline, is_there)
            .await
            .map(drop)
            .map_err(|_| "the configuration was read, but does not come into force".to_owned())?;
        Ok((generation, errors))
    }

    /// Ends every server and waits until they have ended, at most a few seconds.
    pub async fn stop(&self) {
        let catalogue = self.catalogue();
        let own = self.instances.all();
        let all = || catalogue.members.iter().chain(&own);
        all().for_each(|member| member.server.stop());
        let deadline = Instant::now() + EXIT_REPORT_WAIT;
        for member in all() {
            // Past the deadline the launcher ends what is left, as soon as we are gone.
            let _ = timeout_at(deadline, member.server.stopped()).await;
        }
    }

    pub(crate) fn in_force(&self) -> Arc<InForce> {
        self.in_force.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn catalogue(&self) -> Arc<Catalogue> {
        self.catalogue.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How this client wants tools shown: as its URL says; else, where servers are shown together, as the
    /// configuration says of its principal, or of all. One server's own endpoint is transparent unless the URL says
    /// otherwise.
    pub(crate) fn view_of(&self, caller: &Caller) -> ToolView {
        if let Some(view) = caller.view {
            return view;
        }
        if caller.endpoint != Endpoint::Aggregate {
            return ToolView::Full;
        }
        let in_force = self.in_force();
        let proxy = &in_force.view.proxy;
        let own = proxy.views.iter().find(|own| is_named(own.principal, &caller.principal));
        own.map(|own| own.view).or(self.view_said).unwrap_or(proxy.view)
    }

    async fn settled_by(&self, deadline: Instant) {
        for member in &self.catalogue().members {
            if !member.is_settled() {
                let _ = timeout_at(deadline, member.settled()).await;
            }
        }
    }

    /// Waits for servers never seen: for shared ones in the first seconds of the proxy only.
    pub(crate) async fn first_lists(&self) {
        self.settled_by(self.started_at + FIRST_LIST_WAIT).await;
    }

    /// What a caller can reach, once servers never seen had time to say what they offer.
    ///
    /// # Errors
    /// [`RpcError`] if it can have no process of its own.
    pub(crate) async fn listed_for(&self, caller: &Caller) -> Result<Arc<Catalogue>, RpcError> {
        self.first_lists().await;
        let catalogue = self.catalogue_for(caller)?;
        let own = |member: &&Arc<Member>| member.owner.is_some() && !member.is_settled();
        let deadline = Instant::now() + FIRST_LIST_WAIT;
        let mut waited = false;
        for member in catalogue.members.iter().filter(own) {
            waited = true;
            let _ = timeout_at(deadline, member.settled()).await;
        }
        if waited { self.catalogue_for(caller) } else { Ok(catalogue) }
    }

    /// A server's lists are others now.
    pub(crate) fn lists_changed(&self, server: &ServerName, which: Which, audience: &Audience) {
        if *audience == Audience::Everybody {
            self.rebuild(|members| members.to_vec());
        } else {
            let _building = self.building.lock().unwrap_or_else(PoisonError::into_inner);
            self.instances.forget_catalogues();
        }
        for list in which.iter() {
            let kind = ListKind { list, server: server.clone(), audience: audience.clone() };
            // Without a front nobody listens.
            let _ = self.events.send(ServerEvent::ListChanged(kind));
        }
    }

    /// A server's resource is another now. What nobody watches is not kept: a server may say as much of it
    /// as it likes.
    pub(crate) fn resource_updated(
        &self,
        server: &ServerName,
        uri: &str,
        owner: Option<&Owner>,
        audience: Audience,
    ) {
        let catalogue = self.catalogue();
        let Some(index) = catalogue.members.iter().position(|member| member.name() == server) else { return };
        let is_own = |member: &&Arc<Member>| member.name() == server && member.owner.as_ref() == owner;
        let own = owner.and_then(|_| self.instances.all().iter().find(is_own).cloned());
        let member = own.as_ref().or(catalogue.members.get(index).filter(|_| owner.is_none()));
        if !member.is_some_and(|member| member.watching.is_awaited(uri)) {
            return;
        }
        // Its owner's catalogue names it, not the one that knows nothing of what clients do not share.
        let catalogue = own.and_then(|own| self.instances.catalogue_with(&own)).unwrap_or(catalogue);
        let aggregate_uri = catalogue.uris.outward(index, uri).into_owned();
        let (server, uri) = (server.clone(), uri.to_owned());
        let _ = self.events.send(ServerEvent::ResourceUpdated { server, uri, aggregate_uri, audience });
    }

    /// A message for one session that belongs to none of its requests.
    pub(crate) fn tell_session(&self, session: u64, message: Bytes) {
        let _ = self.events.send(ServerEvent::ForSession { session, message });
    }

    /// Answers one request, or says why not.
    async fn answer(&self, asking: &Asking<'_>) -> Result<Answer, RpcError> {
        asking.check_era()?;
        match &asking.caller.endpoint {
            Endpoint::Aggregate => aggregate::answer(self, asking).await,
            Endpoint::Server(name) => {
                let catalogue = self.catalogue();
                let member = catalogue.member(name).ok_or_else(|| {
                    RpcError::invalid_params(format!("no server of the name \"{name}\" is configured"))
                })?;
                single::answer(self, asking, &self.instance_for(asking.caller, member)?).await
            }
        }
    }

    /// Answers one request until the client cancels it.
    async fn answer_or_cancel(&self, asking: &Asking<'_>) -> Result<Answer, RpcError> {
        let Some(session) = asking.caller.session else { return self.answer(asking).await };
        let in_flight = self.sessions.begin(session, asking.id);
        tokio::select! {
            biased;
            answer = self.answer(asking) => answer,
            () = in_flight.cancelled() => Err(RpcError::new(CANCELLED, "the client cancelled the request")),
        }
    }
}

fn is_named(name: PrincipalName, principal: &Principal) -> bool {
    match (name, principal) {
        (PrincipalName::Token, Principal::TokenBearer) => true,
        (PrincipalName::User(uid), Principal::LocalUser(own)) => uid == *own,
        _ => false,
    }
}

impl Exchange for Core {
    async fn request(self: Arc<Self>, caller: Caller, body: Bytes, stream: mpsc::Sender<Bytes>) -> Answer {
        let asking = match Asking::new(&caller, &body, &stream) {
            Ok(asking) => asking,
            Err(error) => return asking::failed("null", &RpcError::new(INVALID_REQUEST, error.to_string())),
        };
        match self.answer_or_cancel(&asking).await {
            Ok(answer) => answer,
            Err(error) => asking::failed(asking.id, &error),
        }
    }

    async fn notification(self: Arc<Self>, caller: Caller, body: Bytes) {
        let Ok(Envelope::Notification { method, params }) = Envelope::parse(&body) else { return };
        if method == "notifications/cancelled" {
            let id = params.and_then(|params| Object::parse(params, Keys::Exact).ok()?.get("requestId"));
            if let (Some(session), Some(id)) = (caller.session, id) {
                self.sessions.cancel(session, id);
            }
            return;
        }
        if method == "notifications/progress" {
            if let (Some(session), Some(params)) = (caller.session, params) {
                self.asked.progressed(session, params);
            }
            return;
        }
        if caller.endpoint == Endpoint::Aggregate && method == single::ROOTS_CHANGED {
            single::roots_changed(&self, &caller);
        }
        if let Endpoint::Server(name) = &caller.endpoint {
            single::notification(&self, &caller, name, &method, params);
        }
    }

    fn response(&self, caller: &Caller, body: &Bytes) {
        if let Some(session) = caller.session {
            self.asked.answered(session, body);
        }
    }

    fn events(&self) -> broadcast::Receiver<ServerEvent> {
        self.events.subscribe()
    }

    fn session_ended(&self, session: u64) {
        self.sessions.end(session);
        self.asked.end(session);
        for member in self.catalogue().members.iter().chain(&self.instances.all()) {
            single::unwatch_all(member, session);
        }
        self.end_instances_of(session);
    }

    fn input_schema(&self, caller: &Caller, tool: &str) -> Option<Bytes> {
        // Clients of this view do not see schemas, and so not which arguments to repeat; our own tools have none of that.
        if self.view_of(caller) == ToolView::Brief || MetaTool::of(tool).is_some() {
            return None;
        }
        let (member, name) = match &caller.endpoint {
            Endpoint::Server(name) => (self.catalogue().member(name)?.clone(), tool.to_owned()),
            Endpoint::Aggregate => {
                let catalogue = self.catalogue_for(caller).ok()?;
                let target = catalogue.tool(tool)?;
                (catalogue.members.get(target.index)?.clone(), target.name.clone())
            }
        };
        let lists = self.instance_for(caller, &member).ok()?.lists();
        let item = lists.tools.iter().find(|item| item.key == name)?;
        Object::parse(&item.raw, Keys::Exact).ok()?.get("inputSchema").map(|schema| schema.to_owned().into())
    }

    fn shows_changes_of_tools(&self, caller: &Caller) -> bool {
        // What is left to the configuration can change with it.
        let is_listed = |member: &Arc<Member>| member.server.view().expose == Some(Expose::Listed);
        caller.view != Some(ToolView::Search) || self.catalogue().members.iter().any(is_listed)
    }

    fn has_server(&self, name: &ServerName) -> bool {
        self.catalogue().member(name).is_some()
    }

    fn is_settled(&self) -> bool {
        self.catalogue().members.iter().all(|member| member.is_settled())
    }
}
