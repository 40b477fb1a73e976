//! What a client wants to be told of beyond its own requests, and the task that tells it.
//!
//! The same for `subscriptions/listen`, the GET stream of a legacy session, and a relay connection.

use super::era;
use super::error::{Fault, code};
use super::frame::{self, NotificationParams, SubscriptionMeta};
use crate::exchange::{Audience, Caller, Endpoint, List, ServerEvent};
use crate::limits::SUBSCRIPTIONS_MAX;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;

/// Messages of a stream that may wait for a slow client; behind that, the events wait, and beyond
/// their bound the client is told that everything changed.
pub const STREAM_QUEUE: usize = 64;

/// The resources a client is subscribed to, as it names them.
#[derive(Clone, Debug, Default)]
pub struct Resources(Arc<Mutex<BTreeSet<String>>>);

impl Resources {
    fn locked(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether another one fits below the limit.
    pub fn has_room(&self) -> bool {
        self.locked().len() < SUBSCRIPTIONS_MAX
    }

    /// Adds one.
    pub fn add(&self, uri: String) {
        self.locked().insert(uri);
    }

    /// Takes one away.
    pub fn remove(&self, uri: &str) {
        self.locked().remove(uri);
    }

    fn contains(&self, uri: &str) -> bool {
        self.locked().contains(uri)
    }

    /// All of them.
    pub fn all(&self) -> Vec<String> {
        self.locked().iter().cloned().collect()
    }
}

/// What a client wants to be told of.
#[derive(Clone, Debug)]
pub struct Filter {
    lists: Vec<List>,
    resources: Resources,
    /// Who listens: a legacy session is told its own messages, too.
    caller: Caller,
    /// The id of the listen request, on the modern wire.
    tag: Option<Arc<RawValue>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Asked {
    tools_list_changed: bool,
    prompts_list_changed: bool,
    resources_list_changed: bool,
    resource_subscriptions: BTreeSet<String>,
}

impl Filter {
    /// All lists, these resources, and what is meant for this session alone: what a legacy client is told.
    pub fn legacy(resources: Resources, caller: &Caller) -> Self {
        let lists = vec![List::Tools, List::Prompts, List::Resources];
        Self { lists, resources, caller: caller.clone(), tag: None }
    }

    /// What a listen request asks for, and the resources it names, not yet subscribed to.
    ///
    /// # Errors
    /// -32602 if the filter is missing, wrong, or names too many resources.
    pub fn asked(
        id: &RawValue,
        filter: Option<&RawValue>,
        caller: &Caller,
    ) -> Result<(Self, Vec<String>), Fault> {
        let wrong = |problem: String| Fault::new(code::INVALID_PARAMS, problem);
        let text = filter.filter(|filter| filter.get().starts_with('{'));
        let text = text.ok_or_else(|| wrong("params.notifications must be an object".to_owned()))?;
        let asked: Asked = serde_json::from_str(text.get())
            .map_err(|error| wrong(format!("params.notifications: {error}")))?;
        if asked.resource_subscriptions.len() > SUBSCRIPTIONS_MAX {
            return Err(wrong(format!(
                "resourceSubscriptions may name {SUBSCRIPTIONS_MAX} resources at most"
            )));
        }
        let lists = [
            (asked.tools_list_changed, List::Tools),
            (asked.prompts_list_changed, List::Prompts),
            (asked.resources_list_changed, List::Resources),
        ];
        let lists = lists.into_iter().filter(|(asked, _)| *asked).map(|(_, list)| list).collect();
        let tag = Some(Arc::from(id.to_owned()));
        let filter = Self { lists, resources: Resources::default(), caller: caller.clone(), tag };
        Ok((filter, asked.resource_subscriptions.into_iter().collect()))
    }

    /// The same without changes of tools, which this client does not see.
    #[must_use]
    pub fn without_tools(mut self) -> Self {
        self.lists.retain(|list| *list != List::Tools);
        self
    }

    /// Adds a resource that a server agreed to watch.
    pub fn honour(&self, uri: String) {
        self.resources.add(uri);
    }

