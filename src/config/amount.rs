//! Amounts as operators write them: `500`, `64KiB`, `10GiB`, `2TB`.

/// Reads an amount: a whole number, with or without one of `KB`, `MB`, `GB`, `TB` (powers of 1000) or `KiB`,
/// `MiB`, `GiB`, `TiB` (powers of 1024).
pub fn parse(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 9] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
        ("KB", 1000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("", 1),
    ];
    let refused = || "must be a whole number, with or without a unit such as MB, MiB or GiB".to_owned();
    let (number, unit) = UNITS
        .into_iter()
        .find_map(|(name, unit)| Some((text.trim().strip_suffix(name)?.trim_end(), unit)))
        .ok_or_else(refused)?;
    let number: u64 = number.parse().map_err(|_| refused())?;
    // The database's integers are signed.
    number.checked_mul(unit).filter(|amount| i64::try_from(*amount).is_ok()).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_units() {
        for (text, amount) in
            [("0", 0), ("500", 500), ("64KiB", 65_536), ("10 GiB", 10 << 30), ("2TB", 2_000_000_000_000)]
        {
            assert_eq!(parse(text), Ok(amount), "{text}");
        }
        for bad in ["", "KiB", "-1", "1.5GiB", "1kib", "9999999TiB", "9223372036854775808"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
