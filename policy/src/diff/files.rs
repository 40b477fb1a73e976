//! Paths of the host: which rights one confinement gives that another does not.

use super::{Act, Right};
use crate::confinement::{Confinement, Place};
use crate::path::{is_within, parent};

/// The rights at `path`: the longest place that covers it decides.
pub(super) fn allows(confinement: &Confinement, path: &str, right: Right) -> bool {
    deciding(confinement, path).is_some_and(|place| match right {
        Right::Read => true,
        Right::Write => place.write,
        Right::Execute => place.execute,
    })
}

fn deciding<'a>(confinement: &'a Confinement, path: &str) -> Option<&'a Place> {
    let covering = confinement.places.iter().filter(|place| is_within(path, &place.path));
    covering.max_by_key(|place| place.path.len())
}

/// Everything `more` allows and `less` does not, each at the highest path of which it is true.
pub(super) fn beyond(less: &Confinement, more: &Confinement) -> Vec<Act> {
    // Between these paths nothing changes.
    let mut points: Vec<&str> =
        less.places.iter().chain(&more.places).map(|place| place.path.as_str()).collect();
    points.sort_unstable();
    points.dedup();
    let gained = |path: &str, right| allows(more, path, right) && !allows(less, path, right);
    let mut acts = Vec::new();
    for path in points {
        for right in Right::ALL {
            let told = path != "/" && gained(parent(path), right);
            if gained(path, right) && !told {
                acts.push(Act::Files { path: path.to_owned(), right });
            }
        }
    }
    acts
}

/// Paths at which something else of the host stands than before.
pub(super) fn replaced(old: &Confinement, new: &Confinement) -> Vec<Act> {
    let other = |place: &&Place| {
        deciding(old, &place.path).is_some_and(|before| host_path(before, &place.path) != place.source)
    };
    new.places.iter().filter(other).map(|place| Act::Source { path: place.path.clone() }).collect()
}

/// Where on the host a path inside a place lies.
fn host_path(place: &Place, path: &str) -> String {
    format!("{}{}", place.source, path.strip_prefix(place.path.as_str()).unwrap_or_default())
}