    /// The first message of a listen stream: what it will be told of.
    pub fn acknowledgement(&self) -> Bytes {
        let mut honoured = serde_json::Map::new();
        for list in &self.lists {
            let member = match list {
                List::Tools => "toolsListChanged",
                List::Prompts => "promptsListChanged",
                List::Resources => "resourcesListChanged",
            };
            honoured.insert(member.to_owned(), true.into());
        }
        let resources = self.resources.all();
        if !resources.is_empty() {
            honoured.insert("resourceSubscriptions".to_owned(), resources.into());
        }
        let params = NotificationParams { notifications: Some(honoured.into()), ..self.params() };
        frame::notification("notifications/subscriptions/acknowledged", &params)
    }

    /// The answer that ends a listen stream; a legacy stream just ends.
    fn end(&self) -> Option<Bytes> {
        self.tag.as_deref().map(frame::subscription_end)
    }

    fn params(&self) -> NotificationParams<'_> {
        let meta = self.tag.as_deref().map(|id| SubscriptionMeta { id });
        NotificationParams { meta, ..NotificationParams::default() }
    }

    /// What this client is told when this happened.
    fn messages(&self, endpoint: &Endpoint, event: &ServerEvent) -> Option<Bytes> {
        match event {
            ServerEvent::ListChanged(kind) => {
                let shows = match endpoint {
                    Endpoint::Aggregate => true,
                    Endpoint::Server(server) => *server == kind.server,
                };
                let shows = shows && self.is_in(&kind.audience);
                (shows && self.lists.contains(&kind.list)).then(|| self.list_changed(kind.list))
            }
            ServerEvent::ResourceUpdated { audience, .. } if !self.is_in(audience) => None,
            ServerEvent::ResourceUpdated { server, uri, aggregate_uri, .. } => {
                let uri = match endpoint {
                    Endpoint::Aggregate => aggregate_uri,
                    Endpoint::Server(own) if own == server => uri,
                    Endpoint::Server(_) => return None,
                };
                self.resources.contains(uri).then(|| self.updated(uri))
            }
            ServerEvent::ForSession { session, message } => {
                (self.caller.session == Some(*session)).then(|| message.clone())
            }
        }
    }

    fn is_in(&self, audience: &Audience) -> bool {
        match audience {
            Audience::Everybody => true,
            Audience::Session(session) => self.caller.session == Some(*session),
            Audience::Relay(relay) => self.caller.relay == Some(*relay),
            Audience::Principal(principal) => self.caller.principal == *principal,
        }
    }

    /// What this client is told when events were missed: that everything changed.
    pub fn everything(&self) -> Vec<Bytes> {
        let lists = self.lists.iter().map(|&list| self.list_changed(list));
        lists.chain(self.resources.all().iter().map(|uri| self.updated(uri))).collect()
    }

    fn list_changed(&self, list: List) -> Bytes {
        let method = match list {
            List::Tools => "notifications/tools/list_changed",
            List::Prompts => "notifications/prompts/list_changed",
            List::Resources => "notifications/resources/list_changed",
        };
        frame::notification(method, &self.params())
    }

    fn updated(&self, uri: &str) -> Bytes {
        let params = NotificationParams { uri: Some(uri), ..self.params() };
        frame::notification("notifications/resources/updated", &params)
    }
}

/// Why a stream of events ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The client is gone.
    Client,
    /// The proxy stops.
    Stopping,
}

/// How a client is told: by a queue in front of its connection, or by a stream that it can come back to.
pub trait Told: Sync {
    /// Waits until it is gone.
    fn closed(&self) -> impl Future<Output = ()> + Send;

    /// Waits until it takes something. Until then what happens stays where it is.
    fn room(&self) -> impl Future<Output = ()> + Send;

    /// Tells it something; false if it is gone.
    fn say(&self, message: Bytes) -> impl Future<Output = bool> + Send;

    /// Tells it the last thing; does not wait for one that does not read.
    fn say_last(&self, message: Bytes);
}

impl Told for mpsc::Sender<Bytes> {
    async fn closed(&self) {
        self.closed().await;
    }

    async fn room(&self) {}

    async fn say(&self, message: Bytes) -> bool {
        self.send(message).await.is_ok()
    }

    fn say_last(&self, message: Bytes) {
        let _ = self.try_send(message);
    }
}

