//! Every kept corpus file is held against its property, without a fuzzer: a finding that was kept stays mended.
#![expect(clippy::unwrap_used, reason = "a test ends by panicking")]

use only1mcp_properties::{ALL, Property};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

/// Bytes of all corpora together: they are read by people's version control.
const CORPORA_BYTES_MAX: u64 = 512 * 1024;

fn corpora() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus")
}

#[test]
fn every_property_holds_of_its_corpus() {
    let mut failures = Vec::new();
    for (name, holds) in ALL {
        let count = replay(name, holds, &mut failures);
        println!("{name}: {count} files");
        assert!(count > 0, "security/fuzz/corpus/{name} is empty");
    }
    assert!(
        failures.is_empty(),
        "what each said stands above; it does not hold of:\n  {}",
        failures.join("\n  ")
    );
}

/// Runs one corpus and notes which files fail.
fn replay(name: &str, holds: Property, failures: &mut Vec<String>) -> usize {
    let files = fs::read_dir(corpora().join(name)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files.collect();
    files.sort();
    for file in &files {
        let bytes = fs::read(file).unwrap();
        if std::panic::catch_unwind(|| holds(&bytes)).is_err() {
            failures.push(format!("{name}/{}", file.file_name().unwrap().to_string_lossy()));
        }
    }
    files.len()
}

#[test]
fn every_corpus_and_every_target_has_its_property() {
    let properties: BTreeSet<String> = ALL.iter().map(|(name, _)| (*name).to_owned()).collect();
    let names = |folder: PathBuf| -> BTreeSet<String> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect()
    };
    assert_eq!(names(corpora()), properties);
    assert_eq!(names(corpora().join("../targets")), properties);
}

#[test]
fn the_corpora_are_small() {
    let folders = fs::read_dir(corpora()).unwrap().map(|entry| entry.unwrap().path());
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap());
    let bytes: u64 = files.map(|file| file.unwrap().metadata().unwrap().len()).sum();
    println!("{bytes} bytes in all corpora");
    assert!(bytes <= CORPORA_BYTES_MAX, "{bytes} bytes: merge them (security/fuzz/run --merge)");
}
