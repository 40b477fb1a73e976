//! Attacks that a harness drives from outside the sandbox: both ends of a socket, a document, a race, a whole daemon.
//!
//! The probe cannot try them, so each row names the test that does. [`launcher`] is the proxy against the launcher,
//! [`policy`] a document against the compiler, [`resources`] a server against whoever waits for it.

mod launcher;
mod policy;
mod resources;

/// One attack that a test drives.
#[derive(Clone, Copy, Debug)]
pub struct Driven {
    /// Its number; a part after a dot names a variant.
    pub id: &'static str,
    /// What is tried.
    pub what: &'static str,
    /// What must stop it.
    pub wall: &'static str,
    /// What the attacker must get.
    pub answer: &'static str,
    /// What shows that the question is real.
    pub control: &'static str,
    /// The legitimate neighbour that must work.
    pub twin: &'static str,
    /// Where the attack is known from.
    pub reference: &'static str,
    /// The test that holds it: `file::name`, from the root of the repository.
    pub test: &'static str,
}

/// All of them, in the order of the catalogue within each part.
pub fn all() -> impl Iterator<Item = &'static Driven> {
    [launcher::DRIVEN, policy::DRIVEN, resources::DRIVEN].into_iter().flatten()
}

/// The part of `attacks.md` about them.
#[must_use]
pub fn markdown() -> String {
    let mut text = format!(
        "\n## Driven from outside the sandbox\n\n{} attacks that need both ends: a hostile proxy at the launcher's socket, a \
         hostile document, a hostile\nserver beside a good one. The test that is named drives the real programs.\n\n\
         | id | attack | stopped by | answer | control | twin | known from | test |\n|---|---|---|---|---|---|---|---|\n",
        all().count()
    );
    for Driven { id, what, wall, answer, control, twin, reference, test } in all() {
        text.push_str(&format!(
            "| {id} | {what} | {wall} | {answer} | {control} | {twin} | {reference} | `{test}` |\n"
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn no_attack_is_listed_twice_and_none_is_left_blank() {
        let mut ids = BTreeSet::new();
        for driven in all() {
            assert!(ids.insert(driven.id), "{} is listed twice", driven.id);
            let Driven { what, wall, answer, control, twin, reference, .. } = *driven;
            for text in [what, wall, answer, control, twin, reference] {
                assert!(!text.is_empty() && !text.contains('|'), "{}: {text:?}", driven.id);
            }
        }
    }

    #[test]
    fn each_names_a_test_that_exists_and_is_run() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for Driven { id, test, .. } in all() {
            let (file, name) = test.split_once("::").unwrap();
            let text = std::fs::read_to_string(root.join(file))
                .unwrap_or_else(|error| panic!("{id}: {file}: {error}"));
            let (before, _) = text
                .split_once(&format!("fn {name}("))
                .unwrap_or_else(|| panic!("{id}: {file} has no test {name}"));
            // A program without a test framework runs what its main calls.
            let attributes = before.rsplit("\n\n").next().unwrap_or_default();
            let own_main = text.contains("\nfn main(") && text.matches(name).count() > 1;
            let marked = attributes.contains("#[test]") && !attributes.contains("#[ignore");
            assert!(own_main || marked, "{id}: {name} of {file} is not run");
        }
    }
}
