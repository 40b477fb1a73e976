//! How a server is kept working: what may be asked for together.

use crate::document::config::ServerDocument;
use crate::document::pool::HealthDocument;
use crate::document::units::show_size;
use crate::finding::Findings;
use crate::policy::Policy;
use crate::view::{ConcurrencyView, HealthView, RecycleView, RoutingKey, Scope};

/// How a server is kept working, with nothing left open but what the proxy's own settings say.
#[derive(Clone, Debug)]
pub struct Pool {
    /// Processes that do the same work.
    pub replicas: u32,
    /// Whether its processes may use one state directory at one time.
    pub is_state_shared: bool,
    /// What calls that belong together have in common.
    pub key: RoutingKey,
    /// Tools that may be called twice.
    pub retry: Vec<String>,
    /// Whether the server is believed on which of its tools may be called twice.
    pub trust_annotations: bool,
    /// How its health is checked, where that is not as for all.
    pub health: HealthDocument,
    /// When a process is replaced by a fresh one.
    pub recycle: RecycleView,
    /// How many calls it takes at once.
    pub concurrency: ConcurrencyView,
}

/// Checks what one server asks for.
pub fn check(document: &ServerDocument, policy: Option<&Policy>, findings: &mut Findings) -> Pool {
    let pool = &document.pool;
    check_replicas(document, findings);
    check_memory(document, policy, findings);
    let defaults = ConcurrencyView::default();
    let calls = pool.calls.map_or(defaults.calls, small);
    if let Some(own) = pool.calls_per_principal.as_ref().filter(|own| own.value > u64::from(calls)) {
        findings.error(
            &own.place,
            format!("one principal may make {} calls at once, and all together {calls}", own.value),
            "write a smaller `per_principal` or a larger `calls`",
        );
    }
    Pool {
        replicas: pool.replicas.as_ref().map_or(1, |replicas| small(replicas.value)),
        is_state_shared: pool.is_state_shared,
        key: pool.key,
        retry: pool.retry.clone(),
        trust_annotations: pool.trust_annotations,
        health: pool.health,
        recycle: RecycleView {
            calls: pool.recycle_calls,
            age_ms: pool.recycle_age_ms,
            memory_bytes: pool.recycle_memory.as_ref().map(|memory| memory.value),
        },
        concurrency: ConcurrencyView {
            calls,
            per_principal: pool.calls_per_principal.as_ref().map_or(calls, |own| small(own.value)),
            queue: pool.queue.map_or(defaults.queue, small),
        },
    }
}

/// `/state` can always be written, so replicas write it together.
fn check_replicas(document: &ServerDocument, findings: &mut Findings) {
    let Some(replicas) = document.pool.replicas.as_ref().filter(|replicas| replicas.value > 1) else {
        return;
    };
    if document.scope != Scope::Shared {
        findings.error(
            &replicas.place,
            format!("{} replicas of a server whose processes are not shared", replicas.value),
            "remove `replicas`: with this scope each client has a process of its own; or remove `scope`",
        );
    } else if !document.pool.is_state_shared {
        findings.error(
            &replicas.place,
            format!("{} replicas have one state directory, /state", replicas.value),
            "add `state: shared` if several processes may use its files at once, or remove `replicas`",
        );
    }
}

/// Only a cgroup counts memory.
fn check_memory(document: &ServerDocument, policy: Option<&Policy>, findings: &mut Findings) {
    let (Some(memory), Some(policy)) = (&document.pool.recycle_memory, policy) else { return };
    if !policy.requires.cgroup {
        findings.error(
            &memory.place,
            "`recycle.memory` needs a cgroup that counts memory, and the policy does not require one",
            "add `requires: {cgroup: true}` to the policy, or use `age` or `calls`",
        );
    } else if memory.value >= policy.limits.memory_bytes {
        findings.error(
            &memory.place,
            format!("the limit on its memory, {}, is reached first", show_size(policy.limits.memory_bytes)),
            "write less than `limits.memory` of the policy",
        );
    }
}

impl HealthDocument {
    /// With what is said of all servers, and the defaults, where nothing is said.
    #[must_use]
    pub fn or(self, all: Self) -> HealthView {
        let defaults = HealthView::default();
        HealthView {
            interval_ms: self.interval_ms.or(all.interval_ms).unwrap_or(defaults.interval_ms),
            timeout_ms: self.timeout_ms.or(all.timeout_ms).unwrap_or(defaults.timeout_ms),
            failure_threshold: self
                .failure_threshold
                .or(all.failure_threshold)
                .map_or(defaults.failure_threshold, small),
        }
    }
}

/// A number that the reader has bounded already.
pub(super) fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
