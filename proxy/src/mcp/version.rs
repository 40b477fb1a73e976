//! The revisions of the protocol we speak.

/// The one modern revision.
pub const MODERN: &str = "2026-07-28";
/// The legacy revisions, newest first.
pub const LEGACY: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

/// The newest legacy revision: what we offer to servers.
pub const LEGACY_NEWEST: &str = "2025-11-25";

/// What we answer a legacy client that asks for `requested`: the same if we speak it, else the newest.
#[must_use]
pub fn negotiate(requested: &str) -> &'static str {
    LEGACY.into_iter().find(|version| *version == requested).unwrap_or(LEGACY_NEWEST)
}

/// Whether a server that answers `initialize` with `version` can be spoken to.
#[must_use]
pub fn is_legacy(version: &str) -> bool {
    LEGACY.contains(&version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_an_unknown_revision_with_the_newest() {
        assert_eq!(negotiate("2024-11-05"), "2024-11-05");
        assert_eq!(negotiate("2026-07-28"), LEGACY_NEWEST);
        assert_eq!(negotiate("banana"), LEGACY_NEWEST);
        assert_eq!(LEGACY[0], LEGACY_NEWEST);
    }
}
