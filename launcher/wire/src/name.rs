//! A server's name: the one thing the proxy may say about what to run.

use crate::codec::{Decode, DecodeError, Encode, Reader};
use crate::limits::SERVER_NAME_BYTES_MAX;
use std::fmt;

/// The name of a configured server: `[a-z0-9][a-z0-9-]{0,31}`.
///
/// Nothing else can be built, so a name is always safe as a single path component.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerName(String);

/// Why a text is not a server's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// No character at all.
    Empty,
    /// More than [`SERVER_NAME_BYTES_MAX`] bytes.
    TooLong,
    /// A character outside `a-z`, `0-9` and `-`, or a leading `-`.
    Character(char),
}

impl ServerName {
    /// Checks `text` and keeps it.
    ///
    /// # Errors
    /// [`NameError`] says which rule it breaks.
    pub fn new(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > SERVER_NAME_BYTES_MAX {
            return Err(NameError::TooLong);
        }
        for (index, c) in text.chars().enumerate() {
            let fits = c.is_ascii_lowercase() || c.is_ascii_digit() || (c == '-' && index > 0);
            if !fits {
                return Err(NameError::Character(c));
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a server's name is empty"),
            Self::TooLong => write!(f, "a server's name has more than {SERVER_NAME_BYTES_MAX} characters"),
            Self::Character(c) => {
                write!(f, "a server's name has {c:?}; allowed are a-z, 0-9 and, not first, '-'")
            }
        }
    }
}

impl std::error::Error for NameError {}

impl Encode for ServerName {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Decode for ServerName {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bytes = reader.bytes_up_to(SERVER_NAME_BYTES_MAX, "server name")?;
        let name = std::str::from_utf8(bytes).ok().and_then(|text| Self::new(text).ok());
        name.ok_or(DecodeError::Value("server name"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_short_lower_case_names() {
        for good in ["a", "0", "github", "a-b-c", "x9-", &"a".repeat(32)] {
            assert_eq!(ServerName::new(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn refuses_everything_that_could_be_a_path_or_a_flag() {
        for bad in ["", ".", "..", "../../etc/x", "a/b", "-a", "A", "a_b", "a.b", "tasks\0", "caf\u{e9}"] {
            assert!(ServerName::new(bad).is_err(), "{bad:?}");
        }
        assert_eq!(ServerName::new(&"a".repeat(33)), Err(NameError::TooLong));
    }

    #[test]
    fn a_name_that_is_too_long_is_refused_by_its_length_alone() {
        let mut bytes = Vec::new();
        "a".repeat(33).encode(&mut bytes);
        assert_eq!(ServerName::from_bytes(&bytes), Err(DecodeError::TooLong("server name")));
    }
}
