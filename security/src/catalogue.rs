//! The attack catalogue: what is tried, what the kernel must answer, and what proves that the question was real.
//!
//! Each attempt is a triple: a *control* outside that succeeds, the *attempt* inside with its exact answer, and a
//! *twin* inside, the neighbouring legitimate act, that succeeds.

use crate::attempts;
use crate::probe::Targets;
use crate::probe::outcome::Acts;
use crate::probe::targets::Missing;

/// The acts that were tried, or what was missing to try them.
pub type Tried = Result<Acts, Missing>;

/// One attack.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// Its number; a part after a dot names a variant.
    pub id: &'static str,
    /// What is tried.
    pub what: &'static str,
    /// The walls that must stop it, the first one first.
    pub wall: &'static str,
    /// The exact answers inside, in user mode.
    pub user: Expected,
    /// The exact answers inside, in root mode.
    pub root: Expected,
    /// The exact answers inside in system mode, where they are not those of root mode.
    pub system: Option<Expected>,
    /// The exact answers in minimal mode, where they are not those of user mode. What that mode lets
    /// through reads `allowed`: the table must show it.
    pub minimal: Option<Expected>,
    /// Other answers from this Landlock ABI on, in the modes with namespaces; the last that fits counts.
    pub from_landlock: &'static [(u8, Expected)],
    /// Who must succeed outside, in user and minimal mode.
    pub control: Control,
    /// Who must succeed outside, in root and system mode.
    pub root_control: Control,
    /// Acts that have no control outside, each with the reason.
    pub alone: &'static [(&'static str, &'static str)],
    /// How long it takes.
    pub pace: Pace,
    /// The legitimate neighbour that must work inside.
    pub twin: &'static str,
    /// Where the attack is known from.
    pub reference: &'static str,
    /// Tries it.
    pub run: fn(&Targets) -> Tried,
    /// Does the legitimate neighbour.
    pub twin_run: fn(&Targets) -> Tried,
}

/// Which mode an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Started by systemd: servers run as uids of a pool.
    System,
    /// Started by root: servers run as uids of a pool.
    Root,
    /// Started by a person: servers run as that person.
    User,
    /// Started by a person where no user namespace can be made: Landlock, the filters and limits are all.
    Minimal,
}

/// How long an attempt takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// A moment: it is run under every profile.
    Quick,
    /// Seconds, and its answer hangs on nothing in which profiles differ: it is run under one.
    Slow,
}

impl Mode {
    /// All modes, the strongest first.
    pub const ALL: [Self; 4] = [Self::System, Self::Root, Self::User, Self::Minimal];

    /// In one word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Root => "root",
            Self::User => "user",
            Self::Minimal => "minimal",
        }
    }

    /// Whether each server runs as a uid of its own.
    #[must_use]
    pub const fn has_pool(self) -> bool {
        matches!(self, Self::System | Self::Root)
    }
}

impl Attempt {
    /// The exact answers inside.
    #[must_use]
    pub fn expected(&self, mode: Mode, landlock_abi: u8) -> &Expected {
        if let (Mode::Minimal, Some(expected)) = (mode, &self.minimal) {
            return expected;
        }
        let newer = self.from_landlock.iter().rev().find(|(since, _)| *since <= landlock_abi);
        if let Some((_, expected)) = newer {
            return expected;
        }
        match mode {
            Mode::User | Mode::Minimal => &self.user,
            Mode::Root => &self.root,
            Mode::System => self.system.as_ref().unwrap_or(&self.root),
        }
    }

    /// Who must succeed outside.
    #[must_use]
    pub const fn control(&self, mode: Mode) -> Control {
        match mode {
            Mode::User | Mode::Minimal => self.control,
            Mode::Root | Mode::System => self.root_control,
        }
    }
}

/// What the kernel must answer: `ENOENT`, `SIGSYS`, `hidden`, `allowed`.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    answer: &'static str,
    except: &'static [(&'static str, &'static str)],
}

impl Expected {
    /// The same answer to every act.
    #[must_use]
    pub const fn all(answer: &'static str) -> Self {
        Self { answer, except: &[] }
    }

