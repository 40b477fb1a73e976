//! JSON Schema of the configuration.

/// JSON Schema.
#[must_use]
pub fn schema() -> String {
    "{}\n".to_owned()
}
