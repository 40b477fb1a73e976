//! stub
/// stub
#[must_use]
pub fn compact(raw: &str) -> Option<String> {
    Some(raw.to_owned())
}
