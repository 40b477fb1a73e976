//! Log levels, from the most talkative to the least.

/// The levels of the protocol, from the most talkative to the least.
const LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// A log level. A lower one lets more through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level(u8);

impl Level {
    /// Lets everything through.
    pub const ALL: Self = Self(0);

    /// The level with this name.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        LEVELS.iter().zip(0..).find(|(level, _)| **level == text).map(|(_, rank)| Self(rank))
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        LEVELS.get(usize::from(self.0)).copied().unwrap_or("debug")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_comes_back_as_its_name_and_orders_by_talk() {
        for name in LEVELS {
            assert_eq!(Level::of(name).unwrap().name(), name);
        }
        assert!(Level::of("debug") < Level::of("error"));
        assert_eq!(Level::of("loud"), None);
    }
}
