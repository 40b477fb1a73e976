//! All runs, made once for all tests: which there are, and what came of each.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::Instant;

use only1mcp_escape::catalogue::Mode;
use only1mcp_escape::runner::machine::{self, Person};

use crate::mistakes::MISTAKES;
use crate::walls::{PARTNERS, WALLS};
use crate::weakened::{self, Found};

/// Runs that are made at the same time: they wait more than they work.
const WORKERS: usize = 2;
/// The modes in which weakened launchers are tried.
const MODES: [Mode; 2] = [Mode::User, Mode::Root];

/// What is lacking.
pub type Lacking = &'static [&'static str];

/// What came of all runs.
pub struct Runs(BTreeMap<(Lacking, &'static str), Found>);

impl Runs {
    /// What came of the runs without `lacking`, by mode.
    pub fn of(&self, lacking: Lacking) -> impl Iterator<Item = (Mode, &Found)> {
        MODES.into_iter().filter_map(move |mode| Some((mode, self.0.get(&(lacking, mode.name()))?)))
    }

    /// What came of one run.
    pub fn in_mode(&self, lacking: Lacking, mode: Mode) -> Option<&Found> {
        self.0.get(&(lacking, mode.name()))
    }

    /// The Landlock ABI of this machine.
    pub fn landlock_abi(&self) -> u8 {
        self.of(&[])
            .filter_map(|(_, found)| found.answers())
            .map(|answers| answers.landlock_abi)
            .max()
            .unwrap()
    }
}

/// Every run there is, those of root mode too; some more than once.
pub fn all() -> impl Iterator<Item = (Lacking, Mode)> {
    let nothing: Lacking = &[];
    let base = MODES.into_iter().map(move |mode| (nothing, mode));
    let walls = WALLS.iter().map(|wall| (std::slice::from_ref(wall), Mode::User));
    let partners = PARTNERS.iter().map(|partners| (*partners, Mode::User));
    let mistakes = MISTAKES.iter().flat_map(|mistake| mistake.modes().map(|mode| (mistake.lacking, mode)));
    base.chain(walls).chain(partners).chain(mistakes)
}

/// What came of all of them; the first who asks waits.
pub fn runs() -> &'static Runs {
    static RUNS: OnceLock<Runs> = OnceLock::new();
    RUNS.get_or_init(make)
}

fn make() -> Runs {
    let root = Person::root().is_some();
    if !root {
        machine::say("root mode not run: needs root\n");
    }
    let begin = Instant::now();
    weakened::launcher();
    let built = begin.elapsed().as_secs();
    let wanted: BTreeMap<(Lacking, &str), Mode> = all()
        .filter(|(_, mode)| root || *mode != Mode::Root)
        .map(|(lacking, mode)| ((lacking, mode.name()), mode))
        .collect();
    let count = wanted.len();
    let queue: Mutex<VecDeque<_>> = Mutex::new(wanted.into_iter().collect());
    let found = Mutex::new(BTreeMap::new());
    let work = || {
        while let Some((key, mode)) = { queue.lock().unwrap().pop_front() } {
            let answer = weakened::attack(key.0, mode);
            found.lock().unwrap().insert(key, answer);
        }
    };
    thread::scope(|scope| (0..WORKERS).for_each(|_| drop(scope.spawn(work))));
    machine::say(&format!(
        "{count} weakened daemons attacked in {} s, {built} s of them to build the launcher\n",
        begin.elapsed().as_secs()
    ));
    Runs(found.into_inner().unwrap())
}
