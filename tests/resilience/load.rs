//! A load that does not wait for answers before it goes on: so many requests a second, from clients of both eras.

use harness::mcp::{Endpoint, Session, message};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Clients that can have a request under way at one time.
const CLIENTS: usize = 96;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A tool that the operator vouches for.
    Look,
    /// A resource.
    Read,
    /// The list of tools.
    List,
    /// A tool that must not be called twice.
    Deposit,
}

/// What became of one request.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was asked.
    pub kind: Kind,
    /// Its name in the ledger.
    pub id: String,
    /// How long it took from then on.
    pub took: Duration,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

/// A load under way.
pub struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

struct Shared {
    endpoint: Endpoint,
    begun: Instant,
    pause: Duration,
    next: AtomicU64,
    is_over: AtomicBool,
    outcomes: Mutex<Vec<Outcome>>,
}

impl Kind {
    /// Of ten requests six look, one reads, one lists, and two deposit.
    fn of(number: u64) -> Self {
        match number % 10 {
            0..6 => Self::Look,
            6 => Self::Read,
            7 => Self::List,
            _ => Self::Deposit,
        }
    }

    fn request(self, id: &str) -> (&'static str, Value) {
        match self {
            Self::Look => ("tools/call", json!({"name": "look", "arguments": {"id": id}})),
            Self::Read => ("resources/read", json!({"uri": "test://static-text"})),
            Self::List => ("tools/list", json!({})),
            Self::Deposit => ("tools/call", json!({"name": "deposit", "arguments": {"id": id}})),
        }
    }
}

impl Load {
    /// Begins to ask one server so many times a second.
    #[must_use]
    pub fn begin(endpoint: &Endpoint, per_second: u32) -> Self {
        let shared = Arc::new(Shared {
            endpoint: endpoint.clone(),
            begun: Instant::now(),
            pause: Duration::from_secs(1) / per_second,
            next: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            outcomes: Mutex::default(),
        });
        let client = |number: usize| {
            let shared = shared.clone();
            std::thread::spawn(move || shared.ask_again_and_again(number.is_multiple_of(2)))
        };
        Self { clients: (0..CLIENTS).map(client).collect(), shared }
    }

    /// Ends it: what came of all requests.
    ///
    /// # Panics
    /// If a client panicked.
    #[must_use]
    pub fn end(self) -> Vec<Outcome> {
        self.shared.is_over.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().expect("a client ends in peace");
        }
        std::mem::take(&mut *self.shared.outcomes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shared {
    fn ask_again_and_again(&self, is_legacy: bool) {
        let session = is_legacy.then(|| self.endpoint.legacy());
        while !self.is_over.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let at = self.pause * u32::try_from(number).unwrap_or(u32::MAX);
            let due = self.begun + at;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let (kind, id) = (Kind::of(number), format!("entry-{number}"));
            let error = self.ask(session.as_ref(), kind, &id);
            let outcome = Outcome { kind, id, took: due.elapsed(), error };
            self.outcomes.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
        }
    }

    /// Why it failed, if it did.
    fn ask(&self, session: Option<&Session>, kind: Kind, id: &str) -> Option<String> {
        let (method, params) = kind.request(id);
        let (headers, body) = match session {
            Some(session) => (session.headers(), message(1, method, &params)),
            None => Endpoint::modern_parts(method, &params),
        };
        let headers: Vec<(&str, &str)> = headers.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let bytes = self.endpoint.request("POST", &headers, body.to_string().as_bytes());
        let answer = match harness::http::raw(&self.endpoint.address, &bytes) {
            Ok(answer) => answer,
            Err(error) => return Some(format!("no answer: {error}")),
        };
        let Some(answer) = answer.messages().pop() else { return Some(format!("no message: {answer:?}")) };
        let is_good = answer["result"].is_object() && answer["result"]["isError"] != true;
        (!is_good)
            .then(|| answer["error"]["message"].as_str().map_or_else(|| answer.to_string(), str::to_owned))
    }
}

/// Requests, failures and times of each kind, for people; returns what failed.
pub fn report(what: &str, outcomes: &[Outcome]) -> Vec<Outcome> {
    let mut of_kinds = BTreeMap::<Kind, Vec<&Outcome>>::new();
    outcomes.iter().for_each(|outcome| of_kinds.entry(outcome.kind).or_default().push(outcome));
    for (kind, all) in &of_kinds {
        let mut times: Vec<_> = all.iter().map(|outcome| outcome.took).collect();
        times.sort_unstable();
        let at = |part: usize| {
            times.get((times.len() * part / 100).min(times.len() - 1)).copied().unwrap_or_default()
        };
        let failed = all.iter().filter(|outcome| outcome.error.is_some()).count();
        let (p50, p99, longest) = (at(50), at(99), at(100));
        println!(
            "{what}: {:<8} {:>6} requests, {failed:>3} failed, p50 {p50:.1?}, p99 {p99:.1?}, longest {longest:.1?}",
            format!("{kind:?}"),
            all.len()
        );
    }
    outcomes.iter().filter(|outcome| outcome.error.is_some()).cloned().collect()
}

/// Checks what must hold whatever happened: no repeatable request failed, none that must not be repeated was carried
/// out twice, what succeeded was carried out, and what failed says that nobody knows.
///
/// # Panics
/// If not.
pub fn check(outcomes: &[Outcome], failed: &[Outcome], ledger: &[String]) {
    let mut entries = BTreeMap::<&str, usize>::new();
    ledger.iter().for_each(|entry| *entries.entry(entry).or_default() += 1);
    let twice: Vec<_> = entries.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "carried out more than once: {twice:?}");
    let lost: Vec<_> = failed.iter().filter(|outcome| outcome.kind != Kind::Deposit).collect();
    assert!(
        lost.is_empty(),
        "{} requests that could be repeated failed, such as {:#?}",
        lost.len(),
        &lost[..lost.len().min(5)]
    );
    let unclear = |outcome: &&Outcome| {
        !outcome.error.as_ref().is_some_and(|error| error.contains("outcome is unknown"))
    };
    let unclear: Vec<_> = failed.iter().filter(unclear).collect();
    assert!(
        unclear.is_empty(),
        "failed otherwise than with an unknown outcome: {:#?}",
        &unclear[..unclear.len().min(5)]
    );
    let deposited =
        outcomes.iter().filter(|outcome| outcome.kind == Kind::Deposit && outcome.error.is_none());
    let missing: Vec<_> = deposited.filter(|outcome| !entries.contains_key(outcome.id.as_str())).collect();
    assert!(missing.is_empty(), "said to be done and not done: {missing:?}");
}
