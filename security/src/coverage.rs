//! The rest of the catalogue: what a test of its own holds, and what does not apply, each with its reason.
//!
//! An id of the design's catalogue is an attempt of the probe, or stands here. Both halves may share one: the
//! probe tries what can be tried from inside, a test what needs both ends.

mod omitted;
mod tested;

use std::collections::BTreeSet;

use crate::catalogue;
use crate::driven;

pub use omitted::OMITTED;
pub use tested::TESTED;

/// The letters of the catalogue and how many ids each has.
pub const CATALOGUE: [(char, u8); 9] =
    [('F', 28), ('P', 20), ('N', 20), ('K', 20), ('C', 14), ('R', 20), ('I', 16), ('Y', 15), ('L', 10)];

/// An id that a test holds, because it takes more than one process inside to try it.
#[derive(Clone, Copy, Debug)]
pub struct Tested {
    /// The id.
    pub id: &'static str,
    /// What is tried.
    pub what: &'static str,
    /// The file of the test, from the root of the repository, and the test's name: `file::name`.
    pub test: &'static str,
}

/// An id that does not apply.
#[derive(Clone, Copy, Debug)]
pub struct Omitted {
    /// The id.
    pub id: &'static str,
    /// What would be tried.
    pub what: &'static str,
    /// Why it is not.
    pub reason: &'static str,
}

/// All ids of the catalogue, in order.
pub fn ids() -> impl Iterator<Item = String> {
    CATALOGUE
        .into_iter()
        .flat_map(|(letter, count)| (1..=count).map(move |number| format!("{letter}{number:02}")))
}

/// The id without the part after a dot, which names a variant.
#[must_use]
pub fn base(id: &str) -> &str {
    id.split_once('.').map_or(id, |(base, _)| base)
}

/// How many things are tried: attempts of the probe, and ids that only a test holds.
#[must_use]
pub fn applying() -> usize {
    let attempted: BTreeSet<&str> = catalogue::all().map(|attempt| base(attempt.id)).collect();
    let tested: BTreeSet<&str> = TESTED.iter().map(|tested| tested.id).collect();
    let driven: BTreeSet<&str> = driven::all().map(|driven| base(driven.id)).collect();
    catalogue::all().count() + tested.union(&driven).filter(|id| !attempted.contains(*id)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// So many the project has promised.
    const APPLYING_MIN: usize = 125;

    #[test]
    fn every_id_of_the_catalogue_is_tried_tested_or_left_out_for_a_reason() {
        let attempted: BTreeSet<&str> = catalogue::all().map(|attempt| base(attempt.id)).collect();
        let mut wrong = Vec::new();
        for id in ids() {
            let id = id.as_str();
            let tried = attempted.contains(id)
                || TESTED.iter().any(|tested| tested.id == id)
                || driven::all().any(|driven| base(driven.id) == id);
            let omitted = OMITTED.iter().filter(|omitted| omitted.id == id).count();
            match (tried, omitted) {
                (true, 0) | (false, 1) => {}
                (true, _) => wrong.push(format!("{id} is tried and left out")),
                (false, count) => wrong.push(format!("{id} is not tried, and {count} reasons are given")),
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn enough_applies() {
        assert!(applying() >= APPLYING_MIN, "only {} things are tried", applying());
    }

    #[test]
    fn every_test_that_is_named_exists() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for Tested { id, test, .. } in TESTED {
            let (file, name) = test.split_once("::").unwrap();
            let text = std::fs::read_to_string(root.join(file))
                .unwrap_or_else(|error| panic!("{id}: {file}: {error}"));
            assert!(text.contains(&format!("fn {name}(")), "{id}: {file} has no test {name}");
        }
    }
}
