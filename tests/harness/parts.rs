//! The real servers, clients and runtimes that `tests/run` installs.

use std::path::PathBuf;

const PARTS_VARIABLE: &str = "ONLY1MCP_TEST_PARTS";

/// A file or folder of an installed part, checked to be there.
///
/// # Panics
/// If `tests/run` did not install it.
#[must_use]
pub fn part(path: &str) -> PathBuf {
    let folder = std::env::var_os(PARTS_VARIABLE).map_or_else(default_folder, PathBuf::from);
    let part = folder.join(path);
    assert!(part.exists(), "{} is not installed: `./tests/run` installs it", part.display());
    part
}

fn default_folder() -> PathBuf {
    format!("/var/tmp/only1mcp-tests-{}", nix::unistd::getuid()).into()
}

/// The real servers' command lines run this, as `/usr/bin/env node` would find it.
#[must_use]
pub fn npm_bin(name: &str) -> String {
    part("npm/node_modules/.bin").join(name).display().to_string()
}

/// A program of the virtual environment of the Python servers.
#[must_use]
pub fn python_bin(name: &str) -> String {
    part("python/bin").join(name).display().to_string()
}

/// Node 22, which the Inspector needs.
#[must_use]
pub fn node_22() -> PathBuf {
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    part(&format!("npm/node_modules/node-linux-{architecture}/bin/node"))
}
