//! Whose processes of a server are whose. A server that all share has one instance, which is in the global
//! catalogue; of one that is not shared each session or principal has its own, made when it is first needed.

use crate::core::Core;
use crate::core::catalogue::Catalogue;
use crate::core::listing::Lists;
use crate::core::member::{Bell, Member};
use crate::exchange::{Audience, Caller, Era, Principal};
use crate::limits::{INSTANCES_MAX, INSTANCES_PER_SERVER_MAX, REMEMBERED_LISTS_MAX};
use crate::mcp::error::{OVERLOADED, RpcError};
use crate::servers::era::Facts;
use crate::servers::server::{Server, Tenant};
use only1mcp_policy::view::Scope;
use only1mcp_wire::{Partition, ServerName};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// All instances that are not shared.
#[derive(Debug, Default)]
pub struct Instances {
    table: Mutex<Table>,
    slots: Arc<Slots>,
}

#[derive(Debug, Default)]
struct Table {
    members: HashMap<(ServerName, Owner), Arc<Member>>,
    /// Catalogues of callers, until a list changes.
    catalogues: HashMap<Key, Arc<Catalogue>>,
    /// What processes of a plan said that were told of the same capabilities.
    remembered: HashMap<(String, Arc<str>), Remembered>,
}

/// What was said by a process.
pub type Remembered = (Arc<Facts>, Arc<Lists>);

/// Whose an instance is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// Who uses it.
    pub audience: Audience,
    /// What it is told its client can do.
    pub capabilities: Arc<str>,
}

/// What tells one caller's catalogue from another's.
type Key = (Option<u64>, Principal, Arc<str>);

impl Owner {
    /// Whose instance of a server with this scope this caller uses; nothing if all share it. Requests of modern
    /// clients have no session: there the relay connection stands for it, and over HTTP the principal.
    #[must_use]
    pub fn of(scope: Scope, caller: &Caller) -> Option<Self> {
        let audience = match (scope, caller.era, caller.session, caller.relay) {
            (Scope::Shared, ..) => return None,
            (Scope::Session, Era::Legacy, Some(session), _) => Audience::Session(session),
            (Scope::Session, Era::Modern, _, Some(relay)) => Audience::Relay(relay),
            _ => Audience::Principal(caller.principal.clone()),
        };
        Some(Self { audience, capabilities: caller.capabilities.clone() })
    }

    /// The legacy session it is told of, and asked by.
    #[must_use]
    pub fn session(&self) -> Option<u64> {
        match self.audience {
            Audience::Session(session) => Some(session),
            _ => None,
        }
    }

    /// Whether it ends with this session or relay connection.
    fn ends_with(&self, number: u64) -> bool {
        matches!(self.audience, Audience::Session(own) | Audience::Relay(own) if own == number)
    }
}

/// Numbers of state directories that sessions of one principal take in turn: so there are never more of them than
/// sessions at one time, and none shows another principal's state.
#[derive(Debug, Default)]
struct Slots(Mutex<HashMap<(ServerName, Principal), BTreeSet<u32>>>);

/// One such number, until the process that used it has ended.
#[derive(Debug)]
struct Slot {
    slots: Arc<Slots>,
    of: (ServerName, Principal),
    number: u32,
}

impl Slots {
    fn take(self: &Arc<Self>, name: &ServerName, principal: &Principal) -> Slot {
        let of = (name.clone(), principal.clone());
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = taken.entry(of.clone()).or_default();
        let number = (0..).find(|number| !taken.contains(number)).unwrap_or(u32::MAX);
        taken.insert(number);
        Slot { slots: self.clone(), of, number }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(numbers) = taken.get_mut(&self.of) {
            numbers.remove(&self.number);
            if numbers.is_empty() {
                taken.remove(&self.of);
            }
        }
    }
}

/// Opaque to the launcher, and never the one that all share.
fn partition(kind: &str, principal: &Principal, slot: u32) -> Partition {
    let principal = match principal {
        Principal::LocalUser(uid) => format!("uid {uid}"),
        Principal::TokenBearer => "token".to_owned(),
    };
    let digest = Sha256::digest(format!("only1mcp partition\n{kind}\n{principal}\n{slot}"));
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest).for_each(|(byte, of)| *byte = of);
    Partition(bytes)
}

impl Instances {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of them, those of one server beside each other.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Member>> {
        let mut all: Vec<_> = self.lock().members.values().cloned().collect();
        all.sort_by(|one, other| one.name().cmp(other.name()));
        all
    }

