//! Where the built programs and the files of the tests are.

use std::path::{Path, PathBuf};

/// Where `tests/run` put copies that the test user can read.
const PROGRAMS_VARIABLE: &str = "ONLY1MCP_TEST_PROGRAMS";
/// The repository, or a copy of the part of it that tests read.
const CHECKOUT_VARIABLE: &str = "ONLY1MCP_TEST_CHECKOUT";

/// The folder of the built programs.
///
/// # Panics
/// If the test binary is in no folder.
#[must_use]
pub fn folder() -> PathBuf {
    if let Some(folder) = std::env::var_os(PROGRAMS_VARIABLE) {
        return folder.into();
    }
    let exe = std::env::current_exe().expect("a test knows its own file");
    let deps = exe.parent().expect("a file is in a folder");
    if deps.ends_with("deps") { deps.parent().unwrap_or(deps).to_owned() } else { deps.to_owned() }
}

/// One built program, checked to be there.
///
/// # Panics
/// If it was not built.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let path = folder().join(name);
    assert!(path.is_file(), "{} is not built: run `cargo build --workspace`", path.display());
    path
}

/// The fixture server.
#[must_use]
pub fn fixture() -> String {
    program("only1mcp-fixture").display().to_string()
}

/// The repository's root.
#[must_use]
pub fn checkout() -> PathBuf {
    std::env::var_os(CHECKOUT_VARIABLE).map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("/")).to_owned(),
        PathBuf::from,
    )
}
