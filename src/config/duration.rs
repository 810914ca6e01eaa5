//! Durations as operators write them.

use std::time::Duration;

/// Reads a whole number followed by `ms`, `s`, `m`, `h` or `d`: `30s`, `12h`, `7d`.
pub fn parse(text: &str) -> Result<Duration, String> {
    const RULE: &str = "must be a whole number followed by ms, s, m, h or d, such as 30s or 7d";
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or(RULE)?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| RULE)?;
    let millis_each = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        "d" => 24 * 60 * 60 * 1000,
        _ => return Err(RULE.to_owned()),
    };
    // Longer than any store will live would overflow the arithmetic of timestamps later on.
    let longest = 100 * 365 * 24 * 60 * 60 * 1000;
    number
        .checked_mul(millis_each)
        .filter(|millis| *millis <= longest)
        .map(Duration::from_millis)
        .ok_or_else(|| "must be at most a hundred years".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_what_they_say() {
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse("0s"), Ok(Duration::ZERO));
        assert_eq!(parse("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(parse("12h"), Ok(Duration::from_secs(43_200)));
        assert_eq!(parse("30d"), Ok(Duration::from_secs(2_592_000)));
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in ["", "30", "s", "-1s", "1.5h", "3w", "1 s", "99999999999999999999d", "9999999d"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
