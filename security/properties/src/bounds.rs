//! What one input may cost. Without a sanitizer libFuzzer cannot see allocations, so each property measures its own.

/// Heap that a decoder may hold at once for each byte it was given. The dearest entry is an empty text: four bytes
/// on the wire, a `String` of 24 in memory, and the old and the new list while a list doubles.
pub const HEAP_PER_BYTE_MAX: usize = 24;
/// Heap that a decoder may hold at once whatever it was given.
pub const HEAP_BASE_BYTES: usize = 4096;

/// Runs a decoder on `input_bytes` bytes and refuses what holds more heap than they justify.
pub fn decoding<T>(input_bytes: usize, work: impl FnOnce() -> T) -> T {
    holding(HEAP_BASE_BYTES + input_bytes * HEAP_PER_BYTE_MAX, work)
}

/// Runs `work` and refuses what holds more than `bytes_max` of heap at once.
///
/// # Panics
/// If it does.
pub fn holding<T>(bytes_max: usize, work: impl FnOnce() -> T) -> T {
    let mut result = None;
    let held = allocation_counter::measure(|| result = Some(work())).bytes_max;
    assert!(held <= bytes_max as u64, "{held} bytes of heap were held at once, allowed are {bytes_max}");
    #[expect(clippy::expect_used, reason = "`measure` runs what it is given")]
    result.expect("the work was done")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_less_passes_and_its_result_comes_back() {
        assert_eq!(holding(1000, || vec![7_u8; 900].len()), 900);
    }

    #[test]
    #[should_panic(expected = "bytes of heap were held at once")]
    fn what_holds_more_is_refused_even_if_it_was_given_back() {
        holding(1000, || drop(vec![7_u8; 1001]));
    }
}
