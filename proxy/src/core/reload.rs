//! A configuration comes into force: servers that are new are started, those that are gone are ended when they have
//! answered, those whose plan has changed have their processes replaced, all others go on undisturbed.

use crate::core::Core;
use crate::core::catalogue::Catalogue;
use crate::core::listing::Which;
use crate::core::member::{Bell, Member};
use crate::exchange::Audience;
use crate::servers::server::{Server, Tenant};
use crate::servers::spawn::InForce;
use only1mcp_policy::view::{ProxyView, Scope, ServerView};
use only1mcp_wire::ServerName;
use std::sync::{Arc, PoisonError, Weak};
use tokio::sync::watch;

/// Applies each configuration that comes into force, until the core is gone.
pub async fn follow(core: Weak<Core>, mut in_force: watch::Receiver<Arc<InForce>>) {
    while in_force.changed().await.is_ok() {
        let Some(core) = core.upgrade() else { return };
        let now = in_force.borrow_and_update().clone();
        core.apply(&now);
    }
}

impl Core {
    /// Brings a configuration into force.
    pub(crate) fn apply(&self, new: &InForce) {
        let old = std::mem::replace(
            &mut *self.in_force.write().unwrap_or_else(PoisonError::into_inner),
            Arc::new(new.clone()),
        );
        let mut changed = Vec::new();
        self.rebuild(|members| {
            let kept = |view: &ServerView| members.iter().find(|member| is_same(member, view)).cloned();
            let next: Vec<Arc<Member>> = new
                .view
                .servers
                .iter()
                .filter_map(|view| kept(view).or_else(|| self.begin(view, members)))
                .collect();
            for gone in members.iter().filter(|member| !next.iter().any(|other| Arc::ptr_eq(other, member))) {
                let server = gone.server.clone();
                tokio::spawn(async move { server.retire().await });
                changed.push(gone.name().clone());
            }
            next
        });
        self.instances.end(|member| !new.view.servers.iter().any(|view| is_same(member, view)));
        let catalogue = self.catalogue();
        for member in catalogue.members.iter().chain(&self.instances.all()) {
            let view = new.view.servers.iter().find(|view| view.id == member.name().as_str());
            if let Some(view) = view.filter(|view| **view != *member.server.view()) {
                // Whoever waits is told of what is refused from now on; what is allowed now is fetched.
                if member.forget_refused(&view.tools) && member.owner.is_none() {
                    changed.push(member.name().clone());
                }
                let shown = shows_other_tools(&member.server.view(), view);
                member.server.set_view((*view).clone());
                member.rules_changed();
                if shown {
                    changed.push(member.name().clone());
                }
            }
        }
        let is_shown_so = |proxy: &ProxyView| (proxy.view, proxy.auto_threshold, proxy.views.clone());
        if is_shown_so(&old.view.proxy) != is_shown_so(&new.view.proxy) {
            changed.extend(catalogue.members.iter().map(|member| member.name().clone()));
        }
        changed.dedup();
        for name in changed {
            self.lists_changed(&name, Which::ALL, &Audience::Everybody);
        }
        tracing::info!(from = old.generation, to = new.generation, "configuration in force");
    }

    /// Starts a server that is not running under this plan.
    fn begin(&self, view: &ServerView, members: &[Arc<Member>]) -> Option<Arc<Member>> {
        let name = match ServerName::new(&view.id) {
            Ok(name) => name,
            Err(error) => {
                tracing::error!(id = view.id, %error, "the view has a server that cannot be named");
                return None;
            }
        };
        let bell = Bell::new(name.clone(), self.me.clone(), None);
        let server = Server::new(name, view.clone(), self.spawner.clone(), bell.clone(), Tenant::everybody());
        let before = members.iter().find(|member| member.name() == &server.name);
        let lists = before.map(|before| before.lists().allowed(&view.tools));
        let watching = before.map(|before| before.watching.clone()).unwrap_or_default();
        if view.scope != Scope::Shared {
            // It stands for the instances of clients, and never runs itself.
            server.rest(None);
        }
        let member = Member::new(server.clone(), bell, lists, watching, None);
        server.run();
        tokio::spawn(member.clone().tend(self.me.clone()));
        Some(member)
    }

    /// Builds the catalogue anew from the servers that `change` makes of those there are.
    pub(crate) fn rebuild(&self, change: impl FnOnce(&[Arc<Member>]) -> Vec<Arc<Member>>) {
        let _building = self.building.lock().unwrap_or_else(PoisonError::into_inner);
        let members = change(&self.catalogue().members);
        let characters_max = self.in_force().view.proxy.name_characters_max;
        let before = self.catalogue();
        let catalogue = Arc::new(Catalogue::new(members, characters_max, Some(&before)));
        *self.catalogue.write().unwrap_or_else(PoisonError::into_inner) = catalogue;
        self.instances.forget_catalogues();
    }
}

/// Whether clients see other tools, or see them otherwise.
fn shows_other_tools(old: &ServerView, new: &ServerView) -> bool {
    let told = |view: &ServerView| {
        (view.expose, view.read_only.clone(), view.trust_annotations, view.results.max_tokens.is_some())
    };
    told(old) != told(new)
}

/// Whether it can go on under this view. Who shares its processes decides what they are, so that may not change.
fn is_same(member: &Member, view: &ServerView) -> bool {
    member.name().as_str() == view.id && member.server.view().scope == view.scope
}