    /// The catalogue of a caller who uses this instance.
    #[must_use]
    pub fn catalogue_with(&self, instance: &Arc<Member>) -> Option<Arc<Catalogue>> {
        let table = self.lock();
        let uses = |catalogue: &&Arc<Catalogue>| {
            catalogue.members.iter().any(|member| Arc::ptr_eq(member, instance))
        };
        table.catalogues.values().find(uses).cloned()
    }

    /// Has every caller's catalogue built anew.
    pub fn forget_catalogues(&self) {
        self.lock().catalogues.clear();
    }

    /// Remembers what a process said, for others of the same plan that were told of the same capabilities.
    pub fn remember(&self, server: &Server, lists: &Arc<Lists>) {
        let Some(facts) = server.facts() else { return };
        let key = (server.view().digest.clone(), server.tenant.capabilities.clone());
        let mut table = self.lock();
        if table.remembered.len() >= REMEMBERED_LISTS_MAX && !table.remembered.contains_key(&key) {
            table.remembered.clear();
        }
        table.remembered.insert(key, (facts, lists.clone()));
    }

    /// What is remembered of such a process.
    #[must_use]
    pub fn remembered(&self, digest: &str, capabilities: &Arc<str>) -> Option<Remembered> {
        self.lock().remembered.get(&(digest.to_owned(), capabilities.clone())).cloned()
    }

    /// Ends those that `is_over` says so of.
    pub fn end(&self, is_over: impl Fn(&Member) -> bool) {
        let mut table = self.lock();
        let before = table.members.len();
        table.members.retain(|_, member| {
            let over = is_over(member);
            if over {
                let server = member.server.clone();
                tokio::spawn(async move { server.retire().await });
            }
            !over
        });
        if table.members.len() != before {
            table.catalogues.clear();
        }
    }

    /// Makes room for another instance of a server: one that nobody uses goes, the one not used for longest.
    ///
    /// # Errors
    /// [`RpcError`] if all are in use.
    fn make_room(table: &mut Table, name: &ServerName) -> Result<(), RpcError> {
        let own = table.members.keys().filter(|(server, _)| server == name).count();
        let is_crowded = own >= INSTANCES_PER_SERVER_MAX;
        if !is_crowded && table.members.len() < INSTANCES_MAX {
            return Ok(());
        }
        let candidates = table.members.iter().filter(|((server, _), _)| !is_crowded || server == name);
        let unused = candidates.filter(|(_, member)| member.server.is_unused());
        let oldest = unused.min_by_key(|(_, member)| member.server.last_used()).map(|(key, _)| key.clone());
        let Some(member) = oldest.and_then(|key| table.members.remove(&key)) else {
            let message = format!(
                "server \"{name}\" has {own} processes of clients that do not share one, and all are in use; help: \
                 try again when a session has ended, or set `scope: shared` for it"
            );
            return Err(RpcError::new(OVERLOADED, message));
        };
        member.server.stop();
        table.catalogues.clear();
        Ok(())
    }
}

impl Core {
    /// What this caller can reach: the servers all share, and its own instances of the others.
    ///
    /// # Errors
    /// [`RpcError`] if no instance can be made for it.
    pub(crate) fn catalogue_for(&self, caller: &Caller) -> Result<Arc<Catalogue>, RpcError> {
        let global = self.catalogue();
        if global.members.iter().all(|member| member.server.view().scope == Scope::Shared) {
            return Ok(global);
        }
        // What watches for a modern client has a number, and is that client all the same.
        let session = if caller.era == Era::Legacy { caller.session } else { caller.relay };
        let key = (session, caller.principal.clone(), caller.capabilities.clone());
        if let Some(known) = self.instances.lock().catalogues.get(&key) {
            return Ok(known.clone());
        }
        // Nothing changes meanwhile: a catalogue that is built of old lists would stay.
        let _building = self.building.lock().unwrap_or_else(PoisonError::into_inner);
        let global = self.catalogue();
        let members: Result<Vec<_>, _> =
            global.members.iter().map(|member| self.instance_for(caller, member)).collect();
        let characters_max = self.in_force().view.proxy.name_characters_max;
        let catalogue = Arc::new(Catalogue::new(members?, characters_max, Some(&global)));
        let mut table = self.instances.lock();
        if table.catalogues.len() >= INSTANCES_MAX {
            table.catalogues.clear();
        }
        table.catalogues.insert(key, catalogue.clone());
        Ok(catalogue)
    }

