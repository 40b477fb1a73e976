//! stub
use crate::context::definition::Definition;
/// stub
#[must_use]
pub fn signature(_d: &Definition, name: &str) -> String {
    format!("{name}()")
}
/// stub
#[must_use]
pub fn brief(raw: &str) -> Option<String> {
    Some(raw.to_owned())
}
