//! Quantities with units: `512MiB`, `100%`, `30s`. Nothing is rounded, guessed or unlimited.

/// Why a text is not a quantity: the message, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitError {
    /// What is the matter.
    pub message: String,
    /// What to do.
    pub help: String,
}

fn wrong<T>(message: String, help: &str) -> Result<T, UnitError> {
    Err(UnitError { message, help: help.to_owned() })
}

/// Splits digits from the unit after them.
fn split<'a>(text: &'a str, help: &str) -> Result<(u64, &'a str), UnitError> {
    if text.starts_with('-') {
        return wrong(format!("`{text}` is negative"), help);
    }
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    if digits.is_empty() {
        return wrong(format!("`{text}` does not begin with a whole number"), help);
    }
    if digits.len() > 1 && digits.starts_with('0') {
        return wrong(format!("`{text}` begins with a zero"), help);
    }
    match digits.parse() {
        Ok(number) => Ok((number, unit)),
        Err(_) => wrong(format!("`{text}` is too large a number"), help),
    }
}

fn times(text: &str, number: u64, factor: u64, help: &str) -> Result<u64, UnitError> {
    match number.checked_mul(factor) {
        Some(product) => Ok(product),
        None => wrong(format!("`{text}` is too large a number"), help),
    }
}

/// A size in bytes: a whole number and one of `KiB`, `MiB`, `GiB`, `TiB`, `B`.
///
/// # Errors
/// [`UnitError`] says what is wrong.
pub fn size(text: &str) -> Result<u64, UnitError> {
    const HELP: &str = "write a whole number and KiB, MiB or GiB, such as 512MiB";
    let (number, unit) = split(text, HELP)?;
    let factor = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        "KB" | "kB" | "MB" | "GB" | "TB" | "K" | "M" | "G" | "T" | "k" | "m" | "g" => {
            let letter = unit.chars().take(1).collect::<String>().to_uppercase();
            return wrong(
                format!("`{text}`: the unit `{unit}` can mean powers of 1000 or of 1024"),
                &format!("write {number}{letter}iB, which is powers of 1024"),
            );
        }
        "" => return wrong(format!("`{text}` has no unit"), HELP),
        _ => return wrong(format!("`{text}`: there is no unit `{unit}`"), HELP),
    };
    times(text, number, factor, HELP)
}

/// A part of one processor: `100%` is one whole processor.
///
/// # Errors
/// [`UnitError`] says what is wrong.
pub fn percent(text: &str) -> Result<u64, UnitError> {
    const HELP: &str = "write a whole number and %, such as 150% for one and a half processors";
    match split(text, HELP)? {
        (number, "%") => Ok(number),
        _ => wrong(format!("`{text}` is not a percentage"), HELP),
    }
}

/// A time span in milliseconds: a whole number and `ms`, `s`, `m` or `h`.
///
/// # Errors
/// [`UnitError`] says what is wrong.
pub fn duration_ms(text: &str) -> Result<u64, UnitError> {
    const HELP: &str = "write a whole number and ms, s, m or h, such as 30s";
    let (number, unit) = split(text, HELP)?;
    let factor = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "" => return wrong(format!("`{text}` has no unit"), HELP),
        _ => return wrong(format!("`{text}`: there is no unit `{unit}`"), HELP),
    };
    times(text, number, factor, HELP)
}

/// A size in the largest unit that divides it.
#[must_use]
pub fn show_size(bytes: u64) -> String {
    for (factor, unit) in [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
        if bytes >= factor && bytes.is_multiple_of(factor) {
            return format!("{}{unit}", bytes / factor);
        }
    }
    format!("{bytes}B")
}

/// A time span in the largest unit that divides it.
#[must_use]
pub fn show_duration(milliseconds: u64) -> String {
    for (factor, unit) in [(3_600_000, "h"), (60_000, "m"), (1000, "s")] {
        if milliseconds >= factor && milliseconds.is_multiple_of(factor) {
            return format!("{}{unit}", milliseconds / factor);
        }
    }
    format!("{milliseconds}ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_and_shown_alike() {
        for text in ["1B", "3KiB", "512MiB", "2GiB", "1TiB"] {
            assert_eq!(show_size(size(text).unwrap()), text);
        }
        for text in ["500ms", "30s", "2m", "1h"] {
            assert_eq!(show_duration(duration_ms(text).unwrap()), text);
        }
        assert_eq!(percent("150%"), Ok(150));
    }

    #[test]
    fn y11_no_quantity_is_negative_endless_too_large_or_ambiguous() {
        let bad = [
            "-1MiB",
            "infinity",
            ".inf",
            "inf",
            "max",
            "18446744073709551616B",
            "17179869184GiB",
            "512MB",
            "512M",
            "512",
            "512 MiB",
            "1.5GiB",
            "1e3MiB",
            "",
            "MiB",
            "0512MiB",
            "512mib",
        ];
        for text in bad {
            assert!(size(text).is_err(), "{text}");
        }
        for text in ["-1s", "30", "1d", "infinity", "1.5s", "18446744073709551615h"] {
            assert!(duration_ms(text).is_err(), "{text}");
        }
        for text in ["-5%", "100", "%", "50.5%", "infinity%"] {
            assert!(percent(text).is_err(), "{text}");
        }
    }

    #[test]
    fn y11_the_help_for_mb_names_mib() {
        assert_eq!(size("64MB").unwrap_err().help, "write 64MiB, which is powers of 1024");
    }
}
