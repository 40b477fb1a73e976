//! Golden files: what people and clients read, kept beside the tests and compared whole.

use crate::programs;
use std::fs;

/// Set to write what was seen instead of comparing it.
const BLESS_VARIABLE: &str = "BLESS";

/// Compares `seen` with `tests/golden/NAME`.
///
/// # Panics
/// If they differ.
pub fn check(name: &str, seen: &str) {
    let path = programs::checkout().join("tests/golden").join(name);
    if std::env::var_os(BLESS_VARIABLE).is_some() {
        fs::write(&path, seen).expect("write a golden file");
        return;
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == seen,
        "{name} differs from what was seen; {BLESS_VARIABLE}=1 writes it anew\n--- kept\n{kept}\n--- seen\n{seen}\n---"
    );
}
