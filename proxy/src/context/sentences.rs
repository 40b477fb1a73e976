//! stub
/// stub
#[must_use]
pub fn first_sentence(text: &str, characters_max: usize) -> String {
    text.chars().take(characters_max).collect()
}