    /// This caller's instance of a server.
    ///
    /// # Errors
    /// [`RpcError`] if there are too many.
    pub(crate) fn instance_for(
        &self,
        caller: &Caller,
        shared: &Arc<Member>,
    ) -> Result<Arc<Member>, RpcError> {
        let view = shared.server.view();
        let Some(owner) = Owner::of(view.scope, caller) else { return Ok(shared.clone()) };
        let name = shared.name().clone();
        let remembered = self.instances.remembered(&view.digest, &owner.capabilities);
        let mut table = self.instances.lock();
        if let Some(member) = table.members.get(&(name.clone(), owner.clone())) {
            return Ok(member.clone());
        }
        Instances::make_room(&mut table, &name)?;
        let tenant = self.tenant(&name, &owner, &caller.principal);
        let bell = Bell::new(name.clone(), self.me.clone(), Some(owner.clone()));
        let server = Server::new(name.clone(), (*view).clone(), self.spawner.clone(), bell.clone(), tenant);
        let lists = remembered.as_ref().map(|(_, lists)| lists.allowed(&view.tools));
        if let Some((facts, _)) = remembered {
            server.rest(Some(facts));
        }
        let member = Member::new(server.clone(), bell, lists, Default::default(), Some(owner.clone()));
        server.run();
        tokio::spawn(member.clone().tend(self.me.clone()));
        table.members.insert((name, owner), member.clone());
        Ok(member)
    }

    fn tenant(&self, name: &ServerName, owner: &Owner, principal: &Principal) -> Tenant {
        let capabilities = owner.capabilities.clone();
        match &owner.audience {
            Audience::Session(_) | Audience::Relay(_) => {
                let slot = self.instances.slots.take(name, principal);
                let partition = partition("session", principal, slot.number);
                Tenant { partition, capabilities, lease: Some(Arc::new(slot)) }
            }
            _ => Tenant { partition: partition("principal", principal, 0), capabilities, lease: None },
        }
    }

    /// Ends what belongs to a session that has ended.
    pub(crate) fn end_instances_of(&self, session: u64) {
        self.instances.end(|member| member.owner.as_ref().is_some_and(|owner| owner.ends_with(session)));
    }

    /// What a server is to its clients: itself, or where they do not share it the first of their processes that runs;
    /// nothing if there is none.
    pub(crate) fn stands_for(&self, member: &Arc<Member>) -> Option<Arc<Member>> {
        if member.server.view().scope == Scope::Shared {
            return Some(member.clone());
        }
        let any = || self.instances.all().into_iter().find(|own| own.name() == member.name());
        self.running_instances(member.name()).into_iter().next().or_else(any)
    }

    /// What a client with a process of each server sees, and of which servers that is known.
    pub(crate) fn seen(&self) -> (Arc<Catalogue>, Vec<bool>) {
        let global = self.catalogue();
        let all: Vec<_> = global.members.iter().map(|member| self.stands_for(member)).collect();
        let known = all.iter().map(|own| own.as_ref().is_some_and(|own| own.is_settled())).collect();
        if global.members.iter().all(|member| member.server.view().scope == Scope::Shared) {
            return (global, known);
        }
        let members = global.members.iter().zip(all).map(|(member, own)| own.unwrap_or(member.clone()));
        let characters_max = self.in_force().view.proxy.name_characters_max;
        (Arc::new(Catalogue::new(members.collect(), characters_max, Some(&global))), known)
    }

    /// How many processes of a server run that are not shared.
    pub(crate) fn running_instances(&self, name: &ServerName) -> Vec<Arc<Member>> {
        let all = self.instances.all().into_iter();
        all.filter(|member| member.name() == name && member.server.is_ready()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: Principal = Principal::LocalUser(7);

    #[test]
    fn sessions_of_one_principal_take_the_lowest_free_directory_in_turn() {
        let slots = Arc::new(Slots::default());
        let name = ServerName::new("a").unwrap();
        let take = |principal: &Principal| slots.take(&name, principal);
        let (zero, one) = (take(&ME), take(&ME));
        assert_eq!((zero.number, one.number, take(&Principal::TokenBearer).number), (0, 1, 0));
        drop(zero);
        assert_eq!(take(&ME).number, 0);
        drop(one);
        assert!(slots.0.lock().unwrap().is_empty());
    }

    #[test]
    fn no_two_kinds_principals_or_slots_have_one_partition_and_none_is_the_shared_one() {
        let all = [
            partition("session", &ME, 0),
            partition("session", &ME, 1),
            partition("session", &Principal::TokenBearer, 0),
            partition("principal", &ME, 0),
            Partition::SHARED,
        ];
        let different: std::collections::HashSet<[u8; 16]> =
            all.iter().map(|partition| partition.0).collect();
        assert_eq!(different.len(), all.len());
    }
}