    /// The same answer to every act but those whose name begins as listed.
    #[must_use]
    pub const fn but(answer: &'static str, except: &'static [(&'static str, &'static str)]) -> Self {
        Self { answer, except }
    }

    /// The answer to `act`.
    #[must_use]
    pub fn to(&self, act: &str) -> &'static str {
        self.except
            .iter()
            .find(|(prefix, _)| act.starts_with(prefix))
            .map_or(self.answer, |(_, answer)| answer)
    }

    /// All answers in words.
    #[must_use]
    pub fn in_words(&self) -> String {
        let mut words = self.answer.to_owned();
        for (act, answer) in self.except {
            words.push_str(&format!("; {act}: {answer}"));
        }
        words
    }
}

/// Who runs the control outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// A process with the server's own uid.
    SameUid,
    /// A process with the server's own uid, as root of a fresh user namespace with its own other namespaces.
    UserNamespace,
    /// A process with the server's own uid in a fresh user namespace whose map is not written yet.
    UnmappedNamespace,
    /// Root: no ordinary uid may do it even outside.
    Root,
    /// Nobody: this kernel may have been built without it, then the answer outside is ENOSYS too.
    MayBeAbsent,
}

impl Control {
    /// In words.
    #[must_use]
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::SameUid => "same uid",
            Self::UserNamespace => "same uid, own user namespace",
            Self::UnmappedNamespace => "same uid, unmapped user namespace",
            Self::Root => "root",
            Self::MayBeAbsent => "same uid, if the kernel has it",
        }
    }
}

/// What an entry of the catalogue starts from.
pub(crate) const BLANK: Attempt = Attempt {
    id: "",
    what: "",
    wall: "",
    user: Expected::all("EPERM"),
    root: Expected::all("EPERM"),
    system: None,
    minimal: None,
    from_landlock: &[],
    control: Control::SameUid,
    root_control: Control::SameUid,
    alone: &[],
    pace: Pace::Quick,
    twin: "",
    reference: "",
    run: |_| Ok(Vec::new()),
    twin_run: |_| Ok(Vec::new()),
};

/// All attempts, in the order of the catalogue.
pub fn all() -> impl Iterator<Item = &'static Attempt> {
    [
        attempts::files::ATTEMPTS,
        attempts::execution::ATTEMPTS,
        attempts::mounts::ATTEMPTS,
        attempts::processes::ATTEMPTS,
        attempts::network::ATTEMPTS,
        attempts::calls::ATTEMPTS,
        attempts::tables::ATTEMPTS,
        attempts::privileges::ATTEMPTS,
        attempts::leaks::ATTEMPTS,
        attempts::common_ground::ATTEMPTS,
        attempts::tampering::ATTEMPTS,
        attempts::lookout::ATTEMPTS,
        attempts::lineage::ATTEMPTS,
        attempts::sockets::ATTEMPTS,
        attempts::surface::ATTEMPTS,
        attempts::escalation::ATTEMPTS,
        attempts::resources::ATTEMPTS,
        attempts::fuzz::ATTEMPTS,
    ]
    .into_iter()
    .flatten()
}

/// The attempt called `id`.
#[must_use]
pub fn find(id: &str) -> Option<&'static Attempt> {
    all().find(|attempt| attempt.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_attempt_is_listed_twice_and_none_is_left_blank() {
        let mut ids = BTreeSet::new();
        for attempt in all() {
            assert!(ids.insert(attempt.id), "{} is listed twice", attempt.id);
            for text in [attempt.id, attempt.what, attempt.wall, attempt.twin, attempt.reference] {
                assert!(!text.is_empty(), "{} has a blank", attempt.id);
            }
        }
        assert!(ids.len() >= 34, "only {} attempts", ids.len());
    }

    #[test]
    fn an_exception_is_found_by_the_beginning_of_the_act() {
        let expected = Expected::but("EPERM", &[("fsopen", "ENOSYS")]);
        assert_eq!((expected.to("fsopen(tmpfs)"), expected.to("mount(tmpfs)")), ("ENOSYS", "EPERM"));
    }
}
