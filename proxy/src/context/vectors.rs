//! What a text is about, as a vector: the mean of those of its word pieces. Texts about the same thing point the same
//! way, whatever words they use.
//!
//! `proxy/vectors/train.py` made the table: 30,000 pieces in 4 MB, of which only the rows that are asked for are read.

use std::sync::LazyLock;

static TABLE: &[u8] = include_bytes!("../../vectors/words.bin");
/// Numbers of one vector.
pub const DIMENSIONS: usize = 128;
/// Letters of one word; of a longer one nothing is known.
const WORD_BYTES_MAX: usize = 64;
/// How pieces that go on with a word begin.
const GOES_ON: &[u8] = b"##";

/// Pieces, sorted, with a row each.
struct Table {
    /// Where each piece ends among [`Table::pieces`], 4 bytes each.
    ends: &'static [u8],
    /// What each row is multiplied by, 4 bytes each.
    scales: &'static [u8],
    rows: &'static [u8],
    pieces: &'static [u8],
}

static PARTS: LazyLock<Option<Table>> = LazyLock::new(|| Table::read(TABLE));

/// What a text is about: a vector of length one in bytes of a 127th each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vector([i8; DIMENSIONS]);

impl Table {
    fn read(bytes: &'static [u8]) -> Option<Self> {
        let (head, rest) = bytes.split_at_checked(12)?;
        let (count, dimensions) = (number(head, 1)? as usize, number(head, 2)? as usize);
        if !head.starts_with(b"o1v1") || dimensions != DIMENSIONS {
            return None;
        }
        let (ends, rest) = rest.split_at_checked(count * 4)?;
        let (scales, rest) = rest.split_at_checked(count * 4)?;
        let (rows, pieces) = rest.split_at_checked(count * DIMENSIONS)?;
        Some(Self { ends, scales, rows, pieces })
    }

    fn piece(&self, row: usize) -> Option<&'static [u8]> {
        let start = row.checked_sub(1).map_or(Some(0), |before| number(self.ends, before))?;
        self.pieces.get(start as usize..number(self.ends, row)? as usize)
    }

    /// The row of a piece, `##` before it if it goes on with a word.
    fn find(&self, goes_on: bool, text: &[u8]) -> Option<usize> {
        let wanted = || if goes_on { GOES_ON } else { &[] }.iter().chain(text);
        let (mut low, mut high) = (0, self.ends.len() / 4);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.piece(middle)?.iter().cmp(wanted()) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(middle),
            }
        }
        None
    }

    fn add(&self, row: usize, sum: &mut [f32; DIMENSIONS]) {
        let scale = number(self.scales, row).map(f32::from_bits);
        let start = row * DIMENSIONS;
        if let (Some(scale), Some(numbers)) = (scale, self.rows.get(start..start + DIMENSIONS)) {
            for (sum, number) in sum.iter_mut().zip(numbers) {
                *sum += scale * f32::from(number.cast_signed());
            }
        }
    }

    /// Adds the longest known pieces of a word, as the teacher's own reader finds them; nothing if a part is unknown.
    fn add_word(&self, word: &[u8], sum: &mut [f32; DIMENSIONS]) {
        let (mut rows, mut rest) = (Vec::new(), word);
        while !rest.is_empty() {
            let longest = (1..=rest.len()).rev().find_map(|length| {
                let row = self.find(rest.len() < word.len(), rest.get(..length)?)?;
                Some((row, length))
            });
            let Some((row, length)) = longest else { return };
            rows.push(row);
            rest = rest.get(length..).unwrap_or_default();
        }
        rows.into_iter().for_each(|row| self.add(row, sum));
    }
}

fn number(bytes: &[u8], index: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(index * 4..index * 4 + 4)?.try_into().ok()?))
}

/// Whether this is a word that many people write, in lower case.
#[must_use]
pub fn is_word(word: &str) -> bool {
    PARTS.as_ref().is_some_and(|table| table.find(false, word.as_bytes()).is_some())
}

impl Vector {
    /// Of a text; nothing if no word of it is known.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let table = PARTS.as_ref()?;
        let mut sum = [0.0; DIMENSIONS];
        for word in text.split(|c: char| !c.is_ascii_alphanumeric()) {
            if !word.is_empty() && word.len() <= WORD_BYTES_MAX {
                table.add_word(word.to_ascii_lowercase().as_bytes(), &mut sum);
            }
        }
        let length = sum.iter().map(|number| number * number).sum::<f32>().sqrt();
        if length == 0.0 {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "a length of one fits")]
        let byte = |number: f32| (number / length * 127.0).round() as i8;
        Some(Self(sum.map(byte)))
    }

    /// How much two texts are about the same, at most 1.
    #[must_use]
    pub fn likeness(&self, other: &Self) -> f32 {
        let sum: i32 =
            self.0.iter().zip(&other.0).map(|(one, other)| i32::from(*one) * i32::from(*other)).sum();
        sum as f32 / (127.0 * 127.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn likeness(one: &str, other: &str) -> f32 {
        Vector::of(one).unwrap().likeness(&Vector::of(other).unwrap())
    }

    #[test]
    fn the_table_is_whole_sorted_and_of_few_bytes() {
        let table = PARTS.as_ref().unwrap();
        let count = table.ends.len() / 4;
        assert!(count > 20_000 && TABLE.len() < 10_000_000);
        let pieces: Vec<&[u8]> = (0..count).map(|row| table.piece(row).unwrap()).collect();
        assert!(pieces.is_sorted());
        assert_eq!(number(table.ends, count - 1).unwrap() as usize, table.pieces.len());
        assert_eq!(
            (table.find(false, b"weather"), table.find(true, b"qqqq")),
            (pieces.binary_search(&&b"weather"[..]).ok(), None)
        );
    }

    #[test]
    fn what_means_the_same_is_more_alike_than_what_does_not() {
        for (one, same, other) in [
            ("purchase an automobile", "buy a car", "delete a file"),
            ("what will the weather be", "forecast of temperature and rain", "open a pull request"),
            ("show the film schedule", "movie times at a cinema", "list database tables"),
        ] {
            assert!(likeness(one, same) > likeness(one, other) + 0.1, "{one}");
            assert!((likeness(one, one) - 1.0).abs() < 0.02);
        }
    }

    #[test]
    fn a_text_without_a_known_word_is_about_nothing() {
        assert_eq!(Vector::of("  ... 天气"), None);
        assert!(Vector::of(&"x".repeat(65)).is_none() && Vector::of("zqxjk").is_some());
    }
}
