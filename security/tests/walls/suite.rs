//! The whole catalogue against one daemon, and what it says of itself against what the kernel says.

use std::time::{Duration, Instant};

use only1mcp_escape::catalogue::{self, Pace};
use only1mcp_escape::runner::canaries::Canaries;
use only1mcp_escape::runner::daemon::Daemon;
use only1mcp_escape::runner::machine::{self, Programs};
use only1mcp_escape::runner::table::Table;
use only1mcp_escape::runner::trial::Trial;

use crate::{PROFILES, proc};

/// A triple that takes longer is told.
const LONG: Duration = Duration::from_secs(5);

/// The whole catalogue under every profile, but once what is slow.
pub fn hold(mut daemon: Daemon, canaries: &mut Canaries, programs: &Programs) -> Table {
    let mut relay = daemon.relay(&PROFILES).unwrap();
    let mut table = Table::new(daemon.mode);
    let begin = Instant::now();
    let mut failures = Vec::new();
    for profile in PROFILES {
        let other = if profile == "node" { "native" } else { "node" };
        let subject = daemon.subject(profile, other).unwrap();
        let mut call = |tool: &str, arguments: &_| relay.call(&format!("{profile}__{tool}"), arguments);
        let mut trial = Trial::of(subject, canaries, &mut call, programs).unwrap();
        let fits = |pace: Pace| pace == Pace::Quick || profile == PROFILES[0];
        for attempt in catalogue::all().filter(|attempt| fits(attempt.pace)) {
            let begin = Instant::now();
            let row = trial.run(attempt).unwrap();
            failures
                .extend(row.failures.iter().map(|failure| format!("{profile} {}: {failure}", attempt.id)));
            table.add(attempt, profile, row);
            if begin.elapsed() > LONG {
                machine::say(&format!("{profile} {} took {} s\n", attempt.id, begin.elapsed().as_secs()));
            }
        }
        failures.extend(trial.finish().into_iter().map(|failure| format!("{profile}: {failure}")));
    }
    machine::say(&table.in_words());
    machine::say(&format!("{} mode took {} s\n", daemon.mode.name(), begin.elapsed().as_secs()));
    drop(relay);
    failures.extend(daemon.end().unwrap());
    assert!(failures.is_empty(), "{} walls or proofs fail:\n{}", failures.len(), failures.join("\n"));
    table
}

/// What `status`, the plan and `explain` say is what the kernel says.
pub fn agree(mut daemon: Daemon) {
    drop(daemon.relay(&PROFILES).unwrap());
    let mut failures = Vec::new();
    for profile in PROFILES {
        let found = proc::disagreements(&daemon, profile);
        failures.extend(found.into_iter().map(|failure| format!("{profile}: {failure}")));
    }
    failures.extend(daemon.end().unwrap());
    assert!(failures.is_empty(), "{} disagreements:\n{}", failures.len(), failures.join("\n"));
}
