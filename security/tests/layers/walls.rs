//! The matrix: which attempt goes through without which wall, and which only without two.

use std::fmt::Write;

use only1mcp_escape::catalogue::{Attempt, Mode};
use only1mcp_escape::runner::trial::Attack;

use crate::runs::{Lacking, Runs};
use crate::weakened;

/// Every wall of user mode that can be taken away as a whole.
pub const WALLS: &[&str] = &[
    "mount namespace",
    "pid namespace",
    "network namespace",
    "ipc namespace",
    "uts namespace",
    "cgroup namespace",
    "limit of user namespaces",
    "landlock",
    "seccomp",
    "no new privileges",
    "no capabilities",
    "read-only mounts",
    "noexec mounts",
    "nosuid mounts",
    "nodev mounts",
    "small /proc",
    "hidden processes",
    "undumpable init",
    "closed descriptors",
    "resource limits",
    "own session keyring",
];

/// Walls that are said to stand behind each other.
pub const PARTNERS: &[Lacking] = &[
    &["mount namespace", "landlock"],
    &["mount namespace", "pid namespace"],
    &["pid namespace", "landlock"],
    &["pid namespace", "seccomp"],
    &["pid namespace", "seccomp", "landlock"],
    &["network namespace", "landlock"],
    &["network namespace", "seccomp"],
    &["ipc namespace", "seccomp"],
    &["limit of user namespaces", "seccomp"],
    &["own session keyring", "seccomp"],
    &["no capabilities", "seccomp"],
    &["no capabilities", "landlock"],
    &["landlock", "seccomp"],
    &["read-only mounts", "landlock"],
    &["noexec mounts", "landlock"],
    &["small /proc", "landlock"],
    &["hidden processes", "undumpable init"],
    &["undumpable init", "landlock"],
    &["directory opened without close-on-exec", "closed descriptors"],
    &["directory opened without close-on-exec", "closed descriptors", "landlock"],
];

/// What came of one attempt in all runs.
struct Layer {
    attempt: &'static Attempt,
    /// Walls that alone stop it, or some of its acts.
    alone: Vec<String>,
    /// Walls of which each alone stops it.
    together: Vec<String>,
    /// Whether it is stopped at all.
    is_stopped: bool,
}

/// What is different without one wall.
struct Worth {
    wall: &'static str,
    /// The attempts that go through, in part at least.
    open: Vec<&'static str>,
    /// The attempts that another wall stops, with another answer.
    taken_over: Vec<&'static str>,
    /// The other walls that must be gone as well, and what goes through then.
    behind: Vec<(String, Vec<&'static str>)>,
}

/// The whole matrix.
pub struct Layers {
    landlock_abi: u8,
    rows: Vec<Layer>,
    worth: Vec<Worth>,
    /// Walls without which, even with a partner gone too, everything is as with them.
    pub worthless: Vec<&'static str>,
    /// What a weakened sandbox did not let be tried: then nothing is known.
    pub untried: Vec<String>,
}

/// Reads the matrix off the runs.
pub fn layers(runs: &Runs) -> Layers {
    let rows: Vec<Layer> = weakened::attempts().map(|attempt| layer(runs, attempt)).collect();
    let worth: Vec<_> = WALLS
        .iter()
        .map(|wall| {
            let without = std::slice::from_ref(wall);
            let open = ids(runs, without, |attack, _| !attack.open.is_empty());
            let taken_over = ids(runs, without, |attack, before| {
                attack.open.is_empty() && attack.answers != before.answers
            });
            Worth { wall, open, taken_over, behind: behind(runs, wall) }
        })
        .collect();
    let is_worthless = |worth: &&Worth| worth.open.is_empty() && worth.behind.is_empty();
    Layers {
        landlock_abi: runs.landlock_abi(),
        worthless: worth.iter().filter(is_worthless).map(|worth| worth.wall).collect(),
        untried: untried(runs),
        rows,
        worth,
    }
}

fn attack<'a>(runs: &'a Runs, lacking: Lacking, attempt: &Attempt) -> Option<&'a Attack> {
    runs.in_mode(lacking, Mode::User)?.answers()?.attacks.get(attempt.id)
}

fn is_open(runs: &Runs, lacking: Lacking, attempt: &Attempt) -> bool {
    attack(runs, lacking, attempt).is_some_and(|attack| !attack.open.is_empty())
}

/// Whether it takes the loss of the whole group to let an attempt through, as far as parts of it were tried.
fn needs_all(runs: &Runs, attempt: &Attempt, group: Lacking) -> bool {
    let is_part =
        |other: &Lacking| other.len() < group.len() && other.iter().all(|wall| group.contains(wall));
    let singles = WALLS.iter().map(std::slice::from_ref);
    let mut parts = singles.chain(PARTNERS.iter().copied()).filter(is_part);
    is_open(runs, group, attempt) && !parts.any(|part| is_open(runs, part, attempt))
}

