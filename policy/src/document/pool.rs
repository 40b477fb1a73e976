//! What a configuration says of how a server is kept working: replicas, routing, health, limits on calls.

use super::keys::{CONCURRENCY, HEALTH_CHECK, RECYCLE, SERVER_ROUTING};
use super::policy::check_pattern;
use super::reader::{Fields, Unit};
use crate::finding::{Findings, Spot};
use crate::limits::{self, TIMEOUT_MS_MAX};
use crate::view::RoutingKey;

/// What one server says.
#[derive(Debug, Default)]
pub struct PoolDocument {
    /// `replicas`.
    pub replicas: Option<Spot<u64>>,
    /// Whether `state` is `shared`.
    pub is_state_shared: bool,
    /// `routing.key`.
    pub key: RoutingKey,
    /// `retry`.
    pub retry: Vec<String>,
    /// `trust_annotations`.
    pub trust_annotations: bool,
    /// `health_check`.
    pub health: HealthDocument,
    /// `recycle.calls`.
    pub recycle_calls: Option<u64>,
    /// `recycle.age`, milliseconds.
    pub recycle_age_ms: Option<u64>,
    /// `recycle.memory`, bytes.
    pub recycle_memory: Option<Spot<u64>>,
    /// `concurrency.calls`.
    pub calls: Option<u64>,
    /// `concurrency.per_principal`.
    pub calls_per_principal: Option<Spot<u64>>,
    /// `concurrency.queue`.
    pub queue: Option<u64>,
}

/// `health_check` of a server, or `health` of the proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HealthDocument {
    /// Time between two checks, milliseconds.
    pub interval_ms: Option<u64>,
    /// How long a check may take, milliseconds.
    pub timeout_ms: Option<u64>,
    /// Failures in a row.
    pub failure_threshold: Option<u64>,
}

/// Reads the keys of one server.
pub fn read(fields: &Fields<'_>, findings: &mut Findings) -> PoolDocument {
    // Other words are refused with the keys.
    let word = |name, fields: &Fields<'_>, findings: &mut Findings| {
        fields.text(name, findings).map(|word| word.value)
    };
    let routing = fields.fields("routing", SERVER_ROUTING, findings);
    let key = routing.and_then(|routing| word("key", &routing, findings));
    let retry = fields.texts("retry", findings).unwrap_or_default();
    retry.iter().for_each(|pattern| check_pattern(pattern, findings));
    let health = fields.fields("health_check", HEALTH_CHECK, findings);
    let recycle = fields.fields("recycle", RECYCLE, findings);
    let recycle = recycle.as_ref();
    let concurrency = fields.fields("concurrency", CONCURRENCY, findings);
    let concurrency = concurrency.as_ref();
    let ages = limits::RECYCLE_AGE_MS_MIN..=limits::RECYCLE_AGE_MS_MAX;
    let calls = &limits::CONCURRENT_CALLS;
    PoolDocument {
        replicas: fields.count("replicas", &limits::REPLICAS, findings),
        is_state_shared: word("state", fields, findings).is_some(),
        key: key.and_then(|key| RoutingKey::of(&key)).unwrap_or_default(),
        retry: retry.into_iter().map(|pattern| pattern.value).collect(),
        trust_annotations: fields.switch("trust_annotations", findings).is_some_and(|trust| trust.value),
        health: health.map(|health| read_health(&health, "interval", findings)).unwrap_or_default(),
        recycle_calls: recycle
            .and_then(|recycle| recycle.count("calls", &limits::RECYCLE_CALLS, findings))
            .map(|calls| calls.value),
        recycle_age_ms: recycle
            .and_then(|recycle| recycle.quantity("age", &ages, Unit::Duration, findings))
            .map(|age| age.value),
        recycle_memory: recycle
            .and_then(|recycle| recycle.quantity("memory", &limits::MEMORY_BYTES, Unit::Size, findings)),
        calls: concurrency
            .and_then(|concurrency| concurrency.count("calls", calls, findings))
            .map(|calls| calls.value),
        calls_per_principal: concurrency
            .and_then(|concurrency| concurrency.count("per_principal", calls, findings)),
        queue: concurrency
            .and_then(|concurrency| concurrency.count("queue", &limits::QUEUED_CALLS, findings))
            .map(|queue| queue.value),
    }
}

/// Reads how health is checked; the proxy calls the interval otherwise.
pub fn read_health(fields: &Fields<'_>, interval: &str, findings: &mut Findings) -> HealthDocument {
    let spans = limits::HEALTH_MS_MIN..=TIMEOUT_MS_MAX;
    let mut span = |name| fields.quantity(name, &spans, Unit::Duration, findings).map(|span| span.value);
    let (interval_ms, timeout_ms) = (span(interval), span("timeout"));
    let threshold = fields.count("failure_threshold", &limits::FAILURE_THRESHOLD, findings);
    HealthDocument { interval_ms, timeout_ms, failure_threshold: threshold.map(|threshold| threshold.value) }
}