/// Tells a client what happens until it goes away or the proxy stops.
pub async fn tell(
    filter: &Filter,
    endpoint: &Endpoint,
    events: &mut broadcast::Receiver<ServerEvent>,
    client: &impl Told,
    stop: &CancellationToken,
) -> End {
    loop {
        let next = async {
            client.room().await;
            events.recv().await
        };
        let messages: Vec<Bytes> = tokio::select! {
            () = client.closed() => return End::Client,
            () = stop.cancelled() => break,
            event = next => match event {
                Ok(event) => filter.messages(endpoint, &event).into_iter().collect(),
                Err(RecvError::Lagged(_)) => filter.everything(),
                Err(RecvError::Closed) => break,
            },
        };
        for message in messages {
            if !client.say(message).await {
                return End::Client;
            }
        }
    }
    if let Some(end) = filter.end() {
        client.say_last(end);
    }
    End::Stopping
}

/// The URI that a subscribe or unsubscribe request names.
pub fn subject(params: &era::Params<'_>) -> Option<String> {
    era::string(params.uri)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{Era, ListKind, Principal, Who};
    use crate::front::session::legacy_caller;
    use only1mcp_wire::ServerName;

    fn name(text: &str) -> ServerName {
        ServerName::new(text).unwrap()
    }

    fn listening(filter: &str) -> Filter {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let legacy = legacy_caller(Who::at_all(Principal::TokenBearer), "2026-07-28", 0);
        let caller = Caller { era: Era::Modern, session: None, relay: Some(9), ..legacy };
        let (filter, uris) = Filter::asked(&raw("7"), Some(&raw(filter)), &caller).unwrap();
        uris.into_iter().for_each(|uri| filter.honour(uri));
        filter
    }

    #[test]
    fn tells_only_what_was_asked_for() {
        let filter = listening(r#"{"toolsListChanged":true,"taskIds":[1]}"#);
        let changed = |list| {
            ServerEvent::ListChanged(ListKind { list, server: name("a"), audience: Audience::Everybody })
        };
        assert_eq!(
            filter.messages(&Endpoint::Aggregate, &changed(List::Tools)).unwrap(),
            r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":7}}}"#
        );
        assert!(filter.messages(&Endpoint::Aggregate, &changed(List::Prompts)).is_none());
        assert!(filter.messages(&Endpoint::Server(name("b")), &changed(List::Tools)).is_none());
        assert!(filter.messages(&Endpoint::Server(name("a")), &changed(List::Tools)).is_some());
    }

    #[test]
    fn what_concerns_one_client_is_told_to_no_other() {
        let filter = listening(r#"{"toolsListChanged":true}"#);
        let changed =
            |audience| ServerEvent::ListChanged(ListKind { list: List::Tools, server: name("a"), audience });
        let told = |audience| filter.messages(&Endpoint::Aggregate, &changed(audience)).is_some();
        assert!(told(Audience::Principal(Principal::TokenBearer)) && told(Audience::Relay(9)));
        assert!(!told(Audience::Principal(Principal::LocalUser(7))) && !told(Audience::Session(7)));
        assert!(!told(Audience::Relay(7)) && !told(Audience::Session(9)));
    }

    #[test]
    fn names_a_resource_as_the_client_does() {
        let filter = listening(r#"{"resourceSubscriptions":["x:1"]}"#);
        let event = |uri: &str, aggregate: &str| ServerEvent::ResourceUpdated {
            server: name("a"),
            uri: uri.to_owned(),
            aggregate_uri: aggregate.to_owned(),
            audience: Audience::Everybody,
        };
        assert!(filter.messages(&Endpoint::Aggregate, &event("y:2", "x:1")).is_some());
        assert!(filter.messages(&Endpoint::Aggregate, &event("x:1", "y:2")).is_none());
        assert!(filter.messages(&Endpoint::Server(name("a")), &event("x:1", "y:2")).is_some());
        assert!(filter.messages(&Endpoint::Server(name("b")), &event("x:1", "x:1")).is_none());
    }

    #[test]
    fn acknowledges_the_honoured_subset() {
        assert_eq!(
            listening(
                r#"{"toolsListChanged":true,"promptsListChanged":false,"resourceSubscriptions":["x:1"]}"#
            )
            .acknowledgement(),
            r#"{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{"toolsListChanged":true,"resourceSubscriptions":["x:1"]},"_meta":{"io.modelcontextprotocol/subscriptionId":7}}}"#
        );
    }
}