fn layer(runs: &Runs, attempt: &'static Attempt) -> Layer {
    let alone = WALLS.iter().filter_map(|wall| {
        let attack = attack(runs, std::slice::from_ref(wall), attempt)?;
        match attack.open.len() {
            0 => None,
            open if open >= attack.acts => Some((*wall).to_owned()),
            _ => Some(format!("{wall}, in part")),
        }
    });
    let together = PARTNERS.iter().filter(|group| needs_all(runs, attempt, group));
    Layer {
        attempt,
        alone: alone.collect(),
        together: together.map(|group| group.join(" and ")).collect(),
        is_stopped: attack(runs, &[], attempt).is_some_and(|attack| attack.answers != "allowed"),
    }
}

fn ids(runs: &Runs, lacking: Lacking, is_meant: impl Fn(&Attack, &Attack) -> bool) -> Vec<&'static str> {
    let meant = weakened::attempts().filter(|attempt| {
        let pair = attack(runs, lacking, attempt).zip(attack(runs, &[], attempt));
        pair.is_some_and(|(attack, before)| is_meant(attack, before))
    });
    meant.map(|attempt| attempt.id).collect()
}

fn behind(runs: &Runs, wall: &str) -> Vec<(String, Vec<&'static str>)> {
    let groups = PARTNERS.iter().filter(|group| group.contains(&wall));
    let described = groups.map(|group| {
        let others: Vec<&str> = group.iter().copied().filter(|other| *other != wall).collect();
        let open = weakened::attempts().filter(|attempt| needs_all(runs, attempt, group));
        (others.join(" and "), open.map(|attempt| attempt.id).collect::<Vec<_>>())
    });
    described.filter(|(_, open)| !open.is_empty()).collect()
}

fn untried(runs: &Runs) -> Vec<String> {
    let mut words = Vec::new();
    let singles = WALLS.iter().map(std::slice::from_ref);
    for lacking in singles.chain(PARTNERS.iter().copied()) {
        for attempt in weakened::attempts() {
            match attack(runs, lacking, attempt) {
                Some(attack) if attack.untried.is_empty() => {}
                Some(attack) => {
                    words.push(format!("without {lacking:?}: {}: {:?}", attempt.id, attack.untried))
                }
                None => words.push(format!("without {lacking:?}: {}: no server", attempt.id)),
            }
        }
    }
    words
}

impl Layer {
    fn verdict(&self) -> &'static str {
        match (self.is_stopped, self.alone.is_empty()) {
            (false, _) => "not stopped",
            (true, true) => "twice",
            (true, false) => "once",
        }
    }

    fn falls(&self) -> String {
        let alone = self.alone.iter().map(|wall| format!("without {wall}"));
        let together = self.together.iter().map(|group| format!("without {group} together"));
        let words: Vec<String> = alone.chain(together).collect();
        if words.is_empty() && self.is_stopped {
            "in none of these runs".to_owned()
        } else {
            words.join("; ")
        }
    }
}

impl Layers {
    /// The whole of `layers.md`.
    pub fn in_words(&self) -> String {
        let count = |verdict| self.rows.iter().filter(|row| row.verdict() == verdict).count();
        let mut text = format!(
            "# Layers\n\n\
             <!-- Generated: BLESS=1 cargo test -p only1mcp-escape --test layers -->\n\
             <!-- Landlock ABI {} -->\n\n\
             The catalogue against launchers that lack one wall, or several that are said to stand behind each other, in\n\
             user mode, profile native. An attempt is *defended twice* if it is still stopped, by whatever answer and be it by\n\
             the kernel itself, without each single wall listed below; what goes through only in part counts as defended\n\
             once. The user namespace, which owns all the others, cannot be taken away alone. {} attempts are defended\n\
             twice, {} once. Left out, because they take seconds: {}.\n\n\
             | id | attempt | defended | goes through |\n|---|---|---|---|\n",
            self.landlock_abi,
            count("twice"),
            count("once"),
            weakened::left_out().join(", "),
        );
        for row in &self.rows {
            let Attempt { id, what, .. } = row.attempt;
            let _ = writeln!(text, "| {id} | {what} | {} | {} |", row.verdict(), row.falls());
        }
        text.push_str("\n## What each wall is worth\n\n");
        text.push_str(
            "| without | goes through | goes through if another wall is gone as well | is stopped with another answer |\n\
             |---|---|---|---|\n",
        );
        for Worth { wall, open, taken_over, behind } in &self.worth {
            let behind: Vec<String> =
                behind.iter().map(|(others, open)| format!("{others}: {}", open.join(" "))).collect();
            let (open, taken_over) = (open.join(" "), taken_over.join(" "));
            let _ = writeln!(text, "| {wall} | {open} | {} | {taken_over} |", behind.join("; "));
        }
        text
    }
}
