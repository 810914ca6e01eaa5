//! Environment variables that look like settings and are not.

use std::ffi::OsString;

/// Prefix of every setting except two.
const PREFIX: &str = "JUSTSTORAGE_";

/// Names after the prefix that the project's own tests and measurements read.
const OF_TESTS: &[&str] = &[
    "BENCH_",
    "BIN",
    "CRASH_",
    "DELTA_",
    "FUZZ_",
    "INTERLEAVINGS_",
    "LINEAR_",
    "POWER_",
    "PROTOCOL",
    "SOAK_",
    "TEST_",
];

/// After the prefix, options of a tier in an object store begin like this. The object store defines them.
const OF_OBJECT_STORES: &[&str] =
    &["HOT_AWS_", "HOT_GOOGLE_", "HOT_AZURE_", "COLD_AWS_", "COLD_GOOGLE_", "COLD_AZURE_"];

/// Most edits between a misspelt name and the setting that it is taken for.
const EDITS_MAX: usize = 4;

/// The first non-empty variable that has the prefix and is not a setting, and the setting with the most similar name.
pub fn misspelt<'a>(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    settings: &[&'a str],
) -> Option<(String, Option<&'a str>)> {
    let mut wrong: Vec<String> = variables
        .into_iter()
        // An empty value says nothing, whatever it is called.
        .filter(|(_, value)| !value.is_empty())
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| name.to_ascii_uppercase().starts_with(PREFIX))
        .filter(|(name, _)| !settings.contains(&name.as_str()))
        .filter(|(name, value)| !is_foreign(name, &value.to_string_lossy()))
        .map(|(name, _)| name)
        .collect();
    wrong.sort_unstable();
    let name = wrong.into_iter().next()?;
    let upper = name.to_ascii_uppercase();
    let nearest = settings.iter().map(|setting| (edits(&upper, setting), *setting)).min();
    let nearest = nearest.filter(|(edits, _)| *edits <= EDITS_MAX).map(|(_, setting)| setting);
    Some((name, nearest))
}

/// Whether a variable with the prefix belongs to tests, to object stores, or to Kubernetes, which sets such variables
/// in every container beside a service called `juststorage` (`JUSTSTORAGE_PORT=tcp://…`).
fn is_foreign(name: &str, value: &str) -> bool {
    let Some(rest) = name.strip_prefix(PREFIX) else { return false };
    if OF_TESTS.iter().chain(OF_OBJECT_STORES).any(|begin| rest.starts_with(begin)) {
        return true;
    }
    // Services called `juststorage-…` have something between the two.
    let rest = format!("_{rest}");
    if rest.ends_with("_SERVICE_HOST") || rest.ends_with("_SERVICE_PORT") || rest.contains("_SERVICE_PORT_") {
        return true;
    }
    let is_link = value.starts_with("tcp://") || value.starts_with("udp://") || value.starts_with("sctp://");
    let of_port = rest.rsplit_once("_PORT_").is_some_and(|(_, tail)| {
        let (number, tail) = tail.split_once('_').unwrap_or((tail, ""));
        number.bytes().all(|digit| digit.is_ascii_digit())
            && ["TCP", "UDP", "SCTP"].iter().any(|protocol| tail.starts_with(protocol))
    });
    of_port || rest.ends_with("_PORT") && is_link
}

/// Edit distance: characters to insert, remove or change to turn `other` into `one`.
fn edits(one: &str, other: &str) -> usize {
    let other = other.as_bytes();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, byte) in one.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (column, wanted) in other.iter().enumerate() {
            let changed = diagonal + usize::from(byte != *wanted);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const SETTINGS: [&str; 3] = ["JUSTSTORAGE_DATA_DIR", "JUSTSTORAGE_HOT_URL", "JUSTSTORAGE_COLD_URL"];

    fn found(name: &str, value: &str) -> Option<(String, Option<&'static str>)> {
        misspelt([(name.into(), value.into()), ("HOME".into(), "/".into())], &SETTINGS)
    }

    #[test]
    fn a_misspelt_setting_is_named_with_what_was_meant() {
        for (name, meant) in [
            ("JUSTSTORAGE_DATADIR", Some("JUSTSTORAGE_DATA_DIR")),
            ("JUSTSTORAGE_HOT_URI", Some("JUSTSTORAGE_HOT_URL")),
            ("juststorage_cold_url", Some("JUSTSTORAGE_COLD_URL")),
            ("JUSTSTORAGE_QUOTA_OF_EVERYBODY", None),
            ("JUSTSTORAGE_PORT", None),
        ] {
            let (named, nearest) = found(name, "x").unwrap();
            assert_eq!(named, name);
            assert_eq!(nearest.filter(|_| meant.is_some()), meant, "{name}");
        }
    }

    #[test]
    fn what_others_set_is_left_alone() {
        for (name, value) in [
            ("JUSTSTORAGE_DATA_DIR", "/data"),
            ("JUSTSTORAGE_WRONG", ""),
            ("JUSTSTORAGE_TEST_LOG", "info"),
            ("JUSTSTORAGE_HOT_AWS_ENDPOINT", "http://minio:9000"),
            ("JUSTSTORAGE_COLD_GOOGLE_SERVICE_ACCOUNT", "x"),
            ("JUSTSTORAGE_SERVICE_HOST", "10.0.0.1"),
            ("JUSTSTORAGE_SERVICE_PORT", "8080"),
            ("JUSTSTORAGE_SERVICE_PORT_NATIVE", "8080"),
            ("JUSTSTORAGE_PORT", "tcp://10.0.0.1:8080"),
            ("JUSTSTORAGE_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
            ("JUSTSTORAGE_PORT_8080_TCP_ADDR", "10.0.0.1"),
            ("JUSTSTORAGE_S3_SERVICE_HOST", "10.0.0.2"),
            ("JUSTSTORAGE_S3_PORT_9000_TCP_PORT", "9000"),
            ("PATH", "/bin"),
        ] {
            assert_eq!(found(name, value), None, "{name}");
        }
    }
}
