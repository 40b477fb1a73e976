//! How many lines somebody else may cause: what a proxy can do a thousand times a second must not fill a disk.

use crate::limits::{CAUSED_LINES_MAX, CAUSED_LINES_TIME};
use std::time::Instant;

/// Counts the lines of a stretch of time.
#[derive(Debug)]
pub struct Throttle {
    since: Option<Instant>,
    told: u32,
    left_out: u32,
}

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// It is written; so many were left out before it.
    Told(u32),
    /// It is left out.
    LeftOut,
}

impl Throttle {
    /// One that has counted nothing.
    pub const fn new() -> Self {
        Self { since: None, told: 0, left_out: 0 }
    }

    /// Counts a line.
    pub fn count(&mut self, now: Instant) -> Line {
        let begins = self.since.is_none_or(|since| now.duration_since(since) >= CAUSED_LINES_TIME);
        let left_out = if begins {
            let left_out = self.left_out;
            *self = Self { since: Some(now), told: 0, left_out: 0 };
            left_out
        } else {
            0
        };
        if self.told == CAUSED_LINES_MAX {
            self.left_out = self.left_out.saturating_add(1);
            return Line::LeftOut;
        }
        self.told += 1;
        Line::Told(left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_lines_are_told_and_the_next_stretch_tells_how_many_were_not() {
        let (start, mut throttle) = (Instant::now(), Throttle::new());
        let told = (0..CAUSED_LINES_MAX + 7).filter(|_| throttle.count(start) == Line::Told(0)).count();
        assert_eq!(u32::try_from(told), Ok(CAUSED_LINES_MAX));
        assert_eq!(throttle.count(start + CAUSED_LINES_TIME), Line::Told(7));
        assert_eq!(throttle.count(start + CAUSED_LINES_TIME), Line::Told(0));
    }
}
